package classify

import (
	"strconv"
	"strings"
	"testing"
)

// TestQuoted: codes and texts of replies as people copy them.
func TestQuoted(t *testing.T) {
	for _, c := range []struct {
		text, remote, enhanced string
		code                   uint16
	}{
		{text: "smtp; 550 5.1.1 <ann@example.org>... User", remote: "550 5.1.1 <ann@example.org>... User", code: 550, enhanced: "5.1.1"},
		{text: "5.3.0 - Other mail system problem 554-'5.7.1 it's refused' (delivery attempts: 0)", remote: "554 5.7.1 it's refused", code: 554, enhanced: "5.7.1"},
		{text: "Bounced: DCID 7 MID 9 to RID 0 - 5.1.0 - Unknown address error 550-'no' (delivery attempts: 3)", remote: "550 no", code: 550},
		{text: "smtp;554 Message not allowed - [299]", remote: "554 Message not allowed - [299]", code: 554},
		{text: "Diagnostic-Code: smtp; 550-5.7.1 [2001:db8::1] Our system\n    has detected that this 550 5.7.1 message", remote: "550-5.7.1 [2001:db8::1] Our system     has detected that this 550 5.7.1 message", code: 550, enhanced: "5.7.1"},
		{text: "Remote Server returned '550 5.4.1 [ann@example.org]: Access denied. We weren't sure [a.b]'", remote: "550 5.4.1 [ann@example.org]: Access denied. We weren't sure [a.b]", code: 550, enhanced: "5.4.1"},
		{text: "192.0.2.1 does not like recipient. Remote host said: 550 5.1.1 unknown Giving up on 192.0.2.1.", remote: "550 5.1.1 unknown", code: 550, enhanced: "5.1.1"},
		{text: "failure: 192.0.2.1_does_not_like_recipient./Remote_host_said:_550_5.1.1_no_such_user/Giving_up_on_192.0.2.1./", remote: "550 5.1.1 no such user", code: 550, enhanced: "5.1.1"},
		{text: "failure: Sorry,_I_couldn't_find_any_host_named_example.org._(#5.1.2)/", enhanced: "5.1.2"},
		{text: "the other server returned was: 550 550 #5.1.0 Address rejected (state 14).", remote: "550 550 #5.1.0 Address rejected (state 14).", code: 550, enhanced: "5.1.0"},
		{text: "smtplib.SMTPDataError: (550, b'The \"From\" header is missing. See https://example.com/1.')", remote: `550 The "From" header is missing. See https://example.com/1.`, code: 550},
		{text: "{'ann@example.org': (553, '5.7.1 <bob@example.com>: Sender address rejected')}", remote: "553 5.7.1 <bob@example.com>: Sender address rejected", code: 553, enhanced: "5.7.1"},
		{text: "SMTP Error (550): Failed to set sender", remote: "550 Failed to set sender", code: 550},
		{text: "The mailbox is over quota: 550 5.7.1", remote: "The mailbox is over quota: 550 5.7.1", code: 550, enhanced: "5.7.1"},
		{text: "mailbox full: 452", remote: "mailbox full: 452", code: 452},
		{text: "host mx.example.org[192.0.2.1] said: 550 5.7.1 (in reply to RCPT TO command)", remote: "550 5.7.1", code: 550, enhanced: "5.7.1"},
		{text: "552: Message rejected", remote: "552 Message rejected", code: 552},
		{text: `Server response: "550 Relay prohibited", port: 25, server error: 550`, remote: "550 Relay prohibited", code: 550},
		{text: "<<< 550 5.1.1 <ann@example.org>... User unknown <<< 503 5.0.0 Need RCPT", remote: "550 5.1.1 <ann@example.org>... User unknown", code: 550, enhanced: "5.1.1"},
		{text: ">>> MAIL From:<bob@example.com> <<< 550 User unknown", remote: "550 User unknown", code: 550},
		{text: "<<< 554-mx.example.org ESMTP not available <<< 554-No SMTP service <<< 554 Bad DNS PTR record. <<< 503 5.0.0 Need RCPT", remote: "554-mx.example.org ESMTP not available 554-No SMTP service 554 Bad DNS PTR record.", code: 554},
		{text: "220 mx.example.org ESMTP helo x 550 Bad HELO", remote: "550 Bad HELO", code: 550},
		{text: "250 OK RCPT TO:<ann@example.org> 550 No such user", remote: "550 No such user", code: 550},
		{text: "250 OK 550 bytes", remote: "250 OK 550 bytes", code: 250},
		{text: "dsn=4.7.1, status=deferred (host mx.example.org[192.0.2.1] said: 450 4.7.1 Not now (in reply to RCPT TO command))", remote: "450 4.7.1 Not now", code: 450, enhanced: "4.7.1"},
		{text: "not logged in (Diagnostic-Code: smtp; 553 5.7.1)", remote: "not logged in (Diagnostic-Code: smtp; 553 5.7.1)", code: 553, enhanced: "5.7.1"},
		{text: "The address does not have a 550-5.7.25 PTR record", remote: "The address does not have a 550-5.7.25 PTR record", code: 550, enhanced: "5.7.25"},
		{text: "procmail: Quota exceeded while writing \"/var/mail/ann\" 550 5.0.0 ann... Can't create output", remote: "procmail: Quota exceeded while writing \"/var/mail/ann\" 550 5.0.0 ann... Can't create output", code: 550, enhanced: "5.0.0"},
		{text: "Sorry, I couldn't find any host named example.org. (#5.1.2)", enhanced: "5.1.2"},
		{text: "smtp error 5.7.1 Mail was rejected", enhanced: "5.7.1"},
		{text: "the other server return=\ned was: 550 no", remote: "550 no", code: 550},
		{text: "421HL:REP) 192.0.2.7 sends too much", remote: "421 HL:REP) 192.0.2.7 sends too much", code: 421},
		{text: "SMTP server error: RCPT TO command failed Detail: <ann@example.org>: User unknown SMTP code: 550 Additional SMTP info: 5.1.1", remote: "550 5.1.1 <ann@example.org>: User unknown", code: 550, enhanced: "5.1.1"},
		{text: "DATA END command failed Detail: This is spam SMTP code: 550", remote: "550 This is spam", code: 550},
		{text: "{u'ann@example.org': (450, '4.1.7 <bob@example.com>: Sender address rejected: undeliverable address: host b said: 550 5.1.1 no (in reply to RCPT TO command)')}", remote: "450 4.1.7 <bob@example.com>: Sender address rejected: undeliverable address: host b said: 550 5.1.1 no", code: 450, enhanced: "4.1.7"},
		{text: "192.0.2.1 failed. Remote host said: this account is disabled", remote: "this account is disabled"},
		{text: "192.0.2.1 does not like recipient. Remote host said: no thanks Giving up on 192.0.2.1.", remote: "no thanks"},
		{text: "The error that the other server returned was: Unknown UUCP bang path.", remote: "Unknown UUCP bang path."},
		{text: "The response from the remote server was: User unknown", remote: "User unknown"},
		{text: "host mx.example.org[192.0.2.1] said: No mailbox by that name (in reply to RCPT TO command)", remote: "No mailbox by that name"},
		{text: "SMTP error from remote mail server after RCPT TO:<ann@example.org>: host mx.example.org [192.0.2.1]: User is disabled", remote: "User is disabled"},
		{text: "#< #5.5.0 SMTP; 554-mx.example.org> #SMTP# Original message headers: Return-Path: <bob@example.com>", remote: "554-mx.example.org>", code: 554},
		{text: "after initial connection: 554 mx.example.org ann@example.org host mx.example.org SMTP error from remote mail server after initial connection: 554 mx.example.org", remote: "554 mx.example.org ann@example.org host mx.example.org", code: 554},
		{text: "535|Wrong password|", remote: "535 Wrong password|", code: 535},
		{text: "SMTPSendFailedException: 250 OK id=1XDbee; nested exception is: SMTPAddressFailedException: 501 <null>: no domain", remote: "501 <null>: no domain", code: 501},
		{text: "Failed to send some messages; Negative SMTP reply: 553", remote: "553 ", code: 553},
		{text: "Remote Server returned ‘550 5.7.1 Not allowed’", remote: "550 5.7.1 Not allowed", code: 550, enhanced: "5.7.1"},
		{text: "transient: 4.5.3 Recipients belong to multiple regions", enhanced: "4.5.3"},
		{text: "mx.example.org #550 Access denied #SMTP#", remote: "550 Access denied", code: 550},
		{text: "Envelope blocked - https://example.org/docs/DOC-1369#550 [#]", remote: ""},
		{text: "550 &lt;ann@example.org&gt;: can&#39;t deliver &amp; gave up", remote: "550 <ann@example.org>: can't deliver & gave up", code: 550},
		{text: "550 user=20\nunknown=20", remote: "550 user unknown", code: 550},
		{text: "Error: Expected smtp code 250, got 552", remote: "552 ", code: 552},
		{text: "550 5.1.1 <ann@example.org>: Recipient address rejected: User unknown; from=<bob@example.com> to=<ann@example.org> proto=SMTP helo=<x>", remote: "550 5.1.1 <ann@example.org>: Recipient address rejected: User unknown", code: 550, enhanced: "5.1.1"},
		{text: "said: 571 Email from 192.0.2.7 is blocked", remote: "571 Email from 192.0.2.7 is blocked", code: 571},
		{text: "error: port 587 is closed, error 465", remote: ""},
		{text: "Envelope blocked - https://community.example.com/docs/DOC-1369#550 [x]", remote: ""},
		{text: "seen 421HL:REP)", remote: ""},
		{text: "550th message", remote: ""},
		{text: "Room 550 is taken, call 550-1234", remote: ""},
		{text: "version 5.1.2 of 4.3.1", remote: ""},
		{text: "error 550-", remote: "550-", code: 550},
		{text: "5", remote: ""},
		{text: "(550", remote: ""},
		{text: "smtp; 450", remote: ""},
	} {
		r := Case{Text: c.text}.Row()
		if string(r.RemoteText) != c.remote || r.SMTPCode != c.code || string(r.EnhancedCode) != c.enhanced {
			t.Errorf("%s: %d %s %q, want %d %s %q", c.text, r.SMTPCode, r.EnhancedCode, r.RemoteText, c.code, c.enhanced, c.remote)
		}
	}
}

// TestBehindTransport: what Exim calls its routers and transports says nothing of the reason.
func TestBehindTransport(t *testing.T) {
	for text, want := range map[string]string{
		"** ann@example.org R=dkim_lookuphost T=dkim_remote_smtp: retry timeout exceeded":                                                         "retry timeout exceeded",
		"2026-11-28 09:00:01 1vAbCd-000001-2A == ann@example.org <bob@example.com> R=spf_route T=remote_smtp defer (-53): retry time not reached": "retry time not reached",
		"** ann@example.org R=dnslookup T=remote_smtp H=mx.example.org [192.0.2.1]: Connection timed out":                                         "** ann@example.org R=dnslookup T=remote_smtp H=mx.example.org [192.0.2.1]: Connection timed out",
		"550 policy T=spam: no": "550 policy T=spam: no",
	} {
		if row := (Case{Text: text}).Row(); string(row.ResponseText) != want {
			t.Errorf("%s: got %q, want %q", text, row.ResponseText, want)
		}
	}
}

// TestAnswered: reports say which command was answered.
func TestAnswered(t *testing.T) {
	for text, want := range map[string]string{
		"Connected to 192.0.2.1 but greeting failed. Remote host said: 554 go away":                                                        "connect",
		"Connected to 192.0.2.1 but my name was rejected. Remote host said: 550 who?":                                                      "HELO",
		"Connected to 192.0.2.1 but sender was rejected. Remote host said: 550 No such user":                                               "MAIL FROM",
		"failure: 192.0.2.1_does_not_like_recipient./Remote_host_said:_550_no/Giving_up_on_192.0.2.1./":                                    "RCPT TO",
		"192.0.2.1 failed on DATA command. Remote host said: 554 no":                                                                       "DATA",
		"192.0.2.1 failed after I sent the message. Remote host said: 550 mailbox unavailable":                                             "end of DATA",
		"... while talking to mx.example.org.: >>> MAIL From:<bob@example.com> SIZE=9 <<< 550 mailbox unavailable 554 Service unavailable": "MAIL FROM",
		"... while talking to mx.example.org.: >>> RCPT To:<ann@example.org> <<< 550 no 550 5.1.1 <ann@example.org>... User unknown":       "RCPT TO",
		"... while talking to mx.example.org.: >>> DATA <<< 550 no such user here <<< 503 Need RCPT":                                       "",
		"... while talking to mx.example.org.: <<< 554 go away":                                                                            "",
	} {
		if r := (Case{Text: text}).Row(); r.SMTPCommand != want {
			t.Errorf("%s: %q, want %q", text, r.SMTPCommand, want)
		}
	}
	e := engine(t)
	for _, text := range []string{
		">>> MAIL From:<bob@example.com> <<< 550 User unknown",
		"Connected to 192.0.2.1 but sender was rejected. Remote host said: 550 No such user",
		"Callback to <bob@example.com> failed: 550 user unknown",
		"Verification of sender bob@example.com failed: 550 no such user",
		"SMTP Error: The following recipients failed: ann@example.org: Callback to <bob@example.com> failed: 550 user unknown",
		"550 return address could not be verified: mx.example.org said: 550 user unknown",
		"Could not complete sender verify callout: mx.example.com said 550 no such user",
		"Callout verification of sender failed: remote host said \"550 5.1.1 User unknown\"",
		"Envelope sender <bob@example.com> callout failed. The remote server answered 550 5.1.1 unknown user",
		"550 Callback verification failed for bob@example.com: mx.example.com said: 550 no such user",
		"550 Sender callback verification failed, remote host said: 550 User unknown",
		"550 Sender callout verification failed: host mx.example.com said: 550 5.1.1 User unknown",
	} {
		if r := (Case{Text: text}).Row(); e.Classify(&r).Category != "sender_rejected" {
			t.Errorf("%s: %+v", text, e.Classify(&r))
		}
	}
}

// TestRecipientCallout: what the recipient's own server said of the recipient decides as if it had said it to us.
func TestRecipientCallout(t *testing.T) {
	e := engine(t)
	for text, want := range map[string]string{
		"550 Callout verification failed: host mx.example.org said: 550 5.1.1 User unknown":                                           "user_unknown",
		"550 Callout verification failed: host mx.example.org said: 552 5.2.2 Mailbox full":                                           "mailbox_full",
		"550 Callout verification failed: host mx.example.org said: 554 5.7.1 Client host [192.0.2.9] blocked using zen.spamhaus.org": "ip_blocklisted",
		"550 Recipient callout verification failed: host mx.example.org said: 550 5.1.1 User unknown":                                 "user_unknown",
		"550 Callout for recipient failed: host mx.example.org said: 450 4.2.0 Greylisted":                                            "greylisted",
	} {
		r := Case{Text: text}.Row()
		if c := e.Classify(&r); c.Category != want || c.Confidence != ByText {
			t.Errorf("%s: %s by %s, %s", text, c.Category, c.Rule, c.Confidence)
		}
	}
}

// TestInnerCodes: a reply that passes another one on as its reason has an enhanced code of its own, which says nothing of it.
func TestInnerCodes(t *testing.T) {
	const outer = "550 5.1.1 <ann@example.org>: Recipient address rejected: undeliverable address: host mx.example.org[192.0.2.1] said: "
	e := engine(t)
	for text, want := range map[string]string{
		outer + "554 5.7.1 zzz":  "policy_rejected block",
		outer + "550 zzz ppp":    "policy_rejected block",
		outer + "550 5.7.26 zzz": "auth_failed block",
		outer + "552 5.2.2 zzz":  "mailbox_full soft",
		outer + "550 5.2.1 zzz":  "inactive_mailbox hard",
		outer + "550 5.1.1 zzz":  "user_unknown hard",
		"450 4.1.1 <ann@example.org>: Recipient address rejected: unverified address: host mx.example.org[192.0.2.1] said: 550 5.1.1 zzz": "user_unknown soft",
	} {
		r := Case{Text: text}.Row()
		if c := e.Classify(&r); c.Category+" "+c.BounceType != want {
			t.Errorf("%s: %s %s by %s, want %s", text, c.Category, c.BounceType, c.Rule, want)
		}
	}
}

// TestTypedDiagnostic: the type of a field before a reply changes nothing, though its codes stand in fields of their own too.
func TestTypedDiagnostic(t *testing.T) {
	e := engine(t)
	for _, text := range []string{"553 example.invalid does not exist", "550 closed", "451 Requested action aborted: local error in processing"} {
		code, err := strconv.ParseUint(text[:3], 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		plain := Case{Text: text}.Row()
		for _, kind := range []string{"smtp; ", "smtp;", "Diagnostic-Code: SMTP; "} {
			typed := Case{Text: kind + text, SMTPCode: uint16(code)}.Row()
			if want, got := verdict(e.Classify(&plain)), verdict(e.Classify(&typed)); got != want {
				t.Errorf("%s%s: %q, want %q", kind, text, got, want)
			}
		}
	}
}

// TestCodesApart: a reply whose codes stand in fields of their own is the same reply.
func TestCodesApart(t *testing.T) {
	e := engine(t)
	for _, c := range []struct{ code, enhanced, text string }{
		{"550", "5.7.504", "[ann@example.org]: Recipient address rejected: Access denied"},
		{"550", "5.7.1", "Email quota exceeded."},
		{"550", "5.0.350", "Remote server returned an error -> 550 x-dg-ref header is too long"},
		{"553", "", "example.invalid does not exist"},
		{"550", "", "Callback to <bob@example.com> failed: 550 user unknown"},
		{"550", "", "Envelope blocked - User Entry - https://community.mimecast.com/docs/DOC-1369#550 [x]"},
		{"550", "5.1.1", "<ann@example.org>: Recipient address rejected: undeliverable address: host mx.example.net[192.0.2.1] said: 550 5.2.1 Mailbox disabled"},
		{"550", "", "SPF-check failed: 550 example.com doesn't allow sending mails from 192.0.2.1 (in reply to MAIL FROM command)"},
	} {
		code, err := strconv.ParseUint(c.code, 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		one := Case{Text: strings.Join(strings.Fields(c.code+" "+c.enhanced+" "+c.text), " ")}.Row()
		apart := Case{Text: c.text, SMTPCode: uint16(code), EnhancedCode: c.enhanced}.Row()
		if want, got := verdict(e.Classify(&one)), verdict(e.Classify(&apart)); got != want {
			t.Errorf("%s %s apart from %q: %q, want %q", c.code, c.enhanced, c.text, got, want)
		}
	}
}
