package classify

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
func answer(text string) record.Row { return Case{Text: text}.Row() }

// TestShippedRules: they are without a mistake, and their samples are run.
func TestShippedRules(t *testing.T) {
	e := engine(t)
	samples := 0
	for i := range e.current.Load().rules.rules {
		samples += len(e.current.Load().rules.rules[i].Match)
	}
	if samples == 0 {
		t.Error("no rule has a sample")
	}
	a := e.current.Load().rules.automaton
	t.Logf("the automaton: %d literals, %d of %d states, %d bytes", len(a.ends)-1, len(a.rareRow), math.MaxUint16+1, a.size())
	if a.size() > 16_000_000 {
		t.Errorf("the automaton takes %d bytes", a.size())
	}
	for _, warning := range e.Lint(false) {
		t.Error(warning)
	}
}

// TestAutomatonFindsWhatSearchFinds: literals of few letters, so that they hold and overlap one another, short ones and long ones,
// and literals with bytes that few others have.
func TestAutomatonFindsWhatSearchFinds(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var all []byte // that a normalised text may hold
	for c := range 256 {
		if lower[c] == byte(c) {
			all = append(all, byte(c))
		}
	}
	for _, of := range []struct {
		bytes   string
		longest int
	}{{"abc", 5}, {"abc", 24}, {string(all), 3}, {strings.Repeat("ab", len(all)) + string(all), 8}} {
		word := func(n int) string {
			b := make([]byte, 1+random.IntN(n))
			for i := range b {
				b[i] = of.bytes[random.IntN(len(of.bytes))]
			}
			return string(b)
		}
		for range 200 {
			var literals []string
			seen := map[string]bool{}
			for range 1 + random.IntN(100) {
				w := word(of.longest)
				if len(literals) > 0 && random.IntN(2) == 0 { // begins as another
					other := literals[random.IntN(len(literals))]
					w = other[:random.IntN(len(other))] + w
				}
				if !seen[w] {
					seen[w] = true
					literals = append(literals, w)
				}
			}
			a, err := newAutomaton(literals)
			if err != nil {
				t.Fatal(err)
			}
			text := word(30)
			for range random.IntN(5) { // parts of literals, at the end too
				other := literals[random.IntN(len(literals))]
				text += other[random.IntN(len(other)):]
			}
			f := &found{bits: make([]uint64, (len(literals)+63)/64)}
			capitals := []byte(text)
			for i, c := range capitals {
				if 'a' <= c && c <= 'z' {
					capitals[i] = c - 'a' + 'A'
				}
			}
			a.scan(capitals, f)
			for i, l := range literals {
				if f.has(int32(i)) != strings.Contains(text, l) {
					t.Fatalf("%q in %q: %v", l, text, f.has(int32(i)))
				}
			}
		}
	}
}

// TestAutomatonRefusesWhatItCannotNumber: more literals than there are numbers for, or more states.
func TestAutomatonRefusesWhatItCannotNumber(t *testing.T) {
	short, long := make([]string, math.MaxUint16+1), make([]string, math.MaxUint16)
	for i := range short {
		short[i] = fmt.Sprintf("%04x", i)
	}
	for i := range long {
		long[i] = fmt.Sprintf("%05d", i)
	}
	for _, literals := range [][]string{short, long} {
		if _, err := newAutomaton(literals); err == nil || !strings.Contains(err.Error(), "use fewer") {
			t.Errorf("%d literals from %s on: %v", len(literals), literals[0], err)
		}
	}
}

// TestWrongRulesAreRefused: each with file, line and reason.
func TestWrongRulesAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"- {id: a, category: spam_content, any: [x]}\n- {id: a, category: spam_content, any: [y]}": "rules.yaml:2: rule a: the id is already taken at",
		"- {id: a, category: spam_contenr, any: [x]}":                                              `rules.yaml:1: rule a: there is no category "spam_contenr"; did you mean "spam_content"?`,
		"- {category: spam_content, any: [x]}":                                                     "needs an id",
		"- {id: words, category: spam_content, any: [x]}":                                          "its id stands for a verdict without a rule",
		"- {id: a, category: spam_content}":                                                        "needs a literal",
		"- {id: a, category: spam_content, any: [Upper]}":                                          "must be in lower case",
		"- {id: a, category: spam_content, any: ['']}":                                             "an empty literal",
		"- {id: a, category: spam_content, any: [x  y]}":                                           "white space",
		"- {id: a, category: spam_content, any: [x], codes: [5500]}":                               `codes: "5500"`,
		"- {id: a, category: spam_content, any: [x], enhanced: [5]}":                               `enhanced: "5"`,
		"- {id: a, category: spam_content, any: [x], classes: [3]}":                                `classes: "3"`,
		"- {id: a, category: spam_content, any: [x], commands: [RCPT]}":                            `commands: there is no "RCPT"`,
		"- {id: a, category: spam_content, any: [x], provider: Googel}":                            `no provider "Googel"; did you mean "Google"?`,
		"- {id: a, category: spam_content, any: [x], providers: [Googel]}":                         `no provider "Googel"`,
		"- {id: a, category: spam_content, any: [x], regexp: '('}":                                 "missing closing )",
		"- {id: a, category: spam_content, any: [x], regexp: 'x*'}":                                "matches every text",
		"- {id: a, category: spam_content, any: [x], vague: maybe}":                                "neither true nor false",
		"- {id: a, category: spam_content, any: [x], priority: high}":                              "no number",
		"- {id: a, category: spam_content, any: {x: y}}":                                           "expected a list of texts",
		"\n- id: a\n  categry: spam_content":                                                       `rules.yaml:3: unknown key "categry"; did you mean "category"?`,
		"- {id: a, id: b, category: spam_content, any: [x]}":                                       "stands here twice",
		"- a":  "expected a mapping",
		"a: b": "expected a list",
		"- {id: a, category: spam_content, any: [xyzzy], match: [plugh]}":                                `its sample "plugh" does not reach it: none of the literals`,
		"- {id: a, category: spam_content, any: [xyzzy], none: [plugh], match: [xyzzy plugh]}":           `"plugh" is in the text, which none forbids`,
		"- {id: a, category: spam_content, all: [xyzzy, plugh], match: [xyzzy plug]}":                    `"plugh" is not in the text`,
		"- {id: a, category: spam_content, any: [xyzzy], codes: ['4'], match: [550 xyzzy]}":              "condition codes asks for 4, and there is 550",
		"- {id: a, category: spam_content, any: [xyzzy], commands: [DATA, RCPT TO], match: [550 xyzzy]}": "condition commands asks for DATA, RCPT TO, and there is none",
		"- {id: unknown-stated, category: spam_content, any: [xyzzy]}":                                   "rules.yaml:1: rule unknown-stated: the id is already taken at rules/",
		"- id: a\n  any: [xyzzy":            "rules.yaml:2: this is no YAML: did not find expected ',' or ']'",
		"- id: a\n  any: [x]\n  \tall: [y]": "rules.yaml:3: this is no YAML: found character that cannot start any token",
		"- id: a\n  any: [x]\n - id: b":     "rules.yaml:3: this is no YAML: ",
		"\"x":                               "rules.yaml:1: this is no YAML: found unexpected end of stream",
		"- {id: a, category: spam_content, any: [xyzzy], regexp: 'xyzzy \\d', match: [550 xyzzy a]}":                         "regexp does not match",
		"- {id: a, category: spam_content, any: [xyzzy], no_match: [550 xyzzy]}":                                             "which it must not",
		"- {id: a, category: spam_content, any: [xyz]}\n- {id: b, category: spam_content, any: [xyzzy], match: [550 xyzzy]}": "rule a at",
		"- {id: a, category: spam_content, any: [x], match: [{smtp_code: 550}]}":                                             "needs a text",
		"- {id: a, category: spam_content, any: [x], match: [{text: x, smtp_code: abc}]}":                                    "is no code",
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

// TestFolderOfRules: both endings of YAML files count.
func TestFolderOfRules(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.yml", "a.yaml"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("- {id: "+name[:1]+", category: spam_content, any: [xyzzy-"+name[:1]+"]}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e, err := New(Options{UserRules: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	if r := e.Rules(); r[0].ID != "a" || r[1].ID != "b" {
		t.Errorf("the first rules are %s and %s", r[0].ID, r[1].ID)
	}
}

// TestLintSeesMaskedLiterals: a literal that holds what the text has masked is told, unless a sample shows that it is found.
func TestLintSeesMaskedLiterals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	rules := "- id: a\n  category: spam_content\n  any: [xyzzy ann@example.org, plugh from 192.0.2.1, case 1234567, see https://example.org/x, mx1.example.org says, doesn't xyzzy, xyzzy @, ' xyzzy ']\n" +
		"- {id: b, category: spam_content, any: [map_grue, resolver.rst.xyzzy], match: [550 5.7.1 RESOLVER.RST.Xyzzy]}\n"
	if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{UserRules: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	warnings := strings.Join(e.Lint(true), "\n")
	for literal, seen := range map[string]string{"xyzzy ann@example.org": "xyzzy @", "plugh from 192.0.2.1": "plugh from #ip", "case 1234567": "case #n", "see https://example.org/x": "see url", "mx1.example.org says": "host says"} {
		if want := fmt.Sprintf("literal %q is probably never found: a rule sees %q there", literal, seen); !strings.Contains(warnings, want) {
			t.Errorf("%s is not among\n%s", want, warnings)
		}
	}
	if n := strings.Count(warnings, "probably never"); n != 5 {
		t.Errorf("%d literals are warned of, want 5:\n%s", n, warnings)
	}
}

// TestConditions: each condition of a rule lets through what it names, and nothing else.
func TestConditions(t *testing.T) {
	base := Case{Text: "host mx.example.org[192.0.2.1] said: 550 5.7.1 xyzzy 42 (in reply to RCPT TO command)", RelayHost: "aspmx.l.google.com", MTA: "postfix", Status: "bounced"}
	for condition, want := range map[string]bool{
		"codes: [550]": true, "codes: ['5']": true, "codes: ['55']": true, "codes: [551, '4']": false,
		"enhanced: ['7.1']": true, "enhanced: ['7.']": true, "enhanced: ['7.14', '1.']": false,
		"classes: [5]": true, "classes: [4]": false, "commands: [RCPT TO]": true, "commands: [MAIL FROM]": false,
		"providers: [Google]": true, "providers: [Apple]": false, "mtas: postfix": true, "mtas: [exim]": false,
		"statuses: [bounced]": true, "statuses: [deferred]": false, `regexp: 'xyzzy \d+'`: true, `regexp: 'xyzzy [a-z]'`: false,
	} {
		path := filepath.Join(t.TempDir(), "rules.yaml")
		text := "- {id: mine, category: spam_content, any: [xyzzy], " + strings.ReplaceAll(condition, `\\`, `\`) + "}"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := New(Options{UserRules: []string{path}})
		if err != nil {
			t.Errorf("%s: %v", condition, err)
			continue
		}
		row := base.Row()
		if got := e.Classify(&row).Rule == "mine"; got != want {
			t.Errorf("%s: %v", condition, got)
		}
	}
}

func FuzzClassify(f *testing.F) {
	e := engine(f)
	f.Add("550 5.1.1 <ann@example.org>: User unknown", uint8(1))
	f.Add("451 - Please try again later.", uint8(2))
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

// size is the memory of its tables in bytes.
func (a *automaton) size() int {
	return 2*(len(a.common)+len(a.rare)+len(a.rareRow)) + 8*len(a.ends) + len(a.rests)
}
