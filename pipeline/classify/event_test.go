package classify

import "testing"

// TestEvent: the reply in what mail services post to webhooks, and in errors that libraries print as JSON.
func TestEvent(t *testing.T) {
	for _, c := range []struct {
		text, remote, enhanced string
		code                   uint16
	}{
		{`{"event-data":{"event":"failed","severity":"permanent","reason":"generic","delivery-status":{"message":"5.7.1 Message refused","code":554,"description":""},"message":{"headers":{"subject":"x"}}}}`, "554 5.7.1 Message refused", "5.7.1", 554},
		{`{"event":"failed","reason":"suppress-bounce","delivery-status":{"message":"","code":605,"description":"Not delivering to previously bounced address"}}`, "", "", 0},
		{`{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bouncedRecipients":[{"status":"5.1.1","diagnosticCode":"smtp; 550 5.7.1 Not today"}]}}`, "550 5.7.1 Not today", "5.7.1", 550},
		{`{"bounce":{"bouncedRecipients":[{"status":"5.1.1","diagnosticCode":"Amazon SES did not send the message"}]}}`, "", "5.1.1", 0},
		{`{"Type":"Notification","Message":"{\"bounce\":{\"bouncedRecipients\":[{\"diagnosticCode\":\"smtp; 550 5.7.1 Not today\"}]}}"}`, "550 5.7.1 Not today", "5.7.1", 550},
		{`{"RecordType":"Bounce","Type":"HardBounce","Description":"The server was unable to deliver your message (ex: unknown user, mailbox not found).","Details":"smtp;554 Rejected due to content"}`, "554 Rejected due to content", "", 554},
		{`{"event":"bounce","error_related_to":"recipient","error":"user unknown","comment":"Relaying is not allowed"}`, "", "", 0},
		{`[{"event":"bounce","reason":"452 4.2.2 full","status":"4.2.2","type":"bounce"}]`, "452 4.2.2 full", "4.2.2", 452},
		{`{"msys":{"message_event":{"bounce_class":"10","error_code":"550","raw_reason":"550 5.7.1 Not today","reason":"550 5.7.1 Not today"}}}`, "550 5.7.1 Not today", "5.7.1", 550},
		{`{"code":"EENVELOPE","response":"451 Not\nnow","responseCode":451,"command":"RCPT TO"}`, "451 Not now", "", 451},
		{`{"delivery-status":{"message":"Not today","code":550,"enhanced-code":"5.7.1"},"event":"fai`, "550 5.7.1 Not today", "5.7.1", 550}, // cut
		{`{"error":"spam","status":"5.7.1"}`, "", "5.7.1", 0},
		{`{"event":"bounce"}`, "", "", 0},
		{`{'ann@example.org': (550, '5.7.1 Not today')}`, "550 5.7.1 Not today", "5.7.1", 550}, // Python's
		{`[192.0.2.1]: 550 Not today`, "550 Not today", "", 550},
	} {
		r := Case{Text: c.text}.Row()
		if string(r.RemoteText) != c.remote || r.SMTPCode != c.code || string(r.EnhancedCode) != c.enhanced {
			t.Errorf("%s: %d %s %q, want %d %s %q", c.text, r.SMTPCode, r.EnhancedCode, r.RemoteText, c.code, c.enhanced, c.remote)
		}
	}
}

// FuzzRow: any text is read, and the reply in it is none of success where it has the code of a failure.
func FuzzRow(f *testing.F) {
	f.Add(`{"a":[{"message":"{\"message\":\"{}\"}"}],"code":550}`, uint16(0))
	f.Add("550 5.1.1 <ann@example.org>: User unknown", uint16(550))
	f.Add("]}[{\"", uint16(1))
	f.Fuzz(func(t *testing.T, text string, code uint16) {
		row := Case{Text: text, SMTPCode: code}.Row()
		if code != 0 && row.SMTPCode != code {
			t.Fatalf("%q with %d has the code %d", text, code, row.SMTPCode)
		}
	})
}
