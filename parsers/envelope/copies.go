package envelope

import (
	"bytes"
	"unicode/utf8"
)

// maxPrefix is how far into a line a header is looked for behind what tools and people put before it.
const maxPrefix = 256

// maxTries is how many places are tried: each may cost as much as the line is long.
const maxTries = 8

// find looks for a header inside a line that begins with none: behind the names that docker compose, grep and kubectl put
// first, line numbers, quotation marks, prompts and bullets, behind a stamp of unknown form, and in an object or a table
// of another tool. The first header wins, else the first tag of a mail server.
func (r *Reader) find(line []byte, h *Header) ([]byte, bool) {
	line = unquote(line)
	for i, tries := 0, 0; i < len(line) && i < maxPrefix && tries < maxTries; i++ {
		if i > 0 && !mark[line[i-1]] || !begins(line[i:]) || line[i] == '{' && line[0] == '{' { // an object's own members
			continue
		}
		tries++
		if text, ok := r.detect(line[i:], h); ok {
			return text, true
		}
		*h = Header{}
	}
	for i := 0; i < len(line) && i < maxPrefix; i++ {
		if i > 0 && !mark[line[i-1]] {
			continue
		}
		in := Header{}
		text, ok := tag(line[i:], &in)
		if !ok || !mailer(in.Program) || !tagName(in.Program) || in.PID == 0 && i > 0 && line[i-1] != ' ' {
			continue
		}
		*h = in
		before := bytes.TrimRight(line[:i], " ")
		var known bool
		if h.Time, h.Flags, known = r.clock.loose(before); !known {
			*h, r.refused = Header{}, true
			return line, false
		}
		if word := before[bytes.LastIndexByte(before, ' ')+1:]; hostName(word) {
			h.Host = word
		}
		return r.behindTag(text, h), true
	}
	return line, false
}

// mark is what may stand right before a header: blanks, and the punctuation of the tools.
var mark = func() (t [256]bool) {
	for _, c := range []byte(" \t|:-,;>]})\"'`*#$=/.") {
		t[c] = true
	}
	return t
}()

// begins reports whether a stamp, a priority or an object seems to begin here.
func begins(b []byte) bool {
	switch {
	case len(b) < 16:
		return false
	case b[0] == '{':
		return b[1] == '"' || b[1] == ' '
	case b[0] == '<':
		return digit(b[1]) && (b[2] == '>' || b[3] == '>' || b[4] == '>')
	case digit(b[0]):
		return b[4] == '-' && b[7] == '-' && (b[10] == 'T' || b[10] == ' ') || b[1] == ' ' && b[6] == '-' && b[9] == '-'
	}
	return b[3] == ' ' && monthOf(b) != 0
}

// unquote takes off the quotation marks around a line, where both are there.
func unquote(line []byte) []byte {
	if n := len(line); n > 1 && line[0] == line[n-1] && (line[0] == '"' || line[0] == '\'' || line[0] == '`') {
		return line[1 : n-1]
	}
	return line
}

// tagName reports whether a program's name has no byte that none has, as one that follows a blank of another kind would have.
func tagName(w []byte) bool {
	for _, c := range w {
		if c >= 0x80 || c == ',' || c == ';' || c == '"' || c == '=' || c == '&' {
			return false
		}
	}
	return true
}

// hostName reports whether a word may be a host: a letter, and nothing but letters, digits, dots, hyphens.
func hostName(w []byte) bool {
	letters := false
	for _, c := range w {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			letters = true
		case digit(c), c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return letters && !level(w)
}

// Clean returns the line as its MTA wrote it where a terminal, a browser or an editor has changed it: without colours
// (ECMA-48, control sequences), with blanks for tabs and other kinds of blanks, with plain quotation marks and brackets, with the
// characters that HTML entities and Markdown's escapes stand for, and without the zero bytes of UTF-16. It reports false where there
// is nothing to change. The result is valid until the next call.
func (r *Reader) Clean(line []byte) ([]byte, bool) {
	at := bytes.IndexFunc(line, func(c rune) bool { return c < ' ' || c == '&' || c == '\\' || c >= 0x80 })
	if at < 0 {
		return line, false
	}
	b := append(r.clean[:0], line[:at]...)
	for rest := trimUTF16Mark(line[at:]); len(rest) > 0; {
		n := 1
		switch c := rest[0]; {
		case c == 0x1b:
			n = controlSequence(rest)
		case c == 0: // of UTF-16
		case c < ' ':
			b = append(b, ' ')
		case c == '\\' && len(rest) > 1 && bytes.IndexByte([]byte("<>[]_*#="), rest[1]) >= 0: // Markdown
			b = append(b, rest[1])
			n = 2
		case c == '&':
			var as byte
			if as, n = entity(rest); as != 0 {
				b = append(b, as)
			}
		case c >= 0x80:
			var as string
			if as, n = plain(rest); as != "" || n > 1 {
				b = append(b, as...)
			} else {
				b = append(b, c)
			}
		default:
			b = append(b, c)
		}
		rest = rest[n:]
	}
	r.clean = b
	b = bytes.TrimRight(b, " ")
	return b, !bytes.Equal(b, line)
}

// trimUTF16Mark takes off the byte-order mark that begins a text in UTF-16.
func trimUTF16Mark(b []byte) []byte {
	if len(b) > 1 && (b[0] == 0xff && b[1] == 0xfe || b[0] == 0xfe && b[1] == 0xff) {
		return b[2:]
	}
	return b
}

// controlSequence is the length of "ESC [ ... letter", or of the escape character alone.
func controlSequence(b []byte) int {
	if len(b) < 2 || b[1] != '[' {
		return 1
	}
	for i := 2; i < len(b) && i < 32; i++ {
		if b[i] >= 0x40 && b[i] <= 0x7e {
			return i + 1
		}
	}
	return 2
}

// entity reads the entities that escape markup.
func entity(b []byte) (as byte, length int) {
	for _, e := range entities {
		if len(b) >= len(e.name) && string(b[:len(e.name)]) == e.name {
			return e.as, len(e.name)
		}
	}
	return '&', 1
}

var entities = []struct {
	name string
	as   byte
}{{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&#34;", '"'}, {"&#39;", '\''}, {"&apos;", '\''}, {"&nbsp;", ' '}}

// plain gives typographic blanks and marks in ASCII; other characters stay.
func plain(b []byte) (as string, length int) {
	c, n := utf8.DecodeRune(b)
	switch {
	case c == utf8.RuneError:
		return "", 1
	case c == 0xa0, c >= 0x2000 && c <= 0x200a, c == 0x202f, c == 0x3000:
		return " ", n
	case c >= 0x200b && c <= 0x200f, c == 0xfeff, c == 0x2060:
		return "", n
	case c == 0x2039:
		return "<", n
	case c == 0x203a:
		return ">", n
	case c >= 0x201c && c <= 0x201f, c == 0xab, c == 0xbb:
		return `"`, n
	case c >= 0x2018 && c <= 0x201b:
		return "'", n
	case c == 0x2026:
		return "...", n
	case c == 0x2022, c == 0xb7, c == 0x25cf: // bullets
		return "*", n
	}
	return string(b[:n]), n
}

// container reads what a container runtime puts between its stamp and the text: "stdout F " and "stderr P " (the Container
// Runtime Interface's log format).
func container(b []byte) (text []byte, partial, ok bool) {
	if len(b) < 9 || b[0] != 's' || b[1] != 't' || b[2] != 'd' || b[6] != ' ' || b[7] != 'F' && b[7] != 'P' {
		return nil, false, false
	}
	end := bytes.IndexByte(b[7:], ' ')
	if end < 0 {
		return nil, false, false
	}
	return b[7+end+1:], b[7] == 'P', true
}
