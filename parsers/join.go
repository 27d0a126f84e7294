package parsers

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"

	"bounceline/parsers/envelope"
	"bounceline/pipeline/record"
)

// Bounds on what is remembered of lines that are not complete.
const (
	maxJoined  = 64 << 10 // bytes of one joined line; what is more is dropped
	maxParts   = 16       // messages that Exim is splitting at the same time
	maxRepeats = 10_000   // rows that one "message repeated" gives
)

// A piece is the beginning of a line whose rest is still to come, and its own copy of the header.
type piece struct {
	open    bool
	header  envelope.Header
	host    []byte
	program []byte
	text    []byte
	next    int // number of the part that is awaited
}

func (p *piece) begin(h *envelope.Header, text []byte) {
	p.open, p.header = true, *h
	p.host = append(p.host[:0], h.Host...)
	p.program = append(p.program[:0], h.Program...)
	p.header.Host, p.header.Program, p.header.Partial = p.host, p.program, false
	p.text = append(p.text[:0], text[:min(len(text), maxJoined)]...)
}

func (p *piece) add(text []byte) {
	p.text = append(p.text, text[:min(len(text), maxJoined-len(p.text))]...)
}

// joinPartial collects what a container runtime has cut. It returns nil until the last piece is there; header and text are
// then those of the whole line. The line belongs to its last piece.
func (s *Stream) joinPartial(h *envelope.Header, text []byte) []byte {
	p := &s.partial
	more := h.Partial
	if !p.open {
		p.begin(h, text)
	} else {
		p.add(text)
	}
	if more {
		return nil
	}
	p.open = false
	*h = p.header
	return p.text
}

// A savedPiece is a piece as the anchor has it: with a next part, of Exim; with lines, of a wrapped record.
type savedPiece struct {
	Header envelope.Header
	Text   []byte
	Next   int
	Lines  int `json:",omitempty"`
	Width  int `json:",omitempty"`
}

// open is what the stream knows of lines whose end is still to come, as text; empty if there are none.
func (s *Stream) open() string {
	if !s.partial.open && !s.wrapped.open && !slices.ContainsFunc(s.parts, func(p piece) bool { return p.next > 0 }) {
		return ""
	}
	saved := make([]savedPiece, 0, maxParts+2)
	if p := &s.partial; p.open {
		saved = append(saved, savedPiece{Header: p.header, Text: p.text})
	}
	if w := &s.wrapped; w.open {
		saved = append(saved, savedPiece{Header: w.header, Text: w.text, Lines: w.lines, Width: w.width})
	}
	for i := range s.parts {
		if p := &s.parts[i]; p.next > 0 {
			saved = append(saved, savedPiece{Header: p.header, Text: p.text, Next: p.next})
		}
	}
	text, err := json.Marshal(saved)
	if err != nil {
		return "" // cannot be: bytes and numbers
	}
	return string(text)
}

// reopen takes back what open gave.
func (s *Stream) reopen(text string) error {
	var saved []savedPiece
	if err := json.Unmarshal([]byte(text), &saved); err != nil {
		return err
	}
	s.partial.open, s.wrapped.open, s.parts = false, false, s.parts[:0]
	for _, o := range saved[:min(len(saved), maxParts+2)] {
		p := &s.partial
		switch {
		case o.Lines > 0:
			s.wrapped.lines, s.wrapped.width = o.Lines, o.Width
			p = &s.wrapped.piece
		case o.Next > 0:
			s.parts = append(s.parts, piece{next: o.Next})
			p = &s.parts[len(s.parts)-1]
		}
		p.begin(&o.Header, o.Text)
	}
	return nil
}

// split reads "[2/3] " and "[2\3] ", which Exim puts before the pieces of what is too long for a syslog record (Exim
// Specification, "Logging to syslog"). Of is 0 where text begins otherwise.
func split(text []byte) (rest []byte, part, of int) {
	end := bytes.IndexByte(text, ']')
	if end < 4 || end > 8 || end+1 >= len(text) || text[end+1] != ' ' {
		return text, 0, 0
	}
	sep := bytes.IndexAny(text[:end], `/\`)
	if sep < 2 || sep == end-1 {
		return text, 0, 0
	}
	for _, c := range text[1:sep] {
		if c < '0' || c > '9' {
			return text, 0, 0
		}
		part = part*10 + int(c-'0')
	}
	for _, c := range text[sep+1 : end] {
		if c < '0' || c > '9' {
			return text, 0, 0
		}
		of = of*10 + int(c-'0')
	}
	if part == 0 || part > of {
		return text, 0, 0
	}
	return text[end+2:], part, of
}

// joinSplit collects the pieces of one process. It returns nil until the last one is there. A piece whose beginning was not
// seen is returned as it is; no dialect claims it.
func (s *Stream) joinSplit(h *envelope.Header, text []byte, part, of int) []byte {
	at := -1
	for i := range s.parts {
		if s.parts[i].header.PID == h.PID && bytes.Equal(s.parts[i].host, h.Host) {
			at = i
		}
	}
	if part == 1 && of > 1 {
		if at < 0 && len(s.parts) < maxParts {
			s.parts = append(s.parts, piece{})
			at = len(s.parts) - 1
		} else { // anew, or in the place of the oldest
			p := s.parts[max(at, 0)]
			copy(s.parts[max(at, 0):], s.parts[max(at, 0)+1:])
			at = len(s.parts) - 1
			s.parts[at] = p
		}
		s.parts[at].begin(h, text)
		s.parts[at].next = 2
		return nil
	}
	if at < 0 || s.parts[at].next != part {
		return text
	}
	p := &s.parts[at]
	p.add(text)
	if p.next++; part < of {
		return nil
	}
	p.next = 0
	*h = p.header
	return s.envelope.Inner(p.text, h)
}

// previous is the last event of a stream, kept for a daemon that says only that it came again.
type previous struct {
	valid   bool
	pid     uint32
	bytes   []byte // what the others point into
	host    []byte
	program []byte
	text    []byte
}

// keepLine is keep for a header and a text that lie in line.
func (p *previous) keepLine(line []byte, h *envelope.Header, text []byte) {
	if p.valid = len(line) <= maxJoined; !p.valid {
		return
	}
	p.pid, p.bytes = h.PID, append(p.bytes[:0], line...)
	from := func(part []byte) []byte { // slices of one array end at the same place
		at := cap(line) - cap(part)
		return p.bytes[at : at+len(part)]
	}
	p.host, p.program, p.text = from(h.Host), from(h.Program), from(text)
}

func (p *previous) keep(h *envelope.Header, text []byte) {
	if p.valid = len(text) <= maxJoined; !p.valid {
		return
	}
	b := append(append(append(p.bytes[:0], h.Host...), h.Program...), text...)
	host, program := len(h.Host), len(h.Host)+len(h.Program)
	p.pid, p.bytes, p.host, p.program, p.text = h.PID, b, b[:host], b[host:program], b[program:]
}

// appendState appends the event to an anchor, where there is one.
func (p *previous) appendState(dst []byte) []byte {
	if !p.valid || len(p.text) > maxLast {
		return dst
	}
	state, err := json.Marshal(savedPiece{Header: envelope.Header{Host: p.host, Program: p.program, PID: p.pid}, Text: p.text})
	if err != nil {
		return dst // cannot be: bytes and numbers
	}
	dst = append(append(append(dst, '\t'), lastEvent...), '=')
	return append(dst, url.QueryEscape(string(state))...)
}

// setState takes back what appendState gave.
func (p *previous) setState(state string) error {
	var saved savedPiece
	if err := json.Unmarshal([]byte(state), &saved); err != nil {
		return err
	}
	p.keep(&saved.Header, saved.Text)
	return nil
}

var (
	messageRepeated     = []byte("message repeated ")
	lastMessageRepeated = []byte("last message repeated ")
	times               = []byte(" times")
)

// repeated reads "message repeated 3 times: [ TEXT]" and "last message repeated 3 times" and gives the rows of the message
// once for each time. It reports false where text is neither.
func (s *Stream) repeated(h *envelope.Header, text []byte, out *record.Result) bool {
	rest, whole := bytes.CutPrefix(text, messageRepeated)
	if !whole {
		var ok bool
		if rest, ok = bytes.CutPrefix(text, lastMessageRepeated); !ok {
			return false
		}
	}
	n, i := 0, 0
	for i < len(rest) && '0' <= rest[i] && rest[i] <= '9' {
		n = min(n*10+int(rest[i]-'0'), maxRepeats)
		i++
	}
	rest, ok := bytes.CutPrefix(rest[i:], times)
	if !ok || n == 0 {
		return false
	}
	if len(h.Host) == 0 {
		h.Host = s.host
	}
	if whole {
		begin, end := bytes.IndexByte(rest, '['), bytes.LastIndexByte(rest, ']')
		if begin < 0 {
			return false
		}
		if end <= begin {
			end = len(rest)
		}
		s.read(h, s.envelope.Inner(bytes.TrimSpace(rest[begin+1:end]), h), true, out)
	} else {
		if !s.last.valid || !bytes.Equal(s.last.host, h.Host) {
			out.Class, out.Kind = record.Other, "repeated, no event"
			return true
		}
		h.Program, h.PID = s.last.program, s.last.pid
		s.read(h, s.last.text, true, out)
	}
	s.internal(out)
	once := out.Rows.Len()
	for k := 1; k < n && once > 0 && out.Fact.Op != record.Expire; k++ {
		for j := range once {
			out.Rows.Add()
			rows := out.Rows.All()
			rows[len(rows)-1] = rows[j]
			rows[len(rows)-1].Number = uint64(len(rows) - 1)
		}
	}
	return true
}
