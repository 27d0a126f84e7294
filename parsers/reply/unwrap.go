package reply

import (
	"bytes"

	"bounceline/pipeline/record"
)

// Unwrap finds the reply in a text that an MTA may have put words around, as Postfix does ("host X said: ... (in reply to RCPT
// TO command)") and Exim ("SMTP error from remote mail server after RCPT TO:<a>: ..."). Remote is nil where no reply is in
// the text; command is what it answered, as far as the text says so.
func Unwrap(text []byte) (remote []byte, command string) {
	for {
		rest, ok := cutAny(text, "delivery temporarily suspended: ", "Error: ", "status=deferred (", "status=bounced (")
		if !ok {
			break
		}
		text = rest
	}
	if i := bytes.LastIndex(text, []byte(" (in reply to ")); i >= 0 {
		command = Command(text[i+len(" (in reply to "):])
		text = text[:i]
	}
	if Code(text) != 0 { // a reply may quote another server's
		return text, command
	}
	for _, w := range [][]byte{[]byte(" said: "), []byte(" refused to talk to me: "), []byte(" refused to start TLS: ")} {
		if i := bytes.Index(text, w); i >= 0 && Code(text[i+len(w):]) != 0 {
			if command == "" && w[1] == 'r' {
				command = record.CmdConnect
			}
			return text[i+len(w):], command
		}
	}
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(": "))
		if i < 0 {
			return nil, command
		}
		at += i + 2
		if Code(text[at:]) != 0 {
			if j := bytes.Index(text[:at], []byte(" after ")); j >= 0 && command == "" {
				command = Command(bytes.TrimPrefix(text[j+len(" after "):], []byte("pipelined ")))
			}
			return text[at:], command
		}
	}
}

func cutAny(text []byte, prefixes ...string) ([]byte, bool) {
	for _, p := range prefixes {
		if bytes.HasPrefix(text, []byte(p)) {
			return text[len(p):], true
		}
	}
	return text, false
}

// Command is the command that the text begins with, in the words of Postfix and Exim; empty if none.
func Command(t []byte) string {
	for i := range commands {
		if bytes.HasPrefix(t, commands[i].text) {
			return commands[i].name
		}
	}
	return ""
}

var commands = []struct {
	text []byte
	name string
}{
	{[]byte("end of DATA"), record.CmdEndOfData}, {[]byte("end of data"), record.CmdEndOfData}, {[]byte("sending data block"), record.CmdEndOfData},
	{[]byte("RCPT TO"), record.CmdRCPT}, {[]byte("MAIL FROM"), record.CmdMAIL}, {[]byte("DATA"), record.CmdDATA}, {[]byte("BDAT"), record.CmdBDAT},
	{[]byte("EHLO"), record.CmdEHLO}, {[]byte("HELO"), record.CmdHELO}, {[]byte("LHLO"), record.CmdLHLO}, {[]byte("STARTTLS"), record.CmdSTARTTLS},
	{[]byte("AUTH"), record.CmdAUTH}, {[]byte("initial connection"), record.CmdConnect},
}
