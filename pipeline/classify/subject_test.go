package classify

import "testing"

// A recipient has no determiner before his name or address; a thing has, or it is said to be somebody's.
func TestOfAnother(t *testing.T) {
	for text, want := range map[string]bool{
		" 550 the approval code does not exist ":                         true,
		" 550 5.7.1 this ticket is unknown ":                             true,
		" 554 your token was not found ":                                 true,
		" 550 the sql column could not be found ":                        true,
		" 550 index of the mailbox does not exist ":                      true,
		" 550 spam filter of user not found ":                            true,
		" 550 the user does not exist ":                                  false,
		" 550 the email account that you tried to reach does not exist ": false,
		" 550 the address you sent your message to was not found ":       false,
		" 550 <@> does not exist ":                                       false,
		" 550 ann does not exist ":                                       false,
		" 550 mailbox of the user not found ":                            false,
		" 550 none of the recipients is known: user unknown ":            false,
		" 550 the approval code is unknown. user unknown ":               false,
		" 550 the letter was not delivered because ann is unknown ":      false,
		" 550 this is the end: ann is unknown ":                          false,
		" 550 the session was closed ":                                   false,
		" 550 unknown ":                                                  false,
		"":                                                               false,
	} {
		if got := ofAnother([]byte(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestAnotherSubjectAcquits(t *testing.T) {
	e := engine(t)
	for _, text := range []string{"554 5.7.1 The approval code does not exist", "550 Recipient address rejected: your ticket is unknown", "550 index of the mailbox does not exist"} {
		row := answer(text)
		if c := e.Classify(&row); c.BounceType == Hard {
			t.Errorf("%s: %s by %s", text, c.Category, c.Rule)
		}
		found := false
		for _, l := range e.Explain(&row).Lost {
			found = found || l.Why == "the text says it of something else than the recipient"
		}
		if !found {
			t.Errorf("%s: no rule lost for it", text)
		}
	}
}
