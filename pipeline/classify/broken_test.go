package classify

import "testing"

// TestBroken: a reply of which the end is missing proves no address bad, unless what is there does.
func TestBroken(t *testing.T) {
	e := engine(t)
	for text, want := range map[string]string{
		"550 5.7":  "policy_rejected",
		"550 5.":   "policy_rejected",
		"553 #5.1": "policy_rejected",
		"host mx.example.org[192.0.2.1] said: 550 5.7.": "policy_rejected",
		"521 <ann@exam":                                      "policy_rejected",
		"550 <ann@example.o":                                 "policy_rejected",
		"550 <ann@example.org>:":                             "policy_rejected",
		"550-Requested action no":                            "system_error",
		"550 Requested action not taken":                     "policy_rejected",
		"550 <ann@example.org>: Recipient addr":              "policy_rejected",
		"554 5.7.1 <ann@example.org>: Recipient address rej": "policy_rejected",
		"550 This email address is":                          "policy_rejected", "571 Message refused: recipient is": "policy_rejected",
		"550 5.1.1 <ann@example.org>: Recipient addr":                                    "user_unknown", // the enhanced code says it
		"550 5.1.1 <ann@exam":                                                            "user_unknown",
		"550-User unknown <ann@exam":                                                     "user_unknown", // and the words
		"550-User unknown 550 <ann@example.org>":                                         "user_unknown",
		"550-5.1.1 The account that you tried to reach does not exist. 550-5.1.1 Please": "user_unknown",
		"550 <ann@example.org>":                                                          "user_unknown", // is whole
		"550 5":                                                                          "policy_rejected",
		"550 ":                                                                           "user_unknown",
		"452 4.2.2 mailbox of <ann@exam":                                                 "mailbox_full",
	} {
		row := Case{Text: text}.Row()
		if c := e.Classify(&row); c.Category != want {
			t.Errorf("%q: %s by %s, want %s", text, c.Category, c.Rule, want)
		}
	}
}
