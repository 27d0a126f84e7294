// Package parsers reads the lines of one stream: it takes the envelope off, finds the dialect, and lets it read the text.
package parsers

import (
	"bytes"
	"fmt"
	"time"

	"bounceline/parsers/envelope"
	"bounceline/parsers/exim"
	"bounceline/parsers/postfix"
	"bounceline/pipeline/record"
)

// A Dialect reads the log text of one MTA. It is pure: no I/O, no clock, and no memory of earlier lines.
type Dialect interface {
	// Name is what a configuration calls the dialect.
	Name() string
	// Claims reports whether a line is the dialect's, by the program that the envelope names, which may be empty, and the
	// text.
	Claims(program, text []byte) bool
	// Parse reads the text of one line. It sets Class and Kind, adds rows, and may set Fact.
	Parse(h *envelope.Header, text []byte, out *record.Result)
}

// Dialects is every dialect, in the order in which they are asked whether a line is theirs.
func Dialects() []Dialect { return []Dialect{postfix.Parser{}, exim.Parser{}} }

// Options say how a stream is read.
type Options struct {
	Dialect     string         // auto, or a dialect's name
	Zone        *time.Location // of stamps without one; nil is not configured
	AssumedZone *time.Location // what is taken then: the system's for local files, UTC for topics
	Host        string         // for lines that carry no host
}

// A Stream reads the lines of one stream in their order. It is used by one goroutine.
type Stream struct {
	envelope *envelope.Reader
	dialects []Dialect
	only     bool // the dialect was configured
	host     []byte
	program  []byte // of the line before, whose dialect is the first
	header   envelope.Header
}

// NewStream returns a reader for a stream at its beginning. Its error names what is wrong with the options.
func NewStream(o Options) (*Stream, error) {
	zone, assumed := o.Zone, false
	if zone == nil {
		zone, assumed = o.AssumedZone, true
	}
	if zone == nil {
		zone = time.UTC
	}
	s := &Stream{envelope: envelope.NewReader(zone, assumed), host: []byte(o.Host)}
	for _, d := range Dialects() {
		if o.Dialect == "auto" || o.Dialect == "" || o.Dialect == d.Name() {
			s.dialects = append(s.dialects, d)
		}
	}
	if len(s.dialects) == 0 {
		return nil, fmt.Errorf("there is no dialect %q", o.Dialect)
	}
	s.only = len(s.dialects) == 1
	return s, nil
}

// SetReference sets what the first year that no stamp names is reckoned from.
func (s *Stream) SetReference(t time.Time) { s.envelope.Clock().SetReference(t) }

// Anchor is what later rows depend on besides their bytes.
func (s *Stream) Anchor() string { return s.envelope.Clock().Anchor() }

// Restore brings the stream to the state that gave the anchor.
func (s *Stream) Restore(anchor string) error { return s.envelope.Clock().Restore(anchor) }

// Parse reads one line, without its newline, into out, which it resets first. What it sets points into line.
func (s *Stream) Parse(line []byte, out *record.Result) {
	out.Reset()
	h := &s.header
	text, ok := s.envelope.Strip(line, h)
	if !ok {
		if len(bytes.TrimSpace(line)) == 0 {
			out.Class, out.Kind = record.Other, "empty line"
			return
		}
		out.Class, out.Kind = record.Malformed, "no known envelope"
		return
	}
	if len(h.Program) > 0 && len(text) > 20 && text[4] == '-' && text[10] == ' ' { // Exim's own stamp behind a header
		inner := envelope.Header{}
		if t, ok := s.envelope.Stamp(text, &inner); ok {
			text = t
			h.Time, h.Flags = inner.Time, inner.Flags
			if inner.PID != 0 {
				h.PID = inner.PID
			}
		}
	}
	if len(h.Host) == 0 {
		h.Host = s.host
	}
	if len(h.Program) > 0 && bytes.Equal(h.Program, s.program) { // as the line before
		s.dialects[0].Parse(h, text, out)
		return
	}
	for i, d := range s.dialects {
		if !s.only && !d.Claims(h.Program, text) {
			continue
		}
		if i > 0 { // the next line is likely of the same dialect
			s.dialects[0], s.dialects[i] = s.dialects[i], s.dialects[0]
		}
		s.program = append(s.program[:0], h.Program...)
		d.Parse(h, text, out)
		return
	}
	out.Class, out.Kind = record.Other, "no MTA's line"
}
