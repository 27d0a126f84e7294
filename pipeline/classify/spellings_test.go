package classify

import (
	"slices"
	"strings"
	"testing"

	"bounceline/configs"
)

func TestSpellings(t *testing.T) {
	s, err := newSpellings(configs.Spellings)
	if err != nil {
		t.Fatal(err)
	}
	for literal, want := range map[string][]string{
		"quota":         {"quota"},
		"mailbox full":  {"mailbox full", "mail box full", "mail-box full"},
		"user's e-mail": {"user's e-mail", "user's email", "users e-mail", "users email"},
		"doesn't have a mailbox": {
			"does not have a mailbox", "doesnt have a mailbox",
			"does not have a mail box", "doesnt have a mail box",
			"does not have a mail-box", "doesnt have a mail-box",
		},
		"n't want it": {"not want it", "nt want it"},
		"überfüllt":   {"uberfullt", "ueberfuellt"},
		"è già pieno": {"e gia pieno", "e' gia' pieno"},
		"i can't":     {"i cannot", "i can not", "i cant"},
	} {
		got := s.of(literal)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", literal, got, want)
		}
	}
	for _, r := range engine(t).Rules() {
		for _, l := range slices.Concat(r.Any, r.With, r.All, r.None) {
			if n := len(s.of(l)); n == maxSpellings {
				t.Errorf("%s: literal %q has %d spellings or more", r.where(), l, n)
			}
		}
	}
}

func TestWrongSpellings(t *testing.T) {
	for text, want := range map[string]string{
		"- [a, B]":          `"B" is empty or has capitals`,
		"- [mail, mailbox]": `one form holds another`,
		"- [x, '']":         `is empty or has capitals`,
		"mailbox: mail box": "cannot unmarshal",
	} {
		if _, err := newSpellings([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// The same words in other spellings are the same reply.
func TestOtherSpellings(t *testing.T) {
	for text, want := range map[string]string{
		"550 sorry, no mail box here by that name":           "user_unknown",
		"550 This user doesnt have an account here":          "user_unknown",
		"550 The recipient’s mailbox is full":                "mailbox_full",
		"552 Recipients mail-box is full":                    "mailbox_full",
		"550 Unrouteable adress":                             "user_unknown",
		"554 5.7.1 Your server is on our black list":         "ip_blocklisted",
		"550 The recepient does not exist":                   "user_unknown",
		"550 The user isn’t known here":                      "user_unknown",
		"550 5.7.1 We aren't an MX for example.net":          "relay_denied",
		"550 5.1.1 El buzon no existe":                       "user_unknown",
		"552 5.2.2 Schranka prijemce je plna":                "mailbox_full",
		"550 5.1.1 Prijemce nenalezen":                       "user_unknown",
		"552 5.2.2 Skrzynka odbiorcy jest przepelniona":      "mailbox_full",
		"552 5.2.2 ΤΟ ΓΡΑΜΜΑΤΟΚΙΒΩΤΙΟ ΕΙΝΑΙ ΓΕΜΑΤΟ":          "mailbox_full",
		"550 Das Postfach ist ueberfuellt":                   "mailbox_full",
		"550 Il dominio non e' gestito da questo server":     "relay_denied",
		"550 Mailbox_Full":                                   "mailbox_full",
		"550 5.1.1 user-unknown":                             "user_unknown",
		"450 4.7.1 Gray listing in effect, please come back": "greylisted",
	} {
		row := Case{Text: text}.Row()
		if got := engine(t).Classify(&row); got.Category != want {
			t.Errorf("%s: %s by %s, want %s", text, got.Category, got.Rule, want)
		}
	}
}
