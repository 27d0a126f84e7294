package classify

import "testing"

// TestSuccess: a notification of success is no bounce, whatever it says beside.
func TestSuccess(t *testing.T) {
	e := engine(t)
	for text, want := range map[string]string{
		"Action: delivered\nStatus: 2.1.5":                                                 "delivered",
		"Action: relayed\nStatus: 2.0.0\nDiagnostic-Code: smtp; 250 ok 1051234567 qp 4321": "delivered",
		"Action: expanded Status: 2.0.0":                                                   "delivered",
		"Diagnostic-Code: smtp; 250 2.0.0 OK queued as 4X1":                                "delivered",
		"smtp;250 2.6.0 Queued mail for delivery":                                          "delivered",
		"Action: delivered\nStatus: 2.0.0\n\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 <ann@example.org>: User unknown":     "user_unknown",
		"Action: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 5.2.2 mailbox full (250 messages)":                                             "mailbox_full",
		"smtp; 550 5.1.1 <ann@example.org>: User unknown":                                                                                         "user_unknown",
		"Your message was successfully delivered to the destination(s) listed below.":                                                             "delivered",
		"The message was not successfully delivered to the following recipients: <ann@example.org>: 550 5.1.1 User unknown":                       "user_unknown",
		"Your message was successfully relayed to the following recipients, but the requested delivery status notifications may not be generated": "delivered",
	} {
		row := Case{Text: text}.Row()
		if v := e.Classify(&row); v.Category != want {
			t.Errorf("%s\n got %s by %s\nwant %s", text, v.Category, v.Rule, want)
		}
	}
}
