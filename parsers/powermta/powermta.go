// Package powermta reads PowerMTA's accounting files: comma-separated values whose columns a header row names (PowerMTA
// User's Guide, "Accounting").
package powermta

import (
	"bytes"
	"strings"

	"bounceline/parsers/envelope"
	"bounceline/parsers/reply"
	"bounceline/pipeline/record"
)

// Version changes when a line may give another row than before.
const Version = "1"

// usual are the columns of a file whose header row was not seen: those of the default configuration.
const usual = "type,timeLogged,timeQueued,orig,rcpt,orcpt,dsnAction,dsnStatus,dsnDiag,dsnMta,bounceCat,srcType,srcMta,dlvType," +
	"dlvSourceIp,dlvDestinationIp,dlvEsmtpAvailable,dlvSize,vmta,jobId,envId,queue,vmtaPool"

// maxColumns bounds what a header row may name.
const maxColumns = 128

// Parser reads one row at a time and remembers the header row. The zero value is ready.
type Parser struct {
	header  string
	open    []byte // lines of a record whose quoted value goes on in the next
	columns []column
	values  [][]byte
}

// column is what a column holds.
type column uint8

const (
	ignored column = iota
	kind
	timeLogged
	timeQueued
	orig
	rcpt
	orcpt
	dsnStatus
	dsnDiag
	dsnMta
	srcMta
	dlvSourceIP
	dlvDestinationIP
	dlvSize
	dlvType
	vmta
	jobID
	envID
	messageID
	columns
)

var names = map[string]column{
	"type": kind, "timelogged": timeLogged, "timequeued": timeQueued, "orig": orig, "rcpt": rcpt, "orcpt": orcpt, "dsnstatus": dsnStatus,
	"dsndiag": dsnDiag, "dsnmta": dsnMta, "srcmta": srcMta, "dlvsourceip": dlvSourceIP, "dlvdestinationip": dlvDestinationIP,
	"dlvsize": dlvSize, "dlvtype": dlvType, "vmta": vmta, "jobid": jobID, "envid": envID, "header_message-id": messageID,
}

// Name is the dialect's name.
func (*Parser) Name() string { return "powermta" }

// State is the header row, and behind a newline the lines of an open record.
func (p *Parser) State() string {
	if len(p.open) == 0 {
		return p.header
	}
	return p.header + "\n" + string(p.open)
}

// SetState takes back what State gave.
func (p *Parser) SetState(state string) {
	header, open, _ := strings.Cut(state, "\n")
	if header != "" {
		p.setHeader([]byte(header))
	}
	p.open = append(p.open[:0], open...)
}

// Claims reports whether a text is a header row or a record: a type of one or two letters and a time.
func (p *Parser) Claims(program, text []byte) bool {
	if len(program) > 0 {
		return false
	}
	if len(p.open) > 0 {
		return true
	}
	if isHeader(text) {
		return true
	}
	i := bytes.IndexByte(text, ',')
	if i < 1 || i > 4 || len(text) < i+20 {
		return false
	}
	if !isType(bytes.Trim(text[:i], `"`)) {
		return false
	}
	_, ok := envelope.Time(bytes.TrimLeft(text[i+1:], `"`))
	return ok
}

func isHeader(text []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(text, `"`), []byte("type")) && bytes.Contains(text, []byte("timeLogged"))
}

func isType(b []byte) bool {
	switch string(b) {
	case "d", "b", "t", "tq", "r", "f", "rb", "rs":
		return true
	}
	return false
}

func (p *Parser) setHeader(row []byte) {
	p.header, p.columns = string(row), p.columns[:0]
	p.values = split(row, p.values[:0], nil)
	for _, v := range p.values[:min(len(p.values), maxColumns)] {
		p.columns = append(p.columns, names[strings.ToLower(string(bytes.TrimSpace(v)))])
	}
}

// Parse reads one row.
func (p *Parser) Parse(h *envelope.Header, text []byte, out *record.Result) {
	if isHeader(text) {
		if len(text) > 4096 || bytes.IndexByte(text, '\t') >= 0 {
			out.Class, out.Kind = record.Malformed, "powermta: header row too long"
			return
		}
		p.setHeader(text)
		out.Class, out.Kind = record.Context, "header row"
		return
	}
	if text = p.join(text); text == nil {
		out.Class, out.Kind = record.Context, "part of a record"
		return
	}
	if p.columns == nil {
		p.setHeader([]byte(usual))
		p.header = "" // it was not seen
	}
	p.values = split(text, p.values[:0], out)
	var v [columns][]byte
	for i, value := range p.values[:min(len(p.values), len(p.columns))] {
		if c := p.columns[i]; c != ignored {
			v[c] = value
		}
	}
	outcome := record.OtherOutcome
	switch string(v[kind]) {
	case "d":
		outcome = record.Delivered
	case "b":
		outcome = record.Bounced
	case "t":
		outcome = record.Deferred
	case "tq", "r", "f", "rb", "rs": // queue-wide failures, receptions, feedback reports, remote bounces
		out.Class, out.Kind = record.Other, "no delivery"
		return
	default:
		out.Class, out.Kind = record.Malformed, "powermta: unknown type"
		return
	}
	if len(v[rcpt]) == 0 {
		out.Class, out.Kind = record.Malformed, "powermta: no recipient"
		return
	}
	out.Class, out.Kind = record.Event, "delivery"
	r := out.Rows.Add()
	r.EventTime, r.TimeInferred, r.Host, r.PID = h.Time, h.Flags, h.Host, h.PID
	r.MTA, r.Parser, r.ParserVersion = "powermta", "powermta", Version
	r.EventType, r.Outcome, r.Status = record.Attempt, outcome, v[kind]
	if t, ok := envelope.Time(v[timeLogged]); ok {
		r.EventTime, r.TimeInferred = t, 0
		if queued, ok := envelope.Time(v[timeQueued]); ok && queued <= t {
			r.Delay = float32(t-queued) / 1000
		}
	}
	r.Instance, r.Service, r.Agent = v[vmta], v[dlvType], v[dlvType]
	r.Recipient, r.Sender, r.SenderKnown = v[rcpt], v[orig], v[orig] != nil
	r.OrigRecipient = bytes.TrimPrefix(v[orcpt], []byte("rfc822;"))
	if bytes.Equal(r.OrigRecipient, r.Recipient) {
		r.OrigRecipient = nil
	}
	r.QueueID = v[envID]
	if len(r.QueueID) == 0 {
		r.QueueID = v[jobID]
	}
	r.MessageID = bytes.Trim(v[messageID], "<>")
	r.Size = reply.Number(v[dlvSize])
	relay(r, v[dsnMta])
	if ip, ok := reply.IP(v[dlvDestinationIP]); ok {
		r.RelayIP = ip
	}
	r.LocalIP, _ = reply.IP(v[dlvSourceIP])
	if ip, ok := reply.IP(v[srcMta]); ok {
		r.ClientIP = ip
	} else if i := bytes.LastIndexByte(v[srcMta], '('); i >= 0 {
		r.ClientIP, _ = reply.IP(bytes.Trim(v[srcMta][i:], "()"))
	}
	status(r, v[dsnStatus], v[dsnDiag])
}

// maxOpen bounds the lines of one record.
const maxOpen = 16 << 10

// join puts the lines of a record together: a quoted value may hold line breaks (RFC 4180, section 2). It returns nil until the
// last one is there. The record belongs to its last line. One that does not end is read as far as it goes.
func (p *Parser) join(text []byte) []byte {
	if len(p.open) == 0 && bytes.Count(text, quote)%2 == 0 {
		return text
	}
	if len(p.open) > 0 {
		p.open = append(p.open, '\n')
	}
	p.open = append(p.open, text...)
	if bytes.Count(p.open, quote)%2 != 0 && len(p.open) < maxOpen {
		return nil
	}
	whole := p.open
	p.open = p.open[:0]
	return whole
}

var quote = []byte{'"'}

// relay reads "mx1.example.org (192.0.2.25)".
func relay(r *record.Row, v []byte) {
	r.Relay, r.RelayHost = v, v
	if i := bytes.Index(v, []byte(" (")); i >= 0 {
		r.RelayHost = v[:i]
		r.RelayIP, _ = reply.IP(bytes.TrimSuffix(v[i+2:], []byte(")")))
	}
}

// status reads dsnStatus, "5.1.1 (bad destination mailbox address)", and dsnDiag, "smtp;550 5.1.1 No such user".
func status(r *record.Row, status, diag []byte) {
	if i := bytes.IndexByte(status, ' '); i >= 0 {
		status = status[:i]
	}
	r.DSN = status
	r.ResponseText = diag
	remote, ok := bytes.CutPrefix(diag, []byte("smtp;"))
	if !ok {
		return
	}
	remote = bytes.TrimLeft(remote, " ")
	if r.SMTPCode, r.EnhancedCode = reply.Parse(remote, " "); r.SMTPCode != 0 {
		r.RemoteText = remote
	}
	if r.Outcome == record.Delivered {
		r.NextQueueID = reply.Queued(remote)
	}
}

// split cuts a row into its values (RFC 4180). Doubled quotes are undone in scratch space where there is some.
func split(row []byte, values [][]byte, out *record.Result) [][]byte {
	for len(values) < maxColumns {
		if len(row) == 0 || row[0] != '"' {
			n := bytes.IndexByte(row, ',')
			if n < 0 {
				return append(values, row)
			}
			values, row = append(values, row[:n]), row[n+1:]
			continue
		}
		end, doubled := 1, false
		for end < len(row) {
			if row[end] == '"' {
				if end+1 >= len(row) || row[end+1] != '"' {
					break
				}
				doubled = true
				end++
			}
			end++
		}
		end = min(end, len(row))
		v := row[1:end]
		if doubled && out != nil {
			b := out.Rows.Scratch(len(v))[:0]
			for i := 0; i < len(v); i++ {
				b = append(b, v[i])
				if v[i] == '"' {
					i++
				}
			}
			v = b
		}
		values = append(values, v)
		rest := row[end:]
		n := bytes.IndexByte(rest, ',')
		if n < 0 {
			return values
		}
		row = rest[n+1:]
	}
	return values
}
