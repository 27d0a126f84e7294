package parsers

import (
	"testing"

	"bounceline/pipeline/record"
)

func TestSendmail(t *testing.T) {
	const head = "Mar  4 05:06:07 mx1 sendmail[812]: x24AbCdE012345: "
	checkShapes(t, []shape{
		{"sent to two", head + "to=<a@example.org>,<b@example.org>, ctladdr=<c@example.com> (1001/1001), delay=1+00:00:05, xdelay=00:00:04, mailer=esmtp, pri=120391, relay=mx1.example.org. [192.0.2.25], dsn=2.0.0, stat=Sent (OK id=7a8b9c)",
			"event delivery | mta=sendmail | rows=2 | recipient=a@example.org | row= | outcome=delivered | status=Sent | delay=86405 | delay_xmit=4 | service=esmtp | relay_host=mx1.example.org | relay_ip=192.0.2.25 | dsn=2.0.0 | queue_id=x24AbCdE012345 | next_queue_id=7a8b9c | next row | recipient=b@example.org | row=1"},
		{"sm-mta", "Mar  4 05:06:07 mx1 sm-mta[812]: x24AbCdE012345: to=<a@example.org>, delay=00:00:05, mailer=esmtp, relay=mx1.example.org. [192.0.2.25], dsn=2.0.0, stat=Sent (x24XyZab009999 Message accepted for delivery)", "event | next_queue_id=x24XyZab009999"},
		{"no program", "x24AbCdE012345: to=<a@example.org>, delay=00:00:05, mailer=local, dsn=2.0.0, stat=Sent", "event | outcome=delivered | mta=sendmail"},
		{"deferred", head + "to=<a@example.org>, delay=00:00:05, relay=mx1.example.org. [192.0.2.25], dsn=4.0.0, stat=Deferred: 451 4.7.1 Greylisted, try again", "event | outcome=deferred | smtp_code=451 | enhanced_code=4.7.1 | remote_text=451 4.7.1 Greylisted, try again | status=Deferred"},
		{"timed out", head + "to=<a@example.org>, dsn=4.0.0, stat=Deferred: Connection timed out with mx1.example.org.", "event | outcome=deferred | remote_text= | response_text=Deferred: Connection timed out with mx1.example.org."},
		{"user unknown", head + "to=<a@example.org>, delay=00:00:05, relay=mx1.example.org. [192.0.2.25], dsn=5.1.1, stat=User unknown", "event | outcome=bounced | status=User unknown | dsn=5.1.1"},
		{"host unknown", head + "to=<a@nx.example>, dsn=5.1.2, stat=Host unknown (Name server: nx.example: host not found)", "event | outcome=bounced"},
		{"temporary by dsn", head + "to=<a@example.org>, dsn=4.3.0, stat=Operating system error", "event | outcome=deferred"},
		{"bare and quoted", head + `to="|/usr/bin/procmail, -f",root, dsn=2.0.0, stat=Sent`, `event | rows=2 | recipient="|/usr/bin/procmail, -f" | next row | recipient=root`},
		{"reply", head + "to=<a@example.org>, delay=00:00:05, mailer=esmtp, relay=mx1.example.org. [192.0.2.25], dsn=5.1.1, reply=550 5.1.1 <a@example.org>... User, unknown, stat=User unknown", "event | outcome=bounced | status=User unknown | smtp_code=550 | enhanced_code=5.1.1 | remote_text=550 5.1.1 <a@example.org>... User, unknown | response_text=User unknown"},
		{"comma in a value", head + `to=<a@example.org>, ctladdr="x, y" (1/1), delay=00:00:05, dsn=2.0.0, stat=Sent`, "event | outcome=delivered | status=Sent"},
		{"queued", head + "to=<a@example.org>, delay=00:00:00, mailer=esmtp, pri=30000, stat=queued", "other queued"},
		{"expired", head + "to=<a@example.org>, dsn=5.0.0, stat=Message could not be delivered for 5 days", "event | event_type=expiration | outcome=expired"},
		{"cut", head + "to=<a@example.org>, delay=00:00:05, rel", "malformed"},
		{"reception", head + "from=<c@example.com>, size=512, class=0, nrcpts=2, msgid=<x@example.com>, proto=ESMTP, daemon=MTA, relay=app.example.com [198.51.100.7]", "context reception"},
		{"no queue ID", "Mar  4 05:06:07 mx1 sendmail[812]: STARTTLS=client, relay=mx1.example.org., version=TLSv1.3", "other"},
		{"DSN", head + "x24AbCdF012345: DSN: User unknown", "other"},
	})
}

func TestOpenSMTPD(t *testing.T) {
	const head = "Mar  4 05:06:07 mx1 smtpd[812]: "
	checkShapes(t, []shape{
		{"delivery", head + `7e2f1a9c3b4d5e6f mta delivery evpid=0f1e2d3c4b5a6978 from=<c@example.com> to=<a@example.org> rcpt=<-> source="192.0.2.1" relay="192.0.2.25 (mx1.example.org)" delay=1m5s result="Ok" stat="250 2.0.0 Ok: queued as 6D01F22A"`,
			"event delivery | mta=opensmtpd | queue_id=0f1e2d3c4b5a6978 | sender=c@example.com | recipient=a@example.org | orig_recipient= | local_ip=192.0.2.1 | relay_ip=192.0.2.25 | relay_host=mx1.example.org | delay=65 | outcome=delivered | status=Ok | smtp_code=250 | next_queue_id=6D01F22A | service=mta"},
		{"event=", head + `7e2f1a9c3b4d5e6f mta event=delivery evpid=0f1e2d3c4b5a6978 from=<> to=<a@example.org> rcpt=<b@example.com> source="-" relay="192.0.2.25 (mx1.example.org)" delay=1s result="PermFail" stat="550 5.1.1 No such user"`,
			"event | outcome=bounced | sender_known=1 | sender= | orig_recipient=b@example.com | smtp_code=550 | enhanced_code=5.1.1"},
		{"temporary", head + `7e2f1a9c3b4d5e6f mta delivery evpid=0f1e2d3c4b5a6978 from=<c@example.com> to=<a@example.org> rcpt=<-> source="-" relay="mx" delay=1s result="TempFail" stat="Network error on destination MXs"`, "event | outcome=deferred | remote_text= | response_text=Network error on destination MXs"},
		{"local", head + `7e2f1a9c3b4d5e6f mda delivery evpid=0f1e2d3c4b5a6978 from=<c@example.com> to=<a@example.org> rcpt=<a@example.org> user=ann delay=0s result=Ok stat=Delivered`, "event | service=mda | outcome=delivered"},
		{"old", head + `relay: Ok for 0f1e2d3c4b5a6978: session=7e2f1a9c3b4d5e6f, from=<c@example.com>, to=<a@example.org>, rcpt=<->, source=192.0.2.1, relay=192.0.2.25 (mx1.example.org), delay=1s, stat=250 OK`, "event | outcome=delivered | queue_id=0f1e2d3c4b5a6978 | recipient=a@example.org | relay_host=mx1.example.org | smtp_code=250"},
		{"old local", head + `delivery: TempFail for 0f1e2d3c4b5a6978: from=<c@example.com>, to=<a@example.org>, user=ann, method=mda, delay=1s, stat=Error ("x")`, "event | outcome=deferred | service=mda"},
		{"session", head + "7e2f1a9c3b4d5e6f smtp connected address=198.51.100.7 host=x", "other"},
		{"connecting", head + "7e2f1a9c3b4d5e6f mta connecting address=smtp://192.0.2.25:25 host=mx1", "other"},
		{"Postfix's smtpd", head + "connect from x[198.51.100.7]", "other no MTA's line"},
	})
}

func TestPowerMTA(t *testing.T) {
	const header = "type,timeLogged,orig,rcpt,dsnStatus,dsnDiag,dsnMta,bounceCat,vmta,dlvSourceIp,unknownColumn,jobId"
	checkShapes(t, []shape{
		{"header", header, "context header row"},
		{"bounce", header + "\n" + `b,2026-03-04 07:06:07+0200,c@example.com,a@example.org,"5.1.1 (bad destination mailbox address)","smtp;550 5.1.1 ""No"" such user, sorry",mx1.example.org (192.0.2.25),bad-mailbox,vmta1,198.51.100.1,x,job7`,
			`event delivery | mta=powermta | outcome=bounced | event_time=2026-03-04T05:06:07.000 | time_inferred= | sender=c@example.com | recipient=a@example.org | dsn=5.1.1 | smtp_code=550 | enhanced_code=5.1.1 | remote_text=550 5.1.1 "No" such user, sorry | relay_host=mx1.example.org | relay_ip=192.0.2.25 | local_ip=198.51.100.1 | instance=vmta1 | queue_id=job7`},
		{"without header", `d,2026-03-04 05:06:07+0000,2026-03-04 05:06:02+0000,c@example.com,a@example.org,,relayed,2.0.0 (success),smtp;250 ok,mx1.example.org (192.0.2.25)`, "event | outcome=delivered | delay=5 | recipient=a@example.org | smtp_code=250"},
		{"transient", header + "\n" + `t,2026-03-04 05:06:07+0000,c@example.com,a@example.org,4.4.1 (no answer from host),smtp;451 later,mx,quota-issues,v,,,`, "event | outcome=deferred | smtp_code=451"},
		{"feedback", header + "\n" + `f,2026-03-04 05:06:07+0000,c@example.com,a@example.org,,,,,,,,`, "other no delivery"},
		{"reception", header + "\n" + `r,2026-03-04 05:06:07+0000,c@example.com,a@example.org,,,,,,,,`, "other"},
		{"line breaks in a value", header + "\nd,2026-03-04 05:06:07+0000,c@example.com,a@example.org,2.0.0,\"smtp;250 ok\nfirst\nsecond\",mx1,,,,,job7", "event | recipient=a@example.org | smtp_code=250 | response_text=smtp;250 ok\nfirst\nsecond | queue_id=job7"},
		{"part of a value", header + "\nd,2026-03-04 05:06:07+0000,c@example.com,a@example.org,2.0.0,\"smtp;250 ok", "context part of a record"},
		{"short row", header + "\n" + `d,2026-03-04 05:06:07+0000`, "malformed"},
	})
}

func TestPowerMTAHeaderIsInAnchor(t *testing.T) {
	var res record.Result
	s := newStream(t, Options{})
	s.Parse([]byte("type,timeLogged,rcpt"), &res)
	again := newStream(t, Options{})
	if err := again.Restore(s.Anchor()); err != nil {
		t.Fatal(err)
	}
	again.Parse([]byte("d,2026-03-04 05:06:07+0000,a@example.org"), &res)
	for _, problem := range compare(&res, "event | recipient=a@example.org") {
		t.Error(problem)
	}
}

func TestKumoMTA(t *testing.T) {
	const common = `"sender":"c@example.com","queue":"example.org","site":"s","size":1047,"peer_address":{"name":"mx1.example.org.","addr":"192.0.2.25"},"timestamp":1772600767,"created":1772600757,"num_attempts":0,"egress_source":"ip1","source_address":{"address":"198.51.100.1:40000"},"delivery_protocol":"ESMTP","nodeid":"n","meta":{"a":[1,{"b":"]}"}]}}`
	checkShapes(t, []shape{
		{"delivery", `{"type":"Delivery","id":"abc123","recipient":"a@example.org","response":{"code":250,"enhanced_code":{"class":2,"subject":0,"detail":0},"content":"Ok: queued as 6D01F22A","command":".\r\n"},` + common,
			"event delivery | mta=kumomta | queue_id=abc123 | outcome=delivered | event_time=2026-03-04T05:06:07.000 | sender=c@example.com | recipient=a@example.org | size=1047 | smtp_code=250 | enhanced_code=2.0.0 | remote_text=250 2.0.0 Ok: queued as 6D01F22A | relay_host=mx1.example.org | relay_ip=192.0.2.25 | local_ip=198.51.100.1 | delay=10 | smtp_command=end of DATA | next_queue_id=6D01F22A | instance=ip1 | service=ESMTP"},
		{"list", `{"type":"TransientFailure","id":"abc123","recipient":["a@example.org","b@example.org"],"response":{"code":451,"enhanced_code":null,"content":"4.7.1 \"later\"","command":"RCPT TO:<a@example.org>\r\n"},` + common,
			`event | rows=2 | outcome=deferred | smtp_code=451 | enhanced_code=4.7.1 | smtp_command=RCPT TO | response_text=4.7.1 "later" | next row | recipient=b@example.org | row=1`},
		{"expiration", `{"type":"Expiration","id":"abc123","recipient":"a@example.org","response":{"code":551,"enhanced_code":{"class":5,"subject":4,"detail":7},"content":"Next delivery time would be at x","command":null},"peer_address":null,"sender":"","queue":"q","timestamp":1772600767}`, "event | event_type=expiration | outcome=expired | remote_text= | sender_known=1"},
		{"reception", `{"type":"Reception","id":"abc123","recipient":"a@example.org","response":{"code":250,"content":"","command":null},` + common, "other no delivery"},
		{"cut", `{"type":"Delivery","id":"abc123","queue":"x","recipient":"a@exam`, "malformed"},
	})
}
