package envelope

import (
	"bytes"
	"encoding/binary"

	"bounceline/pipeline/record"
)

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

// bsd reads an RFC 3164 header: with or without padding of the day, fraction, year or host.
func (r *Reader) bsd(line []byte, h *Header) ([]byte, bool) {
	if len(line) < 16 {
		return nil, false
	}
	if line[3] == ' ' && line[6] == ' ' && line[15] == ' ' { // as rsyslog writes it
		if c := &r.clock; binary.LittleEndian.Uint64(line) == c.low && binary.LittleEndian.Uint64(line[7:]) == c.high {
			h.Time, h.Flags = c.value, c.flags // the stamp of the line before
		} else {
			ms, flags, ok := r.clock.bsd(line[:15], 0)
			if !ok {
				return nil, false
			}
			h.Time, h.Flags = ms, flags
		}
		return r.hostAndTag(line[16:], h)
	}
	line = skipPriority(line)
	if len(line) > 0 && line[0] == '[' {
		line = line[1:]
	}
	year := 0
	if len(line) > 5 && digit(line[0]) && line[4] == ' ' {
		y, ok := number(line[:4])
		if !ok {
			return nil, false
		}
		year, line = y, line[5:]
	}
	if len(line) > 4 && weekday(line) {
		line = skipSpace(line[4:])
	}
	n, inside := bsdStamp(line)
	if n == 0 {
		return nil, false
	}
	stamp := line[:n]
	if inside != 0 { // "Nov 22 2026 05:13:01": the year is taken out
		year = inside
		r.scratch = append(append(r.scratch, line[:n-13]...), line[n-8:n]...)
		stamp = r.scratch[len(r.scratch)-(n-5):]
	}
	ms, flags, ok := r.clock.bsd(stamp, year)
	if !ok {
		return nil, false
	}
	line = line[n:]
	if len(line) > 0 && (line[0] == '.' || line[0] == ',') {
		f, used := fraction(line)
		ms, line = ms+f, line[used:]
	}
	if len(line) > 5 && line[0] == ' ' && line[5] == ' ' && year == 0 { // "Wed Nov 22 05:13:01 2026 mx1"
		if y, ok := number(line[1:5]); ok && y > 1980 && y < 2200 {
			if ms, flags, ok = r.clock.bsd(stamp, y); !ok {
				return nil, false
			}
			line = line[5:]
		}
	}
	h.Time, h.Flags = ms, flags
	if len(line) > 0 && (line[0] == ']' || line[0] == ':') {
		line = line[1:]
	}
	if len(line) == 0 || line[0] != ' ' {
		return nil, false
	}
	return r.hostAndTag(skipSpace(line), h)
}

// bsdStamp finds the length of "Nov 22 05:13:01", its day padded with blank, zero or nothing, and the year if one stands
// between day and time.
func bsdStamp(b []byte) (length, year int) {
	if len(b) < 15 || b[3] != ' ' || monthOf(b) == 0 {
		return 0, 0
	}
	i := 4
	if b[i] == ' ' {
		i++
	}
	for i < len(b) && digit(b[i]) {
		i++
	}
	if i >= len(b) || b[i] != ' ' || i > 6 {
		return 0, 0
	}
	if len(b) >= i+14 && b[i+5] == ' ' && b[i+8] == ':' {
		if y, ok := number(b[i+1 : i+5]); ok {
			return i + 14, y
		}
	}
	if len(b) < i+9 || b[i+3] != ':' {
		return 0, 0
	}
	return i + 9, 0
}

func weekday(b []byte) bool {
	switch string(b[:3]) {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
		return b[3] == ' ' || b[3] == ','
	}
	return false
}

// iso reads an RFC 3339 stamp and what follows it: host and tag, a container runtime's words, or another header.
func (r *Reader) iso(line []byte, h *Header) ([]byte, bool) {
	line = skipPriority(line)
	if len(line) > 0 && line[0] == '[' {
		line = line[1:]
	}
	rest, ok := r.isoStamp(line, h)
	if ok && len(rest) > 0 && rest[0] == ']' {
		rest = rest[1:]
	}
	if !ok || len(rest) == 0 || rest[0] != ' ' {
		return nil, false
	}
	rest = skipSpace(rest)
	if text, partial, ok := container(rest); ok {
		h.Partial = partial
		h.Flags |= record.FromEnvelope
		return text, true
	}
	if begins(rest) { // docker logs --timestamps
		h.Flags |= record.FromEnvelope
		return rest, true
	}
	if MessageID(rest) > 0 {
		return rest, true
	}
	return r.hostAndTag(rest, h)
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
	h.Time, h.Flags = r.clock.absolute(ms - off)
	return rest[used:], true
}

// stamped reads "2026-11-22 05:34:55" and what follows: Exim's text, or host and tag of a syslog template.
func (r *Reader) stamped(line []byte, h *Header) ([]byte, bool) {
	line = skipPriority(line)
	if len(line) > 0 && line[0] == '[' {
		line = line[1:]
	}
	if len(line) > 4 && weekday(line) { // journalctl -o short-full: "Wed 2026-03-04 05:06:07 UTC"
		line = line[4:]
	}
	rest, ok := r.Stamp(line, h)
	if !ok {
		return nil, false
	}
	if n := bytes.IndexByte(rest, ' '); n >= 3 && n <= 5 && zoneName(rest[:n]) {
		rest = skipSpace(rest[n:])
	}
	return r.behindStamp(rest, h), true
}

// zoneName reports whether a word is an abbreviation such as UTC or CEST. What it stands for is not unique; the zone that is
// configured counts.
func zoneName(w []byte) bool {
	for _, c := range w {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}

// behindStamp looks for a host and a tag behind a stamp. Exim's own lines have none.
func (r *Reader) behindStamp(rest []byte, h *Header) []byte {
	if len(rest) > 6 && (rest[6] == '-' && MessageID(rest) > 0 || rest[0] == '[' && digit(rest[1])) {
		return rest
	}
	if text, partial, ok := container(rest); ok {
		h.Partial = partial
		return text
	}
	in := Header{}
	if text, ok := r.hostAndTag(rest, &in); ok && (in.PID != 0 || mailer(in.Program)) {
		if level(in.Host) {
			in.Host = nil
		}
		h.merge(&in)
		return text
	}
	return rest
}

// epoch reads seconds since 1970 with or without fraction, and multilog's TAI64N labels, before host and tag or text.
func (r *Reader) epoch(line []byte, h *Header) ([]byte, bool) {
	n := bytes.IndexByte(line, ' ')
	if n < 10 || n > 26 {
		return nil, false
	}
	if line[0] == '@' {
		if n != 25 {
			return nil, false
		}
		seconds, ok := hexadecimal(line[1:17])
		if !ok || seconds < 1<<62 {
			return nil, false
		}
		h.Time = int64(seconds-1<<62-10) * 1000
	} else if h.Time = unix(line[:n]); h.Time == 0 {
		return nil, false
	}
	rest := skipSpace(line[n:])
	if begins(rest) {
		h.Flags |= record.FromEnvelope
		return rest, true
	}
	if text, ok := r.hostAndTag(rest, h); ok {
		return text, true
	}
	return rest, true
}

// hexadecimal reads up to 16 lower-case digits.
func hexadecimal(b []byte) (n uint64, ok bool) {
	for _, c := range b {
		switch {
		case digit(c):
			n = n<<4 | uint64(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

// rfc5424 reads "<PRI>1 TIME HOST APP PROCID MSGID SD MSG" (RFC 5424, section 6). The priority may be missing.
func (r *Reader) rfc5424(line []byte, h *Header) ([]byte, bool) {
	rest := skipPriority(line)
	if len(rest) < 3 || rest[0] != '1' || rest[1] != ' ' {
		return nil, false
	}
	rest = rest[2:]
	ok := true
	if rest[0] == '-' {
		rest = rest[1:]
	} else {
		rest, ok = r.isoStamp(rest, h)
	}
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
	} else if name, id, found := bytes.Cut(h.Program, []byte{'['}); found { // "postfix/smtp[417]" for its name
		if n, ok := number(bytes.TrimSuffix(id, []byte{']'})); ok {
			h.Program, h.PID = name, uint32(n)
		}
	}
	rest, ok = structured(rest)
	if !ok {
		return nil, false
	}
	return skipSpace(bytes.TrimPrefix(skipSpace(rest), byteOrderMark)), true
}

// structured skips STRUCTURED-DATA, in which a quoted value may hold "\]" and "\"" (RFC 5424, section 6.3).
func structured(b []byte) ([]byte, bool) {
	if len(b) == 0 || b[0] == '-' {
		return b[min(1, len(b)):], true
	}
	if b[0] != '[' {
		return b, true // left out, as some senders do
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
	if rest[0] == '.' || rest[0] == ',' {
		f, used := fraction(rest)
		ms, rest = ms+f, rest[used:]
	}
	if len(rest) > 0 && rest[0] == ']' {
		rest = rest[1:]
	}
	zone := rest
	if len(zone) > 0 && zone[0] == ' ' {
		zone = zone[1:]
	}
	if off, used, ok := offset(zone); ok && used < len(zone) && zone[used] == ' ' {
		h.Time, h.Flags = r.clock.absolute(ms - off)
		rest = zone[used:]
	} else {
		h.Time, h.Flags = r.clock.local(ms, line[:19])
	}
	if len(rest) == 0 || rest[0] != ' ' {
		return nil, false
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
