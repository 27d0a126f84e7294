package classify

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bounceline/parsers/reply"
	"bounceline/pipeline/record"
)

// A Case is a reply and what is known about it, as people write it: in the samples of a rule, in cases of their own, as the
// input of classify. Only Text is needed; codes are read from it where they are not given.
type Case struct {
	Text         string // a reply, or what an MTA logged around one
	SMTPCode     uint16
	EnhancedCode string
	SMTPCommand  string
	RelayHost    string
	Recipient    string
	MTA          string
	Status       string // the MTA's word for the outcome
}

// Row is the row that a log line with this reply would give, as far as the classifier looks at it.
func (c Case) Row() record.Row {
	if inner, ok := c.ofEvent(); ok {
		return inner.Row()
	}
	text := withoutPrelude(withoutGoAhead(withoutLine(logged(unfold(c.Text)))))
	if inner, ok := passedOn(text); ok {
		text, c.SMTPCode, c.EnhancedCode = inner, 0, ""
	}
	if c.SMTPCode != 0 { // the reply stands behind the type of its field (RFC 3464)
		if kind, diagnostic, ok := strings.Cut(text, ";"); ok && strings.HasSuffix(strings.ToLower(kind), "smtp") {
			text = strings.TrimLeft(diagnostic, " ")
		}
	}
	row := record.Row{EventType: record.Attempt, MTA: c.MTA, RelayHost: []byte(c.RelayHost), Recipient: []byte(c.Recipient), Status: []byte(c.Status), ResponseText: []byte(text)}
	remote, command := reply.Unwrap(row.ResponseText)
	whole := false
	if c.SMTPCode != 0 && !wrapped(text, remote) {
		remote = c.withCodes(text)
	} else if found := detail(row.ResponseText); found != nil {
		remote = found
	} else if found := attempted(row.ResponseText); found != nil {
		remote = found
	} else if found := described(row.ResponseText); found != nil {
		remote = found
	} else if remote = cutReport(remote); wordlessReply(remote) && !wrapped(text, remote) || len(remote) > 0 && remote[0] == '2' || aboutSender(row.ResponseText, remote) || within(row.ResponseText, remote) { // no reply, codes that stand alone, or not the reply
		if found, all := quoted(row.ResponseText); found != nil {
			remote, whole = found, all || bytes.Equal(found, remote) && !wordlessReply(remote) || aboutSender(row.ResponseText, found) // no other than the one that is about the sender
		} else if len(remote) > 0 && wordlessReply(remote) { // mailbox full: 452
			whole = true
		}
	}
	if len(remote) > 0 && remote[0] == '2' && bytes.Contains(row.ResponseText, refusedToTalk) {
		remote = nil // a greeting that the MTA could not make out: nothing was accepted
	}
	row.RemoteText, row.SMTPCommand = remote, command
	if remote == nil {
		row.RemoteText = said(row.ResponseText)
	}
	separator := " "
	if strings.Contains(text, `\n`) {
		separator = `\n`
	}
	row.SMTPCode, row.EnhancedCode = reply.Parse(remote, separator)
	if whole {
		row.RemoteText = row.ResponseText
		if c.SMTPCode != 0 {
			row.RemoteText = c.withCodes(text)
		}
	}
	if row.EnhancedCode == nil {
		row.EnhancedCode = reply.Enhanced(row.ResponseText)
	}
	if row.EnhancedCode == nil && remote == nil {
		row.EnhancedCode = quotedStatus(row.ResponseText)
	}
	if c.SMTPCode != 0 {
		row.SMTPCode = c.SMTPCode
	}
	if c.EnhancedCode != "" {
		row.EnhancedCode = []byte(c.EnhancedCode)
	}
	if row.SMTPCommand == "" {
		row.SMTPCommand = answered(row.ResponseText)
	}
	if row.SMTPCommand == "" && loginFailed(row.ResponseText) {
		row.SMTPCommand = record.CmdAUTH
	}
	if c.SMTPCommand != "" {
		row.SMTPCommand = c.SMTPCommand
	}
	row.Outcome = outcomeOf(c.Status, row.SMTPCode, row.EnhancedCode)
	if c.Status == "" && succeeded(c.Text) {
		row.Outcome = record.Delivered
	}
	if row.Outcome == record.Expired {
		row.EventType = record.Expiration
	}
	return row
}

// wordlessReply reports whether a reply has nothing but its codes.
func wordlessReply(remote []byte) bool {
	return len(bytes.Trim(remote, "0123456789. ")) == 0
}

// wrapped reports whether the words before the reply in a text are those of the MTA that got it, not of the reply itself.
func wrapped(text string, remote []byte) bool {
	before, _, ok := strings.Cut(text, string(remote))
	if remote == nil || !ok {
		return false
	}
	return before == "" || slices.ContainsFunc(wrappers, func(w string) bool { return strings.Contains(before, w) })
}

// wrappers are the words of Postfix and Exim before a reply.
var wrappers = []string{" said: ", " refused to ", "SMTP error from remote ", " after "}

// withCodes puts the codes that stand in fields of their own back where the server gave them: rules read them there.
func (c Case) withCodes(text string) []byte {
	b := append(strconv.AppendUint(nil, uint64(c.SMTPCode), 10), ' ')
	if c.EnhancedCode != "" {
		b = append(append(b, c.EnhancedCode...), ' ')
	}
	return append(b, text...)
}

// refusedToTalk is what Postfix writes of a session that ended before its first command (smtp_proto.c).
var refusedToTalk = []byte(" refused to talk to me: ")

// loginFailed reports whether an MTA or a mail client says of a reply that it was the answer to its log-in: Postfix, msmtp,
// Python's smtplib, Java's mail, Nodemailer, Symfony, PHPMailer.
func loginFailed(text []byte) bool {
	return containsOne(text, loginWords)
}

var loginWords = asBytes("SASL authentication failed; server", "authentication failed (method", "SMTPAuthenticationError", "AuthenticationFailedException",
	"Invalid login: ", "Failed to authenticate on SMTP server", "SMTP Error: Could not authenticate", "AUTH command failed")

// succeeded reports whether a text is a notification of success: an action that is no failure and no delay (RFC 3464, 2.3.3), or a diagnostic
// that is a positive reply.
func succeeded(text string) bool {
	return positive.MatchString(text) && !negative.MatchString(text)
}

var (
	positive = regexp.MustCompile(`(?i)\bAction: ?(?:delivered|relayed|expanded)\b|\bStatus: ?2\.\d{1,3}\.\d{1,3}\b|^\s*(?:Diagnostic-Code: ?)?x?-?\w+; ?2\d\d[ -]`)
	negative = regexp.MustCompile(`(?i)\bAction: ?(?:failed|delayed)\b|\bStatus: ?[45]\.\d{1,3}\.\d{1,3}\b`)
)

// outcomeOf is the outcome that a status word names, in Postfix's or Exim's words; without one it follows from the codes.
func outcomeOf(status string, code uint16, enhanced []byte) record.Outcome {
	switch status {
	case "sent", "=>", "->", ">>", "delivered":
		return record.Delivered
	case "deferred", "==", "SOFTBOUNCE":
		return record.Deferred
	case "bounced", "**":
		return record.Bounced
	case "expired", "force-expired":
		return record.Expired
	}
	switch {
	case code/100 == 2:
		return record.Delivered
	case code/100 == 4, code == 0 && len(enhanced) > 0 && enhanced[0] == '4':
		return record.Deferred
	}
	return record.Bounced
}

// commands is the vocabulary of what a reply answers.
var commands = []string{record.CmdConnect, record.CmdHELO, record.CmdEHLO, record.CmdLHLO, record.CmdSTARTTLS, record.CmdAUTH, record.CmdMAIL,
	record.CmdRCPT, record.CmdDATA, record.CmdBDAT, record.CmdEndOfData}
