package classify

import (
	"os"
	"path/filepath"
	"testing"
)

// TestExplainLosers: why a rule is not taken though its conditions hold, and why those behind it are not.
func TestExplainLosers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	rules := "- {id: certain, category: user_unknown, any: [xyzzy]}\n" +
		"- {id: behind, category: user_unknown, any: [grue]}\n" +
		"- {id: out-of-order, category: protocol_error, any: [frobozz]}\n" +
		"- {id: dim, category: user_unknown, any: [plugh], vague: true}\n" +
		"- {id: dimmer, category: user_unknown, any: [zork], vague: true}\n"
	if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{UserRules: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	const words = "the row was judged without its words"
	for _, c := range []struct {
		Case
		rule string // that decides
		lost map[string]string
	}{
		{Case{Text: "550 xyzzy grue"}, "certain", map[string]string{"behind": "it comes after certain"}},
		{Case{Text: "550 xyzzy grue", Status: "expired"}, "status:expired", map[string]string{"certain": words, "behind": words}},
		{Case{Text: "354 plugh zork"}, "code:3xx", map[string]string{"dim": words, "dimmer": words}},
		{Case{Text: "552 5.3.4 plugh zork"}, "dsn", map[string]string{"dim": "its words are vague, and the codes say more", "dimmer": "it comes after dim"}},
		{Case{Text: "450 plugh and zork 503 5.5.1 frobozz"}, "dim", map[string]string{"out-of-order": "it takes what only follows from the first reply", "dimmer": "it comes after dim"}},
	} {
		row := c.Row()
		x := e.Explain(&row)
		lost := map[string]string{}
		for _, l := range x.Lost {
			lost[l.Rule] = l.Why
		}
		if x.Class.Rule != c.rule {
			t.Errorf("%s: by %s, want %s", c.Text, x.Class.Rule, c.rule)
		}
		for rule, why := range c.lost {
			if lost[rule] != why {
				t.Errorf("%s: %s lost since %q, want %q", c.Text, rule, lost[rule], why)
			}
		}
	}
}

// TestExplainOrder: of the rules that lost, those that hold are told before those that lack something.
func TestExplainOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	rules := "- {id: lacks, category: user_unknown, any: [xyzzy], codes: [551]}\n- {id: wins, category: user_unknown, any: [xyzzy], regexp: y}\n- {id: holds, category: spam_content, any: [xyzzy]}\n"
	if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{UserRules: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	row := answer("550 xyzzy")
	x := e.Explain(&row)
	if len(x.Lost) != 2 || x.Lost[0].Rule != "holds" || x.Lost[1].Rule != "lacks" || x.More != 0 {
		t.Errorf("by %s; lost %+v and %d more", x.Class.Rule, x.Lost, x.More)
	}
}

// TestExplainBecause: what decided is told where it is not simply a rule.
func TestExplainBecause(t *testing.T) {
	e := engine(t)
	for _, c := range []struct {
		Case
		rule, because string
	}{
		{Case{Text: "550 5.1.1 User unknown"}, "unknown-coded", ""},
		{Case{Text: "550 5.1.1 User unknown", SMTPCommand: "MAIL FROM"}, "unknown-coded", "the rule says user_unknown, but what answers MAIL FROM is not about the recipient"},
		{Case{Text: "550"}, "code", "no rule decides; the basic code does"},
		{Case{Text: "550 qwlmz"}, "code", "no rule knows the words; what says nothing but such a code is mostly not about the address"},
		{Case{Text: "552 5.3.4 plugh"}, "dsn", "no rule decides; the enhanced code does"},
		{Case{Text: "550 5.1.1 User unknown", Status: "expired"}, "status:expired", "the MTA's word for the outcome decides"},
		{Case{Text: "354 go on"}, "code:3xx", "a reply of class 3 asks for more, and refuses nothing"},
	} {
		row := c.Row()
		if x := e.Explain(&row); x.Class.Rule != c.rule || x.Because != c.because {
			t.Errorf("%s: by %s, because %q; want %s, %q", c.Text, x.Class.Rule, x.Because, c.rule, c.because)
		}
	}
}
