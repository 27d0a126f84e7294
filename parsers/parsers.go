// Package parsers reads the lines of one stream: it takes the envelope off, joins what was logged in pieces, finds the
// dialect, and lets it read the text.
package parsers

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"time"

	"bounceline/parsers/envelope"
	"bounceline/parsers/exim"
	"bounceline/parsers/kumomta"
	"bounceline/parsers/opensmtpd"
	"bounceline/parsers/postfix"
	"bounceline/parsers/powermta"
	"bounceline/parsers/reply"
	"bounceline/parsers/sendmail"
	"bounceline/pipeline/record"
)

// A Dialect reads the log text of one MTA. It does no I/O, knows no clock, and keeps no reference to what it was given. It
// has no memory of earlier lines either, except where a format cannot be read without (see [Stateful]).
type Dialect interface {
	// Name is what a configuration calls the dialect.
	Name() string
	// Claims reports whether a line is the dialect's. It is asked with the program that the envelope names, and must decide
	// by the shape of the text where that is empty. No line may be claimed by two dialects.
	Claims(program, text []byte) bool
	// Parse reads the text of one line. It sets Class and Kind, adds rows, and may set Fact.
	Parse(h *envelope.Header, text []byte, out *record.Result)
}

// Stateful is a dialect whose lines cannot be read without one that came before, such as the header row of a table. The
// state is part of the stream's anchor: short text, empty at the beginning.
type Stateful interface {
	State() string
	SetState(string)
}

// Dialects is every dialect, new, in the order in which they are asked whether a line is theirs.
func Dialects() []Dialect {
	return []Dialect{postfix.Parser{}, exim.Parser{}, sendmail.Parser{}, opensmtpd.Parser{}, &powermta.Parser{}, &kumomta.Parser{}}
}

// Options say how a stream is read.
type Options struct {
	Dialect        string         // auto, or a dialect's name
	Zone           *time.Location // of stamps without one; nil is not configured
	AssumedZone    *time.Location // what is taken then: the system's for local files, UTC for topics
	Host           string         // for lines that carry no host
	InternalRelays []string       // hosts and addresses that hand mail on inside the site: rows to them are internal hops
}

// A Stream reads the lines of one stream in their order. It is used by one goroutine.
type Stream struct {
	envelope *envelope.Reader
	dialects []Dialect
	only     bool // the dialect was configured
	postfix  bool // Postfix is one of them
	host     []byte
	header   envelope.Header
	relays   []string
	relayIPs []record.Addr
	hops     bool // relays are configured

	partial piece    // what a container runtime has cut
	parts   []piece  // messages that Exim splits over syslog records, oldest first
	wrapped wrapped  // what a copy has broken
	last    previous // the last event, for "last message repeated"
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
			s.postfix = s.postfix || d.Name() == postfix.Parser{}.Name()
		}
	}
	if len(s.dialects) == 0 {
		return nil, fmt.Errorf("there is no dialect %q", o.Dialect)
	}
	s.only = len(s.dialects) == 1
	for _, r := range o.InternalRelays {
		if ip, ok := reply.IP([]byte(r)); ok {
			s.relayIPs = append(s.relayIPs, ip)
		} else {
			s.relays = append(s.relays, r)
		}
	}
	s.hops = len(o.InternalRelays) > 0
	return s, nil
}

// SetReference sets what the first year that no stamp names is reckoned from.
func (s *Stream) SetReference(t time.Time) { s.envelope.Clock().SetReference(t) }

// Renew sets what stamps may be ahead of to now, once the stream has a time of its own that years are inferred from.
func (s *Stream) Renew(now time.Time) { s.envelope.Clock().Renew(now) }

// Anchor is what later rows depend on besides their bytes, in one line.
func (s *Stream) Anchor() string { return string(s.last.appendState(s.AppendAnchor(nil))) }

// AppendAnchorFor appends what the rows of a line, which is the next one, depend on.
func (s *Stream) AppendAnchorFor(dst, line []byte) []byte {
	if dst = s.AppendAnchor(dst); bytes.Contains(line, lastMessageRepeated) {
		return s.last.appendState(dst)
	}
	return dst
}

// AppendAnchor appends what the rows of lines depend on that do not say that the line before came again. It is short as a rule.
func (s *Stream) AppendAnchor(dst []byte) []byte {
	dst = s.envelope.Clock().AppendAnchor(dst)
	for _, d := range s.dialects {
		if st, ok := d.(Stateful); ok && st.State() != "" {
			dst = append(append(dst, '\t'), d.Name()...)
			dst = append(append(dst, '='), url.QueryEscape(st.State())...)
		}
	}
	if open := s.open(); open != "" && len(open) < maxOpen {
		dst = append(append(dst, '\t'), openPieces...)
		dst = append(append(dst, '='), url.QueryEscape(open)...)
	}
	return dst
}

// What the anchor calls lines whose end is still to come, and the line before, which may come again. MaxOpen is how many bytes of
// the former it takes and maxLast of the latter: an anchor travels with every batch. Longer ones are lost at a restart, unless
// their beginning is read again.
const (
	openPieces = "open"
	lastEvent  = "last"
	maxOpen    = 8 << 10
	maxLast    = 2 << 10
)

// Restore brings the stream to the state that gave the anchor.
func (s *Stream) Restore(anchor string) error {
	clock, states, _ := strings.Cut(anchor, "\t")
	if err := s.envelope.Clock().Restore(clock); err != nil {
		return err
	}
	s.last.valid = false
	for _, state := range strings.Split(states, "\t") {
		name, value, _ := strings.Cut(state, "=")
		value, err := url.QueryUnescape(value)
		if err != nil {
			return fmt.Errorf("anchor: %w", err)
		}
		switch name {
		case openPieces:
			if err := s.reopen(value); err != nil {
				return fmt.Errorf("anchor: open lines: %w", err)
			}
		case lastEvent:
			if err := s.last.setState(value); err != nil {
				return fmt.Errorf("anchor: last event: %w", err)
			}
		}
		for _, d := range s.dialects {
			if st, ok := d.(Stateful); ok && d.Name() == name {
				st.SetState(value)
			}
		}
	}
	return nil
}

// Parse reads one line, without its newline, into out, which it resets first. What it sets points into line or into the
// stream's memory.
func (s *Stream) Parse(line []byte, out *record.Result) {
	h := &s.header
	text, ok := s.envelope.Usual(line, h)
	if ok && s.postfix && h.Time != 0 && !s.partial.open && text[0] != 'm' && text[0] != 'l' { // the short way, see parse
		out.Reset()
		postfix.Parser{}.Parse(h, text, out)
		if out.Class != record.Event {
			s.forget(h)
		} else {
			s.internal(out)
			s.last.keepLine(line, h, text)
		}
	} else {
		text, ok = s.envelope.Strip(line, h)
		text = s.parse(text, ok, out)
	}
	if out.Class == record.Context || !s.altered(line, out) {
		s.wrapped.open = false
		return
	}
	s.again(line, text, ok, out)
}

// again reads a line that a terminal, a browser or an editor has changed as it was before.
func (s *Stream) again(line, text []byte, ok bool, out *record.Result) {
	if clean, changed := s.envelope.Clean(line); changed || !ok {
		text, ok = s.envelope.Find(clean, &s.header)
		text = s.parse(text, ok, out)
	}
	if (out.Class == record.Malformed || out.Kind == noMTA) && len(s.header.Program) == 0 && !s.envelope.Refused() {
		if inner, found := s.envelope.Within(text, &s.header); found {
			text = s.parse(inner, true, out)
		} else {
			s.search(text, ok, out)
		}
	}
	if out.Class == record.Event && ok {
		s.wrapped.open = false
		return
	}
	s.wrap(line, text, ok, out)
}

// parse reads the text inside an envelope, if there was one, and returns the text that was joined of several lines.
func (s *Stream) parse(text []byte, ok bool, out *record.Result) []byte {
	out.Reset()
	h := &s.header
	if h.Partial || s.partial.open {
		if text = s.joinPartial(h, text); text == nil {
			out.Class, out.Kind = record.Context, partOfLine
			return nil
		}
	}
	if len(text) > 6 {
		switch text[0] {
		case '[':
			if rest, part, of := split(text); of > 0 {
				if text = s.joinSplit(h, rest, part, of); text == nil {
					out.Class, out.Kind = record.Context, partOfLine
					return nil
				}
			}
		case 'm', 'l':
			if s.repeated(h, text, out) {
				return nil
			}
		}
	}
	s.read(h, text, ok, out)
	if out.Class != record.Event {
		s.forget(h)
	} else {
		s.internal(out)
		s.last.keep(h, text)
	}
	return text
}

// forget drops the last event where another line of its host comes between it and its repetition.
func (s *Stream) forget(h *envelope.Header) {
	if s.last.valid && bytes.Equal(s.last.host, h.Host) {
		s.last.valid = false
	}
}

// altered reports whether a line may be one that a terminal, a browser or an editor has changed.
func (s *Stream) altered(line []byte, out *record.Result) bool {
	switch {
	case out.Class == record.Event:
		return bytes.IndexByte(line, escape) >= 0
	case out.Class == record.Malformed, out.Doubt:
		return true
	case out.Kind == noMTA && len(s.header.Program) == 0:
		return bytes.Contains(line, []byte("status=")) || bytes.IndexByte(line, escape) >= 0 || bytes.IndexByte(line, '\t') >= 0 || bytes.IndexByte(line, 0xc2) >= 0
	}
	return false
}

const escape = 0x1b

const noMTA = "no MTA's line"

// read lets the dialect whose line it is read the text.
func (s *Stream) read(h *envelope.Header, text []byte, enveloped bool, out *record.Result) {
	if len(h.Host) == 0 {
		h.Host = s.host
	}
	if s.postfix && h.Time != 0 && len(h.Program) > 8 && string(h.Program[:8]) == "postfix/" {
		postfix.Parser{}.Parse(h, text, out) // nearly every line of most logs, so without an interface in between
		return
	}
	for i, d := range s.dialects {
		if !(s.only && enveloped) && !d.Claims(h.Program, text) {
			continue
		}
		if i > 0 { // the next line is likely of the same dialect
			s.dialects[0], s.dialects[i] = s.dialects[i], s.dialects[0]
		}
		if h.Time == 0 {
			h.Time, h.Flags = s.envelope.Clock().Now()
		}
		d.Parse(h, text, out)
		return
	}
	switch {
	case !enveloped && s.envelope.Refused():
		out.Class, out.Kind = record.Malformed, "stamp with an unknown month"
		return
	case envelope.Wrapper(h.Program):
		h.Program = nil
		s.read(h, s.envelope.Inner(text, h), enveloped, out)
		return
	}
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		out.Class, out.Kind = record.Other, "empty line"
	case !enveloped:
		out.Class, out.Kind = record.Malformed, "no known envelope"
	default:
		out.Class, out.Kind = record.Other, noMTA
	}
}

// search looks for a delivery record inside a text that begins with none, where its copy has more before it than an
// envelope.
func (s *Stream) search(text []byte, enveloped bool, out *record.Result) {
	for i := 1; i < len(text) && i < maxBefore; i++ {
		if c := text[i-1]; c > ' ' && c != '"' && c != '\'' && c != '>' && c != ',' && c != '=' {
			continue
		}
		if bytes.HasSuffix(bytes.TrimRight(text[:i], " "), []byte("warning:")) {
			return
		}
		for _, d := range s.dialects {
			if d.Claims(nil, text[i:]) {
				out.Reset()
				if s.header.Time == 0 {
					s.envelope.Stamped(text[:i], &s.header)
				}
				s.read(&s.header, text[i:], enveloped, out)
				s.internal(out)
				return
			}
		}
	}
}

// maxBefore is how much may stand before a delivery record.
const maxBefore = 128

// internal marks rows to the configured relays as internal hops.
func (s *Stream) internal(out *record.Result) {
	if !s.hops {
		return
	}
	rows := out.Rows.All()
	for i := range rows {
		for _, ip := range s.relayIPs {
			if rows[i].RelayIP == ip {
				rows[i].InternalHop = true
			}
		}
		for _, host := range s.relays {
			if len(host) > 0 && (equalFold(rows[i].RelayHost, host) || equalFold(rows[i].Relay, host)) {
				rows[i].InternalHop = true
			}
		}
	}
}

func equalFold(b []byte, s string) bool {
	return len(b) == len(s) && strings.EqualFold(string(b), s)
}
