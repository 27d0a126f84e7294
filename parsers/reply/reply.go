// Package reply reads SMTP replies as MTAs log them: several lines joined into one, codes anywhere they may stand.
package reply

import (
	"bytes"
	"unsafe"

	"bounceline/pipeline/record"
)

// Parse reads a reply that begins with its code. Of a reply of several lines the last decides, as in Postfix
// (smtp_chat.c, smtp_chat_resp); an enhanced code missing there is taken from an earlier line of the same class. The lines
// are joined by sep: " " in Postfix, `\n` (two characters) in Exim. Code is 0 where no reply begins here.
func Parse(text []byte, sep string) (code uint16, enhanced []byte) {
	code = Code(text)
	if code == 0 {
		return 0, nil
	}
	if len(text) > 3 && text[3] == ' ' { // one line
		if len(text) > 7 && text[7] == ' ' && string(text[4:7]) == string(text[:3]) { // some servers send their code twice
			text = text[4:]
		}
		if enhanced = Enhanced(text[4:]); enhanced == nil {
			enhanced = parenthesised(text, text[0])
		}
		return code, enhanced
	}
	first := text
	line := text
	for len(line) > 3 && line[3] == '-' {
		next := nextLine(line[4:], sep, line[:3])
		if next == nil {
			break
		}
		line = next
		code = Code(line)
	}
	enhanced = Enhanced(line[3:])
	if enhanced == nil {
		for at := first; len(at) > 3 && enhanced == nil; at = nextLine(at[4:], sep, at[:3]) {
			if at[0] == line[0] {
				enhanced = Enhanced(at[3:])
			}
			if at[3] != '-' {
				break
			}
		}
	}
	if enhanced == nil {
		enhanced = parenthesised(text, line[0])
	}
	return code, enhanced
}

// nextLine finds where the reply's next line begins: after the separator with the same code, else with any code, which an
// enhanced code must follow where lines are joined by blanks: "sent to 300 recipients" begins none.
func nextLine(text []byte, sep string, code []byte) []byte {
	var other []byte
	for at := 0; ; {
		i := bytes.Index(text[at:], unsafe.Slice(unsafe.StringData(sep), len(sep)))
		if i < 0 {
			return other
		}
		at += i + len(sep)
		rest := text[at:]
		if Code(rest) == 0 {
			continue
		}
		if bytes.Equal(rest[:3], code) {
			return rest
		}
		if other == nil && (len(sep) > 1 || len(rest) > 5 && rest[4] == rest[0] && rest[5] == '.') {
			other = rest
		}
	}
}

// Code returns the reply code at the start of text, 0 if none stands there (RFC 5321, section 4.2). Of the failures those count
// too whose second digit the RFC does not define: servers send 471, 571 and more.
func Code(text []byte) uint16 {
	if len(text) < 3 || text[0] < '2' || text[0] > '5' || !digit(text[1]) || !digit(text[2]) || text[1] > '5' && text[0] < '4' {
		return 0
	}
	if len(text) > 3 && text[3] != ' ' && text[3] != '-' && text[3] != '\\' {
		return 0
	}
	return uint16(text[0]-'0')*100 + uint16(text[1]-'0')*10 + uint16(text[2]-'0')
}

// Enhanced returns the enhanced status code (RFC 3463) that begins the text of a reply line, after "-", blanks or an
// opening bracket. Its class must be a possible one; a class other than the reply's is kept, since servers send it.
func Enhanced(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '-') {
		text = text[1:]
	}
	if len(text) > 0 && (text[0] == '[' || text[0] == '(') {
		text = text[1:]
	}
	if len(text) > 0 && text[0] == '#' {
		text = text[1:]
	}
	n := enhancedLength(text)
	if n == 0 {
		return nil
	}
	return text[:n]
}

// parenthesised finds qmail's "(#5.1.1)" anywhere in the text.
func parenthesised(text []byte, class byte) []byte {
	for at := 0; ; at++ {
		i := bytes.IndexByte(text[at:], '#')
		if i < 0 {
			return nil
		}
		if at += i; at > 0 && text[at-1] == '(' {
			if n := enhancedLength(text[at+1:]); n > 0 && text[at+1] == class {
				return text[at+1 : at+1+n]
			}
		}
	}
}

// enhancedLength is the length of "class.subject.detail" at the start of text, 0 if none stands there: class 2, 4 or 5, the
// others up to three digits, and neither a fourth number nor a letter behind.
func enhancedLength(t []byte) int {
	if len(t) < 5 || t[0] != '2' && t[0] != '4' && t[0] != '5' || t[1] != '.' {
		return 0
	}
	if len(t) > 5 && digit(t[2]) && t[3] == '.' && digit(t[4]) && t[5] == ' ' { // as a rule
		return 5
	}
	i := 2
	for part := 0; part < 2; part++ {
		start := i
		for i < len(t) && digit(t[i]) {
			i++
		}
		if i == start || i-start > 3 {
			return 0
		}
		if part == 0 {
			if i >= len(t) || t[i] != '.' {
				return 0
			}
			i++
		}
	}
	if i < len(t) && (t[i] == '.' && i+1 < len(t) && digit(t[i+1]) || letter(t[i])) {
		return 0
	}
	return i
}

// Queued finds the queue ID that the next hop gave the message: "queued as X" (Postfix, sendmail-like servers), "OK id=X"
// (Exim), "queued with id X".
func Queued(text []byte) []byte {
	if len(text) > 24 && string(text[9:24]) == " Ok: queued as " { // Postfix: "250 2.0.0 Ok: queued as X" (smtpd.c)
		if id := queueID(text[24:]); id != nil {
			return id
		}
	}
	for at := 0; ; {
		i := bytes.IndexByte(text[at:], 'u') // "queued", whatever the case of its first letter
		if i < 0 {
			break
		}
		at += i + 1
		if rest := text[at:]; len(rest) > 8 && string(rest[:4]) == "eued" {
			for _, w := range queuedAs {
				if bytes.HasPrefix(rest[4:], w) {
					if id := queueID(rest[4+len(w):]); id != nil {
						return id
					}
				}
			}
		}
	}
	if i := bytes.Index(text, okID); i >= 0 {
		return queueID(text[i+len(okID):])
	}
	return nil
}

// queueID is the word at the start of text, nil if it is too short to be an ID.
func queueID(text []byte) []byte {
	n := 0
	for n < len(text) && idBytes[text[n]] {
		n++
	}
	for n > 0 && text[n-1] == '.' {
		n--
	}
	if n < 5 {
		return nil
	}
	return text[:n]
}

var (
	queuedAs = [][]byte{[]byte(" as "), []byte(" with id ")}
	okID     = []byte("OK id=")
	idBytes  = func() (t [256]bool) {
		for c := range t {
			t[c] = digit(byte(c)) || letter(byte(c)) || c == '-' || c == '_' || c == '.'
		}
		return t
	}()
)

// Loopback reports whether the address is in 127.0.0.0/8 or ::1.
func Loopback(a record.Addr) bool {
	if a[10] == 0xff && a[11] == 0xff {
		return a[12] == 127
	}
	return a == record.Addr{15: 1}
}

func digit(b byte) bool  { return '0' <= b && b <= '9' }
func letter(b byte) bool { return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' }
