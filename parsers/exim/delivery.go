package exim

import (
	"bytes"

	"bounceline/parsers/envelope"
	"bounceline/parsers/reply"
	"bounceline/pipeline/record"
)

// delivery reads what follows a delivery flag: address part, fields, and for == and ** the reason.
func delivery(h *envelope.Header, id, flag, body []byte, out *record.Result) {
	if bytes.HasPrefix(body, noMessage) || bytes.Equal(body, byACL) || bytes.Equal(body, byFilter) {
		out.Class, out.Kind = record.Other, "no recipient"
		return
	}
	n := addressEnd(body)
	if n == 0 {
		out.Class, out.Kind = record.Malformed, "exim: delivery without address"
		return
	}
	if i := bytes.IndexByte(body[:n], '&'); i >= 0 && bytes.HasPrefix(body[i:], []byte("&lt;")) {
		out.Class, out.Kind = record.Malformed, "exim: HTML entities"
		return
	}
	r := out.Rows.Add()
	out.Class, out.Kind = record.Event, "delivery"
	r.EventTime, r.TimeInferred, r.Host, r.PID = h.Time, h.Flags, h.Host, h.PID
	r.MTA, r.Parser, r.ParserVersion = "exim", "exim", Version
	r.Instance = h.Program
	r.QueueID, r.Status = id, flag
	final := recipient(r, body[:n])
	s := scanner{rest: body[n:]}
	for s.next() {
		field(r, &s, out)
	}
	rest := bytes.TrimLeft(s.rest, " ")
	switch string(flag) {
	case "==":
		deferral(r, rest)
	case "**":
		failure(r, rest)
	}
	outcome(r, final)
}

var (
	noMessage = []byte("mua_wrapper is set")                        // begins a ** line about how Exim was called
	byACL     = []byte("blackhole (RCPT ACL discarded recipients)") // all recipients of a message are gone, and none is named
	byFilter  = []byte("discarded (system filter)")
)

// recipient reads "final (parents) <original>" and returns the final form.
func recipient(r *record.Row, part []byte) []byte {
	final := part
	var original []byte
	if n := len(part); n > 0 && part[n-1] == '>' {
		if i := bytes.Index(part, []byte(" <")); i >= 0 {
			final, original = part[:i], part[i+2:n-1]
			if i > 2 && final[0] == '<' && final[i-1] == '>' { // a word in brackets that stands for an address
				r.Recipient, r.OrigRecipient = final[1:i-1], original
				return final[1 : i-1]
			}
		} else if part[0] == '<' {
			final = part[1 : n-1]
		}
	}
	if n := len(final); n > 0 && final[n-1] == ')' {
		if i := bytes.LastIndex(final, []byte(" (")); i > 0 {
			final = final[:i]
		}
	}
	if isAddress(final) || len(original) == 0 {
		r.Recipient, r.OrigRecipient = final, original
	} else {
		r.Recipient = original
	}
	return final
}

// isAddress tells an address from a file, a pipe, a reply, a bare local part and the words for what was dropped.
func isAddress(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	switch b[0] {
	case '/', '|', '>', ':':
		return false
	}
	if b[0] != '"' && bytes.IndexByte(b, ' ') >= 0 { // Exim logs the final form unquoted: "john doe"@d becomes john doe@d
		return false
	}
	return bytes.IndexByte(b, '@') > 0
}

// field takes one field in (Exim Specification, 53.15 "Reducing or increasing what is logged").
func field(r *record.Row, s *scanner, out *record.Result) {
	switch string(s.key) {
	case "F":
		r.Sender, r.SenderKnown = s.value, true
	case "R":
		r.Router = s.value
	case "T":
		r.Service, r.Agent = s.value, s.value
	case "S":
		r.Size = reply.Number(s.value)
	case "H":
		r.Relay, r.RelayHost, r.RelayIP, r.RelayPort = bytes.TrimSuffix(s.value, []byte("*")), s.host.name, s.host.ip, s.host.port
		if s.host.reused {
			r.ConnUse = 2
		}
	case "I":
		v := s.value
		if len(v) > 1 && v[0] == '[' {
			if end := bytes.IndexByte(v, ']'); end > 0 {
				r.LocalIP, _ = reply.IP(v[1:end])
			}
		}
	case "X":
		r.TLS = s.value
	case "C":
		r.ResponseText = unescape(s.value, out)
		r.Truncated = s.cut || len(s.value) >= maxReply
		r.RemoteText = r.ResponseText
		r.SMTPCode, r.EnhancedCode = reply.Parse(r.ResponseText, `\n`)
		if r.SMTPCode != 0 {
			r.SMTPCommand = record.CmdEndOfData
		}
		r.NextQueueID = reply.Queued(r.ResponseText)
	case "QT":
		r.Delay = reply.Duration(s.value)
	case "DT":
		r.DelayTransmit = reply.Duration(s.value)
	}
}

// unescape takes the backslashes off \" and \\ into scratch space, where there are any.
func unescape(v []byte, out *record.Result) []byte {
	if bytes.IndexByte(v, '\\') < 0 {
		return v
	}
	buf := out.Rows.Scratch(len(v))[:0]
	for i := 0; i < len(v); i++ {
		if v[i] == '\\' && i+1 < len(v) && (v[i+1] == '"' || v[i+1] == '\\') {
			i++
		}
		buf = append(buf, v[i])
	}
	return buf
}

// maxReply is where Exim 4.96 cuts the texts of replies and errors, without a mark.
const maxReply = 1024

// deferral reads "[routing ]defer (n)[: strerror][ H=host [ip]][ DT=...][: message]".
func deferral(r *record.Row, rest []byte) {
	rest = bytes.TrimPrefix(rest, []byte("routing "))
	rest, ok := bytes.CutPrefix(rest, []byte("defer ("))
	if !ok {
		reason(r, bytes.TrimPrefix(bytes.TrimPrefix(rest, []byte(": ")), []byte(": ")))
		return
	}
	end := bytes.IndexByte(rest, ')')
	if end < 0 {
		r.Truncated = true
		return
	}
	r.Errno = errno(rest[:end])
	rest = rest[end+1:]
	if h := bytes.Index(rest, []byte(" H=")); h >= 0 && (len(rest) < 2 || rest[0] != ':' || hostFollows(rest[h+3:])) {
		s := scanner{rest: rest[h:]}
		for s.next() {
			if string(s.key) == "H" {
				r.Relay, r.RelayHost, r.RelayIP, r.RelayPort = bytes.TrimSuffix(s.value, []byte("*")), s.host.name, s.host.ip, s.host.port
			} else if string(s.key) == "DT" {
				r.DelayTransmit = reply.Duration(s.value)
			}
		}
		message := bytes.TrimLeft(s.rest, " ")
		if m, ok := bytes.CutPrefix(message, []byte(":")); ok && len(bytes.TrimSpace(m)) > 0 {
			reason(r, bytes.TrimLeft(m, " "))
			return
		}
		rest = rest[:h]
	}
	reason(r, bytes.TrimPrefix(bytes.TrimLeft(deliveryTime(r, rest), " "), []byte(": ")))
}

// deliveryTime takes DT= from before a deferral's message and returns the message, as it stands behind H=: without what came
// before it. Text that has no such field is returned as it is.
func deliveryTime(r *record.Row, rest []byte) []byte {
	i := bytes.Index(rest, appended)
	if i < 0 {
		return rest
	}
	value, message, ok := bytes.Cut(rest[i+len(appended):], []byte(": "))
	if d := reply.Duration(value); ok && d == d {
		r.DelayTransmit = d
		return message
	}
	return rest
}

// hostFollows reports whether what follows H= is a host and an address, and not a word of the message.
func hostFollows(b []byte) bool {
	i := bytes.IndexByte(b, '[')
	return i >= 0 && i < 260 && bytes.IndexByte(b[i:], ']') > 0
}

func errno(b []byte) int32 {
	n := int32(reply.Number(bytes.TrimPrefix(b, []byte("-"))))
	if len(b) > 0 && b[0] == '-' {
		return -n
	}
	return n
}

// failure reads what follows the fields of a ** line: ": text", " : text", or a text at once.
func failure(r *record.Row, rest []byte) {
	rest = bytes.TrimPrefix(rest, []byte(": "))
	rest = bytes.TrimPrefix(rest, []byte(":"))
	reason(r, bytes.TrimLeft(rest, " "))
}

var (
	remoteError = []byte("SMTP error from remote mail")
	lmtpError   = []byte("LMTP error after ")
	prdrError   = []byte("PRDR error after ")
	appended    = []byte(" DT=")
)

// reason splits the text into what the far side said and to which command.
func reason(r *record.Row, t []byte) {
	if i := bytes.LastIndex(t, appended); i >= 0 && bytes.IndexByte(t[i+1:], ' ') < 0 {
		if d := reply.Duration(t[i+len(appended):]); d == d {
			r.DelayTransmit, t = d, t[:i]
		}
	}
	if i := bytes.LastIndex(t, []byte(" QT=")); i >= 0 && bytes.IndexByte(t[i+1:], ' ') < 0 {
		if d := reply.Duration(t[i+4:]); d == d {
			r.Delay, t = d, t[:i]
		}
	}
	r.ResponseText = t
	r.Truncated = r.Truncated || len(t) == maxReply
	r.SMTPCommand = stage(t)
	if !bytes.HasPrefix(t, remoteError) && !bytes.HasPrefix(t, lmtpError) && !bytes.HasPrefix(t, prdrError) {
		return
	}
	for at := 0; ; {
		i := bytes.Index(t[at:], []byte(": "))
		if i < 0 {
			return
		}
		at += i + 2
		if reply.Code(t[at:]) == 0 {
			continue
		}
		r.RemoteText = t[at:]
		r.SMTPCode, r.EnhancedCode = reply.Parse(r.RemoteText, `\n`)
		if r.Relay == nil {
			hostInText(r, t[:at-2])
		}
		return
	}
}

// hostInText reads the "host mx1.example.org [192.0.2.25]" that ends what stands before a reply: where releases before 4.85
// name the host.
func hostInText(r *record.Row, t []byte) {
	i := bytes.LastIndex(t, []byte(": host "))
	if i < 0 {
		return
	}
	h := t[i+len(": host "):]
	open := bytes.LastIndex(h, []byte(" ["))
	if open < 0 || h[len(h)-1] != ']' {
		return
	}
	ip, ok := reply.IP(h[open+2 : len(h)-1])
	if ok {
		r.Relay, r.RelayHost, r.RelayIP = h, h[:open], ip
	}
}

// stage is the command that a text names behind "after " or "in response to ".
func stage(t []byte) string {
	i := bytes.Index(t, []byte(" after "))
	if i >= 0 {
		t = t[i+len(" after "):]
	} else if i = bytes.Index(t, []byte("in response to ")); i >= 0 {
		t = t[i+len("in response to "):]
	} else {
		return ""
	}
	return reply.Command(bytes.TrimPrefix(t, []byte("pipelined ")))
}

// skips are the texts of == lines at which nothing was tried (deliver.c, transports/smtp.c, retry.c).
var skips = [][]byte{[]byte("retry time not reached"), []byte("Retry time not yet reached"), []byte("domain is held"), []byte("domain is in queue_domains"),
	[]byte("domain matches queue_smtp_domains"), []byte("first-pass only routing"), []byte("SMTP delivery explicitly queued"), []byte("concurrency limit reached"),
	[]byte("reusing SMTP connection skips")}

// expiries are the texts of ** lines that end a recipient's time in the queue.
var expiries = [][]byte{[]byte("retry timeout exceeded"), []byte("have been failing for a long time")}

// outcome decides what the row is.
func outcome(r *record.Row, final []byte) {
	r.EventType = record.Attempt
	switch string(r.Status) {
	case "=>", "->", ">>":
		r.Outcome = record.Delivered
		switch {
		case len(final) > 0 && final[0] == '>':
			r.EventType, r.Outcome = record.Autoreply, record.OtherOutcome
		case bytes.HasPrefix(final, blackhole), bytes.HasPrefix(final, []byte("discarded")), bytes.HasPrefix(final, []byte("blackhole")), string(final) == "/dev/null":
			r.EventType, r.Outcome = record.Discard, record.OtherOutcome
		}
		if p := r.RelayPort; p != 0 && p != 25 && p != 465 && p != 587 && reply.Loopback(r.RelayIP) {
			r.InternalHop = true
		}
	case "*>":
		r.EventType, r.Outcome = record.Suppressed, record.OtherOutcome
	case "==":
		r.Outcome = record.Deferred
		for _, s := range skips {
			if bytes.Contains(r.ResponseText, s) && r.RemoteText == nil {
				r.EventType = record.Suspended
			}
		}
	case "**":
		r.Outcome = record.Bounced
		for _, e := range expiries {
			if bytes.Contains(r.ResponseText, e) && r.RemoteText == nil {
				r.EventType, r.Outcome = record.Expiration, record.Expired
			}
		}
	}
}
