package parsers

import (
	"bytes"

	"bounceline/pipeline/record"
)

// Bounds on a record that a copy has broken over several lines.
const (
	maxWrapped  = 16 // lines
	minHardWrap = 40 // columns: shorter lines of the same length are so by chance
)

// A wrapped record is one that a terminal, a mail or a forum has broken over several lines, of which only the first has a header.
type wrapped struct {
	piece
	lines, width int  // how many lines were joined, and how long the last one was
	hard         bool // the lines are all as long as the terminal is wide: words are broken, too
}

// wrap joins lines that say nothing by themselves with a record that was broken before its end. The record belongs to its last
// line, and the first one stays malformed. It is given up where a line follows that has a header of its own.
func (s *Stream) wrap(line, text []byte, enveloped bool, out *record.Result) {
	w := &s.wrapped
	switch {
	case enveloped:
		if w.open = len(text) > 0 && (out.Class == record.Malformed || out.Doubt && endsInID(text)); w.open {
			w.begin(&s.header, text)
			w.lines, w.width, w.hard = 1, len(line), false
		}
		return
	case !w.open:
		return
	}
	line = bytes.TrimRight(line, "\r")
	rest := bytes.TrimLeft(line, " \t>|*")
	if w.lines++; len(rest) == 0 || w.lines > maxWrapped || len(w.text)+len(rest) > maxJoined {
		w.open = false
		return
	}
	w.hard = len(line) == w.width && w.width >= minHardWrap
	w.add(separator(w.text, rest, w.hard))
	w.add(rest)
	w.width = len(line)
	h := w.header
	out.Reset()
	s.read(&h, w.text, true, out)
	if clean, changed := s.envelope.Clean(w.text); changed && out.Class == record.Malformed {
		out.Reset()
		s.read(&h, clean, true, out)
	}
	if out.Class == record.Event && !out.Rows.All()[0].Truncated {
		w.open = false
		s.internal(out)
		return
	}
	out.Reset()
	out.Class, out.Kind = record.Context, partOfLine
}

const partOfLine = "part of a line"

// endsInID reports whether a text is a queue ID alone, with the rest of its record in the next line.
func endsInID(text []byte) bool {
	text = bytes.TrimRight(text, " ")
	return len(text) > 5 && len(text) < 24 && text[len(text)-1] == ':' && bytes.IndexByte(text, ' ') < 0
}

// separator is what stood where a record was broken before rest: in the fields a blank behind a comma or a colon, in the text,
// which is words, a blank unless words are broken, too.
func separator(text, rest []byte, hard bool) []byte {
	blank := []byte{' '}
	switch last := text[len(text)-1]; {
	case last == ' ':
		return nil
	case last == ',' || last == ':' || rest[0] == '(' || beginsField(rest):
		return blank
	case hard:
		return nil
	case bytes.Contains(text, []byte("status=")) || bytes.Contains(text, []byte("stat=")):
		return blank
	}
	return nil
}

// beginsField reports whether a line begins with one of the fields that MTAs write.
func beginsField(line []byte) bool {
	key, _, ok := bytes.Cut(line[:min(len(line), 12)], []byte("="))
	if !ok {
		return false
	}
	switch string(key) {
	case "to", "orig_to", "relay", "conn_use", "delay", "delays", "tls", "dsn", "status", // Postfix
		"ctladdr", "xdelay", "mailer", "pri", "stat", // sendmail
		"evpid", "from", "rcpt", "source", "user", "method", "result": // OpenSMTPD
		return true
	}
	return false
}
