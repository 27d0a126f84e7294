// Package loggen writes Postfix logs of any length for measurements: about 160 bytes a line, one line in five a delivery,
// 3.5 % of deliveries failing with one of 160 reply texts, recipients' domains distributed as Zipf's law says, and the
// lines of many messages interleaved. The same seed gives the same log.
package loggen

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// failing is the part of deliveries that fail.
const failing = 0.035

// reasons and servers make the reply texts: each reason in each server's manner. %r is the recipient, %h a host, %i an
// address, %q a queue ID, %n a number.
var reasons = []struct {
	status, dsn, text string
}{
	{"bounced", "5.1.1", "550 5.1.1 <%r>: Recipient address rejected: User unknown in virtual mailbox table"},
	{"bounced", "5.1.1", "550-5.1.1 The email account that you tried to reach does not exist. 550 5.1.1 Learn more %q"},
	{"bounced", "5.2.1", "550 5.2.1 The account <%r> is disabled. %q"},
	{"bounced", "5.2.2", "552 5.2.2 <%r>: user is over quota (%n bytes)"},
	{"deferred", "4.2.2", "452 4.2.2 <%r>: mailbox full, try again in %n seconds"},
	{"deferred", "4.7.1", "450 4.7.1 <%r>: Recipient address rejected: Greylisted, see http://%h/%n.html"},
	{"deferred", "4.7.0", "421 4.7.0 %h too many connections from %i, slow down (%q)"},
	{"bounced", "5.7.1", "554 5.7.1 Service unavailable; Client host [%i] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/%i"},
	{"bounced", "5.7.26", "550 5.7.26 Unauthenticated email from %h is not accepted due to domain's DMARC policy. %q"},
	{"bounced", "5.7.1", "550 5.7.1 Message rejected as spam, score %n (%q)"},
	{"bounced", "5.7.1", "554 5.7.1 <%r>: Relay access denied"},
	{"bounced", "5.7.25", "550 5.7.25 [%i] The IP address sending this message does not have a PTR record %q"},
	{"deferred", "4.3.0", "451 4.3.0 Temporary lookup failure at %h (%q)"},
	{"bounced", "5.3.4", "552 5.3.4 Message size %n exceeds fixed limit"},
	{"deferred", "4.3.1", "452 4.3.1 Insufficient system storage on %h"},
	{"bounced", "5.1.8", "553 5.1.8 <bounce@%h>: Sender address rejected: Domain not found"},
}

var commands = []string{" (in reply to RCPT TO command)", " (in reply to end of DATA command)", " (in reply to MAIL FROM command)", " (in reply to DATA command)",
	" [a] (in reply to RCPT TO command)", " [b] (in reply to end of DATA command)", " ref %q (in reply to RCPT TO command)", " id %n (in reply to RCPT TO command)",
	" - %h (in reply to end of DATA command)", " at %h (in reply to RCPT TO command)"}

// Templates is how many reply texts there are.
var Templates = len(reasons) * len(commands)

type generator struct {
	random  *rand.Rand
	domains *rand.Zipf
	now     time.Time
}

// Write writes lines lines.
func Write(w io.Writer, lines int, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 1))
	g := &generator{random: r, domains: rand.NewZipf(r, 1.2, 3, 20_000), now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	out := bufio.NewWriterSize(w, 1<<20)
	queue := [64][]string{}
	for lines > 0 {
		i := r.IntN(len(queue))
		if len(queue[i]) == 0 {
			queue[i] = g.message()
		}
		if r.IntN(40) == 0 {
			g.now = g.now.Add(time.Second)
		}
		if _, err := fmt.Fprintf(out, "%s mx%d %s\n", g.now.Format("Jan _2 15:04:05"), i%4+1, queue[i][0]); err != nil {
			return err
		}
		queue[i] = queue[i][1:]
		lines--
	}
	return out.Flush()
}

// message is the lines of one message: received, queued, delivered to one or two recipients, removed.
func (g *generator) message() []string {
	id := fmt.Sprintf("%010X", g.random.Uint64()&0xffffffffff|0x1000000000)
	client := fmt.Sprintf("app%d.customer-network.example.net[10.20.%d.%d]", g.random.IntN(9), g.random.IntN(250), g.random.IntN(250))
	pid := 1000 + g.random.IntN(30000)
	sender := fmt.Sprintf("newsletter-%d@sender%d.example.com", g.random.IntN(1_000_000), g.random.IntN(300))
	out := []string{
		fmt.Sprintf("postfix/smtpd[%d]: connect from %s with a session that the log reports as usual for submission hosts, number %d", pid, client, g.random.Uint32()),
		fmt.Sprintf("postfix/smtpd[%d]: %s: client=%s, sasl_method=PLAIN, sasl_username=customer%d@example.net", pid, id, client, g.random.IntN(500)),
		fmt.Sprintf("postfix/cleanup[%d]: %s: message-id=<%016x.%016x.%08x@app.customer-network.example.net>", pid+1, id, g.random.Uint64(), g.random.Uint64(), g.random.Uint32()),
		fmt.Sprintf("postfix/qmgr[212]: %s: from=<%s>, size=%d, nrcpt=1 (queue active)", id, sender, 1000+g.random.IntN(90000)),
	}
	recipients := 1 + g.random.IntN(5)/3
	for range recipients {
		out = append(out, g.delivery(id, pid))
	}
	return append(out, fmt.Sprintf("postfix/qmgr[212]: %s: removed", id),
		fmt.Sprintf("postfix/smtpd[%d]: disconnect from %s ehlo=2 starttls=1 auth=1 mail=1 rcpt=%d data=1 quit=1 commands=%d", pid, client, recipients, recipients+7))
}

func (g *generator) delivery(id string, pid int) string {
	domain := fmt.Sprintf("d%d.example.org", g.domains.Uint64())
	recipient := fmt.Sprintf("user%d@%s", g.random.IntN(1_000_000), domain)
	host := "mx" + domain
	ip := fmt.Sprintf("192.0.2.%d", g.random.IntN(250))
	status, dsn, text := "sent", "2.0.0", "250 2.0.0 Ok: queued as "+fmt.Sprintf("%010X", g.random.Uint64()&0xffffffffff)
	if g.random.Float64() < failing {
		r := reasons[g.random.IntN(len(reasons))]
		status, dsn = r.status, r.dsn
		text = fmt.Sprintf("host %s[%s] said: %s", host, ip, g.fill(r.text+commands[g.random.IntN(len(commands))], recipient, host, ip))
	}
	return fmt.Sprintf("postfix/smtp[%d]: %s: to=<%s>, relay=%s[%s]:25, delay=%.1f, delays=0.11/0.01/%.1f/0.38, dsn=%s, status=%s (%s)",
		pid+2, id, recipient, host, ip, 0.5+g.random.Float64()*3, g.random.Float64()*3, dsn, status, text)
}

func (g *generator) fill(text, recipient, host, ip string) string {
	var out []byte
	for i := 0; i < len(text); i++ {
		if text[i] != '%' || i+1 == len(text) {
			out = append(out, text[i])
			continue
		}
		i++
		switch text[i] {
		case 'r':
			out = append(out, recipient...)
		case 'h':
			out = append(out, host...)
		case 'i':
			out = append(out, ip...)
		case 'q':
			out = fmt.Appendf(out, "%012x", g.random.Uint64()&0xffffffffffff)
		case 'n':
			out = fmt.Appendf(out, "%d", g.random.IntN(100_000))
		}
	}
	return string(out)
}
