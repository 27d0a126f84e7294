package classify

import "testing"

// TestPrelude: what stands in every bounce message tells nothing, nor does its beginning.
func TestPrelude(t *testing.T) {
	const postfix = "This is the mail system at host mail.example.net. I'm sorry to have to inform you that your message could not be delivered to one or more recipients. It's attached below. " +
		"For further assistance, please send mail to postmaster. If you do so, please include this problem report. You can delete your own text from the attached returned message. The mail system "
	const exim = "This message was created automatically by mail delivery software. A message that you sent could not be delivered to one or more of its recipients. This is a permanent error. The following address(es) failed: "
	const qmail = "Hi. This is the qmail-send program at mail.example.net. I'm afraid I wasn't able to deliver your message to the following addresses. This is a permanent error; I've given up. Sorry it didn't work out. "
	const fields = "Final-Recipient: rfc822; ann@example.org Original-Recipient: rfc822;ann@example.org Action: failed Status: 5.7.1 Remote-MTA: dns; mx.example.org "
	e := engine(t)
	for text, want := range map[string]string{
		postfix + "<ann@example.org>: host mx.example.org[192.0.2.1] said: 554 5.7.1 Spam refused (in reply to end of DATA command)":                           "spam_content",
		postfix + "<ann@example.org>: unknown user: \"ann\"":                                                                                                   "user_unknown",
		exim + "ann@example.org host mx.example.org [192.0.2.1] SMTP error from remote mail server after RCPT TO:<ann@example.org>: 550 Mailbox is over quota": "mailbox_full",
		qmail + "<ann@example.org>: 192.0.2.1 does not like recipient. Remote host said: 550 Relaying denied Giving up on 192.0.2.1.":                          "relay_denied",
		fields + "Diagnostic-Code: smtp; 554 5.7.1 Blocked using zen.spamhaus.org":                                                                             "ip_blocklisted",
		fields: "policy_rejected",
		"This is a permanent error; user unknown": "user_unknown",
	} {
		row := Case{Text: text}.Row()
		if c := e.Classify(&row); c.Category != want {
			t.Errorf("%s\n got %s by %s\nwant %s", text, c.Category, c.Rule, want)
		}
	}
	for _, prelude := range []string{postfix, exim, qmail} {
		for n := 20; n < len(prelude); n++ {
			row := Case{Text: prelude[:n]}.Row()
			if c := e.Classify(&row); c.Category != "other" {
				t.Errorf("%s\n got %s by %s", prelude[:n], c.Category, c.Rule)
			}
		}
	}
}
