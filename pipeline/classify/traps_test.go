package classify

import (
	"testing"

	"bounceline/pipeline/record"
)

// TestTraps holds what reads easily wrong: words, codes and commands that say something else than they seem to. Each group fails
// where one looks at less than it asks for.
func TestTraps(t *testing.T) {
	e := engine(t)
	for _, trap := range []struct {
		name  string
		cases []trapCase
	}{
		{"5.7.1 says nothing by itself", []trapCase{
			{Case{Text: "550 5.7.1 No such user!"}, "user_unknown", Hard},
			{Case{Text: "550 5.7.1 <ann@example.org>: User unknown"}, "user_unknown", Hard},
			{Case{Text: "550 5.7.1 Message rejected as spam by Content Filtering."}, "spam_content", Block},
			{Case{Text: "550 5.7.1 Unable to relay"}, "relay_denied", Block},
			{Case{Text: "554 5.7.1 Client host [198.51.100.25] blocked using zen.spamhaus.org"}, "ip_blocklisted", Block},
			{Case{Text: "550 5.7.1 Email rejected per DMARC policy for example.com"}, "auth_failed", Block},
			{Case{Text: "550 5.7.1 <ann@example.org>: mailbox is over quota"}, "mailbox_full", Soft},
		}},
		{"Recipient address rejected is only a wrapper", []trapCase{
			{Case{Text: "554 5.7.1 <ann@example.org>: Recipient address rejected: Greylisted"}, "greylisted", Soft},
			{Case{Text: "550 5.1.1 <ann@example.org>: Recipient address rejected: User unknown in local recipient table"}, "user_unknown", Hard},
			{Case{Text: "550 5.7.23 <ann@example.org>: Recipient address rejected: Message rejected due to: SPF fail - not authorized"}, "auth_failed", Block},
			{Case{Text: "552 5.3.4 <ann@example.org>: Recipient address rejected: message size exceeds limit"}, "message_too_large", Soft},
		}},
		{"5.1.1 for policy", []trapCase{
			{Case{Text: "550 5.1.1 <news@example.com> has sent to too many recipients this hour. IB607"}, "rate_limited", Soft},
			{Case{Text: "552 5.1.1 <ann@example.org> Recipient overquota"}, "mailbox_full", Soft},
		}},
		{"what is blocked or refused is the message, not the mailbox it was for", []trapCase{
			{Case{Text: "Your message to ann@example.org has been blocked. The response was: Message rejected."}, "policy_rejected", Block},
			{Case{Text: "550 The mailbox of ann@example.org is blocked"}, "inactive_mailbox", Hard},
		}},
		{"4xx that are permanent stay soft", []trapCase{
			{Case{Text: "450 4.1.1 <ann@example.org>: User unknown in virtual mailbox table"}, "user_unknown", Soft},
			{Case{Text: "452 4.1.1 <ann@example.org> mailbox over quota"}, "mailbox_full", Soft},
			{Case{Text: "452 4.2.2 The email account that you tried to reach is over quota"}, "mailbox_full", Soft},
		}},
		{"5xx that are temporary", []trapCase{
			{Case{Text: "552 5.2.2 user is over quota"}, "mailbox_full", Soft},
			{Case{Text: "550 5.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered. - gsmtp"}, "rate_limited", Soft},
			{Case{Text: "550 Mail content denied: connection frequency limited"}, "rate_limited", Soft},
			{Case{Text: "550 5.4.5 Daily user sending limit exceeded. - gsmtp"}, "rate_limited", Soft},
			{Case{Text: "554 5.7.1 Greylisting in action, please try later"}, "greylisted", Soft},
		}},
		{"a list of the receiver's is about the network", []trapCase{
			{Case{Text: "550 5.7.1 Unfortunately, messages from [198.51.100.25] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140)."}, "ip_blocklisted", Block},
		}},
		{"the sender does not exist", []trapCase{
			{Case{Text: "553 5.1.8 Domain of sender address ann@example.com does not exist"}, "sender_rejected", Block},
			{Case{Text: "450 4.1.8 <ann@example.com>: Sender address rejected: Domain not found"}, "sender_rejected", Block},
			{Case{Text: "<bob@example.com>: Sender address rejected: undeliverable address: host mx.example.com[192.0.2.9] said: 550 5.1.1 No such user (in reply to RCPT TO command)"}, "sender_rejected", Block},
		}},
		{"a telling reply behind a vague one", []trapCase{
			{Case{Text: "500 5.0.0 Depot returns error: <552 5.2.2 Over quota>"}, "mailbox_full", Soft},
			{Case{Text: "554 5.7.0 Message refused 554 5.7.1 blocked using zen.spamhaus.org"}, "ip_blocklisted", Block},
			{Case{Text: "554 5.7.0 Message refused 503 5.5.1 RCPT first"}, "policy_rejected", Block},
			{Case{Text: "550 5.1.1 User unknown 554 5.5.1 Error: mailbox full"}, "user_unknown", Hard},
		}},
		{"codes that disagree", []trapCase{
			{Case{Text: "450 5.1.1 <ann@example.org>: unknown user", Status: "deferred"}, "user_unknown", Soft},
			{Case{Text: "450 5.1.1 <ann@example.org>: unknown user", Status: "bounced"}, "user_unknown", Hard},
			{Case{Text: "450 5.1.1 <ann@example.org>: unknown user"}, "user_unknown", Soft},
			{Case{Text: "552 4.2.2 mailbox full"}, "mailbox_full", Soft},
			{Case{Text: "421 5.7.32 zzz", Status: "deferred"}, "policy_rejected", Block},
			{Case{Text: "352 5.2.2 zzz"}, "informational", General},
			{Case{Text: "host mx.example.org[192.0.2.1] refused to talk to me: 554 5.7.1 Client host blocked using zen.spamhaus.org", Status: "deferred"}, "ip_blocklisted", Block},
		}},
		{"words about the recipient, a code about something else", []trapCase{
			{Case{Text: "550 5.3.4 no such big mails to this user please"}, "message_too_large", Soft},
			{Case{Text: "5.4.7 unknown host error; expired in queue after 120 h"}, "message_expired", Soft},
			{Case{Text: "550 5.6.1 message body of type application/x-tnef isn't known here"}, "content_rejected", Block},
			{Case{Text: "451 4.7.24 Recipient address rejected: SPF-Result=example.com: 'SERVFAIL' error on DNS 'TXT' lookup"}, "auth_failed", Block},
			{Case{Text: "530 5.7.0 Unknown users and relays aren't accepted"}, "smtp_auth_required", Block},
			{Case{Text: "550 5.7.1 user unknown"}, "user_unknown", Hard},
			{Case{Text: "550 5.4.1 user unknown"}, "user_unknown", Hard},
			{Case{Text: "552 5.2.2 user unknown"}, "user_unknown", Hard},
			{Case{Text: "521 5.3.2 example.org does not accept any mail"}, "null_mx", Hard},
		}},
		{"the MTA's word and the text", []trapCase{
			{Case{Text: "550 5.1.1 <ann@example.org>: User unknown", Status: "SOFTBOUNCE"}, "user_unknown", Hard},
			{Case{Text: "delivery temporarily suspended: expired", Status: "expired"}, "message_expired", Soft},
			{Case{Text: "550 5.1.1 <ann@example.org>: User unknown", Status: "force-expired"}, "message_expired", Soft},
		}},
		{"no new attempt", []trapCase{
			{Case{Text: "delivery temporarily suspended: connect to mx.example.org[192.0.2.1]:25: Connection refused", Status: "deferred"}, "connection_failed", Soft},
			{Case{Text: "delivery temporarily suspended: host mx.example.org[192.0.2.1] refused to talk to me: 421 4.7.0 Too many connections", Status: "deferred"}, "rate_limited", Soft},
			{Case{Text: "retry time not reached for any host", Status: "=="}, "connection_failed", Soft},
		}},
		{"two replies in one", []trapCase{
			{Case{Text: "550 5.1.1 <ann@example.org>: User unknown 554 5.5.1 Error: no valid recipients 503 5.5.1 RCPT first"}, "user_unknown", Hard},
			{Case{Text: "452 4.2.2 <ann@example.org>: mailbox full 503 5.5.1 need RCPT before DATA"}, "mailbox_full", Soft},
		}},
		{"the receiver's own resolver", []trapCase{
			{Case{Text: "554 5.7.1 Service unavailable; Client host [198.51.100.25] blocked using zen.spamhaus.org; Error: open resolver; https://www.spamhaus.org/returnc/pub/192.0.2.1"}, "system_error", Soft},
		}},
		{"lists of domains", []trapCase{
			{Case{Text: "554 5.7.1 Message contains a URL listed in multi.uribl.com"}, "spam_content", Block},
			{Case{Text: "550 5.7.1 Your email was rejected due to having a domain present in the Spamhaus DBL -- see https://www.spamhaus.org/dbl/"}, "spam_content", Block},
		}},
		{"mailbox unavailable", []trapCase{
			{Case{Text: "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).", RelayHost: "hotmail-com.olc.protection.outlook.com"}, "user_unknown", Hard},
			{Case{Text: "550 Mailbox unavailable or access denied [abc] http://service.mail.qq.com/cgi-bin/help"}, "rate_limited", Soft},
		}},
		{"deferred for good", []trapCase{
			{Case{Text: "421 4.7.0 [TSS04] Messages from 198.51.100.25 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes"}, "rate_limited", Soft},
			{Case{Text: "553 5.7.2 [TSS09] All messages from 198.51.100.25 will be permanently deferred; Retrying will NOT succeed."}, "bad_reputation", Block},
		}},
		{"DMARC in everybody's words", []trapCase{
			{Case{Text: "550 5.7.26 Unauthenticated email from example.com is not accepted due to domain's DMARC policy. - gsmtp"}, "auth_failed", Block},
			{Case{Text: "550 5.7.509 Access denied, sending domain example.com does not pass DMARC verification and has a DMARC policy of reject."}, "auth_failed", Block},
			{Case{Text: "550 5.7.515 Access denied, sending domain example.com does not meet the required authentication level."}, "auth_failed", Block},
			{Case{Text: "554 5.7.1 Your message was rejected due to example.com DMARC policy."}, "auth_failed", Block},
			{Case{Text: "554 5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes"}, "auth_failed", Block},
			{Case{Text: "550 5.2.0 Message rejected due to DMARC. DM000001"}, "auth_failed", Block},
		}},
		{"relaying denied", []trapCase{
			{Case{Text: "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"}, "relay_denied", Block},
			{Case{Text: "554 5.7.1 <ann@example.org>: Relay access denied"}, "relay_denied", Block},
		}},
		{"other languages", []trapCase{
			{Case{Text: "550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]"}, "user_unknown", Hard},
			{Case{Text: "550 Benutzer unbekannt"}, "user_unknown", Hard},
			{Case{Text: "552 El buzón del destinatario está lleno"}, "mailbox_full", Soft},
			{Case{Text: "550 用户不存在"}, "user_unknown", Hard},
			{Case{Text: "550 ПОЛЬЗОВАТЕЛЬ НЕ НАЙДЕН"}, "user_unknown", Hard},
		}},
		{"restricted groups", []trapCase{
			{Case{Text: "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery restriction check failed because the sender was not authenticated when sending to this group"}, "recipient_refused", Block},
			{Case{Text: "550 5.7.124 RESOLVER.RST.SenderNotInAllowedSendersList; not authorized"}, "recipient_refused", Block},
		}},
		{"names inside the text", []trapCase{
			{Case{Text: "550 5.1.1 <spam@virus.example>: Recipient address rejected: User unknown"}, "user_unknown", Hard},
			{Case{Text: "550 5.2.1 <ann@blocked.example>: mailbox disabled, see http://blocked.example/spam-policy.html"}, "inactive_mailbox", Hard},
			{Case{Text: "550 5.1.1 mx.spam-blocklist.example: no such user <quota-full@greylist.example>"}, "user_unknown", Hard},
		}},
		{"digits that are no codes", []trapCase{
			{Case{Text: "451 zzz 5.2.2.1 4.2.2.7 zzz"}, "system_error", Soft},
			{Case{Text: "550 zzz 452 zzz 198.51.100.25 5112 zzz"}, "policy_rejected", Block},
		}},
		{"the command that was answered", []trapCase{
			{Case{Text: "host mx.example.org[192.0.2.1] said: 550 Requested action not taken: mailbox unavailable (in reply to MAIL FROM command)"}, "sender_rejected", Block},
			{Case{Text: "550", SMTPCommand: record.CmdMAIL}, "sender_rejected", Block},
			{Case{Text: "550", SMTPCommand: record.CmdConnect}, "policy_rejected", Block},
			{Case{Text: "550 5.1.1", SMTPCommand: record.CmdMAIL}, "sender_rejected", Block},
			{Case{Text: "550 5.1.1 No such user", SMTPCommand: record.CmdMAIL}, "sender_rejected", Block},
			{Case{Text: "550 Account suspended", SMTPCommand: record.CmdMAIL}, "sender_rejected", Block},
			{Case{Text: "550 User is locked", SMTPCommand: record.CmdAUTH}, "smtp_auth_required", Block},
			{Case{Text: "550 5.2.1 Mailbox disabled", SMTPCommand: record.CmdAUTH}, "smtp_auth_required", Block},
			{Case{Text: "550 5.2.1", SMTPCommand: record.CmdAUTH}, "smtp_auth_required", Block},
			{Case{Text: "554 No such user here", SMTPCommand: record.CmdConnect}, "policy_rejected", Block},
			{Case{Text: "521 mx.example.org does not accept mail", SMTPCommand: record.CmdConnect}, "null_mx", Hard},
			{Case{Text: "550 5.1.1 No such user", SMTPCommand: record.CmdEndOfData}, "user_unknown", Hard},
			{Case{Text: "SASL authentication failed; server mx.example.org[192.0.2.1] said: 550 User is locked"}, "smtp_auth_required", Block},
			{Case{Text: "msmtp: authentication failed (method LOGIN) msmtp: server message: 550 User is locked"}, "smtp_auth_required", Block},
			{Case{Text: "Error: Invalid login: 550 User suspended"}, "smtp_auth_required", Block},
			{Case{Text: "SMTPAuthenticationError: (554, b'5.7.1 Account disabled')"}, "smtp_auth_required", Block},
			{Case{Text: "javax.mail.AuthenticationFailedException: 550 User suspended"}, "smtp_auth_required", Block},
			{Case{Text: "Failed to authenticate on SMTP server with username \"ann\" using the following authenticators: \"LOGIN\". Authenticator \"LOGIN\" returned \"Expected response code \"235\" but got code \"550\", with message \"550 User has been suspended\"."}, "smtp_auth_required", Block},
		}},
		{"a word is no finding", []trapCase{
			{Case{Text: "451 4.3.0 virus_scan FAILED: scanner is down"}, "system_error", Soft},
			{Case{Text: "535 Authentication failed: Maximum credits exceeded"}, "rate_limited", Soft},
		}},
	} {
		t.Run(trap.name, func(t *testing.T) {
			for _, c := range trap.cases {
				row := c.Case.Row()
				if got := e.Classify(&row); got.Category != c.category || got.BounceType != c.bounceType {
					t.Errorf("%s: %s (%s) by %s, want %s (%s)", c.Text, got.Category, got.BounceType, got.Rule, c.category, c.bounceType)
				}
			}
		})
	}
}

type trapCase struct {
	Case
	category, bounceType string
}

// TestVirusScannerThatFailed and the like are not alone: a bare code is never proof enough for the list of addresses to stop mailing.
func TestBareCodesProveNothing(t *testing.T) {
	e := engine(t)
	for _, text := range []string{"550 zzz", "550", "553 zzz", "551 zzz", "521 zzz", "550 5.1.0 zzz", "550 5.2.0 zzz", "550 5.1.99 zzz", "550 5.0.0 zzz"} {
		row := answer(text)
		if c := e.Classify(&row); c.Confidence == ByProvider || c.Confidence == ByText || c.Confidence == ByDSN {
			t.Errorf("%s: %s (%s) with confidence %s", text, c.Category, c.BounceType, c.Confidence)
		}
	}
}

// TestBare550: it is given for everything. Where it comes with words, and nobody knows them, it does not say that the address is bad.
func TestBare550(t *testing.T) {
	e := engine(t)
	for text, want := range map[string]string{
		"550":                        "user_unknown hard",
		"550 <ann@example.org>":      "user_unknown hard",
		"550 zzz":                    "policy_rejected block",
		"550 <ann@example.org>: zzz": "policy_rejected block",
		"550 5.1.0 zzz":              "user_unknown hard",
		"550 5.1.1 zzz":              "user_unknown hard",
		"551 zzz":                    "recipient_moved hard",
		"450 zzz":                    "other soft",
		"550 ooo ppp":                "policy_rejected block",
		"550 5.7.1 zzz":              "policy_rejected block",
	} {
		row := answer(text)
		if c := e.Classify(&row); c.Category+" "+c.BounceType != want {
			t.Errorf("%s: %s %s by %s, want %s", text, c.Category, c.BounceType, c.Rule, want)
		}
	}
}

// TestVagueWordsProveNothing: what vague words say of a recipient is as sure as the code, which may prove it.
func TestVagueWordsProveNothing(t *testing.T) {
	for text, want := range map[string]string{
		"550 This account cannot be used":              "user_unknown code",
		"550 5.1.1 This account cannot be used":        "user_unknown dsn",
		"550 5.7.1 This account cannot be used":        "user_unknown code",
		"550 5.1.1 User unknown":                       "user_unknown text",
		"550 5.1.1 <ann@example.org> this one does no": "user_unknown dsn",
	} {
		row := Case{Text: text}.Row()
		v := engine(t).Classify(&row)
		if got := v.Category + " " + v.Confidence; got != want {
			t.Errorf("%s: %s by %s, want %s", text, got, v.Rule, want)
		}
	}
}

// TestProbesAndDeliveries: what is no failure gets no reason for one.
func TestProbesAndDeliveries(t *testing.T) {
	e := engine(t)
	for _, c := range []struct {
		row  record.Row
		want string
	}{
		{record.Row{EventType: record.Attempt, Outcome: record.Delivered, SMTPCode: 250, RemoteText: []byte("250 2.0.0 Ok: queued; spam blocked 550")}, "delivered"},
		{record.Row{EventType: record.Probe, Outcome: record.OtherOutcome, Status: []byte("deliverable"), SMTPCode: 250, RemoteText: []byte("250 2.1.5 Ok")}, "delivered"},
		{record.Row{EventType: record.Probe, Outcome: record.OtherOutcome, Status: []byte("undeliverable"), SMTPCode: 550, RemoteText: []byte("550 5.1.1 User unknown")}, "user_unknown"},
		{record.Row{EventType: record.Expiration, Outcome: record.Expired, LastCategory: "mailbox_full"}, "message_expired"},
		{record.Row{EventType: record.Suspended, Outcome: record.Deferred, LastCategory: "greylisted"}, "greylisted"},
		{record.Row{EventType: record.Suspended, Outcome: record.Deferred}, "connection_failed"},
	} {
		if got := e.Classify(&c.row); got.Category != c.want {
			t.Errorf("%+v: %s, want %s", c.row.Status, got.Category, c.want)
		}
	}
}
