package parsers

import (
	"strings"
	"testing"
)

// Every shape of Exim's main log lines.
func TestExim(t *testing.T) {
	const head = "2026-03-04 05:06:07 1tZxYa-0001Bc-De "
	const smtp = "ann@example.org R=dnslookup T=remote_smtp "
	const host = "H=mx1.example.org [192.0.2.25]"
	cut := "SMTP error from remote mail server after RCPT TO:<ann@example.org>: 550-5.7.1 " + strings.Repeat("long ", 300)
	checkShapes(t, []shape{
		{"delivery", head + "=> " + smtp + host + `:25 X=TLS1.3:TLS_AES_256_GCM_SHA384:256 CV=yes DN="CN=mx1, O=\"X\" T=y" C="250 2.0.0 Ok: queued as 6D01F22A" QT=1d2h3m4s DT=0.5s`,
			"event delivery | mta=exim | status==> | outcome=delivered | recipient=ann@example.org | router=dnslookup | service=remote_smtp | relay_host=mx1.example.org | relay_ip=192.0.2.25 | relay_port=25 | tls=TLS1.3:TLS_AES_256_GCM_SHA384:256 | smtp_code=250 | enhanced_code=2.0.0 | next_queue_id=6D01F22A | response_text=250 2.0.0 Ok: queued as 6D01F22A | delay=93784 | delay_xmit=0.5 | conn_use=1"},
		{"new message ID", "2026-03-04 05:06:07 1tZxYa-00000000abc-0DeF => " + smtp + host, "event | queue_id=1tZxYa-00000000abc-0DeF | outcome=delivered"},
		{"further recipient", head + "->  bob@example.org R=dnslookup T=remote_smtp " + host, "event | status=-> | recipient=bob@example.org"},
		{"cutthrough", head + ">> ann@example.org H=mx1.example.org [192.0.2.25] C=\"250 ok\"", "event | status=>> | outcome=delivered | router="},
		{"suppressed", head + "*> ann@example.org R=r T=t", "event | event_type=suppressed | outcome=other"},
		{"parents", head + "=> new@example.org (middle@example.com, other@example.com) <old@example.com> R=r T=t", "event | recipient=new@example.org | orig_recipient=old@example.com"},
		{"local part", head + "=> ann <ann@example.org> R=local T=mbox", "event | recipient=ann@example.org | orig_recipient="},
		{"file", head + "=> /var/mail/ann <ann@example.org> R=local T=file", "event | recipient=ann@example.org | outcome=delivered"},
		{"pipe", head + "=> |/usr/bin/filter arg <ann@example.org> R=local T=pipe", "event | recipient=ann@example.org"},
		{"autoreply", head + "=> >bob@example.net <ann@example.org> R=vac T=reply", "event | event_type=autoreply | outcome=other | recipient=ann@example.org"},
		{"blackhole", head + "=> :blackhole: <ann@example.org> R=black", "event | event_type=discard | recipient=ann@example.org"},
		{"discarded", head + "=> discarded <ann@example.org> R=filter", "event | event_type=discard | recipient=ann@example.org"},
		{"/dev/null", head + "=> /dev/null <ann@example.org> R=aliases T=**bypassed**", "event | event_type=discard | recipient=ann@example.org | status==>"},
		{"discarded by ACL", head + "=> blackhole (RCPT ACL discarded recipients)", "other no recipient"},
		{"system filter", head + "=> discarded (system filter)", "other no recipient"},
		{"unquoted original", head + `=> john doe@example.org <"john doe"@example.org> R=r T=t`, `event | recipient="john doe"@example.org`},
		{"quoted local part", head + `=> "a b|c:d"@example.org R=r T=t`, `event | recipient="a b|c:d"@example.org`},
		{"sender and size", head + "=> ann@example.org F=<bob@example.com> P=<bob@example.com> R=r T=t S=1234 " + host, "event | sender=bob@example.com | sender_known=1 | size=1234"},
		{"null sender", head + "=> ann@example.org F=<> R=r T=t", "event | sender= | sender_known=1"},
		{"reused connection", head + "=> " + smtp + host + `* C="250 ok"`, "event | conn_use=2 | relay_ip=192.0.2.25"},
		{"helo in brackets", head + "=> " + smtp + "H=(helo.example) [192.0.2.25]:25 L K", "event | relay_ip=192.0.2.25 | relay_port=25 | relay_host="},
		{"address alone", head + "=> " + smtp + "H=[192.0.2.25]", "event | relay_ip=192.0.2.25"},
		{"interface and proxy", head + "=> " + smtp + host + ":25 PRX=[192.0.2.9] I=[198.51.100.1]:40000 DS TFO* PS=3 PRDR K", "event | local_ip=198.51.100.1 | relay_port=25"},
		{"IPv6", head + "=> " + smtp + "H=mx1.example.org [2001:db8::25]:25 X=TLS", "event | relay_ip=2001:db8::25 | relay_port=25"},
		{"escaped reply", head + "=> " + smtp + host + ` C="250-first\\n250 2.6.0 <\"x\"> => -> Queued"`, `event | response_text=250-first\n250 2.6.0 <"x"> => -> Queued | enhanced_code=2.6.0`},
		{"reply that is cut", head + "=> " + smtp + host + ` C="250 2.0.0 O`, "event | truncated=1 | smtp_code=250"},
		{"error cut by Exim", head + "** " + smtp + host + ": " + cut[:1024], "event | truncated=1 | smtp_code=550 | smtp_command=RCPT TO"},
		{"error nearly cut", head + "** " + smtp + host + ": " + cut[:1023], "event | truncated= | smtp_code=550"},
		{"unknown fields", head + "=> ann@example.org SRS=<x@y> Q=slow R=r T=t Ci=12 ST=shadow " + host, "event | relay_ip=192.0.2.25 | router=r"},
		{"filter hop", head + "=> ann@example.org R=scan T=spam H=127.0.0.1 [127.0.0.1]:10025 C=\"250 ok\"", "event | internal_hop=1"},

		{"deferred", head + "== " + smtp + "defer (-44) " + host + ": SMTP error from remote mail server after RCPT TO:<ann@example.org>: 452 4.2.2 Mailbox full", "event | outcome=deferred | event_type=attempt | errno=-44 | smtp_code=452 | enhanced_code=4.2.2 | smtp_command=RCPT TO | remote_text=452 4.2.2 Mailbox full | relay_ip=192.0.2.25"},
		{"errno", head + "== " + smtp + "defer (110): Connection timed out", "event | errno=110 | response_text=Connection timed out | event_type=attempt"},
		{"errno and host behind it", head + "== " + smtp + "defer (110): Connection timed out " + host + ": SMTP timeout after EHLO x", "event | errno=110 | relay_ip=192.0.2.25 | response_text=SMTP timeout after EHLO x | smtp_command=EHLO"},
		{"DT", head + "== " + smtp + "defer (-45) " + host + ":25 DT=0.133s: SMTP error from remote mail server after pipelined MAIL FROM:<x@y> SIZE=1: 421 4.7.0 later", "event | smtp_command=MAIL FROM | smtp_code=421 | delay_xmit=0.133"},
		{"DT without a host", head + "== ann@example.org R=dnslookup defer (-1) DT=0.250s: host lookup did not complete", "event | errno=-1 | response_text=host lookup did not complete | delay_xmit=0.25"},
		{"DT behind the error", head + "== " + smtp + "defer (111): Connection refused DT=0.001s: all hosts refused", "event | errno=111 | response_text=all hosts refused | delay_xmit=0.001"},
		{"DT at the end", head + "== " + smtp + "defer (111): Connection refused DT=0.001s", "event | errno=111 | response_text=Connection refused | delay_xmit=0.001"},
		{"no DT", head + "== ann@example.org R=r defer (-1): set DT=soon: or later", "event | response_text=set DT=soon: or later | delay_xmit="},
		{"routing", head + "== ann@example.org R=dnslookup defer (-1): host lookup did not complete", "event | errno=-1 | response_text=host lookup did not complete"},
		{"routing skip", head + "== ann@example.org routing defer (-52): retry time not reached", "event | event_type=suspended | errno=-52"},
		{"skip", head + "== " + smtp + "defer (-54): retry time not reached for any host for 'example.org'", "event | event_type=suspended | outcome=deferred"},
		{"held", head + "== ann@example.org defer (-1): domain is held", "event | event_type=suspended"},
		{"no text", head + "== ann@example.org R=r T=t defer (0)", "event | outcome=deferred | response_text="},
		{"host in the text", head + "== " + smtp + "defer (-44): SMTP error from remote mail server after RCPT TO:<ann@example.org>: host mx1.example.org [192.0.2.25]: 450 4.2.0 Greylisted", "event | smtp_code=450 | relay_host=mx1.example.org | relay_ip=192.0.2.25"},

		{"failed", head + "** " + smtp + host + ": SMTP error from remote mail server after RCPT TO:<ann@example.org>: 550 5.1.1 No such user", "event | outcome=bounced | status=** | smtp_code=550 | enhanced_code=5.1.1 | response_text=SMTP error from remote mail server after RCPT TO:<ann@example.org>: 550 5.1.1 No such user"},
		{"failed, 4.99", head + "** " + smtp + host + " : SMTP error from remote mail server after end of data: 554 5.7.1 spam", "event | outcome=bounced | smtp_code=554 | smtp_command=end of DATA | relay_ip=192.0.2.25"},
		{"failed, 4.80", head + "** " + smtp + ": SMTP error from remote mail server after RCPT TO:<ann@example.org>: host mx1.example.org [192.0.2.25]: 550 5.1.1 No", "event | smtp_code=550 | relay_ip=192.0.2.25 | remote_text=550 5.1.1 No"},
		{"remote mailer", head + "** " + smtp + ": SMTP error from remote mailer after RCPT TO:<ann@example.org>: host mx1.example.org [192.0.2.25]: 550 No", "event | smtp_code=550"},
		{"unrouteable", head + "** ann@example.org <alias@example.com>: Unrouteable address", "event | outcome=bounced | recipient=ann@example.org | orig_recipient=alias@example.com | response_text=Unrouteable address"},
		{"unrouteable with sender", head + "** ann@example.org F=<x@example.com>: Unrouteable address", "event | sender=x@example.com | response_text=Unrouteable address"},
		{"expired", head + "** ann@example.org: retry timeout exceeded", "event | event_type=expiration | outcome=expired"},
		{"expired without colon", head + "** ann@example.org retry timeout exceeded", "event | event_type=expiration | outcome=expired | recipient=ann@example.org"},
		{"all hosts failing", head + "** " + smtp + ": all hosts for 'example.org' have been failing for a long time (and retry time not reached)", "event | event_type=expiration | outcome=expired"},
		{"several lines", head + "** " + smtp + host + `: SMTP error from remote mail server after RCPT TO:<ann@example.org>: 550-5.7.1 one\n550 5.7.1 two`, `event | smtp_code=550 | enhanced_code=5.7.1 | remote_text=550-5.7.1 one\n550 5.7.1 two`},
		{"appended DT", head + "** " + smtp + host + ": SMTP error from remote mail server after RCPT TO:<ann@example.org>: 550 5.7.1 no DT=0.014s", "event | remote_text=550 5.7.1 no | delay_xmit=0.014"},
		{"initial connection", head + "** " + smtp + host + ": SMTP error from remote mail server after initial connection: 554 no", "event | smtp_command=connect"},
		{"LMTP", head + "** ann@example.org R=l T=lmtp: LMTP error after RCPT TO:<ann@example.org>: 550 5.1.1 <ann@example.org> unknown", "event | smtp_code=550 | smtp_command=RCPT TO"},
		{"command failed", head + "** |/usr/local/bin/ticket exit1 <bad@example.org> R=p T=ticket: Child process of ticket transport returned 1 from command: /usr/local/bin/ticket", "event | recipient=bad@example.org | outcome=bounced"},
		{":fail: text", head + "** ann@example.org R=aliases: has left: the company", "event | response_text=has left: the company"},
		{"no recipient", head + "** mua_wrapper is set but this is not a TTY", "other"},

		{"reception", head + `<= ann@example.com H=mail.example.com (helo) [198.51.100.7]:4321 I=[192.0.2.1]:25 P=esmtpsa X=TLS A=plain:ann S=5120 id=abc@example.com T="Subject \"x\" => b@c R=d" from <ann@example.com> for bob@example.org`, "context reception"},
		{"bounce", head + "<= <> R=1tZxYb-0001Bc-Df U=Debian-exim P=local S=2048", "context reception"},
		{"completed", head + "Completed QT=3d4h", "context completed"},
		{"frozen", head + "Frozen (delivery error message)", "other"},
		{"removed", head + "removed by root", "context removed"},
		{"host trouble", head + host + " Connection timed out", "other"},
		{"host error", head + host + ": SMTP error from remote mail server after RCPT TO:<ann@example.org>: 450 4.2.0 later", "other"},
		{"rejected", "2026-03-04 05:06:07 H=(x) [198.51.100.7] F=<a@b.example> rejected RCPT <c@d.example>: relay not permitted", "other"},
		{"rejected after DATA", head + "H=(x) [198.51.100.7] F=<a@b.example> rejected after DATA: spam => x@y R=z T=w", "other"},
		{"queue run", "2026-03-04 05:06:07 Start queue run: pid=812", "other"},
		{"command line", "2026-03-04 05:06:07 cwd=/ 3 args: /usr/sbin/exim4 -t -i", "other"},
		{"DKIM", head + "DKIM: d=example.com s=x c=relaxed/relaxed a=rsa-sha256 b=2048 [verification succeeded]", "other"},
	})
}
