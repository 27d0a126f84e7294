// Package postfix reads Postfix's log lines: the delivery records that all of its daemons write through log_adhoc.c, and
// the lines of smtpd, cleanup, qmgr and bounce that tell more about a queue ID.
package postfix

import (
	"bytes"
	"encoding/binary"

	"bounceline/parsers/envelope"
	"bounceline/parsers/swar"
	"bounceline/pipeline/record"
)

// Version changes when a line may give another row than before.
const Version = "1"

// Parser reads one line at a time and keeps nothing. The zero value is ready.
type Parser struct{}

// Name is the dialect's name.
func (Parser) Name() string { return "postfix" }

var (
	nameBytes = []byte("postfix")
	to        = []byte("to=")
	from      = []byte("from=")
	messageID = []byte("message-id=")
	client    = []byte("client=")
	uid       = []byte("uid=")
	removed   = []byte("removed")
	resent    = []byte("resent-message-id=")
	noQueue   = []byte("NOQUEUE: ")
)

// Claims reports whether a program's lines are Postfix's: by the name, which syslog_name may have changed before the slash,
// and by the shape of the text where the program is not known or its name is a plain daemon's, as some templates leave it.
func (Parser) Claims(program, text []byte) bool {
	if len(program) >= 7 && string(program[:7]) == "postfix" || bytes.Contains(program, nameBytes) {
		return true
	}
	if i := bytes.LastIndexByte(program, '/'); i >= 0 {
		return daemon(program[i+1:]) != ""
	}
	return (len(program) == 0 || daemon(program) != "") && shaped(text)
}

// shaped reports whether a text has a shape that only Postfix writes.
func shaped(text []byte) bool {
	id, rest := queueID(text)
	rest = bytes.TrimLeft(rest, " ")
	switch {
	case id == nil:
		_, _, ok := oddID(text)
		return ok || bytes.HasPrefix(text, noQueue)
	case bytes.HasPrefix(rest, to):
		return bytes.Contains(rest, statusKey)
	case bytes.HasPrefix(rest, from):
		return bytes.Contains(rest, []byte(", nrcpt=")) || bytes.Contains(rest, expiredStatus) || bytes.Contains(rest, forceExpired)
	}
	return bytes.HasPrefix(rest, messageID) || bytes.HasPrefix(rest, client) || bytes.HasPrefix(rest, uid) || bytes.Equal(rest, removed)
}

// Parse reads the text of one line.
func (Parser) Parse(h *envelope.Header, text []byte, out *record.Result) {
	id, rest := queueID(text)
	if id == nil {
		out.Class, out.Kind = record.Other, program(h)
		if mayDeliver(out.Kind) {
			out.Doubt = true
			copied(h, text, out)
		}
		return
	}
	switch {
	case len(rest) > 3 && string(rest[:3]) == "to=":
		delivery(h, id, rest[3:], out)
	case len(rest) > 5 && string(rest[:5]) == "from=":
		fromLine(h, id, rest, out)
	case len(rest) == 7 && string(rest) == "removed":
		learn(h, id, out, "removed").Op = record.Close
	case len(rest) > 7 && string(rest[:7]) == "client=":
		clientLine(h, id, rest, out)
	case len(rest) > 10 && string(rest[:8]) == "message-" && string(rest[8:11]) == "id=":
		learn(h, id, out, "message-id").MessageID = brackets(rest[11:])
	case bytes.HasPrefix(rest, uid):
		f := learn(h, id, out, "pickup")
		f.Op = record.Renew
		if i := bytes.LastIndex(rest, origID); i >= 0 {
			f.OrigQueueID = rest[i+len(origID):]
		}
	default:
		out.Class, out.Kind, out.Doubt = record.Other, "queue ID note", true
		if len(rest) > 0 && rest[0] == ' ' && copied(h, text, out) {
			return
		}
		switch {
		case bytes.Contains(rest, notification):
			out.Class, out.Kind = record.Context, "notification"
		case bytes.HasPrefix(rest, resent): // of a message that has a message id, too
			out.Class, out.Kind = record.Context, "message-id"
		}
	}
}

// brackets is what stands in the first angle brackets, or all where there are none.
func brackets(v []byte) []byte {
	i := 0
	if len(v) == 0 || v[0] != '<' {
		i = bytes.IndexByte(v, '<')
	}
	if i < 0 {
		v = bytes.TrimSpace(v)
		if j := bytes.IndexByte(v, ' '); j >= 0 {
			v = v[:j]
		}
		return v
	}
	v = v[i+1:]
	if j := bytes.IndexByte(v, '>'); j >= 0 {
		v = v[:j]
	}
	return v
}

var notification = []byte("notification: ")

// Kinds of lines that are no delivery records although their daemon may write some.
const (
	smtpNote  = "smtp"
	lmtpNote  = "lmtp"
	agentNote = "delivery agent"
	otherNote = "other program"
)

// mayDeliver reports whether lines of a kind come from programs that write delivery records, too.
func mayDeliver(kind string) bool {
	switch kind {
	case smtpNote, lmtpNote, agentNote, otherNote:
		return true
	}
	return false
}

// program names a line without queue ID by the daemon that wrote it.
func program(h *envelope.Header) string {
	p := h.Program
	if i := bytes.LastIndexByte(p, '/'); i >= 0 {
		p = p[i+1:]
	}
	if kind := daemon(p); kind != "" {
		return kind
	}
	return otherNote
}

// daemon gives the kind of a daemon's lines, empty where Postfix has no such program (postfix(1), master(5)).
func daemon(p []byte) string {
	switch string(p) {
	case "smtpd":
		return "smtpd"
	case "smtp":
		return smtpNote
	case "lmtp":
		return lmtpNote
	case "qmgr", "oqmgr", "nqmgr":
		return "qmgr"
	case "cleanup":
		return "cleanup"
	case "pickup":
		return "pickup"
	case "postscreen", "dnsblog", "tlsproxy":
		return "postscreen"
	case "local", "virtual", "pipe", "error", "retry", "discard":
		return agentNote
	case "bounce", "defer", "trace":
		return "bounce"
	case "anvil", "scache", "verify", "tlsmgr", "trivial-rewrite", "proxymap", "proxywrite", "flush", "showq", "postlogd", "spawn", "qmqpd":
		return "helper daemon"
	case "master", "postfix-script", "postfix", "postsuper", "sendmail", "postdrop", "postqueue", "postalias", "postmap":
		return "administration"
	}
	return ""
}

// learn begins a line that gives context.
func learn(h *envelope.Header, id []byte, out *record.Result, kind string) *record.Fact {
	out.Class, out.Kind = record.Context, kind
	f := &out.Fact // void since the result was reset
	f.Host, f.QueueID, f.Time = h.Host, id, h.Time
	return f
}

// Classes of bytes in queue IDs.
const (
	hexDigit = 1 << iota // 0-9 A-F
	longOnly             // the other consonants of the long alphabet
)

var idBytes = func() (t [256]uint8) {
	for c := '0'; c <= '9'; c++ {
		t[c] = hexDigit
	}
	for c := 'A'; c <= 'F'; c++ {
		t[c] = hexDigit
	}
	for _, c := range "GHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz" {
		t[c] = longOnly
	}
	return t
}()

// queueID splits "ID: rest". Both forms are accepted: short, upper-case hexadecimal, and long, in an alphabet without
// vowels (mail_queue.h).
func queueID(text []byte) (id, rest []byte) {
	if id, rest = shortID(text); id != nil {
		return id, rest
	}
	n, seen := 0, uint8(0)
	for n < len(text) && n <= 20 {
		c := idBytes[text[n]]
		if c == 0 {
			break
		}
		seen |= c
		n++
	}
	if n < 5 || n+2 > len(text) || text[n] != ':' || text[n+1] != ' ' {
		return nil, nil
	}
	if id = text[:n]; seen&longOnly != 0 && !longID(id) {
		return nil, nil
	}
	return id, text[n+2:]
}

// shortID splits a text that begins with the usual short form of up to 15 digits, by words of eight bytes.
func shortID(text []byte) (id, rest []byte) {
	if len(text) < 18 {
		return nil, nil
	}
	n := 10 // as long as IDs are on many a machine: what follows then need not wait for the search
	switch byte(':') {
	case text[10]:
	case text[11]:
		n = 11
	case text[12]:
		n = 12
	default:
		n = swar.Index(text, ':')
	}
	if n < 5 || n > 15 || text[n+1] != ' ' {
		return nil, nil
	}
	word, after := swar.Hexadecimal(binary.LittleEndian.Uint64(text)), 8*n // marks of the bytes before the colon are to be set
	if n > 8 {
		if word != swar.All {
			return nil, nil
		}
		word, after = swar.Hexadecimal(binary.LittleEndian.Uint64(text[8:])), 8*(n-8)
	}
	if (word^swar.All)&(1<<after-1) != 0 {
		return nil, nil
	}
	return text[:n], text[n+2:]
}

// longID checks the long form: at least 6 characters of seconds, 4 of microseconds, "z", and an inode.
func longID(id []byte) bool {
	return len(id) >= 11 && bytes.IndexByte(id[10:], 'z') >= 0
}

// fromLine reads qmgr's "from=<s>, size=n, nrcpt=n (queue active)" and "from=<s>, status=expired, returned to sender".
func fromLine(h *envelope.Header, id, rest []byte, out *record.Result) {
	sender, rest, ok := address(rest[len(from):])
	if !ok {
		out.Class, out.Kind = record.Malformed, "postfix: from= without >"
		return
	}
	if len(rest) > 9 && string(rest[:9]) == ", status=" && (bytes.HasPrefix(rest, expiredStatus) || bytes.HasPrefix(rest, forceExpired)) {
		expired(h, id, sender, rest, out)
		return
	}
	f := learn(h, id, out, "queue manager")
	f.Sender, f.SenderKnown = sender, true
	for len(rest) > 2 && rest[0] == ',' {
		rest = rest[2:]
		var v []byte
		switch {
		case len(rest) > 5 && string(rest[:5]) == "size=":
			v, rest = number(rest[5:])
			f.Size = value(v)
		case len(rest) > 6 && string(rest[:6]) == "nrcpt=":
			v, rest = number(rest[6:])
			f.Recipients = uint16(min(value(v), 65535))
		default:
			return
		}
	}
}

var (
	expiredStatus = []byte(", status=expired")
	forceExpired  = []byte(", status=force-expired")
)

// expired gives one row without a recipient; the context makes one of it for each recipient still deferred.
func expired(h *envelope.Header, id, sender, rest []byte, out *record.Result) {
	out.Class, out.Kind = record.Event, "expired"
	r := begin(h, id, out)
	r.EventType, r.Outcome = record.Expiration, record.Expired
	r.Status = expiredStatus[len(", status="):]
	if bytes.HasPrefix(rest, forceExpired) {
		r.Status = forceExpired[len(", status="):]
	}
	r.Sender, r.SenderKnown = sender, true
	r.ResponseText = rest[2:]
	out.Fact = record.Fact{Op: record.Expire, Host: h.Host, QueueID: id, Time: h.Time, Sender: sender, SenderKnown: true}
}

// clientLine reads smtpd's "client=name[ip], sasl_method=..., sasl_username=...".
func clientLine(h *envelope.Header, id, rest []byte, out *record.Result) {
	f := learn(h, id, out, "client")
	f.Op = record.Renew
	rest = rest[len(client):]
	rest = bracketed(rest, &f.ClientIP)
	for {
		i := swar.Either(rest, ',', ',')
		if len(rest) < i+2 {
			return
		}
		rest = rest[i+2:]
		switch {
		case len(rest) > 14 && string(rest[:14]) == "sasl_username=":
			f.AuthUser = upToComma(rest[14:])
		case len(rest) > 14 && string(rest[:14]) == "orig_queue_id=":
			f.OrigQueueID = upToComma(rest[14:])
		case len(rest) > 12 && string(rest[:12]) == "orig_client=": // before the filter
			var ip record.Addr
			if bracketed(rest, &ip); ip != (record.Addr{}) {
				f.ClientIP = ip
			}
		}
	}
}

// upToComma is what stands before ", ", which ends a value: a comma alone does not.
func upToComma(v []byte) []byte {
	if bytes.IndexByte(v, ',') < 0 {
		return v
	}
	if i := bytes.Index(v, comma); i >= 0 {
		return v[:i]
	}
	return v
}

var (
	origID = []byte(" orig_id=")
	comma  = []byte(", ")
)

// begin adds a row with what every row of a line has.
func begin(h *envelope.Header, id []byte, out *record.Result) *record.Row {
	r := out.Rows.Add()
	r.EventTime, r.TimeInferred, r.Host, r.PID = h.Time, h.Flags, h.Host, h.PID
	r.MTA, r.Parser, r.ParserVersion = "postfix", "postfix", Version
	r.QueueID = id
	p := h.Program
	first, last, i := len(p), -1, 0
	if len(p) > 8 && string(p[:8]) == "postfix/" {
		first, last, i = 7, 7, 8
	}
	for ; i < len(p); i++ {
		if p[i] == '/' {
			first, last = min(first, i), i
		}
	}
	switch {
	case last >= 0:
		r.Instance, r.Service, r.Agent = p[:first], p[first+1:], p[last+1:]
	case daemon(p) != "" && string(p) != "postfix": // a template that leaves only the daemon's name
		r.Service, r.Agent = p, p
	default:
		r.Instance = p
	}
	return r
}
