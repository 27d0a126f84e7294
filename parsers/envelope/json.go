package envelope

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"

	"bounceline/pipeline/record"
)

// json takes the text out of the object that a log shipper makes of a line: journalctl -o json, Docker's json-file,
// Filebeat, Fluent Bit, rsyslog, Vector, syslog-ng and GELF. Which members are looked at is in member; of several that may
// hold the same thing, the one that says more wins. It reports false where none of them is there.
func (r *Reader) json(line []byte, h *Header) ([]byte, bool) {
	var m members
	p := parser{b: line, scratch: r.scratch}
	ok := p.object(&m, top, 0)
	r.scratch = p.scratch
	if !ok && m.rank[text] == 0 || m.rank[text] == 0 {
		return nil, false
	}
	h.Host = m.value[host]
	if t := m.value[program]; len(t) > 0 {
		h.Program = t
		var in Header
		if _, ok := tag(t, &in); ok {
			h.Program, h.PID = in.Program, in.PID
		}
	}
	if n, ok := number(m.value[pid]); ok && h.PID == 0 {
		h.PID = uint32(n)
	}
	r.jsonTime(m.value[stamp], h)
	if m.null {
		return nil, true
	}
	t := m.value[text]
	if n := len(t); n > 0 && t[n-1] == '\n' {
		t = t[:n-1]
	} else if m.docker {
		h.Partial = n >= dockerPart
	}
	return trim(t), true
}

// dockerPart is the size at which Docker's json-file driver cuts lines; the last part ends with a newline.
const dockerPart = 16 << 10

func (r *Reader) jsonTime(v []byte, h *Header) {
	if len(v) == 0 {
		return
	}
	in := Header{}
	if ms := unix(v); ms != 0 {
		in.Time = ms
	} else if _, ok := r.isoStamp(v, &in); !ok {
		if len(v) > 19 && v[10] == ' ' {
			if ms, ok := r.clock.civil(v[:19]); ok {
				in.Time, in.Flags = r.clock.local(ms, v[:19])
			}
		} else if n, _ := bsdStamp(v); n == len(v) {
			if ms, flags, ok := r.clock.bsd(v, 0); ok {
				in.Time, in.Flags = ms, flags
			}
		}
	}
	if in.Time != 0 {
		h.Time, h.Flags = in.Time, in.Flags|record.FromEnvelope
	}
}

// What members are looked for.
const (
	text = iota
	host
	program
	pid
	stamp
	roles
)

type members struct {
	value  [roles][]byte
	rank   [roles]uint8
	docker bool // the text is Docker's "log"
	null   bool // the text is null: journalctl leaves out what is longer than 4,096 bytes
}

func (m *members) set(role int, rank uint8, v []byte) {
	if rank > m.rank[role] {
		m.rank[role], m.value[role] = rank, v
	}
}

// Where a member stands.
const (
	top = iota
	inHost
	inEvent
	inProcess
	inLog
	inSyslog
	other
)

// member says what a member may hold, and how much it is to be trusted: the higher wins.
func member(where int, key []byte) (role int, rank uint8) {
	switch where {
	case top:
		switch string(key) {
		case "MESSAGE", "message", "Message": // journald, Filebeat, Vector, syslog-ng, Fluent Bit
			return text, 9
		case "msg": // rsyslog
			return text, 8
		case "full_message": // GELF
			return text, 7
		case "short_message":
			return text, 6
		case "log": // Docker, Fluent Bit
			return text, 5
		case "@message", "textPayload", "_raw", "raw", "line", "event", "rawmsg": // collectors' own
			return text, 4
		case "_HOSTNAME", "hostname", "HOST", "host", "Hostname", "fromhost":
			return host, 5
		case "source", "HOST_FROM", "_source_host":
			return host, 3
		case "syslogtag", "SYSLOG_IDENTIFIER", "tag", "TAG": // rsyslog's programname is cut at the slash
			return program, 6
		case "ident", "appname", "app_name", "app-name", "PROGRAM", "program", "_application_name", "application_name", "syslog_identifier", "Program":
			return program, 5
		case "programname", "_SYSLOG_IDENTIFIER", "app":
			return program, 3
		case "_COMM":
			return program, 1
		case "SYSLOG_PID", "pid", "procid", "PID", "_process_id", "process_id", "proc_id":
			return pid, 5
		case "_PID": // the relay's own, where a line came through one
			return pid, 1
		case "_SOURCE_REALTIME_TIMESTAMP":
			return stamp, 9
		case "__REALTIME_TIMESTAMP":
			return stamp, 8
		case "timereported", "timestamp", "ISODATE", "time", "eventtime", "DATE", "R_ISODATE":
			return stamp, 6
		case "date", "timegenerated", "ts":
			return stamp, 5
		case "@timestamp": // often when the shipper read the line
			return stamp, 4
		}
	case inHost:
		switch string(key) {
		case "name", "hostname":
			return host, 4
		}
	case inEvent:
		if string(key) == "original" {
			return text, 3
		}
	case inProcess:
		switch string(key) {
		case "name":
			return program, 2
		case "pid":
			return pid, 2
		}
	case inSyslog:
		switch string(key) {
		case "hostname":
			return host, 6
		case "appname":
			return program, 5
		case "procid":
			return pid, 5
		}
	}
	return other, 0
}

// inside says what an object that is a member's value holds.
func inside(where int, key []byte) int {
	switch string(key) {
	case "_source", "result", "jsonPayload", "fields", "body":
		if where == top {
			return top
		}
	case "host":
		return inHost
	case "event":
		return inEvent
	case "process":
		return inProcess
	case "log":
		return inLog
	case "syslog":
		return inSyslog
	}
	return other
}

// A parser walks over one object. It checks no more of the grammar than it needs.
type parser struct {
	b       []byte
	i       int
	scratch []byte
}

// maxNesting bounds the objects in which members are looked for; what is deeper is skipped.
const maxNesting = 4

func (p *parser) space() {
	for p.i < len(p.b) && (p.b[p.i] == ' ' || p.b[p.i] == '\t' || p.b[p.i] == '\n' || p.b[p.i] == '\r') {
		p.i++
	}
}

func (p *parser) at(c byte) bool {
	p.space()
	if p.i < len(p.b) && p.b[p.i] == c {
		p.i++
		return true
	}
	return false
}

// object reads the members of an object and reports whether it was complete.
func (p *parser) object(m *members, where, depth int) bool {
	if !p.at('{') {
		return false
	}
	if p.at('}') {
		return true
	}
	for {
		if !p.at('"') {
			return false
		}
		key, ok := p.text()
		if !ok || !p.at(':') {
			return false
		}
		p.space()
		if p.i >= len(p.b) {
			return false
		}
		role, rank := member(where, key)
		switch c := p.b[p.i]; {
		case c == '"':
			p.i++
			begin := p.i
			v, ok := p.text()
			if !ok && role == text && rank > m.rank[text] { // a line that was cut in its text
				m.set(text, rank, p.unescape(p.b[begin:]))
			}
			if !ok {
				return false
			}
			if role < roles {
				m.set(role, rank, v)
				if role == text && rank == m.rank[text] {
					m.docker, m.null = string(key) == "log", false
				}
			}
		case c == '{' && depth < maxNesting:
			if !p.object(m, inside(where, key), depth+1) {
				return false
			}
		case c == '[' && role == text:
			v, ok := p.numbers()
			if !ok {
				return false
			}
			m.set(text, rank, v)
		case c == '{', c == '[':
			if !p.skip() {
				return false
			}
		default:
			begin := p.i
			for p.i < len(p.b) && p.b[p.i] != ',' && p.b[p.i] != '}' && p.b[p.i] > ' ' {
				p.i++
			}
			v := p.b[begin:p.i]
			switch {
			case string(v) == "null":
				if role == text && m.rank[text] == 0 {
					m.null = true
					m.set(text, 1, nil)
				}
			case role < roles && role != text:
				m.set(role, rank, v)
			}
		}
		if p.at(',') {
			continue
		}
		return p.at('}')
	}
}

// text reads a string behind its opening quote.
func (p *parser) text() ([]byte, bool) {
	begin, escaped := p.i, false
	for p.i < len(p.b) {
		n := bytes.IndexByte(p.b[p.i:], '"')
		if n < 0 {
			p.i = len(p.b)
			return nil, false
		}
		slashes := 0
		for j := p.i + n - 1; j >= begin && p.b[j] == '\\'; j-- {
			slashes++
		}
		p.i += n + 1
		if slashes%2 == 0 {
			v := p.b[begin : p.i-1]
			if escaped || slashes > 0 || bytes.IndexByte(v, '\\') >= 0 {
				v = p.unescape(v)
			}
			return v, true
		}
		escaped = true
	}
	return nil, false
}

// unescape decodes a string (RFC 8259, section 7) into the scratch space.
func (p *parser) unescape(v []byte) []byte {
	begin := len(p.scratch)
	for i := 0; i < len(v); i++ {
		if v[i] != '\\' || i+1 >= len(v) {
			p.scratch = append(p.scratch, v[i])
			continue
		}
		i++
		switch v[i] {
		case 'n':
			p.scratch = append(p.scratch, '\n')
		case 't':
			p.scratch = append(p.scratch, '\t')
		case 'r':
			p.scratch = append(p.scratch, '\r')
		case 'b':
			p.scratch = append(p.scratch, '\b')
		case 'f':
			p.scratch = append(p.scratch, '\f')
		case 'u':
			c := codeUnit(v[i+1:])
			if c < 0 {
				p.scratch = append(p.scratch, '\\', 'u')
				continue
			}
			i += 4
			if utf16.IsSurrogate(c) && i+6 < len(v) && v[i+1] == '\\' && v[i+2] == 'u' {
				if full := utf16.DecodeRune(c, codeUnit(v[i+3:])); full != utf8.RuneError {
					c = full
					i += 6
				}
			}
			p.scratch = utf8.AppendRune(p.scratch, c)
		default:
			p.scratch = append(p.scratch, v[i])
		}
	}
	return p.scratch[begin:len(p.scratch):len(p.scratch)]
}

func codeUnit(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	n := rune(0)
	for _, c := range b[:4] {
		switch {
		case digit(c):
			n = n<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			n = n<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return n
}

// numbers reads "[52,70,...]": journalctl writes a message that is not UTF-8 as its bytes.
func (p *parser) numbers() ([]byte, bool) {
	begin := len(p.scratch)
	p.i++
	for {
		p.space()
		n, digits := 0, 0
		for p.i < len(p.b) && digit(p.b[p.i]) && digits < 4 {
			n = n*10 + int(p.b[p.i]-'0')
			p.i++
			digits++
		}
		if digits > 0 && n < 256 {
			p.scratch = append(p.scratch, byte(n))
		}
		if p.at(',') {
			continue
		}
		return p.scratch[begin:len(p.scratch):len(p.scratch)], p.at(']')
	}
}

// skip passes over an object or a list, strings in it included.
func (p *parser) skip() bool {
	depth := 0
	for p.i < len(p.b) {
		switch c := p.b[p.i]; c {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				p.i++
				return true
			}
		case '"':
			p.i++
			for p.i < len(p.b) && p.b[p.i] != '"' {
				if p.b[p.i] == '\\' {
					p.i++
				}
				p.i++
			}
		}
		p.i++
	}
	return false
}
