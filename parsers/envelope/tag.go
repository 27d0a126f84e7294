package envelope

import "bytes"

// hostAndTag reads "host program[pid]: " and what may be missing of it. Where no tag follows the host, the text begins behind
// it.
func (r *Reader) hostAndTag(line []byte, h *Header) ([]byte, bool) {
	i := 0
	for i < len(line) && line[i] != ' ' {
		i++
	}
	if i == 0 || i == len(line) {
		return nil, false
	}
	if last := line[i-1]; last == ':' || last == ']' {
		return r.noHost(line, i, h)
	}
	h.Host = line[:i]
	rest := line[i+1:]
	for len(rest) > 0 && rest[0] == ' ' {
		rest = rest[1:]
	}
	if text, ok := tag(rest, h); ok {
		if mayBeLevel(h.Host) && level(h.Host) {
			h.Host = nil
		}
		return text, true
	}
	return untagged(rest, h), true
}

// noHost reads "program[pid]: ", where the host is missing, and "host: program[pid]: ", as some relays write it.
func (r *Reader) noHost(line []byte, n int, h *Header) ([]byte, bool) {
	if level(line[:n]) { // "[mail.info] mx1 postfix/smtp[417]: "
		if text, ok := r.hostAndTag(skipSpace(line[n:]), h); ok && h.PID != 0 {
			return text, true
		}
		h.Host, h.Program = nil, nil
	}
	var behind Header
	if rest, ok := tag(skipSpace(line[n:]), &behind); ok && line[n-1] == ':' && behind.PID != 0 && mailer(behind.Program) {
		behind.Time, behind.Flags, behind.Host = h.Time, h.Flags, line[:n-1]
		*h = behind
		return rest, true
	}
	if text, ok := tag(line, h); ok {
		return text, true
	}
	return line, line[n-1] == ':' // "ID: to=<..."
}

// untagged finds a tag behind a level word, as busybox and templates put one there, and a tag that has lost pid and colon.
func untagged(rest []byte, h *Header) []byte {
	n := bytes.IndexByte(rest, ' ')
	if n <= 0 {
		return rest
	}
	word := rest[:n]
	if level(h.Host) { // "<mail.info> mx1 postfix/smtp[417]: " (FreeBSD): it was no host
		h.Host = nil
		if text, ok := tag(skipSpace(rest[n:]), h); ok {
			h.Host = word
			return text
		}
		return rest
	}
	if from, ok := bytes.CutPrefix(rest, forwarded); ok { // AIX
		if i := bytes.Index(from, []byte(": ")); i > 0 {
			h.Host = from[:i]
			if text, ok := tag(from[i+2:], h); ok {
				return text
			}
			return from[i+2:]
		}
	}
	if level(word) {
		if text, ok := tag(skipSpace(rest[n:]), h); ok {
			return text
		}
		return skipSpace(rest[n:])
	}
	if word[0] > ' ' && mailer(word) && tagName(word) {
		if end := bytes.IndexAny(word, "[(:"); end > 0 { // "postfix/smtp[xxx]:", "postfix/smtp(417):"
			pid, _ := number(bytes.Trim(word[end:], "[(:)]"))
			word, h.PID = word[:end], uint32(pid)
		}
		h.Program = word
		return skipSpace(rest[n:])
	}
	return rest
}

var forwarded = []byte("Message forwarded from ")

// level reports whether a word is a syslog severity, alone, in brackets, or behind a facility: "info", "[info]", "mail.info",
// "mail:info".
func level(w []byte) bool {
	w = bytes.Trim(w, "[]<>:")
	if i := bytes.IndexAny(w, ".:"); i >= 0 {
		w = w[i+1:]
	}
	switch string(w) {
	case "info", "INFO", "Info", "notice", "NOTICE", "warn", "WARN", "warning", "WARNING", "Warning", "err", "error", "ERROR", "Error",
		"crit", "debug", "DEBUG", "alert", "emerg":
		return true
	}
	return false
}

// mayBeLevel tells most hosts from severities by their first and last letter.
func mayBeLevel(host []byte) bool {
	return levelEnds[host[len(host)-1]] && levelBegins[host[0]]
}

var (
	levelBegins = letters("[<mINEWCDAinewcda")
	levelEnds   = letters("]>:ONEGRTonegrt")
)

func letters(set string) (t [256]bool) {
	for _, c := range []byte(set) {
		t[c] = true
	}
	return t
}

// What ends a program's name.
var tagEnds = func() (t [256]bool) {
	for c := range 33 {
		t[c] = true
	}
	t['['], t[':'] = true, true
	return t
}()

// tag reads "program[pid]: ". The colon may be missing behind the pid. A queue ID is no program.
func tag(line []byte, h *Header) ([]byte, bool) {
	i := 0
	if len(line) > 8 && string(line[:8]) == "postfix/" { // most tags begin so: one comparison for eight
		i = 8
	}
	for i < len(line) && !tagEnds[line[i]] {
		i++
	}
	if i == 0 || i == len(line) {
		return nil, false
	}
	j := i + 1
	switch line[i] {
	case '[':
		pid := uint32(0)
		for ; j < len(line) && digit(line[j]); j++ {
			pid = pid*10 + uint32(line[j]-'0')
		}
		if j >= len(line) || line[j] != ']' || j == i+1 {
			return nil, false
		}
		j++
		if j < len(line) && line[j] == ':' {
			j++
		}
		h.PID = pid
	case ':':
		if idLike(line[:i]) || j < len(line) && line[j] != ' ' {
			return nil, false
		}
		if line[i-1] == ')' { // "postfix/smtp(417):"
			if open := bytes.IndexByte(line[:i], '('); open > 0 {
				pid, _ := number(line[open+1 : i-1])
				h.PID, i = uint32(pid), open
			}
		}
	default:
		return nil, false
	}
	h.Program = line[:i]
	for j < len(line) && line[j] == ' ' {
		j++
	}
	if len(line)-j > 4 && string(line[j:j+4]) == "[ID " { // Solaris: "[ID 197553 mail.info] "
		if end := bytes.IndexByte(line[j:], ']'); end > 0 && end < 40 {
			return skipSpace(line[j+end+1:]), true
		}
	}
	return line[j:], true
}

// idLike tells a queue ID from a program's name: letters and digits alone, with a digit, five at least.
func idLike(w []byte) bool {
	if len(w) < 5 {
		return false
	}
	digits := 0
	for _, c := range w {
		switch {
		case digit(c):
			digits++
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		default:
			return false
		}
	}
	return digits > 0 || bytes.Equal(w, noQueue)
}

var noQueue = []byte("NOQUEUE")
