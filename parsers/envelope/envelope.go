// Package envelope takes off what stands around an MTA's own text in a log line: syslog headers of every kind, the
// stamp that Exim writes itself, and priorities. It finds out once which form a stream has and tries that first.
package envelope

import (
	"bytes"
	"time"

	"bounceline/pipeline/record"
)

// A Header is what the envelope says. Its slices point into the line.
type Header struct {
	Time    int64 // Unix milliseconds, UTC; 0 if there was none
	Flags   record.TimeFlags
	Host    []byte
	Program []byte // syslog tag without pid: postfix/smtp, exim
	PID     uint32
}

// Form is the shape of an envelope.
type Form uint8

const (
	None    Form = iota
	BSD          // RFC 3164: "Nov 22 05:13:01 mx1 postfix/smtp[417]: "
	ISO          // rsyslog's file format: "2026-11-22T05:13:01.123456+00:00 mx1 postfix/smtp[417]: "
	RFC5424      // "<22>1 2026-11-22T05:13:01.123Z mx1 postfix 417 - - "
	Stamp        // Exim's own: "2026-11-22 05:34:55 "
)

// A Reader takes envelopes off the lines of one stream, in their order. It is used by one goroutine.
type Reader struct {
	clock Clock
	form  Form
}

// NewReader returns a reader whose stamps are in zone where they name none; assumed says that the zone was not configured.
func NewReader(zone *time.Location, assumed bool) *Reader {
	return &Reader{clock: Clock{zone: zone, assumed: assumed}}
}

// Clock returns the reader's clock.
func (r *Reader) Clock() *Clock { return &r.clock }

// Strip fills h and returns the text inside the envelope, which may be wrapped once more: Exim repeats its own stamp behind
// a syslog header. It reports false where no form fits; text is then the whole line.
func (r *Reader) Strip(line []byte, h *Header) (text []byte, ok bool) {
	*h = Header{}
	line = trimEnd(line)
	if text, ok = r.try(r.form, line, h); !ok {
		for f := BSD; f <= Stamp; f++ {
			if f == r.form {
				continue
			}
			*h = Header{}
			if text, ok = r.try(f, line, h); ok {
				r.form = f
				break
			}
		}
	}
	if !ok {
		*h = Header{}
		return line, false
	}
	return text, true
}

func (r *Reader) try(f Form, line []byte, h *Header) ([]byte, bool) {
	switch f {
	case BSD:
		return r.bsd(skipPriority(line), h)
	case ISO:
		return r.iso(skipPriority(line), h)
	case RFC5424:
		return r.rfc5424(line, h)
	case Stamp:
		return r.Stamp(line, h)
	}
	return nil, false
}

// trimEnd takes off a carriage return, and NUL bytes that a crash left before the line are skipped.
func trimEnd(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if len(line) > 0 && line[0] == 0 {
		line = bytes.TrimLeft(line, "\x00")
	}
	return line
}

// skipPriority takes off "<22>" (RFC 3164, section 4.1.1).
func skipPriority(line []byte) []byte {
	if len(line) > 3 && line[0] == '<' {
		for i := 1; i < 5 && i < len(line); i++ {
			if line[i] == '>' && i > 1 {
				return line[i+1:]
			}
			if !digit(line[i]) {
				break
			}
		}
	}
	return line
}

// bsd reads an RFC 3164 header, with or without padding of the day, fraction, or host, also after a year.
func (r *Reader) bsd(line []byte, h *Header) ([]byte, bool) {
	year := 0
	if len(line) > 5 && digit(line[0]) && line[4] == ' ' {
		y, ok := number(line[:4])
		if !ok {
			return nil, false
		}
		year, line = y, line[5:]
	}
	if len(line) < 15 {
		return nil, false
	}
	n := 15
	if !(line[3] == ' ' && line[6] == ' ' && line[9] == ':' && line[12] == ':') {
		if n = bsdStamp(line); n == 0 {
			return nil, false
		}
	}
	ms, flags, ok := r.clock.bsd(line[:n], year)
	if !ok {
		return nil, false
	}
	line = line[n:]
	if len(line) > 0 && line[0] == '.' {
		f, used := fraction(line)
		ms, line = ms+f, line[used:]
	}
	h.Time, h.Flags = ms, flags
	if len(line) == 0 || line[0] != ' ' {
		return nil, false
	}
	return r.hostAndTag(line[1:], h)
}

// bsdStamp finds the length of a stamp whose day is not padded.
func bsdStamp(line []byte) int {
	i := bytes.IndexByte(line[4:], ' ')
	if line[3] != ' ' || i < 0 || i > 2 {
		return 0
	}
	if n := 4 + i + 9; len(line) > n {
		return n
	}
	return 0
}

// iso reads an RFC 3339 stamp, a host and a tag.
func (r *Reader) iso(line []byte, h *Header) ([]byte, bool) {
	rest, ok := r.isoStamp(line, h)
	if !ok || len(rest) == 0 || rest[0] != ' ' {
		return nil, false
	}
	return r.hostAndTag(rest[1:], h)
}

func (r *Reader) isoStamp(line []byte, h *Header) ([]byte, bool) {
	if len(line) < 20 || line[10] != 'T' && line[10] != 't' {
		return nil, false
	}
	ms, ok := r.clock.civil(line[:19])
	if !ok {
		return nil, false
	}
	rest := line[19:]
	if rest[0] == '.' || rest[0] == ',' {
		f, used := fraction(rest)
		ms, rest = ms+f, rest[used:]
	}
	off, used, ok := offset(rest)
	if !ok {
		h.Time, h.Flags = r.clock.local(ms, line[:19])
		return rest, true
	}
	h.Time = ms - off
	r.clock.last = h.Time
	return rest[used:], true
}

// hostAndTag reads "host program[pid]: " and what may be missing of it.
func (r *Reader) hostAndTag(line []byte, h *Header) ([]byte, bool) {
	i := bytes.IndexByte(line, ' ')
	if i <= 0 {
		return nil, false
	}
	first := line[:i]
	if last := first[len(first)-1]; last == ':' || last == ']' { // there is no host
		return tag(line, h)
	}
	h.Host = first
	rest := line[i+1:]
	for len(rest) > 0 && rest[0] == ' ' {
		rest = rest[1:]
	}
	return tag(rest, h)
}

// tag reads "program[pid]: ". The colon may be missing behind the pid.
func tag(line []byte, h *Header) ([]byte, bool) {
	for i, b := range line {
		switch b {
		case '[':
			h.Program = line[:i]
			pid := uint32(0)
			j := i + 1
			for ; j < len(line) && digit(line[j]); j++ {
				pid = pid*10 + uint32(line[j]-'0')
			}
			if j >= len(line) || line[j] != ']' {
				return nil, false
			}
			h.PID = pid
			j++
			if j < len(line) && line[j] == ':' {
				j++
			}
			return skipSpace(line[j:]), true
		case ':':
			h.Program = line[:i]
			return skipSpace(line[i+1:]), true
		case ' ':
			return nil, false
		}
	}
	return nil, false
}

func skipSpace(b []byte) []byte {
	for len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	return b
}

// rfc5424 reads "<PRI>1 TIME HOST APP PROCID MSGID SD MSG" (RFC 5424, section 6).
func (r *Reader) rfc5424(line []byte, h *Header) ([]byte, bool) {
	rest := skipPriority(line)
	if len(rest) == len(line) || len(rest) < 3 || rest[0] != '1' || rest[1] != ' ' {
		return nil, false
	}
	rest, ok := r.isoStamp(rest[2:], h)
	if !ok || len(rest) == 0 || rest[0] != ' ' {
		return nil, false
	}
	rest = rest[1:]
	var fields [4][]byte // host, app, procid, msgid
	for i := range fields {
		j := bytes.IndexByte(rest, ' ')
		if j < 0 {
			return nil, false
		}
		if f := rest[:j]; !(len(f) == 1 && f[0] == '-') {
			fields[i] = f
		}
		rest = rest[j+1:]
	}
	h.Host, h.Program = fields[0], fields[1]
	if n, ok := number(fields[2]); ok {
		h.PID = uint32(n)
	}
	rest, ok = structured(rest)
	if !ok {
		return nil, false
	}
	return skipSpace(bytes.TrimPrefix(skipSpace(rest), []byte("\xef\xbb\xbf"))), true
}

// structured skips STRUCTURED-DATA, in which a quoted value may hold "\]" and "\"" (RFC 5424, section 6.3).
func structured(b []byte) ([]byte, bool) {
	if len(b) > 0 && b[0] == '-' {
		return b[1:], true
	}
	quoted := false
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '\\' && quoted:
			i++
		case b[i] == '"':
			quoted = !quoted
		case b[i] == ']' && !quoted && (i+1 == len(b) || b[i+1] != '['):
			return b[i+1:], true
		}
	}
	return nil, false
}

// Stamp reads the stamp that Exim writes itself: "2026-11-22 05:34:55[.123][ +0200] " and "[pid] " behind it. It serves for
// a line that has nothing before it and for the text behind a syslog header.
func (r *Reader) Stamp(line []byte, h *Header) ([]byte, bool) {
	if len(line) < 20 || line[4] != '-' || line[10] != ' ' {
		return nil, false
	}
	ms, ok := r.clock.civil(line[:19])
	if !ok {
		return nil, false
	}
	rest := line[19:]
	if rest[0] == '.' {
		f, used := fraction(rest)
		ms, rest = ms+f, rest[used:]
	}
	if len(rest) == 0 || rest[0] != ' ' {
		return nil, false
	}
	if off, used, ok := offset(rest[1:]); ok && rest[1] != 'Z' {
		h.Time, rest = ms-off, rest[1+used:]
		h.Flags = 0
		r.clock.last = h.Time
	} else {
		h.Time, h.Flags = r.clock.local(ms, line[:19])
	}
	rest = skipSpace(rest)
	if len(rest) > 2 && rest[0] == '[' && digit(rest[1]) {
		if j := bytes.IndexByte(rest, ']'); j > 0 && j < 12 {
			if n, ok := number(rest[1:j]); ok {
				h.PID, rest = uint32(n), skipSpace(rest[j+1:])
			}
		}
	}
	return rest, true
}
