package envelope

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"bounceline/parsers/swar"
)

// usual reads the headers that nearly every line of a Postfix log has, "Nov 22 05:13:01 mx1 postfix/smtp[417]: " and the same
// with an RFC 3339 stamp, by words of eight bytes instead of byte by byte. It reports false for every other form, and where it
// does, another function reads the line; it reads nothing differently from [Reader.bsd] and [Reader.iso].
func (r *Reader) usual(line []byte, h *Header) (text []byte, ok bool) {
	if len(line) < 32 {
		return nil, false
	}
	at := 16
	switch r.form {
	case BSD:
		if line[15] != ' ' || line[3] != ' ' || line[6] != ' ' {
			return nil, false
		}
		c := &r.clock
		if binary.LittleEndian.Uint64(line) == c.low && binary.LittleEndian.Uint64(line[7:]) == c.high {
			h.Time, h.Flags = c.value, c.flags // the stamp of the line before
		} else if h.Time, h.Flags, ok = c.bsd(line[:15], 0); !ok {
			return nil, false
		}
	case ISO:
		rest, ok := r.isoStamp(line, h)
		if !ok || len(rest) == 0 || rest[0] != ' ' {
			return nil, false
		}
		at = len(line) - len(rest) + 1
	default:
		return nil, false
	}
	return r.hostAndPostfix(line, at, h)
}

var postfixSlash = binary.LittleEndian.Uint64([]byte("postfix/"))

// hostAndPostfix reads "mx1 postfix/smtp[417]: " at a place in a line. The daemon has up to 15 bytes.
func (r *Reader) hostAndPostfix(line []byte, at int, h *Header) (text []byte, ok bool) {
	if len(line) < at+16 {
		return nil, false
	}
	n := swar.Index(line[at:], ' ')
	if n == 16 {
		n = bytes.IndexByte(line[at:], ' ')
	}
	if n != r.hostLength { // as a rule it has not changed, and what follows need not wait
		r.hostLength = n
	}
	host := r.hostLength
	if host <= 0 || line[at+host-1] == ':' || line[at+host-1] == ']' || mayBeLevel(line[at:at+host]) && level(line[at:at+host]) {
		return nil, false
	}
	tag := line[at+host+1:]
	if len(tag) < 24 || binary.LittleEndian.Uint64(tag) != postfixSlash {
		return nil, false
	}
	daemon := swar.Index(tag[8:], '[')
	if daemon == 0 || daemon > 15 || daemon > swar.Index(tag[8:], ' ') || daemon > swar.Index(tag[8:], ':') {
		return nil, false
	}
	number := tag[8+daemon+1:]
	if len(number) < 12 {
		return nil, false
	}
	word := binary.LittleEndian.Uint64(number)
	digits := bits.TrailingZeros64(swar.Equal(word, ']')) / 8
	pid, ok := swar.Decimal(word, digits)
	if !ok || digits == 8 || number[digits+1] != ':' || number[digits+2] != ' ' || number[digits+3] == ' ' || number[digits+3] == '[' {
		return nil, false
	}
	h.Host, h.Program, h.PID = line[at:at+host], tag[:8+daemon], uint32(pid)
	return number[digits+3:], true
}
