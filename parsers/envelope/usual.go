package envelope

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"bounceline/parsers/swar"
)

// Usual is Strip for lines with one of the headers that nearly every line of a Postfix log has. It sets all of h where it
// reports true, and reads nothing differently; what it reports false for, Strip reads.
func (r *Reader) Usual(line []byte, h *Header) (text []byte, ok bool) {
	if n := len(line); n == 0 || line[n-1] <= '\r' || line[0] <= ' ' || line[0] == byteOrderMark[0] {
		return nil, false
	}
	h.Partial = false
	return r.usual(line, h)
}

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

// The first words of tags.
var postfixSlash = first("postfix/")

var smtp, smtpd, qmgr, cleanup = first("smtp["), first("smtpd["), first("qmgr["), first("cleanup[")

func first(s string) uint64 { return binary.LittleEndian.Uint64(append([]byte(s), make([]byte, 8)...)) }

// hostAndPostfix reads "mx1 postfix/smtp[417]: " at a place in a line. The daemon has up to 15 bytes.
func (r *Reader) hostAndPostfix(line []byte, at int, h *Header) (text []byte, ok bool) {
	if len(line) < at+16 {
		return nil, false
	}
	if n := r.hostLength; n > 7 || bits.TrailingZeros64(swar.Equal(binary.LittleEndian.Uint64(line[at:]), ' ')) != 8*n+7 {
		n = swar.Index(line[at:], ' ')
		if n == 16 {
			n = bytes.IndexByte(line[at:], ' ')
		}
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
	daemon := 0
	switch name := binary.LittleEndian.Uint64(tag[8:]); { // a branch early on, so that those on the daemon's texts are foreseen
	case name&(1<<40-1) == smtp:
		daemon = len("smtp")
	case name&(1<<48-1) == smtpd:
		daemon = len("smtpd")
	case name&(1<<40-1) == qmgr:
		daemon = len("qmgr")
	case name == cleanup:
		daemon = len("cleanup")
	default:
		daemon = swar.Index(tag[8:], '[')
		if daemon == 0 || daemon > 15 || daemon > swar.Index(tag[8:], ' ') || daemon > swar.Index(tag[8:], ':') {
			return nil, false
		}
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
