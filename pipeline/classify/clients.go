package classify

import (
	"bytes"
	"regexp"
	"strings"

	"bounceline/parsers/reply"
)

// described finds the reply in an error of .NET's SmtpClient, which writes its own name for the basic code before the rest of the
// reply (SmtpException): Mailbox unavailable. The server response was: 5.7.1 Unable to relay. The name must not be taken for the
// server's words. Nil if the text is none, or if the name tells no code.
func described(text []byte) []byte {
	name, said, ok := bytes.Cut(text, []byte("The server response was: "))
	if !ok || len(said) == 0 || reply.Code(said) != 0 {
		return nil
	}
	name = bytes.TrimRight(name, " .")
	for _, d := range descriptions {
		if !bytes.HasSuffix(name, d.words) {
			continue
		}
		code := d.code
		if enhanced := reply.Enhanced(said); enhanced != nil && enhanced[0] != code[0] { // 450 has the name of 550
			code = string(enhanced[0]) + "50"
		}
		if code == "500" { // the words may be those of another protocol's server
			said = text
		}
		return append([]byte(code+" "), said...)
	}
	return nil
}

// descriptions are the names that .NET has for the codes of failures.
var descriptions = []struct {
	words []byte
	code  string
}{
	{[]byte("Service not available, closing transmission channel"), "421"},
	{[]byte("Error in processing"), "451"},
	{[]byte("Insufficient system storage"), "452"},
	{[]byte("Client does not have permission to submit mail to this server"), "454"},
	{[]byte("Syntax error, command unrecognized"), "500"},
	{[]byte("Syntax error in parameters or arguments"), "501"},
	{[]byte("Command not implemented"), "502"},
	{[]byte("Bad sequence of commands"), "503"},
	{[]byte("Command parameter not implemented"), "504"},
	{[]byte("client was not authenticated"), "530"},
	{[]byte("Mailbox unavailable"), "550"},
	{[]byte("User not local; please try a different path"), "551"},
	{[]byte("Exceeded storage allocation"), "552"},
	{[]byte("Mailbox name not allowed"), "553"},
	{[]byte("Transaction failed"), "554"},
}

// passedOn is the reply that Exchange quotes as the reason of its own: 550 5.0.350 Remote server returned an error -> 554 5.7.1 Message
// rejected as spam, 554 5.4.0 <mx.example.org #5.4.0 smtp; 550 5.1.1 User unknown>. What Exchange takes for an unknown recipient by the
// code alone may be anything.
func passedOn(text string) (string, bool) {
	for _, words := range []string{"emote server returned an error -> ", "emote server returned unknown recipient or mailbox unavailable -> "} {
		if _, inner, ok := strings.Cut(text, words); ok {
			return strings.TrimRight(inner, `'"`), reply.Code([]byte(inner)) != 0
		}
	}
	if strings.Contains(text, "smtp;") {
		if m := reasonWithin.FindStringSubmatch(text); m != nil {
			return strings.TrimSuffix(strings.TrimRight(m[1], `'"`), ">"), true
		}
	}
	return "", false
}

var reasonWithin = regexp.MustCompile(`\b[45]\d\d [45]\.\d+\.\d+ ?<[^<>]*#[45]\.\d+\.\d+ smtp; ?([45]\d\d[ -].*)`)

// withoutLine cuts what programming languages put behind the text of an error: in C:\www\mail.php on line 42, at /usr/bin/mail line 42,
// /mail.asp, line 42, and the calls that led to it.
func withoutLine(text string) string {
	if strings.Contains(text, " at ") || strings.Contains(text, " from ") {
		if at := calls.FindStringIndex(text); at != nil {
			text = text[:at[0]]
		}
	}
	for _, w := range []struct{ file, line string }{{" in ", " on line "}, {" at ", " line "}, {" ", ", line "}} {
		at := strings.LastIndex(text, w.line)
		if at < 0 || strings.Trim(text[at+len(w.line):], "0123456789.") != "" {
			continue
		}
		if file := strings.LastIndex(text[:at], w.file); file > 0 && strings.ContainsAny(text[file:at], `/\\`) {
			return text[:file]
		}
	}
	return text
}

// calls are those of .NET, Java and JavaScript (at com.example.Mail.send(Mail.java:42), at send (/app/mail.js:42:7)) and of Ruby.
var calls = regexp.MustCompile(` at (?:async )?(?:[\w$<>]+\.){2,}[\w$<>]+\(| at [^()]{1,80}\([^()]*:\d+\)| from \S+:\d+:in `)

// shown is the reply in a message of a mail client or library that leaves its code away: Thunderbird's, Evolution's, PHPMailer's,
// MailKit's, and .NET's in other languages or with names that it does not have for codes. Nil if there is none.
func shown(text []byte) []byte {
	for _, m := range clientMarks {
		if _, said, ok := bytes.Cut(text, m); ok {
			for _, advice := range clientAdvice {
				said, _, _ = bytes.Cut(said, advice)
			}
			return said
		}
	}
	for _, m := range addressMarks {
		if _, failed, ok := bytes.Cut(text, m.before); ok {
			if address, said, ok := bytes.Cut(failed, m.behind); ok && bytes.IndexByte(address, '@') > 0 && bytes.IndexByte(address, ' ') < 0 {
				return said
			}
		}
	}
	return nil
}

var (
	clientMarks = asBytes("The mail server responded: ", "SmtpCommandException: ", "MAIL FROM command failed: ", "DATA command failed: ",
		"The server response was: ", "Die Serverantwort war: ", "La réponse du serveur était : ", "La respuesta del servidor fue: ",
		"A resposta do servidor foi: ", "Risposta del server: ", "Ответ сервера: ", "服务器响应为: ")
	addressMarks = []struct{ before, behind []byte }{{[]byte("The following recipients failed: "), []byte(": ")}, {[]byte("RCPT TO <"), []byte("> failed: ")}}
	clientAdvice = asBytes(" Please check the message", " Please verify that your ")
)
