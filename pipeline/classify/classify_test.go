package classify

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bounceline/parsers/reply"
	"bounceline/pipeline/record"
)

func engine(t testing.TB) *Engine {
	t.Helper()
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// answer is a row with a reply as a server gives it.
func answer(text string) record.Row {
	r := record.Row{EventType: record.Attempt, Outcome: record.Bounced, RemoteText: []byte(text)}
	r.SMTPCode, r.EnhancedCode = reply.Parse(r.RemoteText, " ")
	if r.SMTPCode/100 == 4 {
		r.Outcome = record.Deferred
	}
	return r
}

func TestSamplesGetTheirRule(t *testing.T) {
	e := engine(t)
	samples := 0
	for i := range e.rules.rules {
		rule := &e.rules.rules[i]
		for _, text := range rule.Samples {
			samples++
			r := answer(text)
			if c := e.Classify(&r); c.Rule != rule.ID {
				t.Errorf("%s: rule %s does not get its sample %q: %s does", rule.where, rule.ID, text, c.Rule)
			}
		}
	}
	if samples == 0 {
		t.Error("no rule has a sample")
	}
}

// TestTraps holds what reads easily wrong: words, codes and commands that say something else than they seem to.
func TestTraps(t *testing.T) {
	e := engine(t)
	for _, c := range []struct {
		text, command, category, bounceType string
	}{
		{text: "550 5.7.1 No such user!", category: "user_unknown", bounceType: Hard},
		{text: "452 4.2.2 The email account that you tried to reach is over quota", category: "mailbox_full", bounceType: Soft},
		{text: "552 5.2.2 user is over quota", category: "mailbox_full", bounceType: Soft},
		{text: "450 4.1.1 <ann@example.org>: User unknown in virtual mailbox table", category: "user_unknown", bounceType: Soft},
		{text: "553 5.1.8 Domain of sender address ann@example.com does not exist", category: "sender_rejected", bounceType: Block},
		{text: "554 5.7.1 Client host [198.51.100.25] blocked using zen.spamhaus.org; Error: open resolver", category: "system_error", bounceType: Soft},
		{text: "554 5.7.1 Client host [198.51.100.25] blocked using zen.spamhaus.org", category: "ip_blocklisted", bounceType: Block},
		{text: "550 5.1.1 <spam@virus.example>: Recipient address rejected: User unknown", category: "user_unknown", bounceType: Hard},
		{text: "550 5.2.1 <ann@blocked.example>: mailbox disabled, see http://blocked.example/spam-policy.html", category: "inactive_mailbox", bounceType: Hard},
		{text: "554 5.7.1 <ann@example.org>: Recipient address rejected: Greylisted", category: "greylisted", bounceType: Soft},
		{text: "550 5.7.26 Unauthenticated email from example.com is not accepted due to domain's DMARC policy. - gsmtp", category: "auth_failed", bounceType: Block},
		{text: "354 End data with <CR><LF>.<CR><LF>", category: "informational", bounceType: General},
		{text: "550 5.7.999 zzz", category: "policy_rejected", bounceType: Block},
		{text: "550", command: record.CmdMAIL, category: "sender_rejected", bounceType: Block},
	} {
		r := answer(c.text)
		r.SMTPCommand = c.command
		if got := e.Classify(&r); got.Category != c.category || got.BounceType != c.bounceType {
			t.Errorf("%s: %s (%s) by %s, want %s (%s)", c.text, got.Category, got.BounceType, got.Rule, c.category, c.bounceType)
		}
	}
}

func TestAutomatonFindsWhatSearchFinds(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	word := func(n int) string {
		b := make([]byte, 1+random.IntN(n))
		for i := range b {
			b[i] = "abc"[random.IntN(3)]
		}
		return string(b)
	}
	for range 200 {
		var literals []string
		seen := map[string]bool{}
		for range 1 + random.IntN(100) {
			if w := word(5); !seen[w] {
				seen[w] = true
				literals = append(literals, w)
			}
		}
		a := newAutomaton(literals)
		text := word(30)
		found := make([]uint64, (len(literals)+63)/64)
		a.scan([]byte(strings.ToUpper(text)), found)
		for i, l := range literals {
			if has(found, int32(i)) != strings.Contains(text, l) {
				t.Fatalf("%q in %q: %v", l, text, has(found, int32(i)))
			}
		}
	}
}

func TestWrongRulesAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"- {id: a, category: spam_content, any: [x]}\n- {id: a, category: spam_content, any: [y]}": "rule a is already at",
		"- {id: a, category: spamm, any: [x]}":                                                     `no category "spamm"`,
		"- {id: a, category: spam_content}":                                                        "needs a literal",
		"- {id: a, category: spam_content, any: [Upper]}":                                          "must be lower case",
		"- {id: a, categry: spam_content}":                                                         "field categry not found",
	} {
		path := filepath.Join(t.TempDir(), "rules.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Options{UserRules: []string{path}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzClassify(f *testing.F) {
	e := engine(f)
	f.Add("550 5.1.1 <ann@example.org>: User unknown", uint8(1))
	f.Add("http://\x00@::1.2.3.4 5.. (#5.1.1) \xff", uint8(3))
	f.Fuzz(func(t *testing.T, text string, outcome uint8) {
		r := answer(text)
		r.Outcome = record.Outcome(1 + outcome%5)
		a, b := e.Classify(&r), e.Classify(&r)
		if a != b {
			t.Fatalf("%q: %+v, then %+v", text, a, b)
		}
		if Lookup(a.Category) == nil || a.BounceType == "" || a.Confidence == "" {
			t.Fatalf("%q: no whole verdict: %+v", text, a)
		}
	})
}
