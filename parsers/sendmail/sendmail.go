// Package sendmail reads sendmail's log lines (Sendmail Installation and Operation Guide, "Logging"; deliver.c, logdelivery)
// and those of the MTAs that log like it.
package sendmail

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
func (Parser) Name() string { return "sendmail" }

// Claims reports whether a program is sendmail, or, where it is not known, whether the text has keys that only sendmail
// writes.
func (Parser) Claims(program, text []byte) bool {
	switch {
	case len(program) == 0:
		id, rest := queueID(text)
		return id != nil && (bytes.HasPrefix(rest, to) && bytes.Contains(rest, stat) ||
			bytes.HasPrefix(rest, from) && bytes.Contains(rest, []byte(", nrcpts=")))
	case bytes.Contains(program, []byte("postfix")):
		return false
	}
	return bytes.HasPrefix(program, []byte("sendmail")) || bytes.HasPrefix(program, []byte("sm-")) || string(program) == "MeTA1"
}

var (
	to   = []byte("to=")
	from = []byte("from=")
	stat = []byte(", stat=")
)

// Parse reads the text of one line.
func (Parser) Parse(h *envelope.Header, text []byte, out *record.Result) {
	id, rest := queueID(text)
	switch {
	case id == nil:
		out.Class, out.Kind = record.Other, "no queue ID"
	case bytes.HasPrefix(rest, to):
		delivery(h, id, rest[len(to):], out)
	case bytes.HasPrefix(rest, from):
		reception(h, id, rest[len(from):], out)
	default:
		out.Class, out.Kind = record.Other, "queue ID note"
	}
}

// queueID splits "ID: rest". An ID is letters and digits, 14 characters since 8.10, fewer before.
func queueID(text []byte) (id, rest []byte) {
	n, digits := 0, 0
	for n < len(text) && n < 24 {
		c := text[n]
		if '0' <= c && c <= '9' {
			digits++
		} else if !('A' <= c && c <= 'Z' || 'a' <= c && c <= 'z') {
			break
		}
		n++
	}
	if n < 7 || digits == 0 || n+2 > len(text) || text[n] != ':' || text[n+1] != ' ' {
		return nil, nil
	}
	return text[:n], text[n+2:]
}

// address reads "<a@b>" or a bare word up to the next comma, and returns what follows.
func address(b []byte) (addr, rest []byte) {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			quoted = !quoted
		case '>':
			if !quoted && b[0] == '<' {
				return b[1:i], b[i+1:]
			}
		case ',':
			if !quoted && b[0] != '<' {
				return b[:i], b[i:]
			}
		}
	}
	if i := bytes.IndexByte(b, ','); i >= 0 { // a lone quote or bracket
		return bytes.Trim(b[:i], "<>"), b[i:]
	}
	return bytes.Trim(b, "<>"), nil
}

// reception reads "from=<a@b>, size=5, class=0, nrcpts=1, msgid=<x@y>, proto=ESMTP, daemon=MTA, relay=host [ip]".
func reception(h *envelope.Header, id, rest []byte, out *record.Result) {
	out.Class, out.Kind = record.Context, "reception"
	sender, rest := address(rest)
	out.Fact = record.Fact{Op: record.Renew, Host: h.Host, QueueID: id, Time: h.Time, Sender: sender, SenderKnown: true}
	for {
		key, value, next, ok := field(rest)
		if !ok {
			return
		}
		switch string(key) {
		case "size":
			out.Fact.Size = reply.Number(value)
		case "nrcpts":
			out.Fact.Recipients = uint16(min(reply.Number(value), 65535))
		case "msgid":
			out.Fact.MessageID = bytes.Trim(value, "<>")
		case "authid":
			out.Fact.AuthUser = value
		case "relay":
			_, out.Fact.ClientIP = host(value)
		}
		rest = next
	}
}

// field reads ", key=value"; a value ends before the next comma and blank.
func field(b []byte) (key, value, rest []byte, ok bool) {
	if len(b) < 3 || b[0] != ',' {
		return nil, nil, nil, false
	}
	b = bytes.TrimLeft(b[1:], " ")
	eq := bytes.IndexByte(b, '=')
	if eq <= 0 || eq > 16 {
		return nil, nil, nil, false
	}
	key, b = b[:eq], b[eq+1:]
	end := bytes.Index(b, []byte(", "))
	if end < 0 {
		end = len(b)
	}
	return key, b[:end], b[end:], true
}

// host reads "mx1.example.org. [192.0.2.25]" and "[192.0.2.25]".
func host(v []byte) (name []byte, ip record.Addr) {
	name = v
	if i := bytes.IndexByte(v, '['); i >= 0 {
		name = bytes.TrimRight(v[:i], " .")
		if j := bytes.IndexByte(v[i:], ']'); j > 0 {
			ip, _ = reply.IP(v[i+1 : i+j])
			if len(name) == 0 {
				name = v[i+1 : i+j]
			}
		}
	}
	return bytes.TrimSuffix(name, []byte(".")), ip
}
