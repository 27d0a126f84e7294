package postfix

import (
	"bytes"

	"bounceline/parsers/envelope"
	"bounceline/pipeline/record"
)

// copied reads a delivery record that a copy has changed: whose queue ID is blotted out or cut off, with other blanks, or
// with something between tag and queue ID. It reports false where the text is no delivery record. What Postfix logs itself
// never begins so.
func copied(h *envelope.Header, text []byte, out *record.Result) bool {
	if rest, ok := bytes.CutPrefix(text, h.Program); ok && len(rest) > 0 && rest[0] == '[' { // the tag twice
		text = rest
	}
	id, rest, ok := oddID(text)
	if !ok {
		return false
	}
	delivery(h, id, rest, out)
	return true
}

// oddID finds "to=" behind one word at most, which is then the queue ID whatever it looks like.
func oddID(text []byte) (id, rest []byte, ok bool) {
	head := text[:min(len(text), maxOddID)]
	text = text[len(head)-len(bytes.TrimLeft(head, ` :,"|`)):]
	if len(text) > 0 && text[0] == '[' { // "postfix/smtp [417]: "
		if i := bytes.IndexByte(text, ']'); i > 0 && i < 12 {
			text = bytes.TrimPrefix(text[i+1:], []byte(":"))
			text = bytes.TrimPrefix(text, []byte(" "))
		}
	}
	i := bytes.Index(text[:min(len(text), maxOddID)], to)
	if i < 0 || !bytes.Contains(text[i:], statusKey) {
		return nil, nil, false
	}
	id = bytes.TrimRight(text[:i], " \t:*_")
	if len(id) == i && i > 0 || severity(id) {
		return nil, nil, false
	}
	for _, c := range id {
		if c <= ' ' || c >= 0x7f || c == '=' || c == '<' || c == ',' || c == '"' {
			return nil, nil, false
		}
	}
	return bytes.TrimLeft(id, "*_"), text[i+len(to):], true // without Markdown's emphasis
}

// maxOddID is longer than any queue ID and what stands around it.
const maxOddID = 40

var statusKey = []byte("status=")

// severity reports whether a word is one that Postfix puts before a text (msg_output.c).
func severity(word []byte) bool {
	switch string(word) {
	case "warning", "error", "fatal", "panic", "NOQUEUE":
		return true
	}
	return false
}

// scattered reads the fields of a delivery record that are not separated by a comma and a blank each: in any order, up to
// status=. It reports false where there is no such field.
func scattered(r *record.Row, rest []byte) bool {
	end := bytes.Index(rest, statusKey)
	if end < 0 {
		return false
	}
	if paren := bytes.IndexByte(rest, '('); paren >= 0 && paren < end {
		return false
	}
	for fields := rest[:end]; len(fields) > 0; {
		n := bytes.IndexAny(fields, ",; \t\n")
		word := fields
		if n < 0 {
			fields = nil
		} else {
			word, fields = fields[:n], fields[n+1:]
		}
		key, v, ok := bytes.Cut(word, []byte("="))
		if !ok {
			continue
		}
		switch string(key) {
		case "relay":
			oddRelay(r, v)
		case "orig_to":
			r.OrigRecipient = bytes.Trim(v, "<>")
		case "delay":
			r.Delay, _ = seconds(v)
		case "delays":
			delays(r, v)
		case "dsn":
			r.DSN = v
		case "tls":
			r.TLS = v
		case "conn_use":
			r.ConnUse = uint16(min(value(v), 65535))
		}
	}
	status(r, rest[end+len(statusKey):])
	return true
}

// unlinked takes off what a mail program or a forum makes of an address: "<a@d <mailto:a@d>>", "[a@d](mailto:a@d)". Rest is what
// follows the first ">".
func unlinked(address, rest []byte) (plain, after []byte) {
	link := bytes.Index(address, mailto)
	switch {
	case link < 0:
		return address, rest
	case link == 0:
		return address[len(mailto):], rest
	}
	if address[0] == '[' {
		if end := bytes.IndexByte(address, ']'); end > 0 {
			return address[1:end], rest
		}
	}
	return bytes.TrimRight(address[:link], " <("), bytes.TrimPrefix(rest, []byte(">"))
}

var mailto = []byte("mailto:")
