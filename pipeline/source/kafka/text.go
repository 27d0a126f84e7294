package kafka

import "bytes"

// appendLines appends the log lines in a record's value to dst, with a newline between them: a value is one line, several,
// one JSON object after the other, or an array of such objects. An object that is written over several lines becomes one.
// The result is never longer than the value.
func appendLines(dst, value []byte) []byte {
	value = bytes.Trim(value, "\n\r\x00")
	if len(value) == 0 {
		return dst
	}
	first := bytes.TrimLeft(value, " \t\r\n")
	several := bytes.IndexByte(value, '\n') >= 0
	switch {
	case len(first) == 0:
		return dst
	case first[0] == '{' && several:
		return appendObjects(dst, first)
	case first[0] == '[' && bytes.HasPrefix(bytes.TrimLeft(first[1:], " \t\r\n"), []byte("{")):
		return appendObjects(dst, first)
	}
	return append(dst, value...)
}

// appendObjects appends each object of a sequence or array on a line of its own. What is no object stays as it is.
func appendObjects(dst, v []byte) []byte {
	whole, begun := v, len(dst)
	array := v[0] == '['
	if array {
		v = v[1:]
	}
	for {
		v = bytes.TrimLeft(v, " \t\r\n")
		if array {
			if len(v) > 0 && v[0] == ',' && len(dst) > begun {
				v = bytes.TrimLeft(v[1:], " \t\r\n")
			}
			if len(v) > 0 && v[0] == ']' {
				v, array = bytes.TrimLeft(v[1:], " \t\r\n"), false
			}
		}
		if len(v) == 0 {
			return dst
		}
		n := object(v)
		if n == 0 {
			if array { // cut off, or no array after all: nobody is served by its parts
				return append(dst[:begun], whole...)
			}
			if len(dst) > begun {
				dst = append(dst, '\n')
			}
			return append(dst, v...)
		}
		if len(dst) > begun {
			dst = append(dst, '\n')
		}
		at := len(dst)
		dst = append(dst, v[:n]...)
		for i, c := range dst[at:] {
			if c == '\n' || c == '\r' { // between members: inside a string they are escaped (RFC 8259, section 7)
				dst[at+i] = ' '
			}
		}
		v = v[n:]
	}
}

// object returns the length of the object that v begins with, 0 if there is no whole one. It counts braces outside of
// strings and checks nothing else.
func object(v []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case quoted:
			switch c {
			case '\\':
				i++
			case '"':
				quoted = false
			}
		case c == '"':
			quoted = true
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		if depth == 0 {
			return 0
		}
	}
	return 0
}

// appendText appends what a record holds for parsers, and for markers, to dst.
func appendText(dst []byte, r *message) []byte {
	switch {
	case r.control:
		return dst
	case r.origin != nil || len(r.value) > maxValue:
		return append(dst, r.value[:min(len(r.value), maxKept)]...)
	}
	return appendLines(dst, r.value)
}

// blank reports whether a value holds no line.
func blank(value []byte) bool { return len(bytes.Trim(value, "\n\r\x00")) == 0 }

// keptKey is what is kept of a key.
func keptKey(key []byte) []byte { return key[:min(len(key), maxKey)] }
