package envelope

import (
	"bytes"

	"bounceline/parsers/jsonline"
	"bounceline/pipeline/record"
)

// json takes the text out of the object that a log shipper makes of a line: journalctl -o json, Docker's json-file,
// Filebeat, Fluent Bit, rsyslog, Vector, syslog-ng and GELF. Which members are looked at is in member; of several that may
// hold the same thing, the one that says more wins. It reports false where none of them is there.
func (r *Reader) json(line []byte, h *Header) ([]byte, bool) {
	var m members
	s := jsonline.New(line, r.scratch)
	m.object(&s, top, 0) // one that was cut is read as far as it goes
	r.scratch = s.Scratch()
	if m.rank[text] == 0 {
		return nil, false
	}
	h.Host = m.value[host]
	if t := m.value[program]; len(t) > 0 {
		h.Program = t
		var in Header
		if _, ok := tag(t, &in); ok {
			h.Program, h.PID = in.Program, in.PID
		} else if open := bytes.IndexByte(t, '['); open > 0 { // "postfix/smtp[417]" without its colon
			n, _ := number(bytes.TrimSuffix(t[open+1:], []byte("]")))
			h.Program, h.PID = t[:open], uint32(n)
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
		case "@message", "textPayload", "_raw", "raw", "line", "event", "rawmsg", "content", "body", "text", "data": // collectors' own
			return text, 4
		case "_HOSTNAME", "hostname", "Hostname":
			return host, 6
		case "HOST", "host", "fromhost": // in Vector's records the peer
			return host, 5
		case "source", "HOST_FROM", "_source_host", "logsource":
			return host, 3
		case "syslogtag", "SYSLOG_IDENTIFIER", "tag", "TAG": // rsyslog's programname is cut at the slash
			return program, 6
		case "ident", "appname", "app_name", "app-name", "PROGRAM", "program", "_application_name", "application_name", "syslog_identifier", "Program":
			return program, 5
		case "programname", "_SYSLOG_IDENTIFIER", "app", "process":
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
			return host, 7
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

// maxNesting bounds the objects in which members are looked for; what is deeper is skipped.
const maxNesting = 4

// object reads the members of an object and reports whether it was complete.
func (m *members) object(s *jsonline.Scanner, where, depth int) bool {
	if !s.Open() {
		return false
	}
	for {
		key, ok := s.Key()
		if !ok {
			return s.Closed()
		}
		role, rank := member(where, key)
		switch c := s.Peek(); {
		case c == '"':
			v, whole := s.String()
			if role < roles {
				m.set(role, rank, v)
				if role == text && rank == m.rank[text] {
					m.docker, m.null = string(key) == "log", false
				}
			}
			if !whole {
				return false
			}
		case c == '{' && depth < maxNesting:
			if !m.object(s, inside(where, key), depth+1) {
				return false
			}
		case c == '[' && role == text:
			v, ok := s.Bytes()
			if !ok {
				return false
			}
			m.set(text, rank, v)
		case c == '{', c == '[':
			if !s.Skip() {
				return false
			}
		default:
			v := s.Literal()
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
	}
}
