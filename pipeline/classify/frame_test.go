package classify

import (
	"bytes"
	"strings"
	"testing"
)

// TestFrame: what servers put before and behind a reason that says nothing of it changes no verdict.
func TestFrame(t *testing.T) {
	e := engine(t)
	heads := []string{"Error: ", "SMTP error: ", "DELIVERY FAILED: ", "Permanent failure: ", "Remote server says: ", "Message rejected: ", "Mail denied: ", "Rejected: ", "Undeliverable: ", "Blocked: ", "Access denied: ", "Command rejected: ", "We are sorry: ", "Delivery to <ann@example.org> failed: ", "Reason: ", "mx.example.org ESMTP "}
	tails := []string{
		" Your IP: 192.0.2.1", ". Your IP address is 192.0.2.1.", " (sender IP 192.0.2.1)", " (client IP: 192.0.2.1)",
		"; closing connection", ". Closing transmission channel", ". Goodbye.", ". Thank you", ". Message refused",
		". Please contact your administrator.", ". If you have questions, please contact the postmaster",
		", message returned to sender", ". Return to sender.", "; returning message to sender", " - mail is returned to its sender",
		", please try again later", ". Try later", " (command rejected)", "; rejected", " Giving up.", ". If you believe this is an error contact your administrator",
		" helo=<mail.example.com>", "; from=<bob@example.com> to=<ann@example.org> proto=ESMTP helo=<mail.example.com>",
		" (queue id 4XyZ12abc)", " (error code 42)", " (ticket #123456)", ". Session id 3A7F12", " Transaction id 4f1a-29bc-7d", " Reference: 8f3b2c1d",
		" [AbC12dEfGh34iJkL.1 mx1.example.net 2026-11-27T10:11:12.123Z]",
		". See https://www.example.com/help/bounces", " (see https://www.example.com/d/1 for details)", " - please contact postmaster@example.org", ". If you think this is an error, contact <abuse@example.org>",
		" 192.0.2.1", " -- mx3.example.org", ". Please contact the recipient by other means.",
		". Please contact your administrator. Your IP: 192.0.2.1; closing connection. (session id 3A7F12)",
	}
	for _, c := range []struct{ codes, reason, category string }{
		{"550 5.1.1 ", "User unknown", "user_unknown"},
		{"550 ", "Пользователь не найден", "user_unknown"},
		{"550 5.2.1 ", "mailbox has been discontinued", "inactive_mailbox"},
		{"552 5.2.2 ", "Mailbox full", "mailbox_full"},
		{"550 5.1.2 ", "no such domain", "domain_not_found"},
		{"550 5.7.1 ", "Relaying denied", "relay_denied"},
		{"550 5.7.1 ", "Message contains spam", "spam_content"},
		{"451 4.7.1 ", "Greylisting in action", "greylisted"},
		{"450 4.1.8 ", "Sender address rejected: Domain not found", "sender_rejected"},
		{"554 5.7.1 ", "Sender IP is on the Spamhaus blocklist", "ip_blocklisted"},
		{"550 5.7.1 ", "SPF check failed", "auth_failed"},
		{"530 5.7.0 ", "Authentication required", "smtp_auth_required"},
		{"452 4.3.1 ", "Insufficient system storage", "system_full"},
		{"552 5.3.4 ", "Message size exceeds fixed limit", "message_too_large"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			texts := []string{c.codes + c.reason}
			for _, head := range heads {
				texts = append(texts, c.codes+head+c.reason)
			}
			for _, tail := range tails {
				texts = append(texts, c.codes+c.reason+tail)
			}
			for _, text := range texts {
				row := Case{Text: text}.Row()
				if v := e.Classify(&row); v.Category != c.category {
					t.Errorf("%s\n got %s by %s\nwant %s", text, v.Category, v.Rule, c.category)
				}
			}
		})
	}
}

// TestFrameAfterDash: where a dash stands between the codes and what a server says at last, nothing of the codes is cut.
func TestFrameAfterDash(t *testing.T) {
	e := engine(t)
	for text, want := range map[string]string{
		"451 - Please try again later.":   "system_error",
		"550 5.7.1 - Goodbye":             "policy_rejected",
		"421 -- closing connection":       "connection_failed",
		"552 5.2.2 - message refused":     "mailbox_full",
		"450 - 192.0.2.1":                 "other",
		"554 5.7.1 - (queue id 4XyZ12ab)": "policy_rejected",
		"554 <ann@example.org>: Recipient address rejected: Transaction failed": "policy_rejected", // nor is it set aside behind a wrapper
	} {
		row := Case{Text: text}.Row()
		if v := e.Classify(&row); v.Category != want {
			t.Errorf("%s\n got %s by %s\nwant %s", text, v.Category, v.Rule, want)
		}
	}
}

// TestFrameAsReason: where nothing else is said, the words of a frame are the reason, and an address tells who is refused.
func TestFrameAsReason(t *testing.T) {
	e := engine(t)
	for text, want := range map[string]string{
		"450 4.7.1 <mx.example.com[192.0.2.1]>: Client host rejected: Try again later":                              "system_error",
		"451 Access denied, please try again later":                                                                 "rate_limited",
		"550 Mailbox unavailable. Try again later":                                                                  "system_error",
		"Host or domain name not found. Name service error for name=example.org type=MX: Host not found, try again": "dns_failure",
		"550 Failed: no":                        "policy_rejected",
		"550 x":                                 "policy_rejected",
		"421 mx.example.org closing connection": "connection_failed",
		"421 4.7.0 Try again later, closing connection.":                     "rate_limited",
		"550 5.7.1 Access denied. Your IP: 192.0.2.1":                        "ip_blocklisted",
		"550 5.7.1 We accept no mail from your IP 192.0.2.1":                 "ip_blocklisted",
		"554 mx.example.org ESMTP not accepting messages":                    "policy_rejected",
		"550 5.1.1 No longer with us. Please contact bob@example.net":        "recipient_moved",
		"550 5.7.1 Client host rejected: cannot find your hostname [#id 42]": "reverse_dns",
	} {
		row := Case{Text: text}.Row()
		if v := e.Classify(&row); v.Category != want {
			t.Errorf("%s\n got %s by %s\nwant %s", text, v.Category, v.Rule, want)
		}
	}
}

// TestFramed: what is cut off and what is set aside.
func TestFramed(t *testing.T) {
	names := tables(t)
	for text, want := range map[string]string{
		"550 5.1.1 User unknown; closing connection":                        "550 5.1.1 user unknown|; closing connection",
		"550 5.1.1 User unknown. Your IP: 192.0.2.1.":                       "550 5.1.1 user unknown|. your ip: #ip.",
		"550 5.1.1 User unknown (queue id 4XyZ12abc)":                       "550 5.1.1 user unknown|",
		"550 No; from=<a@b.example> to=<c@d.example> proto=ESMTP helo=<me>": "550 no|",
		"550 closed; closing connection":                                    "550 closed; closing connection|",
		"550 5.7.1 We take no mail from your IP: 192.0.2.1":                 "550 5.7.1 we take no mail from your ip: #ip|",
		"550 5.7.1 Access denied: your IP 192.0.2.1":                        "550 5.7.1 access denied: your ip #ip|",
		"550 Permanent failure: user unknown":                               "550 user unknown|",
		"550 Permanent failure: no":                                         "550 permanent failure: no|",
		"550 (queue id 4XyZ12abc)":                                          "550 (queue id #id)|",
		"452 4.5.3 Too many recipients per session: 100":                    "452 4.5.3 too many recipients per session: 100|",
		"550 )":              "550 )|",
		"550 User unknown )": "550 user unknown )|",
	} {
		var n normalised
		n.normalise([]byte(text), names)
		if got := strings.TrimSpace(string(n.text[:n.cut])) + "|" + strings.TrimSpace(string(n.text[n.cut:])); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}

// TestClosings: each is found whole at the end of a text, and in brackets.
func TestClosings(t *testing.T) {
	n := 0
	for _, parts := range closings {
		for _, c := range parts {
			n++
			if start, kind := closing(append([]byte("a reason"), c.words...)); kind == noFrame || start > len("a reason") {
				t.Errorf("%q is not found at the end", c.words)
			}
			if inBrackets(c.words[1:]) == noFrame && bytes.HasPrefix(c.words, []byte(" ")) {
				t.Errorf("%q is not found in brackets", c.words)
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d", n)
	}
}
