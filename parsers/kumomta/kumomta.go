// Package kumomta reads the JSON log records of KumoMTA, one object a line (KumoMTA documentation, "Log Record").
package kumomta

import (
	"bytes"
	"strconv"

	"bounceline/parsers/envelope"
	"bounceline/parsers/jsonline"
	"bounceline/parsers/reply"
	"bounceline/pipeline/record"
)

// Version changes when a line may give another row than before.
const Version = "1"

// Parser reads one record at a time. Its memory is scratch space alone. The zero value is ready.
type Parser struct {
	scratch    []byte
	recipients [][]byte
}

// Name is the dialect's name.
func (*Parser) Name() string { return "kumomta" }

// Claims reports whether a text is a log record.
func (*Parser) Claims(_, text []byte) bool {
	return len(text) > 2 && text[0] == '{' && bytes.Contains(text[:min(len(text), 4096)], []byte(`"type":`)) && bytes.Contains(text, []byte(`"queue":`))
}

// entry is what is taken from a record.
type entry struct {
	kind, id, sender, queue, content, command, peerName, peerAddr, source, sourceName, protocol, cipher, tls, node []byte
	code                                                                                                           uint16
	class, subject, detail                                                                                         []byte
	size                                                                                                           uint64
	at, created                                                                                                    int64
}

// Parse reads one record.
func (p *Parser) Parse(h *envelope.Header, text []byte, out *record.Result) {
	var e entry
	p.recipients = p.recipients[:0]
	s := jsonline.New(text, p.scratch[:0])
	ok := p.object(&s, &e)
	p.scratch = s.Scratch()
	if !ok {
		out.Class, out.Kind = record.Malformed, "kumomta: object is cut"
		return
	}
	event, outcome := record.Attempt, record.OtherOutcome
	switch string(e.kind) {
	case "Delivery":
		outcome = record.Delivered
	case "TransientFailure":
		outcome = record.Deferred
	case "Bounce", "AdminBounce":
		outcome = record.Bounced
	case "Expiration":
		event, outcome = record.Expiration, record.Expired
	default: // Reception, Delayed, OOB, Feedback, Rejection, DeferredInjection and what is to come
		out.Class, out.Kind = record.Other, "no delivery"
		return
	}
	if len(p.recipients) == 0 {
		out.Class, out.Kind = record.Malformed, "kumomta: no recipient"
		return
	}
	out.Class, out.Kind = record.Event, "delivery"
	for i, recipient := range p.recipients {
		r := out.Rows.Add()
		r.Number = uint64(i)
		r.EventTime, r.TimeInferred, r.Host, r.PID = h.Time, h.Flags, h.Host, h.PID
		if e.at != 0 {
			r.EventTime, r.TimeInferred = e.at, 0
		}
		if len(r.Host) == 0 {
			r.Host = e.node
		}
		r.MTA, r.Parser, r.ParserVersion = "kumomta", "kumomta", Version
		r.EventType, r.Outcome, r.Status = event, outcome, e.kind
		r.Service, r.Agent = e.protocol, e.protocol
		r.QueueID, r.Recipient = e.id, recipient
		r.Sender, r.SenderKnown = e.sender, true
		r.Size = e.size
		r.Relay, r.RelayHost = e.peerName, bytes.TrimSuffix(e.peerName, []byte("."))
		r.RelayIP, r.RelayPort = addressAndPort(e.peerAddr)
		r.LocalIP, _ = addressAndPort(e.source)
		r.Instance = e.sourceName
		r.TLS = e.tls
		if len(r.TLS) == 0 {
			r.TLS = e.cipher
		}
		r.ResponseText, r.SMTPCode = e.content, e.code
		if e.code != 0 && len(e.peerAddr) > 0 { // without a peer the answer is KumoMTA's own
			p.remote(r, &e, out)
		}
		r.SMTPCommand = command(e.command)
		if e.created != 0 && r.EventTime >= e.created {
			r.Delay = float32(r.EventTime-e.created) / 1000
		}
		if outcome == record.Delivered {
			r.NextQueueID = reply.Queued(e.content)
		}
	}
}

// remote sets what the far side said, with the codes that the record keeps apart put before the text again.
func (p *Parser) remote(r *record.Row, e *entry, out *record.Result) {
	b := out.Rows.Scratch(len(e.class) + len(e.subject) + len(e.detail) + len(e.content) + 8)[:0]
	b = strconv.AppendUint(b, uint64(e.code), 10)
	if len(e.class) > 0 && len(e.subject) > 0 && len(e.detail) > 0 {
		b = append(b, ' ')
		begin := len(b)
		b = append(append(append(append(append(b, e.class...), '.'), e.subject...), '.'), e.detail...)
		r.EnhancedCode = b[begin:len(b):len(b)]
	}
	r.RemoteText = append(append(b, ' '), e.content...)
	if len(r.EnhancedCode) == 0 {
		_, r.EnhancedCode = reply.Parse(r.RemoteText, " ")
	}
}

// command is what the reply answered: the first words of a line of the dialogue.
func command(b []byte) string {
	if bytes.HasPrefix(b, []byte(".")) {
		return record.CmdEndOfData
	}
	return reply.Command(b)
}

// addressAndPort reads "192.0.2.25", "192.0.2.25:25" and "[2001:db8::1]:25".
func addressAndPort(b []byte) (record.Addr, uint16) {
	if ip, ok := reply.IP(b); ok {
		return ip, 0
	}
	i := bytes.LastIndexByte(b, ':')
	if i < 0 {
		return record.Addr{}, 0
	}
	ip, _ := reply.IP(bytes.Trim(b[:i], "[]"))
	return ip, uint16(min(reply.Number(b[i+1:]), 65535))
}

// seconds reads Unix seconds with a fraction, as milliseconds.
func seconds(b []byte) int64 {
	ms := int64(reply.Number(b)) * 1000
	if i := bytes.IndexByte(b, '.'); i >= 0 {
		scale := int64(100)
		for _, c := range b[i+1:] {
			if c < '0' || c > '9' || scale == 0 {
				break
			}
			ms += scale * int64(c-'0')
			scale /= 10
		}
	}
	return ms
}
