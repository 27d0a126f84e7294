package kumomta

import (
	"bounceline/parsers/jsonline"
	"bounceline/parsers/reply"
)

// object reads the record's members.
func (p *Parser) object(s *jsonline.Scanner, e *entry) bool {
	if !s.Open() {
		return false
	}
	for {
		key, more := s.Key()
		if !more {
			return s.Closed()
		}
		ok := true
		switch string(key) {
		case "recipient": // a string, or a list since 2025.12
			ok = p.list(s)
		case "response":
			ok = e.response(s)
		case "peer_address":
			ok = e.peer(s)
		case "source_address":
			ok = e.sourceAddress(s)
		default:
			if dst := e.text(key); dst != nil && s.Peek() == '"' {
				*dst, ok = s.String()
				break
			}
			switch string(key) {
			case "size":
				e.size = reply.Number(s.Literal())
			case "timestamp":
				if e.at == 0 { // event_time says it more exactly
					e.at = seconds(s.Literal())
				} else {
					ok = s.SkipValue()
				}
			case "event_time":
				if v := seconds(s.Literal()); v != 0 {
					e.at = v
				}
			case "created":
				if e.created == 0 {
					e.created = seconds(s.Literal())
				} else {
					ok = s.SkipValue()
				}
			case "created_time":
				if v := seconds(s.Literal()); v != 0 {
					e.created = v
				}
			default:
				ok = s.SkipValue()
			}
		}
		if !ok {
			return false
		}
	}
}

// text is where a member that is a string goes.
func (e *entry) text(key []byte) *[]byte {
	switch string(key) {
	case "type":
		return &e.kind
	case "id":
		return &e.id
	case "sender":
		return &e.sender
	case "queue":
		return &e.queue
	case "delivery_protocol":
		return &e.protocol
	case "tls_cipher":
		return &e.cipher
	case "tls_protocol_version":
		return &e.tls
	case "nodeid":
		return &e.node
	case "egress_source":
		return &e.sourceName
	}
	return nil
}

func (p *Parser) list(s *jsonline.Scanner) bool {
	if s.Peek() != '[' {
		v, ok := s.String()
		p.recipients = append(p.recipients, v)
		return ok
	}
	for more := s.Item(true); more; more = s.Item(false) {
		v, ok := s.String()
		if !ok {
			return false
		}
		p.recipients = append(p.recipients, v)
	}
	return len(p.recipients) == 0 || s.EndList()
}

// response reads {"code":550,"enhanced_code":{"class":5,"subject":1,"detail":1},"content":"...","command":"..."}.
func (e *entry) response(s *jsonline.Scanner) bool {
	if s.Peek() != '{' {
		return s.SkipValue()
	}
	return members(s, func(key []byte) bool {
		ok := true
		switch string(key) {
		case "code":
			e.code = uint16(min(reply.Number(s.Literal()), 999))
		case "enhanced_code":
			if s.Peek() != '{' {
				return s.SkipValue()
			}
			return members(s, func(key []byte) bool {
				switch string(key) {
				case "class":
					e.class = s.Literal()
				case "subject":
					e.subject = s.Literal()
				case "detail":
					e.detail = s.Literal()
				default:
					return s.SkipValue()
				}
				return true
			})
		case "content":
			e.content, ok = s.String()
		case "command":
			if s.Peek() != '"' {
				return s.SkipValue()
			}
			e.command, ok = s.String()
		default:
			ok = s.SkipValue()
		}
		return ok
	})
}

func (e *entry) peer(s *jsonline.Scanner) bool {
	if s.Peek() != '{' {
		return s.SkipValue()
	}
	return members(s, func(key []byte) (ok bool) {
		switch string(key) {
		case "name":
			e.peerName, ok = s.String()
		case "addr":
			e.peerAddr, ok = s.String()
		default:
			ok = s.SkipValue()
		}
		return ok
	})
}

// sourceAddress reads {"address":"192.0.2.1:40000"} or a string.
func (e *entry) sourceAddress(s *jsonline.Scanner) bool {
	switch s.Peek() {
	case '"':
		v, ok := s.String()
		e.source = v
		return ok
	case '{':
		return members(s, func(key []byte) (ok bool) {
			if string(key) == "address" && s.Peek() == '"' {
				e.source, ok = s.String()
				return ok
			}
			return s.SkipValue()
		})
	}
	return s.SkipValue()
}

// members calls visit at the value of each member of an object; visit reads it.
func members(s *jsonline.Scanner, visit func(key []byte) bool) bool {
	if !s.Open() {
		return false
	}
	for {
		key, more := s.Key()
		if !more {
			return s.Closed()
		}
		if !visit(key) {
			return false
		}
	}
}
