package reply

import (
	"bytes"
	"testing"
)

// FuzzReply reads anything as a reply: what it returns is part of the text, and a code is one.
func FuzzReply(f *testing.F) {
	for _, text := range []string{"250 2.0.0 Ok: queued as 6D01F22A", "550-5.1.1 a 550 5.1.1 b", `450-4.2.0 a\n450 4.2.0 b`, "554 no (#5.7.1)", "250-2.1.5 fine 550 5.1.1 no",
		"host mx[192.0.2.1] said: 550 no (in reply to RCPT TO command)", "SMTP error from remote mail server after pipelined MAIL FROM:<x@y>: 421 4.7.0 later", "250 OK id=1tZxYa-0001Bc-De"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, sep := range []string{" ", `\n`} {
			code, enhanced := Parse(text, sep)
			if code != 0 && (code < 200 || code > 599) || code == 0 && enhanced != nil || !bytes.Contains(text, enhanced) {
				t.Fatalf("%q gave %d %q", text, code, enhanced)
			}
		}
		if id := Queued(text); id != nil && (len(id) < 5 || !bytes.Contains(text, id)) {
			t.Fatalf("%q gave the queue ID %q", text, id)
		}
		if remote, _ := Unwrap(text); !bytes.Contains(text, remote) {
			t.Fatalf("%q gave %q", text, remote)
		}
		IP(text)
	})
}
