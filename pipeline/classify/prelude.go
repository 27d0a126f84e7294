package classify

import (
	"regexp"
	"strings"
)

// withoutPrelude cuts what a bounce message says before the reason: the sentences of Postfix, Exim and qmail, and the fields of a delivery
// status notification (RFC 3464). They are the same whatever the reason is.
func withoutPrelude(text string) string {
	least := len("This is the ")
	for {
		rest, ok := behindPrelude(text, least)
		if !ok {
			return withoutFields(text)
		}
		text, least = rest, 1
	}
}

// withoutGoAhead cuts the reply to DATA that lets the client go on, where the one to the message follows it.
func withoutGoAhead(text string) string {
	if !strings.HasPrefix(text, "354") {
		return text
	}
	if at := failureBehind.FindStringSubmatchIndex(text); at != nil {
		return text[at[2]:]
	}
	return text
}

var failureBehind = regexp.MustCompile(`^354[ -].*?(?:[^\w.:]|\\[nr])(` + failureCode + `[ -].*)$`)

// behindPrelude is what follows the sentence that a text begins with. One that is cut must have that many bytes at least.
func behindPrelude(text string, least int) (rest string, ok bool) {
	for _, p := range preludes {
		switch {
		case strings.HasPrefix(text, p) && p[len(p)-1] == ' ':
			return text[len(p):], true
		case strings.HasPrefix(text, p):
			_, rest, _ = strings.Cut(text[len(p):], ". ")
			return strings.TrimLeft(rest, " "), true
		case len(text) >= least && strings.HasPrefix(p, text):
			return "", true
		}
	}
	return text, false
}

// preludes are the beginnings of sentences, each of which ends with a full stop; those with a blank at their end are whole.
var preludes = []string{
	"This is the mail system at host", "This is the Postfix program at host", "I'm sorry to have to inform you that your message could not be delivered to one or more", "It's attached below",
	"For further assistance, please send mail to", "If you do so, please include this problem report", "You can delete your own text from the", "The mail system ",
	"This message was created automatically by mail delivery software", "A message that you sent could not be delivered to one or more of its recipients", "This is a permanent error. ", "This is a permanent error; I've given up",
	"The following address(es) failed: ", "The following address failed: ", "Hi. This is the qmail-send program at", "I'm afraid I wasn't able to deliver your message to the following addresses", "Sorry it didn't work out",
}

// withoutFields cuts the fields about one recipient that stand before the diagnostic. The status stays.
func withoutFields(text string) string {
	if !field.MatchString(text) {
		return text
	}
	status := ""
	for m := field.FindStringSubmatch(text); m != nil; m = field.FindStringSubmatch(text) {
		text = text[len(m[0]):]
		if m[1] != "" {
			status = m[1] + " "
		}
	}
	return status + text
}

var field = regexp.MustCompile(`^(?:(?:Final|Original)-Recipient: ?(?:rfc822; ?)?\S*|Action: ?\w*|(?:Remote|Reporting|Received-From)-MTA: ?(?:\w+; ?)?\S*|Status: ?([245]\.\d{1,3}\.\d{1,3})(?: \([^)]*\))?)(?: |$)`)
