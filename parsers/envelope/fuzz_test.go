package envelope

import (
	"bytes"
	"testing"
	"time"
)

// FuzzFind takes envelopes off anything, twice, since the first line's form sticks: what is left is never longer than what was
// there, and the anchor always brings the clock back.
func FuzzFind(f *testing.F) {
	for _, line := range []string{
		"Mar  4 05:06:07 mx1 postfix/smtp[812]: x", "<22>1 2026-03-04T05:06:07.123Z mx1 postfix/smtp 812 - [a@1 b=\"\\]x\"] x", "2026-03-04T05:06:07.1Z stdout P x",
		"mail-1  | Mär  4 05:06:07 mx1 postfix/smtp[812]: x", `{"log":"{\"message\":\"Mar  4 05:06:07 mx1 exim[8]: x\"}\n","time":"2026-03-04T05:06:08Z"}`,
		"\x1b[1m04.03.2026 05:06:07\x1b[m mx1 postfix/smtp[812]: to=&lt;a&gt;", "@4000000069a7bdc907525400 1772600767.123 mx1 exim[1]: 2026-03-04 05:06:07.123 +0200 [812] x",
		"[mail.info] Wed, 04 Mar 2026 05:06:07 +0000 mx1 postfix/smtp(812): x", `{"MESSAGE":[52,70],"SYSLOG_IDENTIFIER":"postfix/qmgr[1]"}`,
	} {
		f.Add([]byte(line), []byte(line))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		r := NewReader(time.UTC, true)
		var h Header
		for _, line := range [][]byte{first, second, first} {
			before := bytes.Clone(line)
			for _, read := range []func([]byte, *Header) ([]byte, bool){r.Strip, r.Find} {
				if text, _ := read(line, &h); len(text) > 4*len(line)+len(line) {
					t.Fatalf("%d bytes became %d", len(line), len(text))
				}
			}
			clean, changed := r.Clean(line)
			if changed == bytes.Equal(clean, line) {
				t.Fatalf("%q became %q: %t", line, clean, changed)
			}
			if again, changed := NewReader(time.UTC, true).Clean(clean); changed && len(again) > len(clean) {
				t.Fatalf("%q grew to %q", clean, again)
			}
			if !bytes.Equal(before, line) {
				t.Fatal("the line was written to")
			}
		}
		if err := NewReader(time.Local, false).Clock().Restore(r.Clock().Anchor()); err != nil {
			t.Fatal(err)
		}
	})
}
