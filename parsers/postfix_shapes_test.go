package parsers

import "testing"

// Every shape of Postfix's lines: delivery records, their fields and reason texts, and what is none.
func TestPostfix(t *testing.T) {
	const head = "Mar  4 05:06:07 mx1 postfix/smtp[812]: 4F2A91C0B7: "
	const local = "Mar  4 05:06:07 mx1 postfix/local[812]: 4F2A91C0B7: "
	const to = head + "to=<ann@example.org>, relay=mx1.example.org[192.0.2.25]:25, delay=2.4, delays=0.11/0.01/1.9/0.38, "
	const none = head + "to=<ann@example.org>, relay=none, delay=2.4, delays=0.11/0.01/1.9/0.38, "
	const prefix = "Mar  4 05:06:07 mx1 "
	const said = "host mx1.example.org[192.0.2.25] said: "
	checkShapes(t, []shape{
		{"all fields", head + `to=<ann@example.org>, orig_to=<sales@example.com>, relay=mx1.example.org[192.0.2.25]:25, conn_use=3, delay=2.4, delays=0.11/0.01/1.9/0.38, tls=dane, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 6D01F22A)`,
			"event delivery | mta=postfix | instance=postfix | service=smtp | agent=smtp | pid=812 | event_type=attempt | outcome=delivered | status=sent | queue_id=4F2A91C0B7 | recipient=ann@example.org | recipient_domain=example.org | orig_recipient=sales@example.com | relay=mx1.example.org[192.0.2.25]:25 | relay_host=mx1.example.org | relay_ip=192.0.2.25 | relay_port=25 | conn_use=3 | delay=2.4 | delay_before_qmgr=0.11 | delay_in_qmgr=0.01 | delay_conn=1.9 | delay_xmit=0.38 | tls=dane | dsn=2.0.0 | smtp_code=250 | enhanced_code=2.0.0 | smtp_command=end of DATA | response_text=250 2.0.0 Ok: queued as 6D01F22A | remote_text=250 2.0.0 Ok: queued as 6D01F22A | next_queue_id=6D01F22A | internal_hop= | truncated="},
		{"long queue ID", prefix + "postfix/smtp[812]: 4Zk9Qw3Rt1zBmXs: to=<ann@example.org>, relay=none, delay=0, status=deferred (x)", "event | queue_id=4Zk9Qw3Rt1zBmXs"},
		{"delay alone", head + "to=<ann@example.org>, relay=mx1.example.org[192.0.2.25], delay=3, status=sent (250 ok)", "event | delay=3 | delay_conn= | dsn= | relay_port= | relay_ip=192.0.2.25"},
		{"unknown key", head + "to=<ann@example.org>, relay=none, delay=0, shoe_size=44, dsn=4.0.0, status=deferred (x)", "event delivery with an unknown field | dsn=4.0.0"},
		{"tls", head + "to=<ann@example.org>, relay=mx1.example.org[192.0.2.25]:25, delay=0.1, delays=0/0/0/0.1, tls=may:none, dsn=2.0.0, status=sent (250 ok)", "event | tls=may:none"},

		{"service of its own", prefix + "postfix-out/relay/smtp[812]: 4F2A91C0B7: to=<ann@example.org>, relay=none, delay=0, status=deferred (x)", "event | instance=postfix-out | service=relay/smtp | agent=smtp"},
		{"other syslog name", prefix + "mx-slow/smtp[812]: 4F2A91C0B7: to=<ann@example.org>, relay=none, delay=0, status=deferred (x)", "event | instance=mx-slow | agent=smtp"},
		{"daemon alone", prefix + "smtp[812]: 4F2A91C0B7: to=<ann@example.org>, relay=none, delay=0, status=deferred (x)", "event | agent=smtp"},

		{"to=<root>", local + "to=<root>, relay=local, delay=0.1, dsn=2.0.0, status=sent (delivered to mailbox)", "event | recipient=root | recipient_domain= | relay=local | outcome=delivered | remote_text="},
		{"quoted local part", head + `to=<"a>b, c"@example.org>, relay=none, delay=0, status=bounced (x)`, `event | recipient="a>b, c"@example.org`},
		{"quoted quote", head + `to=<"o\"k"@example.org>, relay=none, delay=0, status=bounced (x)`, `event | recipient="o\"k"@example.org`},
		{"lone quote", head + `to=<o"k@example.org>, relay=none, delay=0, status=bounced (x)`, `event | recipient=o"k@example.org`},
		{"SMTPUTF8", head + `to=<пётр@пример.example>, relay=none, delay=0, status=bounced (x)`, `event | recipient=пётр@пример.example`},
		{"lost brackets", head + `to=ann@example.org, relay=none, delay=0, status=bounced (x)`, "event | recipient=ann@example.org"},
		{"HTML brackets", head + `to=&lt;ann@example.org&gt;, relay=none, delay=0, status=bounced (x)`, "event | recipient=ann@example.org"},
		{"upper case kept", head + `to=<Ann@Example.ORG>, relay=none, delay=0, status=bounced (x)`, "event | recipient=Ann@Example.ORG"},

		{"relay IPv6", head + "to=<a@example.org>, relay=mx1.example.org[2001:db8::25]:25, delay=0, status=sent (250 ok)", "event | relay_ip=2001:db8::25 | relay_port=25 | relay_host=mx1.example.org"},
		{"relay socket", head + "to=<a@example.org>, relay=mx1.example.org[private/dovecot-lmtp], delay=0, status=sent (250 2.0.0 <a@example.org> x Saved)", "event | relay_host=mx1.example.org | relay_ip= | smtp_code=250"},
		{"relay service", prefix + "postfix/pipe[812]: 4F2A91C0B7: to=<a@example.org>, relay=dovecot, delay=0, status=sent (delivered via dovecot service)", "event | relay=dovecot | relay_host= | agent=pipe | outcome=delivered"},
		{"relay literal", head + "to=<a@example.org>, relay=192.0.2.5[192.0.2.5]:10024, delay=0, status=sent (250 ok)", "event | relay_host=192.0.2.5 | relay_port=10024 | internal_hop="},
		{"relay host:port", head + "to=<a@example.org>, relay=mx1.example.org:2525, delay=0, status=sent (250 ok)", "event | relay_host=mx1.example.org | relay_port=2525"},

		{"content filter", head + "to=<a@example.org>, relay=127.0.0.1[127.0.0.1]:10024, delay=0, status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 5E01F22A)", "event | internal_hop=1 | next_queue_id=5E01F22A | smtp_code=250"},
		{"loopback on port 25", head + "to=<a@example.org>, relay=127.0.0.1[127.0.0.1]:25, delay=0, status=sent (250 ok)", "event | internal_hop="},
		{"forwarded", local + "to=<a@example.org>, relay=local, delay=0, dsn=2.0.0, status=sent (forwarded as 6D01F22A)", "event | internal_hop=1 | next_queue_id=6D01F22A"},

		{"SOFTBOUNCE", to + "dsn=4.1.1, status=SOFTBOUNCE (" + said + "550 5.1.1 No such user (in reply to RCPT TO command))", "event | outcome=deferred | status=SOFTBOUNCE | dsn=4.1.1 | enhanced_code=5.1.1 | smtp_code=550 | smtp_command=RCPT TO | remote_text=550 5.1.1 No such user"},
		{"undeliverable", to + "dsn=5.1.1, status=undeliverable (" + said + "550 5.1.1 No (in reply to RCPT TO command))", "event | event_type=probe | outcome=other"},
		{"undeliverable-but-not-cached", to + "dsn=4.1.1, status=undeliverable-but-not-cached (x)", "event | event_type=probe | status=undeliverable-but-not-cached"},
		{"deliverable", to + "dsn=2.1.5, status=deliverable (250 2.1.5 Ok)", "event | event_type=probe | smtp_command=RCPT TO"},
		{"discard", prefix + "postfix/discard[812]: 4F2A91C0B7: to=<a@example.org>, relay=none, delay=0, dsn=2.0.0, status=sent (test.example.com)", "event | event_type=discard | outcome=other"},
		{"suspended", prefix + "postfix/error[812]: 4F2A91C0B7: to=<a@example.org>, relay=none, delay=9, dsn=4.4.1, status=deferred (delivery temporarily suspended: " + said + "421 4.7.0 Too many (in reply to MAIL FROM command))", "event | event_type=suspended | outcome=deferred | smtp_code=421 | remote_text=421 4.7.0 Too many | smtp_command=MAIL FROM"},
		{"transport unavailable", prefix + "postfix/error[812]: 4F2A91C0B7: to=<a@example.org>, relay=none, delay=9, dsn=4.3.0, status=deferred (mail transport unavailable)", "event | event_type=suspended"},
		{"bounced by error", prefix + "postfix/error[812]: 4F2A91C0B7: to=<a@example.org>, relay=none, delay=9, dsn=5.1.1, status=bounced (user unknown)", "event | event_type=attempt | outcome=bounced"},
		{"expired", prefix + "postfix/qmgr[212]: 4F2A91C0B7: from=<ann@example.com>, status=expired, returned to sender", "event expired | event_type=expiration | outcome=expired | sender=ann@example.com | sender_known=1 | recipient= | status=expired"},
		{"expired bounce", prefix + "postfix/qmgr[212]: 4F2A91C0B7: from=<>, status=expired, returned to sender", "event expired | sender= | sender_known=1"},
		{"force-expired", prefix + "postfix/qmgr[212]: 4F2A91C0B7: from=<ann@example.com>, status=force-expired, returned to sender", "event expired | status=force-expired"},

		{"text with status=", to + `dsn=2.0.0, status=sent (250 2.0.0 Ok: "quoted" <angle> status=bounced, to=<x@y>, relay=none)`, `event | status=sent | recipient=ann@example.org | response_text=250 2.0.0 Ok: "quoted" <angle> status=bounced, to=<x@y>, relay=none`},
		{"nested brackets", to + `dsn=5.0.0, status=bounced (` + said + `550-"The recipient (ann) cannot be verified" 550 (code 7) (in reply to RCPT TO command))`, `event | remote_text=550-"The recipient (ann) cannot be verified" 550 (code 7) | smtp_code=550`},
		{"unbalanced brackets", to + `dsn=5.0.0, status=bounced (` + said + `550 ((no) (in reply to RCPT TO command))`, "event | remote_text=550 ((no) | truncated="},
		{"trailing octets", prefix + "postfix/pipe[812]: 4F2A91C0B7: to=<a@example.org>, relay=spamfilter, delay=0, status=sent (delivered via spamfilter service) 148", "event | response_text=delivered via spamfilter service | truncated="},
		{"cut", to + "dsn=5.0.0, status=bounced (" + said + "550 5.1.1 No such us", "event | truncated=1 | smtp_code=550 | remote_text=550 5.1.1 No such us"},
		{"cut with brackets inside", to + "dsn=5.0.0, status=bounced (" + said + "550 5.1.1 No (such) user, and a long text follows", "event | truncated=1 | remote_text=550 5.1.1 No (such) user, and a long text follows"},
		{"cut before status", head + "to=<ann@example.org>, relay=mx1.example.org[192.0.2.25]:25, del", "malformed"},

		{"several lines", to + "dsn=5.7.1, status=bounced (" + said + "550-5.7.1 Our system 550-5.7.1 see 550 5.7.1 https://x.example (in reply to end of DATA command))", "event | smtp_code=550 | enhanced_code=5.7.1 | smtp_command=end of DATA | remote_text=550-5.7.1 Our system 550-5.7.1 see 550 5.7.1 https://x.example"},
		{"the last line decides", to + "dsn=5.1.1, status=bounced (" + said + "250-2.1.5 fine so far 550 5.1.1 but no (in reply to RCPT TO command))", "event | smtp_code=550 | enhanced_code=5.1.1"},
		{"code in brackets", to + "dsn=5.0.0, status=bounced (" + said + "554 sorry, no mailbox here by that name (#5.1.1) (in reply to end of DATA command))", "event | enhanced_code=5.1.1"},
		{"no enhanced code", to + "dsn=5.0.0, status=bounced (" + said + "550 No (in reply to RCPT TO command))", "event | enhanced_code= | dsn=5.0.0 | smtp_class=5"},
		{"refused to talk", to + "dsn=4.0.0, status=deferred (host mx1.example.org[192.0.2.25] refused to talk to me: 554-mx1 554 no)", "event | smtp_command=connect | smtp_code=554 | remote_text=554-mx1 554 no | outcome=deferred"},
		{"connection timed out", none + "dsn=4.4.1, status=deferred (connect to mx1.example.org[192.0.2.25]:25: Connection timed out)", "event | smtp_command=connect | smtp_code= | remote_text="},
		{"lost connection", to + "dsn=4.4.2, status=deferred (lost connection with mx1.example.org[192.0.2.25] while sending RCPT TO)", "event | smtp_command=RCPT TO | smtp_code="},
		{"conversation timed out", to + "dsn=4.4.2, status=deferred (conversation with mx1.example.org[192.0.2.25] timed out while receiving the initial server greeting)", "event | smtp_command=connect"},
		{"end of data", to + "dsn=4.4.2, status=deferred (conversation with mx1.example.org[192.0.2.25] timed out while sending end of data -- message may be sent more than once)", "event | smtp_command=end of DATA"},
		{"STARTTLS refused", to + "dsn=4.7.4, status=deferred (TLS is required, but host mx1.example.org[192.0.2.25] refused to start TLS: 454 4.7.0 TLS not available)", "event | smtp_command=STARTTLS | smtp_code=454 | enhanced_code=4.7.0"},
		{"SASL failed", to + "dsn=4.7.8, status=deferred (SASL authentication failed; server mx1.example.org[192.0.2.25] said: 535 5.7.8 Error: authentication failed: abc)", "event | smtp_command=AUTH | smtp_code=535"},
		{"not found", none + "dsn=5.4.4, status=bounced (Host or domain name not found. Name service error for name=nx.example type=AAAA: Host not found)", "event | smtp_code= | outcome=bounced"},
		{"unknown user", local + `to=<a@example.org>, relay=local, delay=0, dsn=5.1.1, status=bounced (unknown user: "ann")`, "event | remote_text= | smtp_code="},
		{"command", local + `to=<a@example.org>, relay=local, delay=0, dsn=5.3.0, status=bounced (Command died with status 1: "/bin/x". Command output: Traceback (most recent call last):   File "x" KeyError: 'subject' )`, `event | response_text=Command died with status 1: "/bin/x". Command output: Traceback (most recent call last):   File "x" KeyError: 'subject' `},
		{"virtual alias", prefix + "postfix/cleanup[3]: 4F2A91C0B7: to=<ann@example.org>, relay=none, delay=0.1, delays=0.1/0/0/0, dsn=5.1.1, status=bounced (User unknown in virtual alias table)", "event | outcome=bounced | agent=cleanup"},

		{"client", prefix + "postfix/smtpd[1]: 4F2A91C0B7: client=mail.example.com[198.51.100.7], sasl_method=PLAIN, sasl_username=ann@example.com", "context client"},
		{"pickup", prefix + "postfix/pickup[2]: 4F2A91C0B7: uid=1001 from=<ann>", "context pickup"},
		{"message-id", prefix + "postfix/cleanup[3]: 4F2A91C0B7: message-id=<abc@example.com>", "context message-id"},
		{"qmgr", prefix + "postfix/qmgr[4]: 4F2A91C0B7: from=<ann@example.com>, size=5120, nrcpt=2 (queue active)", "context queue manager"},
		{"removed", prefix + "postfix/qmgr[4]: 4F2A91C0B7: removed", "context removed"},
		{"notification", prefix + "postfix/bounce[5]: 4F2A91C0B7: sender non-delivery notification: 6D01F22A", "context notification"},
		{"bounce failed", prefix + "postfix/smtp[6]: 4F2A91C0B7: status=deferred (bounce failed)", "other"},
		{"earlier MX", head + said + "450 4.7.1 no (in reply to RCPT TO command)", "other"},
		{"lost at an earlier MX", head + "lost connection with mx1.example.org[192.0.2.25] while sending RCPT TO", "other"},
		{"connect to", prefix + "postfix/smtp[6]: connect to mx1.example.org[192.0.2.25]:25: Connection refused", "other"},
		{"NOQUEUE", prefix + "postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[198.51.100.7]: 554 5.7.1 <ann@example.org>: Relay access denied; from=<x@y.example> to=<ann@example.org> proto=ESMTP helo=<z>", "other"},
		{"NOQUEUE client", prefix + "postfix/smtpd[1]: NOQUEUE: client=mail.example.com[198.51.100.7]", "other"},
		{"milter-reject", prefix + "postfix/cleanup[1]: 4F2A91C0B7: milter-reject: END-OF-MESSAGE from x[198.51.100.7]: 5.7.1 no; from=<a@example.com> to=<ann@example.org> proto=ESMTP helo=<z>", "other"},
		{"warning", prefix + "postfix/qmgr[1]: warning: 4F2A91C0B7: to=<ann@example.org>, relay=none, delay=0, status=sent (x)", "other"},
		{"verbose", prefix + "postfix/smtp[1]: < mx1.example.org[192.0.2.25]:25: 250 ok, status=sent (x)", "other"},
		{"header check", prefix + "postfix/cleanup[1]: 4F2A91C0B7: warning: header Subject: to=<a@b>, relay=none, delay=0, status=sent (x) from x[198.51.100.7]", "other"},
		{"statistics", prefix + "postfix/anvil[1]: statistics: max connection rate 1/60s", "other"},
	})
}
