package postfix

import (
	"bytes"
	"strconv"
	"unsafe"

	"bounceline/parsers/envelope"
	"bounceline/parsers/reply"
	"bounceline/pipeline/record"
)

// delivery reads "to=<...>, [orig_to=<...>, ]relay=..., [conn_use=n, ]delay=n, delays=a/b/c/d, [tls=..., ]dsn=x.y.z,
// status=word (text)" (log_adhoc.c). Fields are read from the left and reading stops at status=: the text behind it is the
// far side's. Unknown keys are passed over.
func delivery(h *envelope.Header, id, line []byte, out *record.Result) {
	recipient, rest, ok := address(line[len(to):])
	if !ok {
		malformed(out, "postfix: to= without >")
		return
	}
	r := begin(h, id, out)
	r.Recipient = recipient
	for {
		if len(rest) < 3 || rest[0] != ',' || rest[1] != ' ' {
			malformed(out, "postfix: delivery without status=")
			return
		}
		rest = rest[2:]
		eq := bytes.IndexByte(rest, '=')
		if eq <= 0 || eq > 24 {
			malformed(out, "postfix: delivery without status=")
			return
		}
		key := rest[:eq]
		rest = rest[eq+1:]
		if string(key) == "status" {
			status(r, rest)
			out.Class, out.Kind = record.Event, "delivery"
			return
		}
		if string(key) == "orig_to" && len(rest) > 0 && rest[0] == '<' {
			if r.OrigRecipient, rest, ok = address(rest[1:]); !ok {
				malformed(out, "postfix: orig_to= without >")
				return
			}
			continue
		}
		end := bytes.Index(rest, comma)
		if end < 0 {
			malformed(out, "postfix: delivery without status=")
			return
		}
		field(r, key, rest[:end])
		rest = rest[end:]
	}
}

func malformed(out *record.Result, why string) {
	out.Rows.Reset()
	out.Class, out.Kind = record.Malformed, why
}

// field takes one key=value in.
func field(r *record.Row, key, v []byte) {
	switch string(key) {
	case "relay":
		relay(r, v)
	case "delay":
		r.Delay = seconds(v)
	case "delays":
		for _, part := range [4]*float32{&r.DelayBeforeQmgr, &r.DelayInQmgr, &r.DelayConnection, &r.DelayTransmit} {
			n := bytes.IndexByte(v, '/')
			if n < 0 {
				n = len(v)
			}
			*part = seconds(v[:n])
			if n == len(v) {
				break
			}
			v = v[n+1:]
		}
	case "dsn":
		r.DSN = v
	case "conn_use":
		r.ConnUse = uint16(min(value(v), 65535))
	case "tls":
		r.TLS = v
	}
}

// relay reads "host[ip]:port", "host[path]", "none", "local", or a service's name.
func relay(r *record.Row, v []byte) {
	r.Relay = v
	open := bytes.IndexByte(v, '[')
	if open < 0 {
		return
	}
	r.RelayHost = v[:open]
	rest := v[open+1:]
	end := bytes.IndexByte(rest, ']')
	if end < 0 {
		return
	}
	r.RelayIP, _ = reply.IP(rest[:end])
	if open == 0 { // an address literal
		r.RelayHost = rest[:end]
	}
	if rest = rest[end+1:]; len(rest) > 1 && rest[0] == ':' {
		r.RelayPort = uint16(min(value(rest[1:]), 65535))
	}
}

// status reads "word (text)". The text runs to the last closing parenthesis of the line.
func status(r *record.Row, rest []byte) {
	n := bytes.IndexByte(rest, ' ')
	if n < 0 {
		r.Status, r.Truncated = rest, true
		n = len(rest)
	}
	r.Status = rest[:n]
	if rest = rest[n:]; len(rest) > 1 && rest[1] == '(' {
		rest = rest[2:]
		if end := bytes.LastIndexByte(rest, ')'); end >= 0 {
			r.ResponseText = rest[:end]
			// A text that was cut may hold other parentheses: they then do not end it.
			r.Truncated = len(rest)-end > 16
		} else {
			r.Truncated = true
		}
		if r.Truncated {
			r.ResponseText = rest
		}
	} else {
		r.Truncated = true
	}
	reason(r)
	outcome(r)
}

var (
	suspended    = []byte("delivery temporarily suspended: ")
	unavailable  = []byte("mail transport unavailable")
	forwardedAs  = []byte("forwarded as ")
	said         = []byte(" said: ")
	refused      = []byte(" refused to talk to me: ")
	inReply      = []byte(" (in reply to ")
	refusedTLS   = []byte(" refused to start TLS: ")
	hostWord     = []byte("host ")
	lostWith     = []byte("lost connection with ")
	timedOutWith = []byte("conversation with ")
	connectTo    = []byte("connect to ")
)

// outcome decides what the row is.
func outcome(r *record.Row) {
	r.EventType = record.Attempt
	switch string(r.Status) {
	case "sent":
		r.Outcome = record.Delivered
		if string(r.Agent) == "discard" {
			r.EventType, r.Outcome = record.Discard, record.OtherOutcome
		}
	case "deferred":
		r.Outcome = record.Deferred
		if bytes.HasPrefix(r.ResponseText, suspended) || bytes.HasPrefix(r.ResponseText, unavailable) {
			r.EventType = record.Suspended
		}
	case "SOFTBOUNCE":
		r.Outcome = record.Deferred
	case "bounced":
		r.Outcome = record.Bounced
	case "deliverable", "undeliverable", "undeliverable-but-not-cached":
		r.EventType, r.Outcome = record.Probe, record.OtherOutcome
	default:
		r.Outcome = record.OtherOutcome
	}
	// Content filters take mail on the loopback address at a port of their own and hand it back to be logged again.
	if r.RelayPort != 0 && r.RelayPort != 25 && r.RelayPort != 465 && r.RelayPort != 587 && reply.Loopback(r.RelayIP) && string(r.Agent) != "lmtp" {
		r.InternalHop = true
	}
	if string(r.Agent) == "local" && bytes.HasPrefix(r.ResponseText, forwardedAs) {
		r.InternalHop = true
		r.NextQueueID = r.ResponseText[len(forwardedAs):]
	}
}

// reason splits the text into what the far side said, to which command, and from which host.
func reason(r *record.Row) {
	t := bytes.TrimPrefix(r.ResponseText, suspended)
	switch {
	case reply.Code(t) != 0 && (r.Relay == nil || !local(r)):
		r.RemoteText = t
		r.NextQueueID = reply.Queued(t)
		r.SMTPCommand = record.CmdEndOfData
	case bytes.HasPrefix(t, hostWord):
		if i := bytes.Index(t, said); i >= 0 && i < 400 {
			r.RemoteText = t[i+len(said):]
			if j := bytes.LastIndex(r.RemoteText, inReply); j >= 0 {
				r.SMTPCommand = reply.Command(r.RemoteText[j+len(inReply):])
				r.RemoteText = r.RemoteText[:j]
			}
		} else if i := bytes.Index(t, refused); i >= 0 && i < 400 {
			r.RemoteText, r.SMTPCommand = t[i+len(refused):], record.CmdConnect
		}
	case bytes.Contains(t, refusedTLS):
		r.RemoteText, r.SMTPCommand = t[bytes.Index(t, refusedTLS)+len(refusedTLS):], record.CmdSTARTTLS
	case bytes.HasPrefix(t, saslFailed):
		if i := bytes.Index(t, said); i >= 0 {
			r.RemoteText = t[i+len(said):]
		}
		r.SMTPCommand = record.CmdAUTH
	case bytes.HasPrefix(t, connectTo):
		r.SMTPCommand = record.CmdConnect
	case bytes.HasPrefix(t, lostWith), bytes.HasPrefix(t, timedOutWith):
		r.SMTPCommand = stage(t)
	}
	if r.RemoteText == nil {
		return
	}
	r.SMTPCode, r.EnhancedCode = reply.Parse(r.RemoteText, " ")
	if r.SMTPCode == 0 { // garbage instead of a reply
		if c := reply.Code(bytes.TrimLeft(r.RemoteText, " ")); c != 0 {
			r.SMTPCode = c
		}
	}
}

var saslFailed = []byte("SASL authentication failed")

// local reports whether the text comes from our own delivery agent and not from a remote host.
func local(r *record.Row) bool {
	switch string(r.Agent) {
	case "local", "virtual", "pipe", "discard", "error", "retry":
		return true
	}
	return r.RelayHost == nil
}

// stage is the command during which a connection was lost or timed out, from "... while <stage>".
func stage(t []byte) string {
	i := bytes.LastIndex(t, []byte(" while "))
	if i < 0 {
		return ""
	}
	t = t[i+len(" while "):]
	switch {
	case bytes.HasPrefix(t, []byte("receiving the initial")):
		return record.CmdConnect
	case bytes.HasPrefix(t, []byte("performing the EHLO")):
		return record.CmdEHLO
	case bytes.HasPrefix(t, []byte("performing the HELO")):
		return record.CmdHELO
	case bytes.HasPrefix(t, []byte("performing the LHLO")):
		return record.CmdLHLO
	case bytes.HasPrefix(t, []byte("sending MAIL")):
		return record.CmdMAIL
	case bytes.HasPrefix(t, []byte("sending RCPT")):
		return record.CmdRCPT
	case bytes.HasPrefix(t, []byte("sending DATA")):
		return record.CmdDATA
	case bytes.HasPrefix(t, []byte("sending message body")), bytes.HasPrefix(t, []byte("sending end of data")):
		return record.CmdEndOfData
	}
	return ""
}

// address reads an address up to its closing angle bracket, which a quoted local part may hold, too. It returns what
// follows the bracket.
func address(b []byte) (addr, rest []byte, ok bool) {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			if quoted {
				i++
			}
		case '"':
			quoted = !quoted
		case '>':
			if !quoted {
				return b[:i], b[i+1:], true
			}
		}
	}
	if i := bytes.IndexByte(b, '>'); i >= 0 { // a lone quote
		return b[:i], b[i+1:], true
	}
	return nil, nil, false
}

// bracketed finds the address in "name[ip]".
func bracketed(b []byte) (record.Addr, bool) {
	i := bytes.IndexByte(b, '[')
	if i < 0 {
		return record.Addr{}, false
	}
	j := bytes.IndexByte(b[i:], ']')
	if j < 0 {
		return record.Addr{}, false
	}
	return reply.IP(b[i+1 : i+j])
}

func number(b []byte) (digits, rest []byte) {
	n := 0
	for n < len(b) && '0' <= b[n] && b[n] <= '9' {
		n++
	}
	return b[:n], b[n:]
}

// value reads a decimal number; what is none is 0, what is too large is the largest.
func value(b []byte) uint64 {
	n, err := strconv.ParseUint(unsafe.String(unsafe.SliceData(b), len(b)), 10, 63)
	if err != nil && n == 0 {
		return 0
	}
	return n
}

// seconds reads a delay such as "0", "0.11" or "2.4"; what is none is unknown.
func seconds(b []byte) float32 {
	whole, scale, point := 0.0, 1.0, false
	for _, c := range b {
		switch {
		case c == '.' && !point:
			point = true
		case '0' <= c && c <= '9':
			if point {
				scale /= 10
				whole += float64(c-'0') * scale
			} else {
				whole = whole*10 + float64(c-'0')
			}
		default:
			return record.Unknown
		}
	}
	if len(b) == 0 {
		return record.Unknown
	}
	return float32(whole)
}
