package exim

import (
	"bytes"

	"bounceline/parsers/reply"
	"bounceline/pipeline/record"
)

// A scanner reads the fields of a line, "KEY=value" and bare flags, one after the other. It stops at a colon that ends the
// fields, at "defer (", or at the end.
type scanner struct {
	rest  []byte
	key   []byte
	value []byte
	host  host // of the last H=
	cut   bool // the last quoted value has no end
}

// host is what H= says: "name (helo) [ip]:port*".
type host struct {
	name   []byte
	ip     record.Addr
	port   uint16
	reused bool
}

// next reads the next field; it reports false where none follows, and rest is then what stands there.
func (s *scanner) next() bool {
	s.rest = bytes.TrimLeft(s.rest, " ")
	n := 0
	for n < len(s.rest) && (letter(s.rest[n]) || n > 0 && s.rest[n] == '*') {
		n++
	}
	if n == 0 || n > 8 {
		return false
	}
	if n < len(s.rest) && s.rest[n] != '=' {
		// A flag such as L, K, PRDR, DS, TFO: upper case. "for" begins the recipients and other words are text.
		if s.rest[n] == ' ' && upper(s.rest[:n]) && n <= 4 {
			s.key, s.value, s.rest = s.rest[:n], nil, s.rest[n:]
			return true
		}
		if string(s.rest[:n]) == "for" {
			s.key, s.value, s.rest = s.rest[:n], nil, nil
			return true
		}
		return false
	}
	if n == len(s.rest) {
		s.key, s.value, s.rest = s.rest, nil, nil
		return upper(s.key)
	}
	s.key, s.rest = s.rest[:n], s.rest[n+1:]
	switch {
	case len(s.rest) > 0 && s.rest[0] == '"':
		s.quoted()
	case len(s.rest) > 0 && s.rest[0] == '<':
		s.bracketed()
	case string(s.key) == "H":
		s.readHost()
	default:
		s.word()
	}
	return true
}

func (s *scanner) word() {
	n := bytes.IndexByte(s.rest, ' ')
	if n < 0 {
		n = len(s.rest)
	}
	s.value, s.rest = s.rest[:n], s.rest[n:]
	// The colon that ends the fields sticks to the last value.
	if len(s.value) > 1 && s.value[len(s.value)-1] == ':' {
		s.value = s.value[:len(s.value)-1]
		s.rest = withColon(s.value, s.rest)
	}
}

// withColon is rest with the byte before it, which follows v in the same line.
func withColon(v, rest []byte) []byte { return v[len(v) : len(v)+1+len(rest)] }

// quoted reads a value between quotes; quotes and backslashes in it are escaped.
func (s *scanner) quoted() {
	s.cut = false
	for i := 1; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '\\':
			i++
		case '"':
			s.value, s.rest = s.rest[1:i], s.rest[i+1:]
			return
		}
	}
	s.value, s.rest, s.cut = s.rest[1:], nil, true
}

func (s *scanner) bracketed() {
	quoted := false
	for i := 1; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '"':
			quoted = !quoted
		case '>':
			if !quoted {
				s.value, s.rest = s.rest[1:i], s.rest[i+1:]
				return
			}
		}
	}
	s.value, s.rest = s.rest[1:], nil
}

// readHost reads "name [ip]", "name (helo) [ip]:port", "(helo) [ip]", "[ip]*", or a name alone.
func (s *scanner) readHost() {
	s.host = host{}
	all := s.rest
	if len(s.rest) > 0 && s.rest[0] != '[' {
		n := bytes.IndexByte(s.rest, ' ')
		if n < 0 {
			n = len(s.rest)
		}
		name := s.rest[:n]
		if n > 0 && name[0] != '(' {
			s.host.name = bytes.TrimSuffix(name, []byte(":"))
		}
		s.rest = s.rest[n:]
		if len(s.rest) > 2 && s.rest[1] == '(' {
			if j := bytes.IndexByte(s.rest, ')'); j > 0 {
				s.rest = s.rest[j+1:]
			}
		}
		if len(s.rest) < 2 || s.rest[1] != '[' {
			if bytes.HasSuffix(name, []byte(":")) {
				s.rest = withColon(name[:len(name)-1], s.rest)
			}
			s.value = all[:len(all)-len(s.rest)]
			return
		}
		s.rest = s.rest[1:]
	}
	end := bytes.IndexByte(s.rest, ']')
	if end < 0 {
		s.value = all[:len(all)-len(s.rest)]
		return
	}
	s.host.ip, _ = reply.IP(s.rest[1:end])
	s.rest = s.rest[end+1:]
	if len(s.rest) > 1 && s.rest[0] == ':' && digit(s.rest[1]) {
		n := 1
		for n < len(s.rest) && digit(s.rest[n]) {
			n++
		}
		s.host.port = uint16(min(reply.Number(s.rest[1:n]), 65535))
		s.rest = s.rest[n:]
	}
	if len(s.rest) > 0 && s.rest[0] == '*' {
		s.host.reused = true
		s.rest = s.rest[1:]
	}
	s.value = all[:len(all)-len(s.rest)]
}

func upper(b []byte) bool {
	for _, c := range b {
		if (c < 'A' || c > 'Z') && c != '*' {
			return false
		}
	}
	return true
}

func letter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func digit(c byte) bool  { return '0' <= c && c <= '9' }
