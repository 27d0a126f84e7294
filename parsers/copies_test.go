package parsers

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"bounceline/pipeline/record"
)

// What people, tools and templates put around a line, or change in it. %s is the line behind its stamp, host and tag.
func TestCopies(t *testing.T) {
	const tag = "mx1 postfix/smtp[812]: "
	const text = `4F2A91C0B7: to=<ann@example.org>, relay=none, delay=2.4, delays=0.11/0.01/1.9/0.38, dsn=4.4.1, status=deferred (connect to mx1.example.org[192.0.2.25]:25: Connection timed out)`
	const event = "event delivery | queue_id=4F2A91C0B7 | recipient=ann@example.org | relay=none | delay=2.4 | dsn=4.4.1 | status=deferred | response_text=connect to mx1.example.org[192.0.2.25]:25: Connection timed out | pid=812 | agent=smtp"
	const at = event + " | host=mx1 | event_time=2026-03-04T05:06:07.000"
	const untimed = event + " | time_inferred=4"
	const stamp = "Mar  4 05:06:07 "
	var shapes []shape
	for format, want := range map[string]string{
		"/var/log/mail.log.2.gz:" + stamp + tag + "%s":                             at,
		"mail.log-20260301:17:" + stamp + tag + "%s":                               at,
		"postfix-mailcow-1  | " + stamp + tag + "%s":                               at,
		"postfix-mailcow-1|" + stamp + tag + "%s":                                  at,
		"\x1b[36mpostfix-1  | \x1b[0m" + stamp + tag + "%s":                        at,
		"[mailserver] " + stamp + tag + "%s":                                       at,
		"[pod/postfix-0/postfix] " + stamp + tag + "%s":                            at,
		"postfix-7c9f5b8d6-abcde › postfix " + stamp + tag + "%s":                  at,
		"1772600768123 " + stamp + tag + "%s":                                      at,
		"\x1b[32mMar  4 05:06:07\x1b[0m mx1 \x1b[1mpostfix/smtp\x1b[0m[812]: %s":   at,
		"\x1b[35m\x1b[K/var/log/mail.log\x1b[m\x1b[K:" + stamp + tag + "%s":        at,
		"\xef\xbb\xbf" + stamp + tag + "%s":                                        at,
		"“" + stamp + tag + "%s”":                                                  at,
		"`" + stamp + tag + "%s`":                                                  at,
		"• " + stamp + tag + "%s":                                                  at,
		"> > " + stamp + tag + "%s":                                                at,
		"1. " + stamp + tag + "%s":                                                 at,
		"  12\t" + stamp + tag + "%s":                                              at,
		"root@mx1:~# tail -1 /var/log/mail.log " + stamp + tag + "%s":              at,
		"I see this: " + stamp + tag + "%s":                                        at,
		"**" + stamp + tag + "%s**":                                                at,
		"..." + stamp + tag + "%s...":                                              at,
		"Mar\t4\t05:06:07\tmx1\tpostfix/smtp[812]:\t%s":                            at,
		"Mar\u00a0 4\u00a005:06:07 mx1\u00a0postfix/smtp[812]:\u00a0%s":            at,
		stamp + "mx1 postfix/smtp [812]: %s":                                       event[:strings.Index(event, " | pid")],
		stamp + "mx1 postfix/smtp[812] : %s":                                       at,
		stamp + "mx1 postfix/smtp(812): %s":                                        at,
		stamp + tag + "postfix/smtp[812]: %s":                                      at,
		stamp + "mx1 MTA postfix/smtp[812]: %s":                                    event,
		stamp + "mx1 journal: postfix/smtp[812]: %s":                               at,
		stamp + "mx1 docker/3f2a91c0b7d4[99]: postfix/smtp[812]: %s":               at,
		stamp + "mx1 3f2a91c0b7d4[99]: postfix/smtp[812]: %s":                      at,
		"2026/03/04 05:06:07 " + tag + "%s":                                        at,
		"04.03.2026 05:06:07 " + tag + "%s":                                        at,
		"04-Mar-2026 05:06:07 " + tag + "%s":                                       at,
		"20260304 05:06:07 " + tag + "%s":                                          at,
		"Wed, 04 Mar 2026 05:06:07 +0000 " + tag + "%s":                            at,
		"4 Mar 05:06:07 " + tag + "%s":                                             at,
		"March 4 05:06:07 " + tag + "%s":                                           at,
		"MAR 04 05:06:07 " + tag + "%s":                                            at,
		"Mär  4 05:06:07 " + tag + "%s":                                            at,
		"M\xe4r  4 05:06:07 " + tag + "%s":                                         at,
		"mars 04 05:06:07 " + tag + "%s":                                           at,
		"мар 04 05:06:07 " + tag + "%s":                                            at,
		"03/04/2026 05:06:07 " + tag + "%s":                                        untimed, // in March or in April
		"05:06:07 " + tag + "%s":                                                   untimed + " | host=mx1",
		"4 05:06:07 " + tag + "%s":                                                 untimed + " | host=mx1",
		"... postfix/smtp[812]: %s":                                                untimed,
		"smtp[812]: %s":                                                            untimed,
		"[812]: %s":                                                                strings.Replace(event, " | pid=812 | agent=smtp", "", 1),
		`2026-03-04T05:06:07Z,"` + tag + `%s"`:                                     event,
		`"2026-03-04T05:06:07.123Z","mx1","postfix/smtp","812","%s"`:               strings.Replace(event, " | pid=812 | agent=smtp", "", 1),
		"2026-03-04 06:06:07\t{host=\"mx7\", job=\"mail\"}\t" + stamp + tag + "%s": at, // Loki
		"3/4/2026, 5:06:07 AM | info | %s":                                         strings.Replace(event, " | pid=812 | agent=smtp", "", 1),
		"    MESSAGE=%s":                                                           strings.Replace(event, " | pid=812 | agent=smtp", "", 1), // journalctl -o verbose
		"28.01.2026, 19:30:48 | info | %s":                                         strings.Replace(event, " | pid=812 | agent=smtp", " | event_time=2026-01-28T19:30:48.000", 1),
		"13/1/2026, 7:30:48 PM | info | %s":                                        strings.Replace(event, " | pid=812 | agent=smtp", " | event_time=2026-01-13T19:30:48.000", 1),
		"| Mar  4 05:06:07 | mx1 | postfix/smtp[812] | %s |":                       event,
		"<22>1 2026-03-04T05:06:07Z mx1 postfix/smtp[812] - - - %s":                at,
		`{"timestamp":"2026-03-04T05:06:07Z","hostname":"mx1","process":"postfix/smtp","pid":812,"message":"%s"}`:        at,
		"233 <22>1 2026-03-04T05:06:07Z mx1 postfix/smtp 812 - - %s":                                                     at,
		`[1772600767.123,{"log":"` + stamp + tag + `%s"}]`:                                                               at,
		`{"content":"%s","tag":"postfix/smtp[812]","hostname":"mx1"}`:                                                    event,
		"2026-03-04T05:06:07+00:00\tmail.postfix\t" + `{"host":"mx1","ident":"postfix/smtp","pid":"812","message":"%s"}`: event,
	} {
		shapes = append(shapes, shape{format, fmt.Sprintf(format, text), want})
	}
	for change, want := range map[[2]string]string{
		{"<ann@example.org>", "&lt;ann@example.org&gt;"}: at,
		{"<ann@example.org>", "ann@example.org"}:         at,
		{"<ann@example.org>", "<[email protected]>"}:     "event | recipient=[email protected] | relay=none",
		{"<ann@example.org>", "<***@***>"}:               "event | recipient=***@***",
		{"<ann@example.org>", ""}:                        "event | recipient= | relay=none",
		{"4F2A91C0B7", "XXXXXXXXXX"}:                     "event | queue_id=XXXXXXXXXX | recipient=ann@example.org",
		{"4F2A91C0B7: ", ""}:                             "event | queue_id= | recipient=ann@example.org",
		{"4F2A91C0B7: ", "4F2A91C0B7:"}:                  at,
		{"4F2A91C0B7: ", "4F2A91C0B7 "}:                  at,
		{"4F2A91C0B7: ", "4F2A91C0B7:   "}:               at,
		{", ", ","}:                                      at,
		{", ", "; "}:                                     at,
		{", ", ", > "}:                                   event[:strings.Index(event, " | response_text")],
		{"<ann@example.org>", "<ann@example.org <mailto:ann@example.org>>"}:  at,
		{"<ann@example.org>", "<[ann@example.org](mailto:ann@example.org)>"}: at,
		{"<ann@example.org>", "ann@example.org <mailto:ann@example.org>"}:    at,
		{"<ann@example.org>", "‹ann@example.org›"}:                           at,
		{"4F2A91C0B7", "**4F2A91C0B7**"}:                                     at,
		{"deferred", "**deferred**"}:                                         at,
		{"<ann@example.org>", `\<ann@example.org\>`}:                         at,
		{"relay=none, delay=2.4, delays=0.11/0.01/1.9/0.38, ", "... "}:       "event | recipient=ann@example.org | dsn=4.4.1 | status=deferred",
		{"timed out)", "timed out (or so)) source = /var/log/mail.log"}:      "event | truncated= | response_text=connect to mx1.example.org[192.0.2.25]:25: Connection timed out (or so)",
		{"timed out)", "timed out (or so) and here it was cut"}:              "event | truncated=1 | response_text=connect to mx1.example.org[192.0.2.25]:25: Connection timed out (or so) and here it was cut",
		{", ", " "}:    at,
		{", ", ",\n"}:  at,
		{", ", ",   "}: at,
		{" (", "   ("}: at,
		{"status=deferred", "status=\x1b[01;31m\x1b[Kdeferred\x1b[m\x1b[K"}: at,
		{"4F2A91C0B7", "\x1b[01;31m\x1b[K4F2A91C0B7\x1b[m\x1b[K"}:           at,
		{"812", "xxx"}:                            "event | recipient=ann@example.org | agent=smtp | pid=",
		{"timed out)", "tim..."}:                  "event | truncated=1 | response_text=connect to mx1.example.org[192.0.2.25]:25: Connection tim...",
		{"status=deferred (", "status=deferred "}: "event | truncated=1 | status=deferred",
	} {
		shapes = append(shapes, shape{change[0] + " " + change[1], stamp + strings.ReplaceAll(tag+text, change[0], change[1]), want})
	}
	for i := range shapes {
		shapes[i].lines = strings.ReplaceAll(shapes[i].lines, "\n", "\v") // is one line here
	}
	t.Run("Postfix", func(t *testing.T) { checkCopies(t, shapes) })

	const exim = `1tZxYa-0001Bc-De ** ann@example.org <bob@example.com> R=dnslookup T=remote_smtp H=mx1.example.org [192.0.2.25]: SMTP error from remote mail server after RCPT TO:<ann@example.org>: 550 5.1.1 No`
	const failed = "event delivery | queue_id=1tZxYa-0001Bc-De | recipient=ann@example.org | orig_recipient=bob@example.com | smtp_code=550 | remote_text=550 5.1.1 No | relay_ip=192.0.2.25"
	const failedAt = failed + " | event_time=2026-03-04T05:06:07.000"
	shapes = nil
	for format, want := range map[string]string{
		"exim_mainlog-20260301.gz:2026-03-04 05:06:07 %s": failedAt,
		"exim_1  | 2026-03-04 05:06:07 %s":                failedAt,
		"> 2026-03-04 05:06:07 %s":                        failedAt,
		"2026-03-04T05:06:07 %s":                          failedAt,
		"[2026-03-04 05:06:07] %s":                        failedAt,
		`"2026-03-04 05:06:07 %s"`:                        failedAt,
		"\x1b[31m2026-03-04 05:06:07 %s\x1b[0m":           failedAt,
		"Mar  4 05:06:07 mx1 mail[812]: %s":               failedAt,
		"05:06:07 %s":                                     failed,
		"LOG: MAIN %s":                                    failed,
		"%s":                                              failed,
	} {
		shapes = append(shapes, shape{format, fmt.Sprintf(format, exim), want})
	}
	escaped := strings.NewReplacer("<", "&lt;", ">", "&gt;").Replace(exim)
	shapes = append(shapes, shape{"HTML", "2026-03-04 05:06:07 " + escaped, failedAt},
		shape{"HTML, flag", "2026-03-04 05:06:07 1tZxYa-0001Bc-De =&gt; ann@example.org R=r T=t", "event | outcome=delivered"},
		shape{"blanks", strings.ReplaceAll("2026-03-04 05:06:07 "+exim, " ", "\t"), failedAt})
	shapes = append(shapes, shape{"no message id", exim[len("1tZxYa-0001Bc-De "):], "event | queue_id= | recipient=ann@example.org | orig_recipient=bob@example.com | smtp_code=550 | router=dnslookup"},
		shape{"no message id, deferred", "2026-03-04 05:06:07 == ann@example.org R=r T=t defer (-53): retry time not reached for any host", "event | event_type=suspended | event_time=2026-03-04T05:06:07.000"},
		shape{"other brackets", "2026-03-04 05:06:07 1tZxYa-0001Bc-De =› ann ‹ann@example.org› R=r T=t", "event | recipient=ann@example.org | outcome=delivered"},
		shape{"brackets for an address", "2026-03-04 05:06:07 1tZxYa-0001Bc-De ** <MY-ADDRESS> <bob@example.com> R=r T=t: x", "event | recipient=MY-ADDRESS | orig_recipient=bob@example.com"},
		shape{"line breaks", "2026-03-04 05:06:07 1tZxYa-0001Bc-De == ann@example.org\v  R=r T=t defer (-44) H=mx1 [192.0.2.25]: SMTP error from remote mail\v server after RCPT TO:<ann@example.org>:\r\v 451-4.3.0 one\v451 4.7.1 two", `event | recipient=ann@example.org | errno=-44 | smtp_code=451 | enhanced_code=4.7.1 | smtp_command=RCPT TO | remote_text=451-4.3.0 one\n451 4.7.1 two`},
		shape{"arrow in a text", "2026-03-04 05:06:07 => see the manual R=x", "other"})
	t.Run("Exim", func(t *testing.T) { checkCopies(t, shapes) })
}

// A log that Windows' shell has written is UTF-16: its lines are cut at their line feeds, and the halves of these stay.
func TestUTF16(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		var text []byte
		for _, c := range utf16.Encode([]rune("\ufeffMar  4 05:06:07 mx1 postfix/qmgr[8]: 4F2A91C0B7: removed\r\nMar  4 05:06:07 mx1 postfix/smtp[812]: 4F2A91C0B7: to=<ann@example.org>, relay=none, delay=2, status=sent (250 ok)\r\n")) {
			text = order.AppendUint16(text, c)
		}
		s := newStream(t, Options{})
		var res record.Result
		lines := bytes.Split(text, []byte{'\n'})
		for i, want := range []string{"context removed", "event | recipient=ann@example.org | event_time=2026-03-04T05:06:07.000 | response_text=250 ok | host=mx1"} {
			s.Parse(lines[i], &res)
			for _, problem := range compare(&res, want) {
				t.Errorf("%q: %s", lines[i], problem)
			}
		}
	}
}

func checkCopies(t *testing.T, shapes []shape) {
	for _, sh := range shapes {
		s := newStream(t, Options{})
		var res record.Result
		line := []byte(strings.ReplaceAll(sh.lines, "\v", "\n"))
		s.Parse(line, &res)
		for _, problem := range compare(&res, sh.want) {
			t.Errorf("%s: %s\n%q", sh.name, problem, line)
		}
	}
}
