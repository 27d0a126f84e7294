// Package envelope takes off what stands around an MTA's own text in a log line: syslog headers of every kind, the
// stamp that Exim writes itself, the JSON and container wrappers of log shippers, and what copies carry in front. It finds
// out once which form a stream has and tries that first.
package envelope

import (
	"bytes"
	"time"

	"bounceline/pipeline/record"
)

// A Header is what the envelope says. Its slices point into the line or into the reader's own memory, and are valid until
// the next line.
type Header struct {
	Time    int64 // Unix milliseconds, UTC; 0 if there was none
	Flags   record.TimeFlags
	Host    []byte
	Program []byte // syslog tag without pid: postfix/smtp, exim
	PID     uint32
	Partial bool // the text goes on in the next line: a container runtime has cut it
}

// Form is the shape of an envelope.
type Form uint8

const (
	None    Form = iota // the MTA's text alone, or only a tag before it
	BSD                 // RFC 3164: "Nov 22 05:13:01 mx1 postfix/smtp[417]: "
	ISO                 // RFC 3339 stamp: rsyslog's file format, container prefixes
	RFC5424             // "<22>1 2026-11-22T05:13:01.123Z mx1 postfix 417 - - "
	Stamp               // "2026-11-22 05:34:55 ": Exim's own, and syslog templates with a blank for the T
	JSON                // an object with the text as one of its members
	Epoch               // seconds since 1970, as logged by collectors and multilog
)

// A Reader takes envelopes off the lines of one stream, in their order. It is used by one goroutine.
type Reader struct {
	clock      Clock
	form       Form
	scratch    []byte // decoded JSON strings of the current line
	clean      []byte // the current line without what copies did to it
	hostLength int    // of the line before
	refused    bool   // the current line has a stamp that cannot be read
}

// NewReader returns a reader whose stamps are in zone where they name none; assumed says that the zone was not configured.
func NewReader(zone *time.Location, assumed bool) *Reader {
	return &Reader{clock: Clock{zone: zone, assumed: assumed}}
}

// Refused reports whether the last line has a stamp whose month has a name that is not known. To read the line as one without
// a stamp would give it a wrong time.
func (r *Reader) Refused() bool { return r.refused }

// Clock returns the reader's clock.
func (r *Reader) Clock() *Clock { return &r.clock }

// maxDepth is how many envelopes a line may have around one another: a container's JSON around a collector's JSON around a
// syslog line with Exim's own stamp is the deepest that was seen.
const maxDepth = 4

// Strip fills h and returns the text inside all envelopes; inner ones win over outer ones. It reports false where no form
// fits; text is then the whole line, which may be an MTA's text without any envelope.
func (r *Reader) Strip(line []byte, h *Header) (text []byte, ok bool) {
	return r.strip(line, h, false)
}

// Find is Strip for a line that fits no form: it looks for an envelope further inside, too.
func (r *Reader) Find(line []byte, h *Header) (text []byte, ok bool) {
	return r.strip(line, h, true)
}

// Within looks for an MTA's header behind what another tool has put between its own stamp and the line, and adds to h what it
// says. It reports false where there is none.
func (r *Reader) Within(text []byte, h *Header) ([]byte, bool) {
	form := r.form
	defer func() { r.form = form }()
	in := Header{}
	rest, ok := r.find(text, &in)
	if !ok || !mailer(in.Program) {
		return text, false
	}
	h.merge(&in)
	return rest, true
}

// Stamped sets the time of a text in which a stamp of any form stands before a record, if there is one that could not mean two
// times.
func (r *Reader) Stamped(before []byte, h *Header) {
	if ms, flags, known := r.clock.loose(before); known && ms != 0 {
		h.Time, h.Flags = ms, flags
	}
}

func (r *Reader) strip(line []byte, h *Header, inside bool) (text []byte, ok bool) {
	*h = Header{}
	r.refused = false
	r.scratch = r.scratch[:0]
	line = trim(line)
	if text, ok = r.usual(line, h); ok {
		return text, true
	}
	text, ok = r.try(r.form, line, h)
	if !ok {
		*h = Header{}
		if text, ok = r.detect(line, h); !ok && !r.bare(line, h, &text) {
			if !inside {
				return line, false
			}
			if text, ok = r.find(line, h); !ok {
				return text, false
			}
		}
	}
	if len(h.Program) == 0 && r.form != Stamp || len(text) > 4 && (text[4] == '-' || text[3] == ' ' || text[0] == '<' || text[0] == '{' || text[1] == ' ') {
		return r.inner(text, h, 1), true
	}
	return text, true
}

// detect tries all forms that the first byte allows, and remembers the one that fits.
func (r *Reader) detect(line []byte, h *Header) ([]byte, bool) {
	for _, f := range candidates(line) {
		if text, ok := r.try(f, line, h); ok {
			r.form = f
			return text, true
		}
		*h = Header{}
	}
	return nil, false
}

var (
	byPriority = []Form{RFC5424, BSD, ISO, Stamp}
	byDigit    = []Form{ISO, Stamp, BSD, RFC5424, Epoch}
	byLetter   = []Form{BSD, Stamp}
	byBrace    = []Form{JSON}
	byBracket  = []Form{Stamp, ISO, BSD}
)

func candidates(line []byte) []Form {
	switch {
	case len(line) < 8:
	case line[0] == '{':
		return byBrace
	case line[0] == '<':
		return byPriority
	case digit(line[0]), line[0] == '@':
		return byDigit
	case line[0] == '[':
		return byBracket
	case 'A' <= line[0] && line[0] <= 'Z':
		return byLetter
	}
	return nil
}

func (r *Reader) try(f Form, line []byte, h *Header) ([]byte, bool) {
	switch f {
	case BSD:
		return r.bsd(line, h)
	case ISO:
		return r.iso(line, h)
	case RFC5424:
		return r.rfc5424(line, h)
	case Stamp:
		return r.stamped(line, h)
	case JSON:
		return r.json(line, h)
	case Epoch:
		return r.epoch(line, h)
	}
	return nil, false
}

// inner takes off what is inside an envelope: Exim's stamp behind a syslog header, a header inside a wrapper.
func (r *Reader) inner(text []byte, h *Header, depth int) []byte {
	form := r.form
	defer func() { r.form = form }() // the outermost one sticks
	for ; depth < maxDepth; depth++ {
		in := Header{}
		rest, ok := r.Stamp(text, &in) // first: a stamp alone is common, and needs no host behind it
		if !ok {
			rest, ok = r.detect(text, &in)
		} else if in.Program == nil && len(h.Program) == 0 {
			rest = r.behindStamp(rest, &in)
		}
		if !ok {
			break
		}
		h.merge(&in)
		if text = rest; len(h.Program) > 0 && in.Program == nil {
			return text // a stamp behind a header
		}
	}
	if len(h.Program) == 0 {
		if in := (Header{}); r.bare(text, &in, &text) {
			in.Time = 0
			h.merge(&in)
		}
	}
	return text
}

// merge takes over what an inner envelope says.
func (h *Header) merge(in *Header) {
	if in.Time != 0 {
		h.Time, h.Flags = in.Time, in.Flags
	}
	if len(in.Host) > 0 {
		h.Host = in.Host
	}
	if len(in.Program) > 0 {
		h.Program = in.Program
	}
	if in.PID != 0 {
		h.PID = in.PID
	}
	h.Partial = h.Partial || in.Partial
}

// bare reads a tag that nothing stands before but a host: what is left when a collector strips the stamp. The tag must have
// a pid, or the name of a mail server: other words before a colon are text.
func (r *Reader) bare(line []byte, h *Header, text *[]byte) bool {
	*text = line
	rest, ok := tag(line, h)
	if !ok || h.PID == 0 && !mailer(h.Program) || !tagName(h.Program) {
		h.Program, h.PID = nil, 0
		i := bytes.IndexByte(line, ' ')
		if i <= 0 || i > 255 {
			return false
		}
		if rest, ok = tag(line[i+1:], h); !ok || h.PID == 0 || !mailer(h.Program) || !tagName(h.Program) {
			*h = Header{}
			return false
		}
		if h.Host = bytes.TrimSuffix(line[:i], []byte(":")); level(h.Host) {
			h.Host = nil
		}
	}
	*text = r.behindTag(rest, h)
	return true
}

// behindTag takes off the stamp that Exim writes behind its tag.
func (r *Reader) behindTag(text []byte, h *Header) []byte {
	if in := (Header{}); len(text) > 20 && text[4] == '-' {
		if rest, ok := r.Stamp(text, &in); ok {
			h.merge(&in)
			return rest
		}
	}
	return text
}

// mailer reports whether a program is by its name one of the mail servers that are read.
func mailer(program []byte) bool {
	for _, name := range mailers {
		if bytes.Contains(program, name) {
			return true
		}
	}
	return false
}

var mailers = [][]byte{[]byte("postfix"), []byte("exim"), []byte("sendmail"), []byte("sm-mta"), []byte("smtpd"), []byte("sm-msp")}

// trim takes off a carriage return and the NUL bytes and blanks that a crash, a byte-order mark or a copy left before the
// line.
func trim(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] <= '\r' {
		line = bytes.TrimRight(line, "\r\n\x00")
	}
	if len(line) > 0 && (line[0] <= ' ' || line[0] == 0xef) {
		line = bytes.TrimLeft(line, "\x00 \t")
		line = bytes.TrimPrefix(line, byteOrderMark)
	}
	return line
}

var byteOrderMark = []byte("\xef\xbb\xbf")

func skipSpace(b []byte) []byte {
	for len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	return b
}

// MessageID is the length of the message id that Exim begins a line with, without the blank behind it: 6-6-2 characters before
// Exim 4.97, 6-11-4 since (local_scan.h, MESSAGE_ID_LENGTH). 0 if none stands there.
func MessageID(t []byte) int {
	for _, form := range [2][3]int{{6, 6, 2}, {6, 11, 4}} {
		n := form[0] + form[1] + form[2] + 2
		if len(t) <= n || t[n] != ' ' || t[form[0]] != '-' || t[form[0]+1+form[1]] != '-' {
			continue
		}
		if alphanumeric(t[:form[0]]) && alphanumeric(t[form[0]+1:form[0]+1+form[1]]) && alphanumeric(t[n-form[2]:n]) {
			return n
		}
	}
	return 0
}

func alphanumeric(b []byte) bool {
	for _, c := range b {
		if !(digit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
			return false
		}
	}
	return true
}

// Wrapper reports whether a program hands on what other programs log: a container runtime, known by its name or by the
// container's id for a name, journald, logger, or a tag that the administrator chose for a mail container.
func Wrapper(program []byte) bool {
	switch string(program) {
	case "journal", "systemd", "podman", "containerd", "conmon", "kubelet", "logger", "mail", "syslog", "rsyslogd", "syslog-ng", "supervisord", "s6", "runit":
		return true
	}
	if n := len(program); n == 12 || n == 64 {
		if _, ok := hexadecimal(program); ok {
			return true
		}
	}
	for _, part := range wrappers {
		if bytes.Contains(program, part) {
			return true
		}
	}
	return mailer(program)
}

var wrappers = [][]byte{[]byte("docker"), []byte("mailserver"), []byte("mailcow"), []byte("container"), []byte("k8s_")}

// Inner takes off what stands before a text that was put together from pieces, as Exim's own stamp does, and adds to h what
// it says.
func (r *Reader) Inner(text []byte, h *Header) []byte { return r.inner(trim(text), h, 1) }
