package classify

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"bounceline/parsers/reply"
)

// An event is a message about a bounce in JSON, as mail services post it to a webhook, and as libraries print their errors: what it says of the reply.
type event struct {
	diagnostics [][2]string // by place in diagnosticKeys; the first one that says more than a word, and the first one
	code        uint16
	enhanced    string
}

// maxNested is how deep an event may stand in strings of others: a notification of SNS has the one of SES so.
const maxNested = 3

// ofEvent returns the reply that an event of a mail service quotes, with the codes that stand in keys of their own if the reply has none; ok is
// false for another text, and for an event that quotes none.
func (c Case) ofEvent() (reported Case, ok bool) {
	text := strings.TrimSpace(c.Text)
	if text == "" || text[0] != '{' && text[0] != '[' {
		return c, false
	}
	e := event{diagnostics: make([][2]string, len(diagnosticKeys))}
	e.read(text, maxNested)
	diagnostic := ""
	for i := range 2 { // a sentence anywhere says more than a word: "reason":"bounce"
		for _, d := range e.diagnostics {
			if diagnostic == "" {
				diagnostic = d[i]
			}
		}
	}
	if diagnostic == "" {
		return c, false
	}
	c.Text = diagnostic
	if row := c.Row(); row.SMTPCode == 0 {
		c.SMTPCode = e.code
		if len(row.EnhancedCode) == 0 {
			c.EnhancedCode = e.enhanced
		}
	}
	return c, true
}

// read notes what the keys of a JSON text say, up to where it is cut.
func (e *event) read(text string, depth int) {
	tokens := json.NewDecoder(strings.NewReader(text))
	tokens.UseNumber()
	var objects []bool // whether what is open is an object
	key, isKey := "", false
	for {
		token, err := tokens.Token()
		if err != nil {
			return
		}
		switch v := token.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				objects = append(objects, v == '{')
			} else {
				objects = objects[:len(objects)-1]
			}
			isKey = len(objects) > 0 && objects[len(objects)-1]
			continue
		case string:
			if isKey {
				key, isKey = plainKey.Replace(strings.ToLower(v)), false
				continue
			}
			e.note(key, v, depth)
		case json.Number:
			e.note(key, v.String(), depth)
		}
		isKey = len(objects) > 0 && objects[len(objects)-1]
	}
}

// note notes a key's value, where none stood before.
func (e *event) note(key, value string, depth int) {
	value = strings.TrimSpace(value)
	if strings.HasPrefix(value, "{") && depth > 1 {
		e.read(value, depth-1)
		return
	}
	if i := slices.Index(diagnosticKeys, key); i >= 0 && value != "" {
		word := 1
		if strings.ContainsAny(value, " \n") {
			word = 0
		}
		if e.diagnostics[i][word] == "" {
			e.diagnostics[i][word] = value
		}
	}
	if slices.Contains(codeKeys, key) && e.code == 0 && len(value) == len("550") && reply.Code([]byte(value)) != 0 {
		if code, err := strconv.ParseUint(value, 10, 16); err == nil {
			e.code = uint16(code)
		}
	}
	if slices.Contains(enhancedKeys, key) && e.enhanced == "" {
		e.enhanced = string(reply.Enhanced([]byte(value)))
	}
}

// plainKey makes one of the ways in which services write a key.
var plainKey = strings.NewReplacer("_", "", "-", "", " ", "")

// The keys under which mail services and libraries have what the server said, in the order in which they are to be believed: Amazon SES and
// SocketLabs, ZeptoMail, Mandrill, PowerMTA, SparkPost, Postmark, Mailjet, SendGrid and Nodemailer, Azure, Mailgun, Resend, Brevo, MailerSend.
var (
	diagnosticKeys = []string{"diagnosticcode", "diagnosticmessage", "diagnostic", "diag", "dsndiag", "rawreason", "details", "comment", "smtpresponse", "smtpreply", "smtpmessage", "serverresponse", "response",
		"statusmessage", "errormessage", "message", "bouncereason", "description", "reason", "error"}
	codeKeys     = []string{"code", "smtpcode", "responsecode", "errorcode", "statuscode", "smtpstatuscode", "replycode"}
	enhancedKeys = []string{"enhancedcode", "enhancedstatus", "enhancedstatuscode", "enhancedsmtpcode", "dsnstatus", "smtpstatus", "status"}
)
