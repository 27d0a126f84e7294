package envelope

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// What the quick reader takes, it reads as the other one does; headers of other forms it leaves to it.
func TestUsual(t *testing.T) {
	const text = "4F2A91C0B7: to=<ann@example.org>, relay=none, delay=0, status=sent (250 ok)"
	taken := 0
	var form Form
	check := func(line string) {
		quick, whole := NewReader(time.UTC, true), NewReader(time.UTC, true)
		quick.form = form
		for _, r := range []*Reader{quick, whole} {
			r.Clock().SetReference(time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC))
		}
		var a, b Header
		got, ok := quick.usual([]byte(line), &a)
		if !ok {
			return
		}
		taken++
		want, ok := whole.try(form, []byte(line), &b)
		if !ok || !bytes.Equal(got, want) || a.Time != b.Time || a.Flags != b.Flags || a.PID != b.PID || !bytes.Equal(a.Host, b.Host) || !bytes.Equal(a.Program, b.Program) {
			t.Errorf("%q: %q %+v, want %q %+v", line, got, a, want, b)
		}
	}
	for stamp, f := range map[string]Form{"Mar  4 05:06:07": BSD, "2026-03-04T05:06:07.123456+01:00": ISO, "2026-03-04T05:06:07": ISO, "2026-03-04T05:06:07Z": ISO} {
		form, taken = f, 0
		for _, host := range []string{"mx1", "m", "mail.example.com", "mx-1.example.co", "2001:db8::25", "mx1:", "", " mx1"} {
			for _, tag := range []string{"postfix/smtp[1]:", "postfix/smtp[12345678]:", "postfix/smtp[123456789]:", "postfix/relay/smtp[7]:", "postfix/submission/smtpd[417]:", "postfix/smtp[]:",
				"postfix/smtp[x]:", "postfix/smtpd[417]:", "postfix/qmgr[417]:", "postfix/cleanup[417]:", "postfix/cleanup[4:", "postfix/cleanup:", "postfix/smtp:", "postfix/smtp: a[1]:", "postfix/[1]:", "postfix/smtp[417]", "postfix/smtp[417] :", "postfix-out/smtp[417]:", "postfix/a b[1]:"} {
				for _, behind := range []string{text, " " + text, "[1/2] " + text, "[ID 197553 mail.info] " + text, "x", ""} {
					check(stamp + " " + host + " " + tag + " " + behind)
				}
			}
		}
		if taken < 10 {
			t.Errorf("%s: %d lines were taken", stamp, taken)
		}
		line := stamp + " mx1 postfix/smtp[417]: " + text
		for i := range len(line) {
			check(line[:i])
			for _, c := range " :[]/\x00\xa0" {
				check(line[:i] + string(c) + line[i+1:])
				check(line[:i] + string(c) + line[i:])
			}
		}
	}
	check(strings.Repeat(" ", 64))
}
