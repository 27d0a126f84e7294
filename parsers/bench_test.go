package parsers

import (
	"bytes"
	"testing"
	"time"

	"bounceline/pipeline/e2e/loggen"
	"bounceline/pipeline/record"
)

func benchLog(b *testing.B) []byte {
	b.Helper()
	var log bytes.Buffer
	if err := loggen.Write(&log, 200_000, 1); err != nil {
		b.Fatal(err)
	}
	return log.Bytes()
}

// BenchmarkSplit is the baseline: the lines of the same log, found and not looked at.
func BenchmarkSplit(b *testing.B) {
	log := benchLog(b)
	total, lines := 0, 0
	for b.Loop() {
		for rest := log; len(rest) > 0; {
			i := bytes.IndexByte(rest, '\n')
			total += i
			rest = rest[i+1:]
			lines++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(lines), "ns/line")
	if total == 0 {
		b.Fatal("no lines")
	}
}

// BenchmarkParse is envelope and dialect.
func BenchmarkParse(b *testing.B) {
	log := benchLog(b)
	s, err := NewStream(Options{AssumedZone: time.UTC})
	if err != nil {
		b.Fatal(err)
	}
	s.SetReference(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))
	var res record.Result
	lines, events := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		for rest := log; len(rest) > 0; {
			i := bytes.IndexByte(rest, '\n')
			s.Parse(rest[:i], &res)
			if res.Class == record.Event {
				events++
			}
			rest = rest[i+1:]
			lines++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(lines), "ns/line")
	b.ReportMetric(float64(events)/float64(lines), "events/line")
}

// BenchmarkKinds is each kind of line alone, from the cache.
func BenchmarkKinds(b *testing.B) {
	for name, line := range map[string]string{
		"connect":    "Nov  1 00:00:01 mx1 postfix/smtpd[1234]: connect from app1.customer-network.example.net[10.20.1.2] with a session that the log reports",
		"client":     "Nov  1 00:00:01 mx1 postfix/smtpd[1234]: 4F2A91C0B7: client=app1.customer-network.example.net[10.20.1.2], sasl_method=PLAIN, sasl_username=customer7@example.net",
		"message-id": "Nov  1 00:00:01 mx1 postfix/cleanup[1235]: 4F2A91C0B7: message-id=<0123456789abcdef.0123456789abcdef.01234567@app.customer-network.example.net>",
		"qmgr":       "Nov  1 00:00:01 mx1 postfix/qmgr[212]: 4F2A91C0B7: from=<newsletter-123456@sender12.example.com>, size=12345, nrcpt=1 (queue active)",
		"sent":       "Nov  1 00:00:01 mx1 postfix/smtp[1236]: 4F2A91C0B7: to=<user123456@d12.example.org>, relay=mxd12.example.org[192.0.2.25]:25, delay=2.4, delays=0.11/0.01/1.9/0.38, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 6D01F22A11)",
		"bounced":    "Nov  1 00:00:01 mx1 postfix/smtp[1236]: 4F2A91C0B7: to=<user123456@d12.example.org>, relay=mxd12.example.org[192.0.2.25]:25, delay=2.4, delays=0.11/0.01/1.9/0.38, dsn=5.1.1, status=bounced (host mxd12.example.org[192.0.2.25] said: 550 5.1.1 <user123456@d12.example.org>: Recipient address rejected: User unknown in virtual mailbox table (in reply to RCPT TO command))",
		"removed":    "Nov  1 00:00:01 mx1 postfix/qmgr[212]: 4F2A91C0B7: removed",
		"exim":       `2026-03-04 05:06:07 1tZxYa-0001Bc-De => ann@example.org R=dnslookup T=remote_smtp H=mx1.example.org [192.0.2.25] X=TLS1.3:ECDHE_SECP256R1__RSA_PSS_RSAE_SHA256__AES_256_GCM:256 CV=yes C="250 2.0.0 Ok: queued as 6D01F22A11"`,
	} {
		b.Run(name, func(b *testing.B) {
			s, err := NewStream(Options{AssumedZone: time.UTC})
			if err != nil {
				b.Fatal(err)
			}
			s.SetReference(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))
			text := []byte(line)
			var res record.Result
			b.ReportAllocs()
			for b.Loop() {
				s.Parse(text, &res)
			}
		})
	}
}
