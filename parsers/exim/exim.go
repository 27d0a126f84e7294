// Package exim reads Exim's main log (The Exim Specification, chapter 53, "Log files"): delivery lines with their flags,
// and the reception and completion lines that tell more about a message id.
package exim

import (
	"bytes"

	"bounceline/parsers/envelope"
	"bounceline/parsers/reply"
	"bounceline/pipeline/record"
)

// Version changes when a line may give another row than before.
const Version = "1"

// Parser reads one line at a time and keeps nothing. The zero value is ready.
type Parser struct{}

// Name is the dialect's name.
func (Parser) Name() string { return "exim" }

// Claims reports whether a line is Exim's: by its program, or, without one, by the message id that begins it.
func (Parser) Claims(program, text []byte) bool {
	if bytes.HasPrefix(program, []byte("exim")) {
		return true
	}
	return len(program) == 0 && (envelope.MessageID(text) > 0 || headless(text))
}

// headless reports whether a text begins with a flag, as a copy does that leaves out time and message id, and goes on like a
// delivery.
func headless(text []byte) bool {
	if len(text) < 16 || text[2] != ' ' {
		return false
	}
	switch string(text[:2]) {
	case "=>", "->", "**", "==":
		body := text[3:min(len(text), 1024)]
		word := bytes.IndexByte(body, ' ')
		if word <= 0 || !isAddress(body[:word]) {
			return false
		}
		fields := body[addressEnd(body):]
		return bytes.HasPrefix(fields, []byte(" R=")) && bytes.Contains(fields, []byte(" T="))
	}
	return false
}

// Parse reads the text of one line, behind Exim's own stamp.
func (Parser) Parse(h *envelope.Header, text []byte, out *record.Result) {
	if bytes.IndexByte(text, '\n') >= 0 {
		text = oneLine(text, out)
	}
	n := envelope.MessageID(text)
	if n == 0 {
		if len(h.Program) == 0 && headless(text) {
			delivery(h, nil, text[:2], text[3:], out)
			return
		}
		out.Class, out.Kind = record.Other, "no message id"
		return
	}
	id, rest := text[:n], text[n+1:]
	if len(rest) > 0 && rest[0] == ' ' { // a copy's
		rest = bytes.TrimLeft(rest, " ")
	}
	if len(rest) >= 3 && rest[2] == ' ' {
		body := bytes.TrimLeft(rest[3:], " ")
		switch string(rest[:2]) {
		case "<=", "(=":
			reception(h, id, body, out)
			return
		case "=>", "->", ">>", "*>", "==", "**":
			delivery(h, id, rest[:2], body, out)
			return
		}
	}
	switch {
	case bytes.HasPrefix(rest, []byte("Completed")):
		out.Class, out.Kind = record.Context, "completed"
		out.Fact = record.Fact{Op: record.Close, Host: h.Host, QueueID: id, Time: h.Time}
	case bytes.HasPrefix(rest, []byte("removed by ")), bytes.HasPrefix(rest, []byte("cancelled by ")):
		out.Class, out.Kind = record.Context, "removed"
		out.Fact = record.Fact{Op: record.Close, Host: h.Host, QueueID: id, Time: h.Time}
	case len(rest) > 4 && bytes.IndexByte(rest[:4], '&') >= 0:
		out.Class, out.Kind = record.Malformed, "exim: HTML entities"
	default: // a flag may be made of other brackets
		out.Class, out.Kind, out.Doubt = record.Other, "message note", len(rest) > 4 && (rest[0] >= 0x80 || rest[1] >= 0x80)
	}
}

// reception reads "<= sender H=host [ip] P=proto S=size id=message-id ...".
func reception(h *envelope.Header, id, body []byte, out *record.Result) {
	out.Class, out.Kind = record.Context, "reception"
	f := &out.Fact
	*f = record.Fact{Op: record.Renew, Host: h.Host, QueueID: id, Time: h.Time, SenderKnown: true}
	n := addressEnd(body)
	f.Sender = body[:n]
	if string(f.Sender) == "<>" {
		f.Sender = nil
	}
	var s scanner
	s.rest = body[n:]
	for s.next() {
		switch string(s.key) {
		case "H":
			f.ClientIP = s.host.ip
		case "A":
			f.AuthUser = authUser(s.value)
		case "S":
			f.Size = reply.Number(s.value)
		case "id", "id*":
			f.MessageID = s.value
		case "T", "for":
			return
		}
	}
}

// authUser is the id in "authenticator:id:sender".
func authUser(v []byte) []byte {
	if i := bytes.IndexByte(v, ':'); i >= 0 {
		return v[i+1:]
	}
	return nil
}

// addressEnd is where the address part of a line ends: before the first field, or a colon that ends the fields.
func addressEnd(b []byte) int {
	quoted, begin := false, 0
	if bytes.HasPrefix(b, blackhole) {
		begin = len(blackhole)
	}
	for i := begin; i < len(b); i++ {
		switch b[i] {
		case '\\':
			if quoted {
				i++
			}
		case '"':
			quoted = !quoted
		case ' ':
			if !quoted && fieldAt(b[i+1:]) {
				return i
			}
		case ':':
			if !quoted && i+1 < len(b) && b[i+1] == ' ' {
				return i
			}
		}
	}
	if quoted { // a lone quote: try again without
		for i := begin; i < len(b); i++ {
			if b[i] == ' ' && fieldAt(b[i+1:]) || b[i] == ':' && i+1 < len(b) && b[i+1] == ' ' {
				return i
			}
		}
	}
	return len(b)
}

var blackhole = []byte(":blackhole:")

// fieldAt reports whether what follows a blank is no more part of an address.
func fieldAt(b []byte) bool {
	n := 0
	for n < len(b) && n < 6 && 'A' <= b[n] && b[n] <= 'Z' {
		n++
	}
	if n > 0 && n < len(b) && b[n] == '=' {
		return true
	}
	for _, w := range endings {
		if bytes.HasPrefix(b, w) {
			return true
		}
	}
	return false
}

var endings = [][]byte{[]byte("defer ("), []byte("routing defer ("), []byte("retry timeout exceeded"), []byte(": "),
	[]byte("error ignored"), []byte("id="), []byte("(system filter)"), []byte("(RCPT ACL")}
