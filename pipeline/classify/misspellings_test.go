package classify

import (
	"slices"
	"strings"
	"testing"

	"bounceline/configs"
)

func TestMisspellings(t *testing.T) {
	m, err := newMisspellings(configs.Misspellings)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, want string }{
		{" 550 receipient does not exsist ", " 550 recipient does not exist "},
		{"quata of recepient's mailbox exeeded", "quota of recipient's mailbox exceeded"},
		{" (unkown) ", " (unknown) "},
		{" die adresse ist unbekannt ", ""},        // a longer word
		{" comandă necunoscută ", ""},              // one that does not end with its small letters
		{" éadress ", ""},                          // nor begins
		{" 550 the recipient does not exist ", ""}, // nothing is wrong
		{"", ""},
	} {
		out, _ := m.corrected(nil, []byte(c.text), 0)
		if string(out) != c.want {
			t.Errorf("%q becomes %q, want %q", c.text, out, c.want)
		}
		has := false
		for wrong := range m {
			has = has || hasWord([]byte(c.text), wrong)
		}
		if has != (c.want != "") {
			t.Errorf("%q has a misspelt word: %v", c.text, has)
		}
	}
	if got, want := m.withMeant([]string{"adress", "user"}), []string{"adress", "user", "address"}; !slices.Equal(got, want) {
		t.Errorf("literals %q, want %q", got, want)
	}
	text := " unkown user adress 554 unkown "
	out, place := m.corrected(nil, []byte(text), strings.Index(text, "554"))
	if string(out) != " unknown user address 554 unknown " || !strings.HasPrefix(string(out[place:]), "554") {
		t.Errorf("%q with place %d", out, place)
	}
}

func TestWrongMisspellings(t *testing.T) {
	for text, want := range map[string]string{
		"address: [Adress]":               `"Adress" is not a word of small letters`,
		"address: ['']":                   `"" is not a word`,
		"exist: [exits]\nexits: [exitts]": `"exits" is itself meant`,
		"quota: [quata]\nquote: [quata]":  `"quata" cannot mean both`,
		"- address":                       "cannot unmarshal",
	} {
		if _, err := newMisspellings([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// What a reply means does not hang on how well its server spells.
func TestMisspeltReplies(t *testing.T) {
	for text, want := range map[string]string{
		"550 5.1.1 Receipient does not exsist":                         "user_unknown",
		"550 unkown user":                                              "user_unknown",
		"552 mailbox quata exeeded":                                    "mailbox_full",
		"550 5.7.1 Your domain has a bad reputaion":                    "bad_reputation",
		"421 Too many concurent conections":                            "rate_limited",
		"550 5.1.1 Receipient unkown 554 5.5.1 no valid recepients":    "user_unknown",
		"552 5.2.3 mesage excedes maximium size":                       "message_too_large",
		"552 5.7.0 attachement type forbiden":                          "content_rejected",
		"451 4.3.2 system down for maintainance, please try again":     "system_error",
		"550 Service unavaliable: your IP is in our blaklist, goodbye": "ip_blocklisted",
	} {
		row := Case{Text: text}.Row()
		if got := engine(t).Classify(&row); got.Category != want {
			t.Errorf("%s: %s by %s, want %s", text, got.Category, got.Rule, want)
		}
	}
}
