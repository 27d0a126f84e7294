package classify

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"

	"bounceline/parsers/reply"
	"bounceline/pipeline/record"
)

// quoted finds the reply in a text as people copy it: out of a bounce message (Diagnostic-Code: smtp; 550 ..., RFC 3464), a
// report of Exchange (Remote Server returned '550 ...'), of qmail (Remote host said: 550 ... Giving up on ...), of sendmail
// (<<< 550 ...), or out of a library's error ((550, b'...'), SMTP Error (550): ...). It is the reply with its code in front; nil
// if none is found. Whole says that what stands before the code belongs to the reply. Log lines do
// not come here: their parsers know where the reply stands.
func quoted(text []byte) (found []byte, whole bool) {
	session := dialogue(text)
	for i := 0; i+3 <= len(text); i++ {
		if text[i] != '4' && text[i] != '5' || i > 0 && !opens(text[i-1]) && !bytes.HasSuffix(text[:i], []byte(",<,")) {
			continue
		}
		code, rest := text[i:i+3], text[i+3:]
		if len(rest) == 0 && i > 8 { // got 552
			rest = []byte{'.'}
		}
		if len(rest) == 0 {
			break
		}
		if reply.Code(code) == 0 || bytes.IndexByte([]byte(" -:,.)\"'\t;|"), rest[0]) < 0 && (i > 0 || rest[0] < 'A' || rest[0] > 'Z') {
			continue
		}
		if c := string(code); c == "465" || c == "587" { // ports for submission
			continue
		}
		if bytes.HasPrefix(rest, []byte(`", with message "`)) { // Swift Mailer and Symfony name the code, then quote the reply
			continue
		}
		if i > 0 && text[i-1] == '#' && bytes.Contains(text[bytes.LastIndexByte(text[:i], ' ')+1:i], []byte("://")) { // a part of a page
			continue
		}
		said := bytes.TrimLeft(rest, " -,.:;)'\"\t|")
		if len(said) > 1 && said[0] == 'b' && (said[1] == '\'' || said[1] == '"') { // Python writes bytes so
			said = said[2:]
		}
		coded := reply.Enhanced(said) != nil
		announced := i == 0 || announced(text[:i]) || i >= session || marked(text[:i], rest)
		if !coded && (!announced || len(rest) > 1 && rest[0] == '-' && '0' <= rest[1] && rest[1] <= '9') {
			continue // a number
		}
		if i > 0 {
			said = untilMark(said, text[i-1])
		}
		if bytes.HasPrefix(said, code) && len(said) > 3 && (said[3] == ' ' || said[3] == '-') { // some write it twice
			said = bytes.TrimLeft(said[4:], " ")
		}
		separator := byte(' ')
		if rest[0] == '-' {
			separator = '-'
		}
		out := append(append(append(make([]byte, 0, len(said)+4), code...), separator), said...)
		out = cutReport(out)
		bare := len(bytes.Trim(said, "0123456789.()[] ")) == 0
		return out, bare && i > 8 && !bytes.Contains(text[:i], []byte("xpected ")) && !bytes.Contains(text[:i], []byte("egative SMTP ")) || !announced && rest[0] == '-' || i > 8 && ofMailer(said)
	}
	return nil, false
}

// ofMailer reports whether a reply is what sendmail makes of the exit status of a local mailer. What that said itself stands before it:
// procmail: Quota exceeded while writing "/var/mail/ann" 550 5.0.0 ann... Can't create output.
func ofMailer(said []byte) bool {
	return containsOne(said, exitWords)
}

var exitWords = asBytes("... Can't create output", "nknown mailer error ", "... Insufficient permission", "... Operating system error", "... Service unavailable")

// aboutSender reports whether a reply in a text is only what the sender's own server said of the sender, which another reply
// passes on as its reason: 450 4.1.7 <a>: Sender address rejected: undeliverable address: host b said: 550 ...
func aboutSender(text, remote []byte) bool {
	before := bytes.ToLower(text[:max(0, bytes.Index(text, remote))])
	return !bytes.Contains(before, []byte("recipient ")) && ofSender(before)
}

// ofSender reports whether the beginning of a text, in lower case, says that what follows is about the sender's address. A callout is mostly a check
// of the sender, but Exim calls so what it asked about the recipient (verify.c): Callout verification failed: 550 no such user.
func ofSender(before []byte) bool {
	if containsOne(before, senderChecks) {
		return true
	}
	return bytes.Contains(before, []byte("callout")) && !bytes.Contains(before, []byte("callout verification failed")) && !bytes.Contains(before, []byte("recipient"))
}

var senderChecks = asBytes("sender address rejected: u", "sender verif", "sender address verif", "verify of sender", "verify sender", "verify the sender", "verifying sender",
	"verification of sender", "verification of the sender", "callback to", "callback verif", "callback failed", "sender call", "return address", "return path", "return-path", "reverse path", "reverse-path", "we asked ")

// within reports whether a reply in a text is only a part of another one that the text quotes: (550, b'verify of a failed: 550 no').
func within(text, remote []byte) bool {
	if bytes.HasPrefix(text, remote) {
		return false
	}
	outer, _ := quoted(text)
	return bytes.Index(outer, bytes.TrimRight(remote, ` '")]}>.`)) > 0
}

// said is what a report says that the other host said, without a code: behind the words of qmail, Gmail, Postfix or Exim. Nil if it
// says none.
func said(text []byte) []byte {
	for _, words := range introductions {
		if _, said, ok := bytes.Cut(text, words); ok && len(said) > len("(empty)") {
			return cutReport(said)
		}
	}
	if _, said, ok := bytes.Cut(text, []byte("] said: ")); ok {
		said, _, _ = bytes.Cut(said, []byte(" (in reply to "))
		return said
	}
	if _, after, ok := bytes.Cut(text, []byte("SMTP error from remote mail server after ")); ok {
		if _, said, ok := bytes.Cut(after, []byte("]: ")); ok {
			return said
		}
	}
	return shown(text)
}

// introductions are the words of reports behind which nothing but the other host's reply stands.
var introductions = asBytes("emote host said: ", " other server returned was: ", "esponse from the remote server was: ", "The response was: ")

// answered is the command that the first reply in a report of sendmail (>>> MAIL From:<a> <<< 550 ...) or qmail (Connected to host but
// sender was rejected.) answered; empty if the report does not say. Behind sendmail's DATA may stand the replies to all commands
// that it sent at once.
func answered(text []byte) string {
	if before, _, ok := bytes.Cut(text, []byte(" <<< ")); ok {
		if i := bytes.LastIndex(before, []byte(">>> ")); i >= 0 {
			if c := reply.Command(bytes.ToUpper(before[i+len(">>> "):])); c != record.CmdDATA {
				return c
			}
		}
		return ""
	}
	for _, r := range sessionReports {
		if bytes.Contains(text, r.words) {
			return r.command
		}
	}
	return ""
}

// sessionReports are what qmail-remote says of a session that failed (qmail-remote.c), and what Thunderbird and PHPMailer advise.
var sessionReports = []struct {
	words   []byte
	command string
}{
	{[]byte(" but greeting failed."), record.CmdConnect}, {[]byte(" but my name was rejected."), record.CmdHELO}, {[]byte(" but sender was rejected."), record.CmdMAIL},
	{[]byte(" does not like recipient."), record.CmdRCPT}, {[]byte(" failed on DATA command."), record.CmdDATA}, {[]byte(" failed after I sent the message."), record.CmdEndOfData},
	{[]byte(" Please check the message recipient "), record.CmdRCPT}, {[]byte(" Please verify that your email address is correct in your "), record.CmdMAIL},
	{[]byte(" Please check the message and try again"), record.CmdEndOfData}, {[]byte("The following recipients failed: "), record.CmdRCPT},
}

// detail finds the reply in an error of PHPMailer, which writes the words before the codes (SMTP::setError): RCPT TO command failed
// Detail: User unknown SMTP code: 550 Additional SMTP info: 5.1.1.
func detail(text []byte) []byte {
	words, codes, ok := bytes.Cut(text, []byte("SMTP code: "))
	i := bytes.LastIndex(words, []byte("Detail: "))
	if !ok || i < 0 || len(codes) < 3 || reply.Code(codes[:3]) == 0 {
		return nil
	}
	found := append(bytes.Clone(codes[:3]), ' ')
	if _, info, ok := bytes.Cut(codes, []byte("Additional SMTP info: ")); ok {
		if code := reply.Enhanced(info); code != nil {
			found = append(append(found, code...), ' ')
		}
	}
	return append(found, bytes.TrimSpace(words[i+len("Detail: "):])...)
}

// attempted finds the reply in a report of Cisco's gateway, which puts the name of a status before it that is often not the
// reply's: 5.1.0 - Unknown address error 550-'5.7.1 Relaying denied' (delivery attempts: 0).
func attempted(text []byte) []byte {
	before, _, ok := bytes.Cut(text, []byte("' (delivery attempts: "))
	i := bytes.Index(before, []byte("-'"))
	if !ok || i < 4 || before[i-4] != ' ' || reply.Code(before[i-3:i]) == 0 {
		return nil
	}
	return append(append(bytes.Clone(before[i-3:i]), ' '), before[i+2:]...)
}

// quotedStatus finds the enhanced status code of a text that quotes no basic code: after "#" as in qmail's and Exchange's reports,
// or after a word that announces it, such as Status. Nil if there is none.
func quotedStatus(text []byte) []byte {
	for i := 1; i+5 <= len(text); i++ {
		if text[i] != '4' && text[i] != '5' || text[i+1] != '.' || !opens(text[i-1]) || text[i-1] != '#' && !announced(text[:i]) {
			continue
		}
		if code := reply.Enhanced(text[i:]); code != nil && code[2] <= '7' && code[3] == '.' {
			return code
		}
	}
	return nil
}

// unfold makes one line of a text with line breaks. A quoted-printable soft break (RFC 2045, section 6.7) leaves nothing, and a
// blank that it encodes before the end of a line is one again. What the source of a page writes for signs becomes them. qmail's log
// writes a report with "_" for blanks and "/" for line breaks (qmail-log(5)).
func unfold(text string) string {
	if strings.Contains(text, "Remote_host_said:_") || strings.HasSuffix(text, "/") && strings.Count(text, "_") > 2 {
		text = strings.NewReplacer("/Remote_host_said:_", " Remote host said: ", "/Giving_up_on_", " Giving up on ", "_", " ").Replace(text)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) { // the replacer takes its time
		text = marks.Replace(text)
	}
	if strings.Contains(text, "&") && strings.Contains(text, ";") {
		text = entities.Replace(text)
	}
	text = strings.TrimSuffix(text, "=20")
	if strings.ContainsAny(text, "\r\n") {
		text = strings.NewReplacer("=\r\n", "", "=\n", "", "=20\r\n", " ", "=20\n", " ").Replace(text)
		text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
	}
	return continued(bare(hidden(text)))
}

// continued joins the lines of one reply in a transcript, each of which has the mark of what was received: <<< 554-no <<< 554 mail.
func continued(text string) string {
	const mark = "<<< "
	lines := strings.Split(text, mark)
	if len(lines) < 3 {
		return text
	}
	var b strings.Builder
	b.WriteString(lines[0])
	for i, line := range lines[1:] {
		if last := lines[i]; i == 0 || len(last) < 4 || last[3] != '-' || !strings.HasPrefix(line, last[:3]) {
			b.WriteString(mark)
		}
		b.WriteString(line)
	}
	return b.String()
}

// logged is the reason that a log line gives for its outcome, where people copy the line whole or from its outcome on: in brackets
// behind Postfix's status=, behind the outcome in sendmail's stat=, in its reply=, behind Exim's router and transport. Another text stays as it is.
func logged(text string) string {
	if strings.Contains(text, " T=") {
		if at := behindTransport.FindStringIndex(text); at != nil {
			return text[at[1]:]
		}
	}
	if _, reason, ok := strings.Cut(text, "stat=Deferred: "); ok {
		return reason
	}
	if _, reason, ok := strings.Cut(text, "Server Response: "); ok && reply.Code([]byte(reason)) != 0 { // Windows Live Mail
		return reason
	}
	if _, reason, ok := strings.Cut(text, " reply="); ok && reply.Code([]byte(reason)) != 0 {
		reason, _, _ = strings.Cut(reason, ", stat=")
		return reason
	}
	_, status, ok := strings.Cut(text, "status=")
	if !ok {
		return text
	}
	word, reason, ok := strings.Cut(status, " (")
	if !ok || !strings.Contains(" deferred bounced SOFTBOUNCE expired force-expired undeliverable ", " "+word+" ") {
		return text
	}
	if i := strings.LastIndexByte(reason, ')'); i > 0 {
		reason = reason[:i]
	}
	return reason
}

// behindTransport is what Exim writes of a delivery before what went wrong, where no host was reached ("Log files" in its specification).
var behindTransport = regexp.MustCompile(`(?:\*\*|==) \S+ (?:\S+ )*?R=\S+ T=[\w.-]+(?: defer \(-?\d+\))?: `)

// marks makes plain ones of the quotation marks that pages have around replies.
var marks = strings.NewReplacer("‘", "'", "’", "'", "“", `"`, "”", `"`, "„", `"`, "«", `"`, "»", `"`, "\u00a0", " ")

// entities are the signs of replies that HTML has names or numbers for.
var entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&#34;", `"`, "&#39;", "'", "&#039;", "'", "&apos;", "'", "&rsquo;", "'", "&nbsp;", " ", "&#160;", " ", "&amp;", "&")

// opens reports whether a reply may begin after c: a bracket, a quotation mark or a blank, not within a word or number.
func opens(c byte) bool { return bytes.IndexByte([]byte(" \t([<{'\"`;#:=>|"), c) >= 0 }

// announced reports whether the words before a code say that a reply follows.
func announced(before []byte) bool {
	before = bytes.TrimRight(before, " \t#'\"`([{<>:;=-")
	if len(before) == 0 {
		return true
	}
	word := strings.ToLower(string(before[bytes.LastIndexAny(before, " \t'\"([<:;=|")+1:]))
	return announcements[word] || strings.HasSuffix(word, "error") || strings.HasSuffix(word, "exception")
}

// marked reports whether signs before a code say that a reply begins with it: those of a transcript (sendmail's, Swaks', Exchange's
// log), an opening quotation mark, a bracket behind an address, Exchange's #, Python's (550, b'...'.
func marked(before, rest []byte) bool {
	if endsWithOne(before, transcriptMarks) {
		return true
	}
	switch last := before[len(before)-1]; last {
	case ' ':
		return address(before)
	case '#':
		return opens(before[max(0, len(before)-2)])
	case '(':
		return rest[0] == ',' || address(before)
	case '"', '\'':
		return len(rest) > 2 && (rest[0] == ' ' || rest[0] == '-') && bytes.IndexByte(rest, last) > 0 && bytes.IndexByte([]byte(" ,:[({="), before[max(0, len(before)-2)]) >= 0
	}
	return false
}

// address reports whether the last word of a text has a mailbox's address.
func address(text []byte) bool {
	text = bytes.TrimRight(text, " (")
	return bytes.IndexByte(text[bytes.LastIndexByte(text, ' ')+1:], '@') >= 0
}

var transcriptMarks = asBytes("<<< ", "<** ", "<-- ", ",<,")

// dialogue is how long the beginning of a session is, as people copy it before the reply that matters: a reply that is none of a
// failure, then a command. It is longer than the text if that does not begin so.
func dialogue(text []byte) int {
	if len(text) > 0 && text[0] == '2' && reply.Code(text) != 0 {
		if at := sessionCommand.FindIndex(text); at != nil {
			return at[1]
		}
	}
	return len(text) + 1
}

var sessionCommand = regexp.MustCompile(`(?i)helo |ehlo |mail from|rcpt to`)

// announcements are the words that stand before a quoted reply.
var announcements = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq("smtp x-str said returned was is code reason response reply stat status dsn message failed received got with permanent temporary transient failure " +
		"diagnostic-code says say saying reads returns replied replies responded answered odpowiedzial odpowiedział fehler fehlermeldung erreur errore erro servidor ошибка błąd fout") {
		m[w] = true
	}
	return m
}()

// untilMark cuts the text where the quotation or field ends that the mark before it opened.
func untilMark(b []byte, mark byte) []byte {
	switch mark {
	case '\'', '"':
		for i, c := range b {
			if c == mark && (i+1 == len(b) || bytes.IndexByte([]byte(" ,;.)]}>"), b[i+1]) >= 0) {
				return b[:i]
			}
		}
	case '(':
		return bytes.TrimRight(b, "')\"]}")
	case '[', '<':
		return bytes.TrimRight(b, "]>")
	case ',':
		return bytes.TrimRight(b, ",")
	}
	return b
}

// cutReport cuts what reports of qmail and sendmail, and status notifications, put behind a reply.
func cutReport(b []byte) []byte {
	for i := len("550 ") + 1; i+1 < len(b); i++ {
		if (b[i] == ' ' || b[i] == ';') && reportLetters[b[i+1]] && startsWithOne(b[i:], reportWords) {
			if bytes.HasPrefix(b[i:], []byte(" -----")) { // sendmail's, behind (reason: ...)
				return bytes.TrimSuffix(b[:i], []byte(")"))
			}
			b = b[:i]
			break
		}
	}
	b = bytes.TrimSuffix(b, []byte(" hMailServer"))
	if i := bytes.Index(b, []byte(" SMTP error from remote ")); i > 0 && bytes.IndexByte(b[:i], '@') > 0 { // of the next recipient
		b = b[:i]
	}
	return b
}

var reportWords = asBytes(" Giving up on ", " --- Below this line ", " --- Enclosed ", " --- The header of ", " ------ This is a copy ", " #SMTP#", " ##", " Original message headers:", " I'm not going to try again;", " (in reply to ", " <<< ", " Final-Recipient: ", "; from=<",
	" ----- Transcript ", " * RCPT failed: ", " --- End Transcript", " -- The header and top ", " Server: '", " Protocol: SMTP", " Last-Attempt-Date: ", " Reporting-MTA: ", " Remote-MTA: ")

// reportLetters are their second bytes; the first is a blank or a semicolon.
var reportLetters = func() (set [256]bool) {
	for _, w := range reportWords {
		set[w[1]] = true
	}
	return set
}()
