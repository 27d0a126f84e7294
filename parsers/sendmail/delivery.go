package sendmail

import (
	"bytes"

	"bounceline/parsers/envelope"
	"bounceline/parsers/reply"
	"bounceline/pipeline/record"
)

// maxRecipients bounds the rows of one line; sendmail cuts its lists at about 1,000 bytes.
const maxRecipients = 1000

// delivery reads "to=<a>,<b>, ctladdr=<c> (1/1), delay=00:00:05, xdelay=00:00:04, mailer=esmtp, pri=1, relay=mx. [ip],
// dsn=2.0.0, stat=Sent (text)": one row for each recipient. Reading stops at stat=: what follows is the far side's.
func delivery(h *envelope.Header, id, rest []byte, out *record.Result) {
	first := true
	for out.Rows.Len() < maxRecipients {
		var addr []byte
		addr, rest = address(rest)
		r := out.Rows.Add()
		r.Number = uint64(out.Rows.Len() - 1)
		r.Recipient = addr
		if first = len(rest) > 1 && rest[0] == ',' && rest[1] != ' '; !first {
			break
		}
		rest = rest[1:]
	}
	var common record.Row
	common.DelayTransmit, common.Delay = record.Unknown, record.Unknown
	var said []byte
	for {
		if text, ok := bytes.CutPrefix(rest, stat); ok {
			common.ResponseText = text
			break
		}
		key, value, next, ok := field(rest)
		if !ok { // a value with a comma and a blank
			i := bytes.Index(rest, stat)
			if i < 0 {
				out.Rows.Reset()
				out.Class, out.Kind = record.Malformed, "sendmail: delivery without stat="
				return
			}
			rest = rest[i:]
			continue
		}
		switch string(key) {
		case "delay":
			common.Delay = duration(value)
		case "xdelay":
			common.DelayTransmit = duration(value)
		case "mailer":
			common.Service = value
		case "relay":
			common.Relay = value
			common.RelayHost, common.RelayIP = host(value)
		case "dsn":
			common.DSN = value
		case "tls_verify":
			common.TLS = value
		case "reply": // since 8.16; the far side's words end before stat=
			if i := bytes.Index(next, stat); i > 0 {
				value, next = rest[len(rest)-len(next)-len(value):len(rest)-len(next)+i], next[i:]
			}
			said = value
		}
		rest = next
	}
	if !outcome(&common) {
		out.Rows.Reset()
		out.Class, out.Kind = record.Other, "queued"
		return
	}
	if common.SMTPCode == 0 && reply.Code(said) != 0 {
		remote(&common, said)
	}
	out.Class, out.Kind = record.Event, "delivery"
	rows := out.Rows.All()
	for i := range rows {
		r := &rows[i]
		r.EventTime, r.TimeInferred, r.Host, r.PID, r.QueueID = h.Time, h.Flags, h.Host, h.PID, id
		r.MTA, r.Parser, r.ParserVersion, r.Instance = "sendmail", "sendmail", Version, h.Program
		r.Delay, r.DelayTransmit, r.DSN, r.TLS = common.Delay, common.DelayTransmit, common.DSN, common.TLS
		r.Service, r.Agent = common.Service, common.Service
		r.Relay, r.RelayHost, r.RelayIP = common.Relay, common.RelayHost, common.RelayIP
		r.EventType, r.Outcome, r.Status = common.EventType, common.Outcome, common.Status
		r.ResponseText, r.RemoteText = common.ResponseText, common.RemoteText
		r.SMTPCode, r.EnhancedCode, r.NextQueueID = common.SMTPCode, common.EnhancedCode, common.NextQueueID
		r.SMTPCommand = common.SMTPCommand
	}
}

// outcome decides by the words of stat= and the class of dsn= what the rows are. It reports false where the message was only
// put into the queue.
func outcome(r *record.Row) bool {
	t := r.ResponseText
	r.EventType = record.Attempt
	switch {
	case bytes.HasPrefix(t, []byte("queued")):
		return false
	case bytes.HasPrefix(t, []byte("Sent")):
		r.Status, r.Outcome = t[:4], record.Delivered
		if t = bytes.TrimLeft(t[4:], " "); len(t) > 1 && t[0] == '(' {
			t = t[1:]
			if end := bytes.LastIndexByte(t, ')'); end >= 0 {
				t = t[:end]
			} else {
				r.Truncated = true
			}
			r.NextQueueID = reply.Queued(t)
			if i := bytes.Index(t, []byte(" Message accepted for delivery")); r.NextQueueID == nil && i > 6 && bytes.IndexByte(t[:i], ' ') < 0 {
				r.NextQueueID = t[:i]
			}
			if code := reply.Code(t); code != 0 || len(r.RelayHost) > 0 && r.RelayIP != (record.Addr{}) {
				remote(r, t)
			}
		}
		return true
	case bytes.HasPrefix(t, []byte("Deferred")):
		r.Status, r.Outcome = t[:8], record.Deferred
		remote(r, bytes.TrimLeft(t[8:], ": "))
		return true
	}
	r.Status = t
	if i := bytes.IndexByte(t, ':'); i >= 0 {
		r.Status = t[:i]
	}
	if len(r.Status) > 40 {
		r.Status = r.Status[:40]
	}
	r.Outcome = record.Bounced
	if len(r.DSN) > 0 {
		switch r.DSN[0] {
		case '4':
			r.Outcome = record.Deferred
		case '2':
			r.Outcome = record.Delivered
		}
	}
	if bytes.Contains(t, []byte("ould not be delivered for")) || bytes.Contains(t, []byte("annot send message for")) {
		r.EventType, r.Outcome = record.Expiration, record.Expired
	}
	if reply.Code(t) != 0 {
		remote(r, t)
	} else if i := bytes.Index(t, []byte(": ")); i >= 0 && reply.Code(t[i+2:]) != 0 {
		remote(r, t[i+2:])
	}
	return true
}

// remote takes in what the far side said, where it begins with a reply code, and the enhanced code that may stand alone.
func remote(r *record.Row, t []byte) {
	if r.SMTPCode, r.EnhancedCode = reply.Parse(t, " "); r.SMTPCode != 0 {
		r.RemoteText = t
		return
	}
	if r.Outcome == record.Delivered { // the code of an acceptance is not logged
		r.RemoteText = t
		r.EnhancedCode = reply.Enhanced(t)
	}
}

// duration reads "00:00:05" and "2+00:00:05", days before the plus sign.
func duration(v []byte) float32 {
	total, n, parts := 0, 0, 0
	for _, c := range v {
		switch {
		case '0' <= c && c <= '9':
			if n = n*10 + int(c-'0'); n > 1e6 {
				return record.Unknown
			}
		case c == '+':
			total, n = n*24, 0
		case c == ':':
			total, n = (total+n)*60, 0
			parts++
		default:
			return record.Unknown
		}
	}
	if parts != 2 {
		return record.Unknown
	}
	return float32(total + n)
}
