// Package jsonline walks over a JSON object of one line without building anything: what log shippers and MTAs write. It
// checks no more of the grammar than it needs, and does not allocate once its scratch space has grown.
package jsonline

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// A Scanner reads one value after the other. Strings that it returns point into the line or into the scratch space.
type Scanner struct {
	b       []byte
	i       int
	first   bool // no member of the current object was read
	closed  bool // the object that was read last is complete
	scratch []byte
}

// New returns a scanner at the beginning of the line. Decoded strings are appended to scratch.
func New(line, scratch []byte) Scanner { return Scanner{b: line, scratch: scratch} }

// Scratch is the scratch space with what was decoded.
func (s *Scanner) Scratch() []byte { return s.scratch }

// Open reads the brace that begins an object.
func (s *Scanner) Open() bool {
	s.first, s.closed = s.at('{'), false
	return s.first
}

// Key reads the next member's name and the colon behind it. It reports false at the end of the object, and where it is cut
// or broken; Closed tells which.
func (s *Scanner) Key() ([]byte, bool) {
	first := s.first
	s.first, s.closed = false, false
	if s.at('}') {
		s.closed = true
		return nil, false
	}
	if !first && !s.at(',') || !s.at('"') {
		return nil, false
	}
	key, ok := s.text()
	if !ok || !s.at(':') {
		return nil, false
	}
	return key, true
}

// Closed reports whether the last Key found the end of its object.
func (s *Scanner) Closed() bool { return s.closed }

// Peek is the first byte of the value that follows; 0 at the end.
func (s *Scanner) Peek() byte {
	s.space()
	if s.i >= len(s.b) {
		return 0
	}
	return s.b[s.i]
}

// String reads a string. Of one that is cut it returns what is there, and false.
func (s *Scanner) String() ([]byte, bool) {
	if !s.at('"') {
		return nil, false
	}
	begin := s.i
	v, ok := s.text()
	if !ok {
		return s.unescape(s.b[begin:]), false
	}
	return v, true
}

// Literal reads a number, true, false or null.
func (s *Scanner) Literal() []byte {
	s.space()
	begin := s.i
	for s.i < len(s.b) && s.b[s.i] != ',' && s.b[s.i] != '}' && s.b[s.i] != ']' && s.b[s.i] > ' ' {
		s.i++
	}
	return s.b[begin:s.i]
}

// Item moves to the next item of a list, whose bracket it reads first where begin says so. It reports false at the end.
func (s *Scanner) Item(begin bool) bool {
	if begin {
		return s.at('[') && !s.at(']')
	}
	return s.at(',')
}

// EndList reads the bracket that ends a list.
func (s *Scanner) EndList() bool { return s.at(']') }

func (s *Scanner) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\t' || s.b[s.i] == '\n' || s.b[s.i] == '\r') {
		s.i++
	}
}

func (s *Scanner) at(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

// text reads a string behind its opening quote.
func (s *Scanner) text() ([]byte, bool) {
	begin, escaped := s.i, false
	for s.i < len(s.b) {
		n := bytes.IndexByte(s.b[s.i:], '"')
		if n < 0 {
			s.i = len(s.b)
			return nil, false
		}
		slashes := 0
		for j := s.i + n - 1; j >= begin && s.b[j] == '\\'; j-- {
			slashes++
		}
		s.i += n + 1
		if slashes%2 == 0 {
			v := s.b[begin : s.i-1]
			if escaped || slashes > 0 || bytes.IndexByte(v, '\\') >= 0 {
				v = s.unescape(v)
			}
			return v, true
		}
		escaped = true
	}
	return nil, false
}

// unescape decodes a string (RFC 8259, section 7) into the scratch space.
func (s *Scanner) unescape(v []byte) []byte {
	begin := len(s.scratch)
	for i := 0; i < len(v); i++ {
		if v[i] != '\\' || i+1 >= len(v) {
			s.scratch = append(s.scratch, v[i])
			continue
		}
		i++
		switch v[i] {
		case 'n':
			s.scratch = append(s.scratch, '\n')
		case 't':
			s.scratch = append(s.scratch, '\t')
		case 'r':
			s.scratch = append(s.scratch, '\r')
		case 'b':
			s.scratch = append(s.scratch, '\b')
		case 'f':
			s.scratch = append(s.scratch, '\f')
		case 'u':
			c := codeUnit(v[i+1:])
			if c < 0 {
				s.scratch = append(s.scratch, '\\', 'u')
				continue
			}
			i += 4
			if utf16.IsSurrogate(c) && i+6 < len(v) && v[i+1] == '\\' && v[i+2] == 'u' {
				if full := utf16.DecodeRune(c, codeUnit(v[i+3:])); full != utf8.RuneError {
					c = full
					i += 6
				}
			}
			s.scratch = utf8.AppendRune(s.scratch, c)
		default:
			s.scratch = append(s.scratch, v[i])
		}
	}
	return s.scratch[begin:len(s.scratch):len(s.scratch)]
}

func codeUnit(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	n := rune(0)
	for _, c := range b[:4] {
		switch {
		case digit(c):
			n = n<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			n = n<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return n
}

// Bytes reads "[52,70,...]": journalctl writes a message that is not UTF-8 so.
func (s *Scanner) Bytes() ([]byte, bool) {
	begin := len(s.scratch)
	s.i++
	for {
		s.space()
		n, digits := 0, 0
		for s.i < len(s.b) && digit(s.b[s.i]) && digits < 4 {
			n = n*10 + int(s.b[s.i]-'0')
			s.i++
			digits++
		}
		if digits > 0 && n < 256 {
			s.scratch = append(s.scratch, byte(n))
		}
		if s.at(',') {
			continue
		}
		return s.scratch[begin:len(s.scratch):len(s.scratch)], s.at(']')
	}
}

// Skip passes over an object or a list, strings in it included.
func (s *Scanner) Skip() bool {
	depth := 0
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				s.i++
				return true
			}
		case '"':
			s.i++
			for s.i < len(s.b) && s.b[s.i] != '"' {
				if s.b[s.i] == '\\' {
					s.i++
				}
				s.i++
			}
		}
		s.i++
	}
	return false
}

// SkipValue passes over any value.
func (s *Scanner) SkipValue() bool {
	switch s.Peek() {
	case '{', '[':
		return s.Skip()
	case '"':
		_, ok := s.String()
		return ok
	}
	return len(s.Literal()) > 0
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
