// Package opensmtpd reads OpenSMTPD's log lines: those of today, "mta delivery evpid=...", those with "event=" of releases
// 5.9 to 6.3, and the older "relay: Ok for ...". A line names sender, recipient and result together.
package opensmtpd

import (
	"bytes"

	"bounceline/parsers/envelope"
	"bounceline/parsers/reply"
	"bounceline/pipeline/record"
)

// Version changes when a line may give another row than before.
const Version = "1"

// Parser reads one line at a time and keeps nothing. The zero value is ready.
type Parser struct{}

// Name is the dialect's name.
func (Parser) Name() string { return "opensmtpd" }

// Claims reports whether a text has the form of OpenSMTPD's lines. The program, smtpd, is also that of a Postfix daemon.
func (Parser) Claims(program, text []byte) bool {
	if len(program) > 0 && string(program) != "smtpd" && string(program) != "opensmtpd" {
		return false
	}
	agent, _ := split(text)
	return agent != ""
}

var mta, mda = []byte("mta"), []byte("mda")

// split finds which agent wrote the line, and what follows its name: "SESSION mta delivery evpid=...", "SESSION mta
// event=delivery evpid=...", "relay: Ok for EVPID: ...".
func split(text []byte) (agent string, rest []byte) {
	for _, old := range [2]struct{ prefix, agent string }{{"relay: ", "mta"}, {"delivery: ", "mda"}} {
		if len(text) > len(old.prefix) && string(text[:len(old.prefix)]) == old.prefix {
			rest = text[len(old.prefix):]
			if i := bytes.Index(rest, []byte(" for ")); i > 0 && i < 12 {
				return old.agent, rest
			}
			return "", nil
		}
	}
	n := 0
	for n < len(text) && (digit(text[n]) || 'a' <= text[n] && text[n] <= 'f') {
		n++
	}
	if n != 16 && n != 8 || n+5 > len(text) || text[n] != ' ' {
		return "", nil
	}
	rest = text[n+1:]
	switch string(rest[:4]) {
	case "mta ":
		return "mta", rest[4:]
	case "mda ":
		return "mda", rest[4:]
	case "smtp":
		return "smtp", bytes.TrimLeft(rest[4:], " ")
	}
	return "", nil
}

// Parse reads the text of one line.
func (Parser) Parse(h *envelope.Header, text []byte, out *record.Result) {
	agent, rest := split(text)
	switch agent {
	case "":
		out.Class, out.Kind = record.Other, "no session"
		return
	case "smtp":
		out.Class, out.Kind = record.Other, "smtp session"
		return
	}
	var status []byte
	if i := bytes.Index(rest, []byte(" for ")); i > 0 && i < 12 && bytes.IndexByte(rest[:i], '=') < 0 { // the old form
		status = rest[:i]
		rest = rest[i+len(" for "):]
	} else if rest = bytes.TrimPrefix(rest, []byte("event=")); bytes.HasPrefix(rest, []byte("delivery ")) {
		rest = rest[len("delivery "):]
	} else {
		out.Class, out.Kind = record.Other, "session note"
		return
	}
	r := out.Rows.Add()
	r.EventTime, r.TimeInferred, r.Host, r.PID = h.Time, h.Flags, h.Host, h.PID
	r.MTA, r.Parser, r.ParserVersion, r.Instance = "opensmtpd", "opensmtpd", Version, h.Program
	r.EventType = record.Attempt
	r.Service, r.Agent = mta, mta
	if agent == "mda" {
		r.Service, r.Agent = mda, mda
	}
	if status != nil {
		if i := bytes.IndexByte(rest, ':'); i >= 0 {
			r.QueueID, rest = rest[:i], rest[i+1:]
		}
	}
	stat := fields(r, rest, &status)
	r.Status, r.ResponseText = status, stat
	switch string(status) {
	case "Ok":
		r.Outcome = record.Delivered
	case "TempFail":
		r.Outcome = record.Deferred
	case "PermFail":
		r.Outcome = record.Bounced
	case "Expired":
		r.EventType, r.Outcome = record.Expiration, record.Expired
	case "Loop":
		r.Outcome = record.Bounced
	default:
		out.Rows.Reset()
		out.Class, out.Kind = record.Malformed, "opensmtpd: unknown result"
		return
	}
	if len(r.Recipient) == 0 {
		out.Rows.Reset()
		out.Class, out.Kind = record.Malformed, "opensmtpd: no recipient"
		return
	}
	out.Class, out.Kind = record.Event, "delivery"
	if r.SMTPCode, r.EnhancedCode = reply.Parse(stat, " "); r.SMTPCode != 0 {
		r.RemoteText = stat
		if r.Outcome == record.Delivered {
			r.NextQueueID, r.SMTPCommand = reply.Queued(stat), record.CmdEndOfData
		}
	}
}

// fields reads "key=value" pairs, with blanks or commas between; stat= is the last and takes the rest.
func fields(r *record.Row, b []byte, status *[]byte) (stat []byte) {
	for {
		b = bytes.TrimLeft(b, " ,")
		eq := bytes.IndexByte(b, '=')
		if eq <= 0 || eq > 16 {
			return nil
		}
		key := b[:eq]
		b = b[eq+1:]
		if string(key) == "stat" {
			return bytes.Trim(b, `"`)
		}
		var v []byte
		v, b = value(b)
		switch string(key) {
		case "evpid":
			r.QueueID = v
		case "from":
			r.Sender, r.SenderKnown = v, true
		case "to":
			r.Recipient = v
		case "rcpt":
			if string(v) != "-" && !bytes.Equal(v, r.Recipient) {
				r.OrigRecipient = v
			}
		case "source":
			r.LocalIP, _ = reply.IP(v)
		case "relay":
			relay(r, v)
		case "delay":
			r.Delay = reply.Duration(v)
		case "result":
			*status = v
		}
	}
}

// value reads "quoted", <bracketed>, or a word up to a blank or comma. An old relay= is followed by a name in parentheses.
func value(b []byte) (v, rest []byte) {
	if len(b) > 0 && (b[0] == '"' || b[0] == '<') {
		end := byte('"')
		if b[0] == '<' {
			end = '>'
		}
		if i := bytes.IndexByte(b[1:], end); i >= 0 {
			return b[1 : i+1], b[i+2:]
		}
		return b[1:], nil
	}
	n := bytes.IndexAny(b, " ,")
	if n < 0 {
		return b, nil
	}
	if b[n] == ' ' && n+1 < len(b) && b[n+1] == '(' {
		if i := bytes.IndexByte(b[n:], ')'); i >= 0 {
			n += i + 1
		}
	}
	return b[:n], b[n:]
}

// relay reads "192.0.2.25 (mx1.example.org)".
func relay(r *record.Row, v []byte) {
	r.Relay = v
	ip, name, ok := bytes.Cut(v, []byte(" ("))
	r.RelayIP, _ = reply.IP(bytes.Trim(ip, "[]"))
	if ok {
		r.RelayHost = bytes.TrimSuffix(name, []byte(")"))
	}
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
