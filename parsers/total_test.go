package parsers

import (
	"bytes"
	"strings"
	"testing"

	"bounceline/pipeline/record"
)

// seeds are lines of every form, for what must hold whatever a line is.
var seeds = []string{
	"Mar  4 05:06:07 mx1 postfix/smtp[812]: 4F2A91C0B7: to=<\"a>b\"@example.org>, orig_to=<x@example.com>, relay=mx1.example.org[192.0.2.25]:25, conn_use=3, delay=2.4, delays=0.11/0.01/1.9/0.38, tls=dane, dsn=2.0.0, status=sent (250-2.0.0 Ok 250 2.0.0 Ok: queued as 6D01F22A)",
	"2026 Mar  4 05:06:07.5 mx1 postfix/qmgr[4]: 4F2A91C0B7: from=<ann@example.com>, size=5120, nrcpt=2 (queue active)",
	"2026-03-04T05:06:07.123456+00:00 mx1 postfix/smtpd[1]: 4F2A91C0B7: client=mail.example.com[198.51.100.7], sasl_method=PLAIN, sasl_username=ann@example.com",
	`<22>1 2026-03-04T05:06:07.123Z mx1 postfix/smtp 812 - [a@1 b="\]x"] 4F2A91C0B7: to=<a@example.org>, relay=none, delay=0, status=deferred (delivery temporarily suspended: host x[192.0.2.1] said: 421 4.7.0 no (in reply to MAIL FROM command))`,
	`2026-03-04 05:06:07.123 +0200 [812] 1tZxYa-0001Bc-De => ann <ann@example.org> F=<b@example.com> R=r T=t H=mx1 (x) [192.0.2.25]:25* X=TLS DN="a, \"b\" T=x" C="250-a\\n250 \"ok\" id=abcdefg" QT=1m2s DT=0.5s`,
	`2026-03-04 05:06:07 1tZxYa-00000000abc-0DeF == ann@example.org R=r T=t defer (-44) H=mx1 [192.0.2.25] DT=1s: SMTP error from remote mail server after RCPT TO:<ann@example.org>: 450-4.2.0 a\n450 4.2.0 b`,
	`2026-03-04 05:06:07 1tZxYa-0001Bc-De <= a@example.com H=h (x) [198.51.100.7]:1 P=esmtpsa A=plain:ann S=1 id=x@y T="s \" t" for b@example.org`,
	"Mar  4 05:06:07 mx1 exim[812]: [1/2] 2026-03-04 05:06:07 1tZxYa-0001Bc-De ** a@example.org: x",
	`{"log":"{\"message\":\"Mar  4 05:06:07 mx1 postfix/smtp[8]: 4F2A91C0B7: removed\"}\n","time":"2026-03-04T05:06:08Z","a":[1,{"b":"\ud83d\ude00"}]}`,
	`{"MESSAGE":[52,70,50,65],"SYSLOG_IDENTIFIER":"postfix/qmgr","__REALTIME_TIMESTAMP":"1772600767123456"}`,
	"2026-03-04T05:06:07.1Z stdout P Mar  4 05:06:07 mx1 postfix/smtp[812]: 4F2A91C0B7: to=<a@",
	"mail-1  | Mar  4 05:06:07 mx1 postfix/smtp[812]: message repeated 3 times: [ 4F2A91C0B7: to=<a@example.org>, relay=none, delay=0, status=sent (x)]",
	"/var/log/mail.log:417:Mar  4 05:06:07 mx1 last message repeated 2 times",
	"Mar  4 05:06:07 mx1 sendmail[812]: x24AbCdE012345: to=<a@example.org>,\"|x, y\", delay=1+00:00:05, relay=mx1. [192.0.2.25], dsn=4.0.0, stat=Deferred: 451 4.7.1 x",
	`Mar  4 05:06:07 mx1 smtpd[812]: 7e2f1a9c3b4d5e6f mta delivery evpid=0f1e2d3c4b5a6978 from=<> to=<a@example.org> rcpt=<-> source="192.0.2.1" relay="192.0.2.25 (mx1)" delay=1m5s result="Ok" stat="250 Ok"`,
	`b,2026-03-04 07:06:07+0200,,c@example.com,a@example.org,,failed,"5.1.1 (x)","smtp;550 5.1.1 ""No""",mx1 (192.0.2.25)`,
	"type,timeLogged,orig,rcpt",
	`{"type":"Delivery","id":"a","queue":"q","recipient":["a@example.org","b@example.org"],"response":{"code":250,"enhanced_code":{"class":2,"subject":0,"detail":0},"content":"ok","command":".\r\n"},"peer_address":{"name":"mx1","addr":"192.0.2.25"},"timestamp":1.5}`,
	"@400000006a0000000752540 1772600767.123 mx1 exim[1]: x",
}

// sound checks what holds for every result.
func sound(t testing.TB, line []byte, res *record.Result) {
	t.Helper()
	if res.Class < record.Event || res.Class > record.Malformed || res.Kind == "" {
		t.Fatalf("%q has class %d and kind %q", line, res.Class, res.Kind)
	}
	if (res.Class == record.Event) != (res.Rows.Len() > 0) {
		t.Fatalf("%q is %s with %d rows", line, res.Class, res.Rows.Len())
	}
	seen := map[uint64]bool{}
	for i := range res.Rows.All() {
		r := &res.Rows.All()[i]
		if r.EventType == 0 || r.Outcome == 0 || r.MTA == "" || r.Parser == "" || r.ParserVersion == "" || r.EventTime == 0 {
			t.Fatalf("%q gave a row without what every row has: %+v", line, r)
		}
		if seen[r.Number] {
			t.Fatalf("%q gave two rows with number %d", line, r.Number)
		}
		seen[r.Number] = true
		columns(r)
	}
}

// Any cut of any line, from both ends, is read without panic.
func TestCuts(t *testing.T) {
	s := newStream(t, Options{})
	var res record.Result
	for _, line := range seeds {
		for i := range len(line) {
			for _, part := range []string{line[:i], line[i:]} {
				s.Parse([]byte(part), &res)
				sound(t, []byte(part), &res)
			}
		}
	}
}

// Lines of a megabyte are read in a time that grows with their length only.
func TestLongLines(t *testing.T) {
	s := newStream(t, Options{})
	var res record.Result
	for _, line := range seeds {
		for _, fill := range []string{"(", "<", "\"", "\\", " 250-", ", ", "{", "[1/2] ", "a:", "\x00", `\"`, "=> ", " H=", " <", "550 5", ": "} {
			half := len(line) / 2
			long := []byte(line[:half] + strings.Repeat(fill, 1<<20/len(fill)) + line[half:])
			s.Parse(long, &res)
			sound(t, long[:80], &res)
		}
	}
}

// Lines of MTAs cost no allocation once the stream's memory has grown.
func TestAllocations(t *testing.T) {
	s := newStream(t, Options{})
	var res record.Result
	for _, line := range seeds {
		text := []byte(line)
		for range 3 {
			s.Parse(text, &res)
		}
		if bytes.HasPrefix(text, []byte("type,")) {
			continue // a header row comes once
		}
		if n := testing.AllocsPerRun(50, func() { s.Parse(text, &res) }); n != 0 {
			t.Errorf("%v allocations: %s", n, line)
		}
	}
}

// A restart between the pieces of a line changes nothing.
func TestOpenLinesSurvive(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  string
	}{
		{[]string{"2026-03-04T05:06:07.1Z stdout P Mar  4 05:06:07 mx1 postfix/smtp[812]: 4F2A91C0B7: to=<ann@", "2026-03-04T05:06:07.2Z stdout P example.org>, relay=none, delay=0, ", "2026-03-04T05:06:07.3Z stdout F status=sent (250 \xff \"ok\")"},
			"event | recipient=ann@example.org | host=mx1 | pid=812 | event_time=2026-03-04T05:06:07.000"},
		{[]string{"Mar  4 05:06:07 mx1 exim[812]: [1/3] 1tZxYa-0001Bc-De ** ann@example.org R=r T=t H=mx [192.0.2.25]: SMTP error from remote mail server after RCPT TO:<a>: 550 5.1.1 ", "Mar  4 05:06:07 mx1 exim[812]: [2/3] No such ", "Mar  4 05:06:07 mx1 exim[812]: [3/3] user"},
			"event | recipient=ann@example.org | remote_text=550 5.1.1 No such user | pid=812"},
		{[]string{"type,timeLogged,rcpt,dsnDiag", "d,2026-03-04 05:06:07+0000,a@example.org,\"smtp;250 ok", "more \"\"text\"\"", "end\""},
			"event | recipient=a@example.org | response_text=smtp;250 ok\nmore \"text\"\nend"},
		{[]string{"Mar  4 05:06:07 mx1 postfix/smtp[812]: 4F2A91C0B7: to=<ann@example.org>, relay=none, delay=0,", "  dsn=2.0.0, status=sent (250 \xff", "  \"ok\")"},
			"event | recipient=ann@example.org | response_text=250 \xff \"ok\" | host=mx1 | pid=812 | event_time=2026-03-04T05:06:07.000"},
		{[]string{"Mar  4 05:06:07 mx1 postfix/smtp[812]: 4F2A91C0B7: to=<ann@example.org>, relay=none, delay=0, dsn=2.0.0, status=sent (250 \xff \"ok\")", "Mar  4 05:06:08 mx1 last message repeated 2 times"},
			"event | rows=2 | recipient=ann@example.org | response_text=250 \xff \"ok\" | host=mx1 | pid=812 | event_time=2026-03-04T05:06:08.000"},
	} {
		var res record.Result
		s := newStream(t, Options{})
		for _, line := range tt.lines {
			again := newStream(t, Options{})
			if err := again.Restore(s.Anchor()); err != nil {
				t.Fatal(err)
			}
			again.Parse([]byte(line), &res)
			s = again
		}
		for _, problem := range compare(&res, tt.want) {
			t.Errorf("%s: %s", tt.lines[0], problem)
		}
		if again := newStream(t, Options{}); again.Restore(s.Anchor()+"\topen=x") == nil || again.Restore(s.Anchor()+"\topen=%") == nil || again.Restore(s.Anchor()+"\tlast=x") == nil {
			t.Error("a broken anchor was taken")
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range seeds {
		f.Add([]byte(line), []byte(seeds[0]))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		s := newStream(t, Options{Host: "mx"})
		var res record.Result
		for _, line := range [][]byte{first, second, first} {
			s.Parse(line, &res)
			sound(t, line, &res)
		}
		again := newStream(t, Options{})
		if err := again.Restore(s.Anchor()); err != nil {
			t.Fatalf("anchor %q: %v", s.Anchor(), err)
		}
	})
}

// FuzzDialects gives each dialect texts that its envelope would not let through.
func FuzzDialects(f *testing.F) {
	for _, line := range seeds {
		for i, d := range Dialects() {
			f.Add(uint8(i), []byte(d.Name()), []byte(line))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, program, text []byte) {
		all := Dialects()
		d := all[int(which)%len(all)]
		s := newStream(t, Options{Dialect: d.Name()})
		var res record.Result
		s.Parse(append(append([]byte("Mar  4 05:06:07 mx1 "), program...), append([]byte("[1]: "), text...)...), &res)
		sound(t, text, &res)
		claims := 0
		for _, d := range all {
			if d.Claims(nil, text) {
				claims++
			}
		}
		if claims > 1 {
			t.Fatalf("%q is claimed by %d dialects", text, claims)
		}
	})
}
