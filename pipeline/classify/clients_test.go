package classify

import "testing"

// TestClients: replies as mail clients, libraries and programs report them.
func TestClients(t *testing.T) {
	for _, c := range []struct {
		text, remote, command string
		code                  uint16
	}{
		// .NET names the basic code.
		{text: "Mailbox unavailable. The server response was: 5.7.1 Unable to relay for ann@example.org", code: 550, remote: "550 5.7.1 Unable to relay for ann@example.org"},
		{text: "System.Net.Mail.SmtpFailedRecipientException: Mailbox unavailable. The server response was: No such user at System.Net.Mail.SmtpTransport.SendMail(MailAddress sender)", code: 550, remote: "550 No such user"},
		{text: "Mailbox unavailable. The server response was: 4.7.1 <ann@example.org>: Greylisted", code: 450, remote: "450 4.7.1 <ann@example.org>: Greylisted"},
		{text: "Transaction failed. The server response was: DT:SPM 126 smtp1", code: 554, remote: "554 DT:SPM 126 smtp1"},
		{text: "The SMTP server requires a secure connection or the client was not authenticated. The server response was: 5.7.0 Must issue a STARTTLS command first.", code: 530, remote: "530 5.7.0 Must issue a STARTTLS command first."},
		{text: "Syntax error, command unrecognized. The server response was: 5.5.2 what?", code: 500, remote: "500 Syntax error, command unrecognized. The server response was: 5.5.2 what?"},
		{text: "Syntax error in parameters or arguments. The server response was: 5.1.3 Invalid recipient", code: 501, remote: "501 5.1.3 Invalid recipient"},
		{text: "Mailbox unavailable. The server response was: 550 5.7.1 Unable to relay", code: 550, remote: "550 5.7.1 Unable to relay"},
		{text: "Error: need MAIL command. The server response was: 5.7.1 Client was not authenticated", remote: "5.7.1 Client was not authenticated"},
		{text: "The server response was: Relay access denied", remote: "Relay access denied"},
		{text: "Postfach nicht verfügbar. Die Serverantwort war: Relay access denied", remote: "Relay access denied"},
		// Exchange Online
		{text: "550 5.0.350 Remote server returned an error -> 554 5.7.1 Message rejected as spam", code: 554, remote: "554 5.7.1 Message rejected as spam"},
		{text: "Remote Server returned '550 5.0.350 Remote server returned an error -> 552 Mailbox full'", code: 552, remote: "552 Mailbox full"},
		{text: "550 5.1.351 Remote server returned unknown recipient or mailbox unavailable -> 550 5.7.1 Blocked, see example.org", code: 550, remote: "550 5.7.1 Blocked, see example.org"},
		{text: "550 5.0.350 Remote server returned an error -> message refused", code: 550, remote: "550 5.0.350 Remote server returned an error -> message refused"},
		{text: "Remote Server returned '554 5.4.0 <mx.example.org #5.4.0 smtp; 550 5.1.1 <ann@example.org>: User unknown>'", code: 550, remote: "550 5.1.1 <ann@example.org>: User unknown"},
		{text: "554 5.4.0 <mx.example.org #5.4.0 smtp; no reply>", code: 554, remote: "554 5.4.0 <mx.example.org #5.4.0 smtp; no reply>"},
		// PHP and Perl say where they are.
		{text: `Warning: mail(): SMTP server response: 550 5.7.1 Unable to relay in C:\www\mail.php on line 42`, code: 550, remote: "550 5.7.1 Unable to relay"},
		{text: "RCPT command failed: 550 No such user at /usr/share/perl5/Mail.pm line 42.", code: 550, remote: "550 No such user"},
		{text: "The server response was: 550 No such user /www/mail.asp, line 42", code: 550, remote: "550 No such user"},
		{text: "com.sun.mail.smtp.SMTPAddressFailedException: 550 No such user at com.sun.mail.smtp.SMTPTransport.rcptTo(SMTPTransport.java:1873) at a.b.c(D.java:2)", code: 550, remote: "550 No such user"},
		{text: "Error: Message failed: 550 No such user at SMTPConnection._formatError (/app/node_modules/nodemailer/lib/smtp-connection/index.js:784:19)", code: 550, remote: "550 No such user"},
		{text: "Net::SMTPFatalError: 550 No such user from /usr/lib/ruby/net/smtp.rb:950:in `check_response'", code: 550, remote: "550 No such user"},
		{text: "550 Blocked at example.org (see https://example.org)", code: 550, remote: "550 Blocked at example.org (see https://example.org)"},
		{text: "< 550 No such user * RCPT failed: 550", code: 550, remote: "550 No such user"},
		{text: "550 Bad header in message on line 42", code: 550, remote: "550 Bad header in message on line 42"},
		// Clients that leave the code away
		{text: `The mail server responded: 5.1.1 No such user. Please check the message recipient "ann@example.org" and try again.`, remote: "5.1.1 No such user.", command: "RCPT TO"},
		{text: "The mail server responded: Not yours. Please verify that your email address is correct in your account settings and try again.", remote: "Not yours.", command: "MAIL FROM"},
		{text: "The mail server responded: It looks like spam. Please check the message and try again.", remote: "It looks like spam.", command: "end of DATA"},
		{text: "SMTP Error: The following recipients failed: ann@example.org: Access denied", remote: "Access denied", command: "RCPT TO"},
		{text: "The following recipients failed: all of them", remote: "", command: "RCPT TO"},
		{text: "MailKit.Net.Smtp.SmtpCommandException: 5.7.1 Access denied", remote: "5.7.1 Access denied"},
		{text: "RCPT TO <ann@example.org> failed: Access denied", remote: "Access denied"},
		{text: "MAIL FROM command failed: Sender refused", remote: "Sender refused"},
		// Libraries that show it in quotation marks
		{text: `Expected response code "250/251/252" but got code "550", with message "550 5.1.1 <ann@example.org>: no".`, code: 550, remote: "550 5.1.1 <ann@example.org>: no"},
		{text: "{'ann@example.org': (550, b'Verify of bob@example.com failed: 550 unknown')}", code: 550, remote: "550 Verify of bob@example.com failed: 550 unknown"},
		{text: `{:error, {:permanent_failure, "mx.example.org", "550 No such user"}}`, code: 550, remote: "550 No such user"},
		{text: "the number '550 is odd", remote: ""},
		// Programs' sessions and logs
		{text: "sendmail: RCPT TO:<ann@example.org> (550 No such user)", code: 550, remote: "550 No such user"},
		{text: "it was late (550 minutes)", remote: ""},
		{text: " -> RCPT TO:<ann@example.org> <** 550 No such user", code: 550, remote: "550 No such user"},
		{text: `The client at "192.0.2.1" sent a "rcpt" command, and the SMTP server responded with "550 No such user  ". The full command sent was "rcpt TO:<ann@example.org>  ".`, code: 550, remote: "550 No such user  "},
		{text: "2026-01-02T03:04:05.000Z,Outbound,08D,5,192.0.2.1:25,192.0.2.5:25,<,550 No such user,", code: 550, remote: "550 No such user"},
		{text: "to=<ann@example.org>, mailer=esmtp, dsn=5.0.0, reply=550 No such user, stat=Service unavailable", code: 550, remote: "550 No such user"},
		{text: "Failed address: ann@example.org --- Session Transcript --- --> RCPT To:<ann@example.org> <-- 550 No such user --- End Transcript ---", code: 550, remote: "550 No such user"},
		{text: "Reason: Remote host said: 550 No such user -- The header and top 20 lines of the message follows --", code: 550, remote: "550 No such user"},
		{text: "SMTP error from remote server for RCPT TO command, host: mx.example.org (192.0.2.17) reason: 550 No such user --- The header of the original message is following. ---", code: 550, remote: "550 No such user"},
		{text: "Server Error: 550 Server Response: 550 No such user Server: 'mail.example.com' Windows Live Mail Error ID: 0x800CCC79", code: 550, remote: "550 No such user"},
		{text: "<ann@example.org> (reason: 550 No such user) ----- Transcript of session follows -----", code: 550, remote: "550 No such user"},
		{text: "hMailServer sent: RCPT TO:<ann@example.org> Remote server replied: 550 No such user hMailServer", code: 550, remote: "550 No such user"},
		{text: "550 hMailServer says no", code: 550, remote: "550 hMailServer says no"},
		{text: "mx.example.net #550 No such user ##", code: 550, remote: "550 No such user"},
	} {
		r := Case{Text: c.text}.Row()
		if string(r.RemoteText) != c.remote || r.SMTPCode != c.code || r.SMTPCommand != c.command {
			t.Errorf("%s: %d %s %q, want %d %s %q", c.text, r.SMTPCode, r.SMTPCommand, r.RemoteText, c.code, c.command, c.remote)
		}
	}
}
