package classify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Words for unknown and invalid say nothing of the recipient where the reply names the thing of which they are said.
func TestAcquittingWords(t *testing.T) {
	for _, c := range []struct {
		text, want string
		confidence string // empty where it does not matter
	}{
		{"550 5.7.1 DKIM key s1._domainkey.example.com does not exist", "auth_failed", ByText},
		{"550 Access denied - Invalid rDNS: no such host", "reverse_dns", ByText},
		{"554 5.7.1 STS policy: mx host not found in MTA-STS policy", "tls_failed", ByText},
		{"550 5.1.1 Return-Path address is not deliverable: no such mailbox", "sender_rejected", ByText},
		{"550 5.7.1 Domain example.com not found in reputation database; mail refused for low reputation", "bad_reputation", ByText},
		{"550 the account info@example.com you authenticated with does not exist any more", "sender_rejected", ByCode}, // no rule knows it
		{"550 5.1.1 xyzzy frobozz plugh: whitelist", "policy_rejected", ByCode},
		{"554 5.3.0 mx.example.net: user of maildir is unknown", "system_error", ByCode},
		{"550 sending from this mailbox has been disabled: invalid identity", "sender_rejected", ""},
		{"550 Two To: headers, user unknown to parser", "malformed_message", ""},
		{"550 5.7.1 Mailbox does not accept mailing list traffic", "recipient_refused", ""},
		{"550 5.1.1 User unknown 554 5.7.1 no DKIM signature", "user_unknown", ByText},        // of another reply
		{"550 5.1.1 User unknown, and our attachments filter is off", "user_unknown", ByText}, // the code says it too
		{"550 5.1.1 User unknown, see https://example.org/dkim", "user_unknown", ByText},
		{"550-5.1.1 The email account that you tried to reach does not exist. No DKIM. gsmtp", "user_unknown", ByProvider},
	} {
		row := Case{Text: c.text}.Row()
		if got := engine(t).Classify(&row); got.Category != c.want || c.confidence != "" && got.Confidence != c.confidence {
			t.Errorf("%s: %s with %s by %s, want %s with %s", c.text, got.Category, got.Confidence, got.Rule, c.want, c.confidence)
		}
	}
}

// The user knows what he writes, and no word acquits of his rules.
func TestAcquittingWordsAndUserRules(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte("- {id: mine, category: user_unknown, any: [xyzzy]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{UserRules: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	row := Case{Text: "550 xyzzy dkim"}.Row()
	if got := e.Classify(&row); got.Rule != "mine" || got.Confidence != ByText {
		t.Errorf("%s by %s with %s", got.Category, got.Rule, got.Confidence)
	}
}

func TestExplainAcquittingWords(t *testing.T) {
	row := Case{Text: "550 5.7.1 DKIM key does not exist"}.Row()
	for _, l := range engine(t).Explain(&row).Lost {
		if l.Rule == "unknown" {
			if want := `"dkim" is in the text, which tells of something else than the recipient`; l.Why != want {
				t.Errorf("it lost since %s, want %s", l.Why, want)
			}
			return
		}
	}
	t.Error("rule unknown is not among those that lost")
}

func TestWrongAcquittingWords(t *testing.T) {
	for text, want := range map[string]string{
		"- DKIM":           `"DKIM" is empty or has capitals`,
		"- ' '":            `" " is empty`,
		"- dkim\n- a dkim": `"a dkim" holds one before it`,
		"dkim: spf":        "cannot unmarshal",
	} {
		if _, err := newAcquitting([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
