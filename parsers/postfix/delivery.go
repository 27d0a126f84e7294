package postfix

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"bounceline/parsers/envelope"
	"bounceline/parsers/reply"
	"bounceline/parsers/swar"
	"bounceline/pipeline/record"
)

// delivery reads "to=<...>, [orig_to=<...>, ]relay=..., [conn_use=n, ]delay=n, delays=a/b/c/d, [tls=..., ]dsn=x.y.z,
// status=word (text)" (log_adhoc.c). Fields are read from the left and reading stops at status=: the text behind it is the
// far side's. Unknown keys are passed over.
func delivery(h *envelope.Header, id, rest []byte, out *record.Result) {
	recipient, rest, ok := address(rest)
	if !ok {
		malformed(out, "postfix: to= without >")
		return
	}
	if n := len(recipient); n > 0 && (recipient[0] == '[' || recipient[n-1] == '>' || len(rest) > 0 && rest[0] == '>') {
		recipient, rest = unlinked(recipient, rest)
	}
	r := begin(h, id, out)
	r.Recipient = recipient
	kind := "delivery"
	for {
		n := separator(rest)
		if n == 0 {
			unseparated(r, rest, out)
			return
		}
		rest = rest[n:]
		switch { // in Postfix's order; constants of this length are compared without a call
		case len(rest) > 6 && string(rest[:6]) == "relay=":
			rest = relay(r, rest[6:])
		case len(rest) > 6 && string(rest[:6]) == "delay=":
			r.Delay, n = seconds(rest[6:])
			rest = rest[6+n:]
		case len(rest) > 7 && string(rest[:7]) == "delays=":
			rest = delays(r, rest[7:])
		case len(rest) > 4 && string(rest[:4]) == "dsn=":
			r.DSN = fieldValue(rest[4:])
			rest = rest[4+len(r.DSN):]
		case len(rest) > 7 && string(rest[:7]) == "status=":
			status(r, rest[7:])
			out.Class, out.Kind = record.Event, kind
			return
		case len(rest) > 8 && string(rest[:8]) == "orig_to=":
			if r.OrigRecipient, rest, ok = address(rest[8:]); !ok {
				malformed(out, "postfix: orig_to= without >")
				return
			}
		case len(rest) > 9 && string(rest[:9]) == "conn_use=":
			v := fieldValue(rest[9:])
			r.ConnUse = uint16(min(value(v), 65535))
			rest = rest[9+len(v):]
		case len(rest) > 4 && string(rest[:4]) == "tls=":
			r.TLS = fieldValue(rest[4:])
			rest = rest[4+len(r.TLS):]
		default: // a key that a later Postfix has added
			v := fieldValue(rest)
			if i := bytes.IndexByte(v, '='); i <= 0 || i > maxKey || !isKey(v[:i]) {
				unseparated(r, rest, out)
				return
			}
			kind, rest = unknownField, rest[len(v):]
		}
	}
}

// unknownField is the kind of records with a key that is not known: counted, since a new release of Postfix may say more.
const unknownField = "delivery with an unknown field"

// unseparated goes on with a record that does not look as Postfix writes it.
func unseparated(r *record.Row, rest []byte, out *record.Result) {
	if !scattered(r, rest) {
		malformed(out, "postfix: delivery without status=")
		return
	}
	out.Class, out.Kind = record.Event, "delivery"
}

// fieldValue is what stands before the next comma.
func fieldValue(b []byte) []byte { return b[:swar.Either(b, ',', ',')] }

// delays reads "a/b/c/d", the four parts of the delay (postconf(5), delay_logging_resolution_limit), and returns what follows.
func delays(r *record.Row, b []byte) []byte {
	n := 0
	r.DelayBeforeQmgr, n = seconds(b)
	if b = b[n:]; len(b) == 0 || b[0] != '/' {
		return b
	}
	r.DelayInQmgr, n = seconds(b[1:])
	if b = b[1+n:]; len(b) == 0 || b[0] != '/' {
		return b
	}
	r.DelayConnection, n = seconds(b[1:])
	if b = b[1+n:]; len(b) == 0 || b[0] != '/' {
		return b
	}
	r.DelayTransmit, n = seconds(b[1:])
	return b[1+n:]
}

// isKey reports whether a word is made as Postfix makes its keys.
func isKey(word []byte) bool {
	for _, c := range word {
		if (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return true
}

// maxKey is longer than any key that was ever logged.
const maxKey = 24

// separator is the length of ", "; of a comma alone, and of a line break after it, where a copy has wrapped the line.
func separator(b []byte) int {
	if len(b) < 3 || b[0] != ',' {
		return 0
	}
	n := 1
	for n < len(b) && (b[n] == ' ' || b[n] == '\t' || b[n] == '\n') {
		n++
	}
	return n
}

func malformed(out *record.Result, why string) {
	out.Rows.Reset()
	out.Class, out.Kind = record.Malformed, why
}

// relay reads "host[ip]:port", "host[path]", "none", "local", or a service's name, and returns what follows.
func relay(r *record.Row, b []byte) []byte {
	open := swar.Either(b, '[', ',')
	if open < len(b) && b[open] == '[' {
		if n := reply.QuickIPv4(b[open+1:], &r.RelayIP); n > 0 {
			end, port := open+n+2, 0
			if end < len(b) && b[end] == ':' {
				for end++; end < len(b) && b[end]-'0' <= 9 && port < 1000; end++ {
					port = port*10 + int(b[end]-'0')
				}
			}
			if end < len(b) && b[end] == ',' && open > 0 {
				r.Relay, r.RelayHost, r.RelayPort = b[:end], b[:open], uint16(port)
				return b[end:]
			}
			r.RelayIP = record.Addr{}
		}
	}
	v := fieldValue(b)
	oddRelay(r, v)
	return b[len(v):]
}

// oddRelay reads a relay of any form.
func oddRelay(r *record.Row, v []byte) {
	r.Relay = v
	open := bytes.IndexByte(v, '[')
	if open < 0 {
		if i := bytes.LastIndexByte(v, ':'); i > 0 && bytes.IndexByte(v, '/') < 0 { // "host:port"
			r.RelayHost, r.RelayPort = v[:i], uint16(min(value(v[i+1:]), 65535))
		}
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
	n := len("sent")
	if len(rest) < 5 || string(rest[:5]) != "sent " {
		n = bytes.IndexByte(rest, ' ')
	}
	if n < 0 {
		r.Status, r.Truncated = rest, true
		n = len(rest)
	}
	r.Status = rest[:n]
	rest = rest[n:]
	for len(rest) > 2 && rest[1] == ' ' { // a copy's
		rest = rest[1:]
	}
	if len(rest) > 1 && rest[1] == '(' {
		rest = rest[2:]
		if end := bytes.LastIndexByte(rest, ')'); end >= 0 {
			r.ResponseText = rest[:end]
			// A text that was cut may hold other parentheses: they then do not end it.
			r.Truncated = len(rest)-end > 16 && !balanced(r.ResponseText)
		} else {
			r.Truncated = true
		}
		if r.Truncated {
			r.ResponseText = rest
		}
	} else {
		r.ResponseText, r.Truncated = bytes.TrimLeft(rest, " "), true
	}
	reason(r)
	outcome(r)
}

// balanced reports whether as many parentheses are closed in a text as are opened.
func balanced(text []byte) bool {
	return bytes.Count(text, []byte("(")) == bytes.Count(text, []byte(")"))
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
		if word := bytes.Trim(r.Status, "*_`"); len(word) < len(r.Status) { // emphasised, in Markdown
			r.Status = word
			outcome(r)
			return
		}
		r.Outcome = record.OtherOutcome
	}
	// Content filters take mail on the loopback address at a port of their own and hand it back to be logged again.
	if r.RelayPort != 25 && r.RelayPort != 0 && r.RelayPort != 465 && r.RelayPort != 587 && reply.Loopback(r.RelayIP) && string(r.Agent) != "lmtp" {
		r.InternalHop = true
	}
	if len(r.Agent) == 5 && string(r.Agent) == "local" && bytes.HasPrefix(r.ResponseText, forwardedAs) {
		r.InternalHop = true
		r.NextQueueID = r.ResponseText[len(forwardedAs):]
	}
}

// reason splits the text into what the far side said, to which command, and from which host.
func reason(r *record.Row) {
	t := r.ResponseText
	if len(t) > 0 && t[0] == 'd' {
		t = bytes.TrimPrefix(t, suspended)
	}
	switch {
	case reply.Code(t) != 0 && (r.Relay == nil || !local(r)):
		r.RemoteText = t
		r.NextQueueID = reply.Queued(t)
		r.SMTPCommand = record.CmdEndOfData
		if string(r.Status) == "deliverable" { // nothing but the recipient was sent
			r.SMTPCommand = record.CmdRCPT
		}
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

// address reads an address in angle brackets, of which a quoted local part may hold some, too, and returns what follows.
func address(b []byte) (addr, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '<' {
		return unbracketed(b)
	}
	b = b[1:]
	end := swar.Either(b, '>', '"')
	if end < len(b) && b[end] == '>' {
		return b[:end], b[end+1:], true
	}
	if end = bytes.IndexByte(b, '>'); end < 0 {
		return nil, nil, false
	}
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
	return b[:end], b[end+1:], true // a lone quote
}

// unbracketed reads an address whose brackets are lost. Those that were escaped, for HTML or Markdown, or are others, are read when
// they are made good.
func unbracketed(b []byte) (addr, rest []byte, ok bool) {
	if bytes.HasPrefix(b, []byte("&lt;")) || bytes.HasPrefix(b, []byte("‹")) || len(b) > 0 && b[0] == '\\' {
		return nil, nil, false
	}
	if i := bytes.IndexByte(b, ','); i >= 0 {
		return b[:i], b[i:], true
	}
	return nil, nil, false
}

// bracketed reads the address in "name[ip]" into ip and returns what follows. There is none where the name is unknown.
func bracketed(b []byte, ip *record.Addr) []byte {
	i := bytes.IndexByte(b, '[')
	if i < 0 {
		return b
	}
	b = b[i+1:]
	if n := reply.QuickIPv4(b, ip); n > 0 {
		return b[n:]
	}
	end := bytes.IndexByte(b, ']')
	if end < 0 {
		return b
	}
	*ip, _ = reply.IP(b[:end])
	return b[end:]
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
	n := uint64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0
		}
		if n > 1<<59 {
			return 1<<63 - 1
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}

// seconds reads a delay such as "0", "0.11" or "2.4" up to the comma or slash behind it, and returns its length. What is none
// is unknown.
func seconds(b []byte) (delay float32, length int) {
	if len(b) < 8 {
		return longSeconds(b)
	}
	word := binary.LittleEndian.Uint64(b)
	end := bits.TrailingZeros64(swar.Equal(word, ',')|swar.Equal(word, '/')) / 8
	point := min(bits.TrailingZeros64(swar.Equal(word, '.'))/8, end)
	points := int(uint(point-end) >> 63) // 1 or, without a branch, 0
	low := uint64(1)<<(8*uint(point)&63) - 1
	word = word&low | word>>(8*uint(points)&63)&^low // the point taken out
	n, ok := swar.Decimal4(word, end-points)
	if !ok {
		if n, ok = swar.Decimal(word, end-points); !ok || end == 8 {
			return longSeconds(b)
		}
	}
	return float32(float64(n) * inverse[(end-point-points)&7]), end
}

// longSeconds reads a delay of any length.
func longSeconds(b []byte) (delay float32, length int) {
	n, point, i := int64(0), -1, 0
	for ; i < len(b); i++ {
		c := b[i]
		if d := c - '0'; d <= 9 {
			n = n*10 + int64(d)
			continue
		}
		if c == ',' || c == '/' {
			break
		}
		if c != '.' || point >= 0 {
			return record.Unknown, i + len(fieldValue(b[i:]))
		}
		point = i
	}
	switch {
	case i == 0 || i > 15:
		return record.Unknown, i
	case point < 0:
		return float32(n), i
	}
	return float32(float64(n) / powers[i-point-1]), i
}

// inverse is of the powers of ten. To multiply is quicker than to divide, and of seven digits the float32 is the same: it takes more
// than the error of a product to bring one across the middle between two of them.
var inverse = [8]float64{1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7}

var powers = [16]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}
