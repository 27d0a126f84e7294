package classify

import (
	"bytes"

	"bounceline/parsers/reply"
	"bounceline/pipeline/record"
)

// byCodes is the verdict where no rule knows the words: by the enhanced code, else by the basic code, else by what the MTA
// itself says of a delivery that met no reply.
func byCodes(r *record.Row) record.Class {
	code, known := lookupEnhanced(r.EnhancedCode)
	known = known && code.Category != "other" && notOfRecipient(r, code.Category) == ""
	switch {
	case known && code.Code == "3.2" && byBasic(r) == "null_mx": // a host that never takes mail is also one that does not take it now (RFC 7504, section 5)
		return class(r, "null_mx", "code", ByCode)
	case known && code.Proves():
		return class(r, code.Category, "dsn", ByDSN)
	case known && code.precise():
		return class(r, code.Category, "dsn", ByCode)
	case known && (r.SMTPCode == 0 || code.Code[0] > '2'): // a subject alone: address and mailbox are too often used for all else
		return class(r, code.Category, "dsn", ByCode)
	case r.SMTPCode != 0:
		return class(r, byBasic(r), "code", ByCode)
	case r.EventType == record.Suspended && r.LastCategory != "":
		return class(r, r.LastCategory, "last reply", ByNothing)
	case r.EventType == record.Suspended:
		return class(r, "connection_failed", "suspended", ByNothing)
	}
	if code, ok := lookupEnhanced(r.DSN); ok && code.precise() && code.Category != "other" {
		return class(r, code.Category, "mta dsn", ByDSN)
	}
	return class(r, "other", "", ByNothing)
}

// withCodesOf is the row with the codes of the reply that its own quotes as the reason: 550 5.1.1 <a>: Recipient address rejected: undeliverable
// address: host b said: 554 5.7.1 no. Whether the failure lasts is for its own code to say.
func withCodesOf(inner []byte, r *record.Row) record.Row {
	row := *r
	row.EnhancedCode = reply.Enhanced(inner[len("550 "):])
	if code := reply.Code(inner); code/100 == r.SMTPCode/100 {
		row.SMTPCode = code
	}
	return row
}

// aboutRecipient reports whether a category says that the recipient's address or domain is at fault.
func aboutRecipient(category string) bool {
	switch category {
	case "user_unknown", "inactive_mailbox", "recipient_moved", "bad_address_syntax", "domain_not_found", "null_mx":
		return true
	}
	return false
}

// notOfRecipient is the category of a reply that an MTA got before it had named the recipient, where words or codes say that the
// recipient is at fault: the answer to MAIL FROM is about the sender, the one to AUTH about our account there, and a greeting is
// about us, but for a host that takes no mail at all (RFC 7504). Empty where the category may be right.
func notOfRecipient(r *record.Row, category string) string {
	if !aboutRecipient(category) {
		return ""
	}
	switch r.SMTPCommand {
	case record.CmdMAIL:
		return "sender_rejected"
	case record.CmdAUTH:
		return "smtp_auth_required"
	case record.CmdConnect, record.CmdHELO, record.CmdEHLO, record.CmdLHLO, record.CmdSTARTTLS:
		if r.SMTPCode != 0 && category != "null_mx" {
			return "policy_rejected"
		}
	}
	return ""
}

// namesRelay reports whether the name that a program did not find is that of a host to connect to, such as the relay that it hands all mail to: it
// is no proof that the recipient's domain does not exist.
func namesRelay(text []byte) bool {
	return containsOne(text, relayNames)
}

var relayNames = asBytes("dial tcp: lookup ", " smtp.", "=smtp.", " relay.", "=relay.", " smarthost.", "=smarthost.", " smtp-relay.", "=smtp-relay.")

// acquitted reports whether the reply has a code that servers only give for something else than a bad address of the recipient.
func acquitted(r *record.Row) bool {
	if code, ok := lookupEnhanced(r.EnhancedCode); ok && code.acquits() {
		return true
	}
	code := LookupBasic(r.SMTPCode)
	return code != nil && code.acquits()
}

// byBasic is what a basic code means, for the command that it answered.
func byBasic(r *record.Row) string {
	c := LookupBasic(r.SMTPCode)
	if r.SMTPCode == 571 { // in no document: the digits of 5.7.1
		return "policy_rejected"
	}
	if c == nil {
		return "other"
	}
	if category := notOfRecipient(r, c.Category); category != "" {
		return category
	}
	switch r.SMTPCommand {
	case record.CmdDATA, record.CmdBDAT, record.CmdEndOfData:
		if c.Category == "user_unknown" {
			return "policy_rejected"
		}
	}
	return c.Category
}

// class completes a verdict of a category.
func class(r *record.Row, category, rule, confidence string) record.Class {
	cat := Lookup(category)
	if cat == nil {
		cat = Lookup("other")
	}
	return cat.class(r, rule, confidence)
}

// class completes a verdict: the type follows from the category and the class of the reply.
func (cat *Category) class(r *record.Row, rule, confidence string) (c record.Class) {
	c = record.Class{Category: cat.Name, Action: cat.Action, Rule: rule, Confidence: confidence}
	switch replyClass(r) {
	case '4':
		c.BounceType = cat.Transient
	case '5':
		c.BounceType = cat.Permanent
		if r.SMTPCode == 0 && len(r.EnhancedCode) == 0 && cat.Local != "" {
			c.BounceType = cat.Local
		}
	default:
		if c.BounceType = cat.Local; c.BounceType == "" {
			c.BounceType = cat.Permanent
		}
	}
	if c.BounceType == Block && cat.Local == "" && r.SMTPCode == 0 && r.Outcome == record.Deferred {
		c.BounceType = Soft
	}
	return c
}

// replyClass is the class that decides the type, as a digit: that of the reply. Where its basic and enhanced code disagree the
// MTA's own disposition decides, and the basic code where that is not known: it is what SMTP clients act on (RFC 5321, section
// 4.2.1). Without a reply it is the MTA's own code; 0 is none.
func replyClass(r *record.Row) byte {
	basic := byte(0)
	if r.SMTPCode != 0 {
		basic = '0' + byte(r.SMTPCode/100)
	}
	switch {
	case basic == 0 && len(r.EnhancedCode) > 0:
		return r.EnhancedCode[0]
	case basic == 0 && len(r.DSN) > 0:
		return r.DSN[0]
	case basic == 0 && r.Outcome == record.Deferred:
		return '4'
	case len(r.EnhancedCode) == 0 || r.EnhancedCode[0] == basic:
		return basic
	}
	switch r.Outcome {
	case record.Bounced, record.Expired:
		return '5'
	case record.Deferred:
		return '4'
	}
	return basic
}

// units of time as replies write them, by their beginnings.
var units = []struct {
	word    string
	seconds uint32
}{
	{"sec", 1}, {"sek", 1}, {"seg", 1}, {"s ", 1}, {"s.", 1}, {"s)", 1}, {"min", 60}, {"m ", 60}, {"hour", 3600}, {"hr", 3600}, {"stunde", 3600}, {"heure", 3600}, {"hora", 3600}, {"ore ", 3600},
	{"day", 86400}, {"tag", 86400}, {"jour", 86400}, {"сек", 1}, {"мин", 60}, {"час", 3600}, {"秒", 1}, {"分钟", 60}, {"分", 60}, {"小时", 3600}, {"時間", 3600},
}

// unitBytes are those with which units begin.
var unitBytes = func() (set [256]bool) {
	for _, u := range units {
		set[u.word[0]] = true
	}
	return set
}()

// waiting are words that say, shortly before a time, that it is one to wait for and not one over which something was counted.
var waiting = asBytes("try", "wait", "again", "greylist", "graylist", "come back", "resend", "delay", "deferred for",
	"blocked for", "throttled for", "next attempt", "will be accepted", "retries", "erneut", "versuch", "probeer", "ponow", "sprobuj", "tente", "reessay", "reintent", "riprov", "через", "请在", "稍后")

// maxRetry bounds a hint: servers that ask for more than a week mean something else.
const maxRetry = 7 * 86400

// retryAfter finds how long a normalised text asks to wait, in seconds: "try again in 5 minutes", "greylisted for 300
// seconds", "come back in 00:04:58", "Retry-After: 300". A time of day, "try again at 14:30:00", is not read. 0 is none.
func retryAfter(text []byte) uint32 {
	for i := 1; i < len(text); i++ {
		if byteClass(text[i]) != digit || byteClass(text[i-1])&wordByte != 0 && (i < 2 || text[i-1] != ':' && text[i-1] != '=' || byteClass(text[i-2]) == digit) {
			continue
		}
		n, j := uint32(0), i
		for j < len(text) && byteClass(text[j]) == digit && n < 1e6 {
			n = n*10 + uint32(text[j]-'0')
			j++
		}
		rest, before := bytes.TrimLeft(text[j:], " -"), text[max(0, i-48):i]
		if len(rest) > 0 && unitBytes[rest[0]] {
			for _, u := range units {
				if !bytes.HasPrefix(rest, []byte(u.word)) || bytes.HasSuffix(before, []byte("per ")) {
					continue
				}
				for _, w := range waiting {
					if bytes.Contains(before, w) && n > 0 && n <= maxRetry/u.seconds {
						return n*u.seconds + smaller(rest, u.seconds)
					}
				}
			}
		} else if seconds := clock(text[i:]); seconds > 0 && endsWithOne(bytes.TrimRight(before, fieldSigns), beforeClock) {
			return seconds
		} else if field := bytes.TrimRight(before, fieldSigns); n <= maxRetry && bytes.ContainsAny(before[len(field):], ":=") && endsWithOne(field, retryFields) && (len(rest) == 0 || rest[0] != ':') {
			return n
		}
		i = j
	}
	return 0
}

// conjunctions are the words between a time in one unit and the rest of it in another.
var conjunctions = asBytes("and ", "und ", "et ")

// smaller is the time that follows a unit in smaller ones: "minutes and 20 seconds". 0 is none.
func smaller(text []byte, than uint32) uint32 {
	i := 0
	for i < len(text) && byteClass(text[i])&wordByte != 0 && byteClass(text[i]) != digit {
		i++
	}
	rest := bytes.TrimLeft(text[i:], " ,")
	for _, w := range conjunctions {
		rest = bytes.TrimPrefix(rest, w)
	}
	n, j := uint32(0), 0
	for ; j < len(rest) && j < 2 && byteClass(rest[j]) == digit; j++ {
		n = n*10 + uint32(rest[j]-'0')
	}
	rest = bytes.TrimLeft(rest[j:], " ")
	for _, u := range units {
		if j > 0 && u.seconds < than && n < than/u.seconds && bytes.HasPrefix(rest, []byte(u.word)) {
			return n * u.seconds
		}
	}
	return 0
}

var (
	// retryFields are the names of a field with seconds, as in HTTP (RFC 9110, section 10.2.3); beforeClock also has the words before hours, minutes
	// and seconds, where a time of day does not stand.
	retryFields = asBytes("retry after", "retry-after", "retry_after", "retryafter")
	beforeClock = append(asBytes(" in", " wait", " for"), retryFields...)
)

// fieldSigns stand between a field's name and its value.
const fieldSigns = ` "':=`

// clock is the seconds of hours, minutes and seconds with which a text begins: 00:04:58. 0 is none.
func clock(text []byte) (seconds uint32) {
	const shape = "00:00:00"
	if len(text) < len(shape) {
		return 0
	}
	for i, c := range []byte(shape) {
		switch {
		case c == '0' && byteClass(text[i]) == digit:
		case c == ':' && text[i] == c:
		default:
			return 0
		}
	}
	for i := 0; i < len(shape); i += len("00:") {
		seconds = seconds*60 + uint32(text[i]-'0')*10 + uint32(text[i+1]-'0')
	}
	return seconds
}
