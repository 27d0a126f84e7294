package classify

import (
	"bytes"
	"strings"
	"testing"

	"bounceline/configs"
)

func tables(t testing.TB) *nameTables {
	t.Helper()
	n, err := newNameTables(configs.Providers, configs.Blocklists)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNormalise(t *testing.T) {
	names := tables(t)
	for _, c := range []struct{ name, text, want string }{
		{"case and white space", "550 User\t\tUNKNOWN  here", "550 user unknown here"},
		{"address", "550 <Ann.Smith+tag@mail.example.org>: gone", "550 <@>: gone"},
		{"address with odd signs", "550 o#b*c@example.org is gone", "550 @ is gone"},
		{"quoted address", `550 "spam blocked"@example.org is gone`, `550 @ is gone`},
		{"address behind a word", "rcpt to:ann@example.org failed", "rcpt to:@ failed"},
		{"address in other script", "550 收件人ann@example.com不存在", "550 收件人@不存在"},
		{"host", "lost connection with mx.blocked.example while sending", "lost connection with host while sending"},
		{"host in capitals", "MX1.SPAM.COM refused", "host refused"},
		{"host and port", "connect to mx.example.org[192.0.2.1]:25: refused", "connect to host[#ip]:25: refused"},
		{"token is no host", "550 5.1.10 RESOLVER.ADR.RecipNotFound; x", "550 5.1.10 resolver.adr.recipnotfound; x"},
		{"IPv6", "from 2001:db8::1 and [IPv6:2001:db8::2]", "from #ip and [#ip]"},
		{"hidden IP", "x.x.x.x, 192.0.xxx.xxx, [XX.XX.XX.XX]:25 and a.b.c.d, not www.example.co.uk, ns.x.co.at or xxx.xx", "#ip, #ip, [#ip]:25 and #ip, not host, host or host"},
		{"address with other letters", "jörg@exämple.de, вася@почта.рф, <ann@ёлка.example>: no, 收件人ann@example.org不存在", "@, @, <@>: no, 收件人@不存在"},
		{"key and IP", "ip=192.0.2.1 src:198.51.100.7", "ip=#ip src:#ip"},
		{"Microsoft's number of a check", "denied AS(201806281) (AS16012607) of 201806281", "denied as(201806281) (as16012607) of #n"},
		{"URL", "see https://spam.example/blocked?ip=192.0.2.1&x=(y)", "see url(y)"},
		{"page of a provider with its topic", "550 5.1.1 https://support.google.com/mail/?p=NoSuchUser abc123 - gsmtp", "550 5.1.1 url?p=nosuchuser abc123 - gsmtp"},
		{"page of a provider without", "see https://support.google.com/mail/answer/6596 or https://support.google.com/mail/?q=Spam", "see url or url"},
		{"topic among other keys", "554 See https://postmaster.gmx.net/en/error-messages?ip=192.0.2.1&c=rdns", "554 see url?c=rdns"},
		{"code behind a page", "550 5.2.0 See http://postmaster.comcast.net/smtp-error-codes.php#DM000001", "550 5.2.0 see url#dm000001"},
		{"chapter behind a page", "see https://support.google.com/mail/answer/81126#spam-rate", "see url"},
		{"topic of another's page", "see https://spam.example/?p=Blocked", "see url"},
		{"URL in brackets", "see <http://www.example.org/spam-policy.html>.", "see <url>."},
		{"URL without scheme", "see www.blocked.example/virus or blocked.example/virus", "see url or url"},
		{"list's host", "blocked using ZEN.spamhaus.org; x", "blocked using zen.spamhaus.org; x"},
		{"zone of a list that is not known", "blocked by RBL.example.net, not by mx.blocklist-example.net", "blocked by dnsbl, not by host"},
		{"list's page", "see https://www.spamhaus.org/query/ip/192.0.2.1", "see www.spamhaus.org/query"},
		{"list's name in an address", "<spamhaus.org@example.org>", "<@>"},
		{"file", "attachment spam.EXE is forbidden", "attachment file.exe is forbidden"},
		{"files of short names", "550 a.js b.js c.js d.js e.js f.js g.js h.js", "550 file.js file.js file.js file.js file.js file.js file.js file.js"},
		{"numbers", "size 123456 exceeds 1000, 2024-01-15", "size #n exceeds 1000, #n"},
		{"addresses that were made unreadable", "550 blocked x.xx.xx.xx, 192.0.2.xxx and [xxx.xxx.xxx.xxx]", "550 blocked #ip, #ip and [#ip]"},
		{"queue ID of Google", "550 no d13-20020a170902f70d00b001c72d5e4b2esi1234567plw.123 - gsmtp", "550 no #id - gsmtp"},
		{"time of day", "550 not at 18:45:26, 10:00:00.123 from 2001:db8::1 or 2001:db8:1:2:3:4:5:6", "550 not at 18:45:26, 10:00:00.123 from #ip or #ip"},
		{"queue ID behind an ellipsis", "550 Access denied...b9d1c5f5e1dc5555e0b3f3f1", "550 access denied...#id"},
		{"queue ID", "4jXHTQ3LgGz1ZtNh: rejected d2e1a72fcca58-6f3bd8b2b1c.12 - gsmtp", "#id: rejected #id - gsmtp"},
		{"codes of providers stay", "s3140 (AS201806281) OFR_506 LPN007_517 DM000001 [TSS04] IB607", "s3140 (as201806281) ofr_506 lpn007_517 dm000001 [tss04] ib607"},
		{"multi-line as Postfix joins it", "550-5.7.26 This mail is 550-5.7.26 not signed. 550 5.7.26 gsmtp", "550 5.7.26 this mail is not signed. gsmtp"},
		{"multi-line as Exim writes it", `550-5.7.26 This mail is\n550-5.7.26 not signed.\n550 5.7.26 gsmtp`, "550 5.7.26 this mail is not signed. gsmtp"},
		{"multi-line without enhanced code", "550-Verification failed for <a@b.example> 550-No such user 550 Sender verify failed", "550 verification failed for <@> no such user sender verify failed"},
		{"nested", "450 4.1.1 <a@b.example>: Recipient address rejected: unverified address: host mx.b.example[192.0.2.1] said: 550 5.1.1 <a@b.example>: User unknown (in reply to RCPT TO command)", "550 5.1.1 <@>: user unknown"},
		{"nested twice", "550 host a.example said: 551 host b.example said: 552 full", "552 full"},
		{"nested about the sender", "450 4.1.7 <a@b.example>: Sender address rejected: undeliverable address: host mx.b.example[192.0.2.1] said: 550 5.1.1 <a@b.example>: User unknown (in reply to RCPT TO command)", "450 4.1.7 <@>: sender address rejected: undeliverable address: host host[#ip] said:"},
		{"URL without a blank", "550 Error: content rejected.http://mail.example.com/help see:https://example.com/1.", "550 content rejected.url see:url."},
		{"command answered", "mail size limit exceeded (in reply to end of DATA command)", "mail size limit exceeded"},
		{"suspended", "delivery temporarily suspended: connect to mx.example.org[192.0.2.1]:25: Connection refused", "connect to host[#ip]:25: connection refused"},
		{"letters with marks", "550 EMPFÄNGER existiert NICHT, ПОЛЬЗОВАТЕЛЬ НЕ НАЙДЕН, BOÎTE", "550 empfanger existiert nicht, пользователь не найден, boite"},
		{"letters with marks", "550 Boîte pleine, GRÖSSE Größe, ÂGÉ, İZİN ve alıcı, ΆΓΝΩΣΤΟΣ, Ёмкость, không tồn tại, re\u0301seau", "550 boite pleine, grosse grosse, age, izin ve alici, αγνωστοσ, емкость, khong ton tai, reseau"},
		{"typeset", "550 This user doesn’t have an “account” \u00a0 here \u2014 sor\u00adry\u200b", "550 this user does not have an \"account\" here - sorry"},
		{"contractions", "550 It isn't here, we CAN'T find it and won't look. Don't", "550 it is not here, we cannot find it and will not look. do not"},
		{"mark of an error", "554 5.7.1 Error: too many hops, last error: none", "554 5.7.1 too many hops, last error: none"},
		{"mark of an error without an enhanced code", "550 Error: no", "550 no"},
		{"mark of an error without a code", "Error: no", "error: no"},
		{"no contractions", "550 'n't' isn'ta o'clock mustn'", "550 'n't' isn'ta o'clock mustn'"},
		{"one token", "550 5.1.1 USER_UNKNOWN <ann@example.org>", "550 5.1.1 user unknown <@>"},
		{"list's page alone", "550 https://www.mail-abuse.com/cgi-bin/lookup?192.0.2.1", "550 www.mail-abuse.com/cgi-bin"},
		{"one token with hyphens", "550 Mailbox-Full", "550 mailbox full"},
		{"a category of another program", "bad-mailbox", "bad-mailbox"},
		{"tokens in a text", "550 HTML_MESSAGE and non-existent", "550 html_message and non-existent"},
		{"control and invalid bytes", "550 a\x00b\x1b[31m \xff\xfe", "550 a b [31m \xff\xfe"},
		{"version is no code", "deferred - 4.16.55.1; see", "deferred - #ip; see"},
		{"empty", "", ""},
	} {
		var n normalised
		n.normalise([]byte(c.text), names)
		if got := strings.TrimSpace(string(n.text)); got != c.want {
			t.Errorf("%s: %q gives\n%q, want\n%q", c.name, c.text, got, c.want)
		}
		if n.text[0] != ' ' || n.text[len(n.text)-1] != ' ' {
			t.Errorf("%s: no blank at both ends of %q", c.name, n.text)
		}
	}
}

// TestSecondReply: what only follows from a first reply is set aside.
func TestSecondReply(t *testing.T) {
	names := tables(t)
	for text, want := range map[string]string{
		"550 5.1.1 <a@b.example>: User unknown 554 5.5.1 Error: no valid recipients": "550 5.1.1 <@>: user unknown",
		"550 5.1.1 <a@b.example>: User unknown 503 RCPT first":                       "550 5.1.1 <@>: user unknown",
		"550 5.1.1 <a@b.example>: User unknown 554 5.5.1 Error 503 5.5.1 RCPT first": "550 5.1.1 <@>: user unknown",
		"550 5.7.1 Relaying denied 550 5.1.1 <a@b.example>... User unknown":          "550 5.7.1 relaying denied",
		"550 5.1.1 no such 550 5.1.1 user":                                           "550 5.1.1 no such user",
		"452 4.2.2 mailbox full, 450 messages too many":                              "452 4.2.2 mailbox full, 450 messages too many",
		"554 5.4.4 <mx.b.example #5.4.4 smtp; 550 5.4.4 Unable to relay>":            "554 5.4.4 <host # smtp; 550 unable to relay>",
		"554 5.4.4 <mx.b.example #5.4.4 smtp;550 5.4.4 Unable to relay>":             "554 5.4.4 <host # smtp;550 unable to relay>",
		"554 5.4.4 upstream host replied: 550 5.7.1 Unable to relay":                 "554 5.4.4 upstream host replied: 550 5.7.1 unable to relay",
		"554 5.3.0 The server answered 452 4.2.2 mailbox full":                       "554 5.3.0 the server answered 452 4.2.2 mailbox full",
	} {
		var n normalised
		n.normalise([]byte(text), names)
		if got := strings.TrimSpace(string(n.text[:n.cut])); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// TestSignature: the page that a reply links tells who answered; an address does not.
func TestSignature(t *testing.T) {
	names := tables(t)
	for text, want := range map[string]string{
		"550 see https://support.google.com/mail/answer/6596":                "Google",
		"550 see http://postmaster.yahooinc.com/error-codes":                 "Yahoo/AOL",
		"550 rejected [DB5EUR01FT041.eop-EUR01.prod.protection.outlook.com]": "Microsoft 365",
		"550 <ann@support.google.com> unknown":                               "",
		"550 rejected":                                                       "",
	} {
		var n normalised
		n.normalise([]byte(text), names)
		if got := names.name(n.signed); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	names := tables(t)
	for text, want := range map[string]uint32{
		"451 4.7.1 Greylisted, try again in 300 seconds":              300,
		"450 4.2.0 <a@b.example>: Greylisted for 5 minutes":           300,
		"451 please wait 2 hours and retry":                           7200,
		"421 try again after 1 day":                                   86400,
		"451 retry in 90s.":                                           90,
		"450 bitte in 10 Minuten erneut versuchen, try in 10 Minuten": 600,
		"421 too many messages in 60 seconds":                         0,
		"421 limit of 100 messages per 60 minutes, try again later":   0,
		"451 try again in 99999999999 seconds":                        0,
		"451 try again in 9000 hours":                                 0,
		"451 try again later":                                         0,
		"451 try again in 4.7.1 seconds":                              0,
		"451 Greylisting in action, please come back in 00:04:58":     298,
		`429 {"retryAfter":"00:04:58"}`:                               298,
		"421 retry-after: 01:00:00":                                   3600,
		"421 Retry-After: 120":                                        120,
		`429 {"retry_after":120,"code":42}`:                           120,
		"421 retry=30s":                                               30,
		"421 try again in 4:58 minutes":                               0,
		"421 retry after 120 messages":                                0,
		"421 Retry-After: 12:30":                                      0,
		"421 try again at 14:30:00":                                   0,
		"421 try again after 14:30:00 UTC":                            0,
		"421 try again in 1:2":                                        0,
		"450 Early retry. Come back in 3 minutes 20 seconds.":         200,
		"450 try again in 1 hour, 5 min and 7 s":                      3900,
		"450 try again in 1 min 30 sec":                               90,
		"450 try again in 5 minutes 2 recipients":                     300,
		"450 try again in 5 minutes 90 seconds":                       300,
		"450 try again in 5 minutes 10 hours":                         300,
		"421 Bitte versuchen Sie es in 5 Minuten erneut":              300,
		"450 Tente em 10 minutos":                                     600,
	} {
		var n normalised
		n.normalise([]byte(text), names)
		if got := retryAfter(n.text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// FuzzNormalise: no text is out of bounds, none gives a text that is twice as long as it, but for the blanks around
// it, or has capitals.
func FuzzNormalise(f *testing.F) {
	names := tables(f)
	f.Add([]byte("550-5.7.26 a@b.example said: 550 http://x/ 192.0.2.1"))
	f.Add([]byte("a.js b.js c.js d.js e.js f.js"))
	f.Add([]byte("\"\"@@::1//www.=.=%s3140 \\n550- \xd0\x90\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var n normalised
		n.normalise(text, names)
		if len(n.text) > 2*len(text)+2 || len(n.text) > 2*maxText+2 || n.cut > len(n.text) || n.cut < 1 {
			t.Fatalf("%q gives %q, cut %d", text, n.text, n.cut)
		}
		if bytes.ContainsFunc(n.text, func(r rune) bool { return 'A' <= r && r <= 'Z' }) {
			t.Fatalf("%q gives %q, with a capital", text, n.text)
		}
	})
}
