package classify

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"bounceline/pipeline/record"
)

const corpusFile = "testdata/corpus.golden"

// corpusLine is a line of the corpus: what is given, and the verdict that stands there.
type corpusLine struct {
	Case
	verdict string
}

func corpus(t testing.TB) (header string, lines []corpusLine) {
	t.Helper()
	data, err := os.ReadFile(corpusFile)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") {
			header += line
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 5 {
			t.Fatalf("%s: want category, type, rule, command, text: %q", corpusFile, line)
		}
		lines = append(lines, corpusLine{Case{SMTPCommand: f[3], Text: f[4]}, strings.Join(f[:3], "\t")})
	}
	return header, lines
}

func verdict(c record.Class) string { return c.Category + "\t" + c.BounceType + "\t" + c.Rule }

// TestCorpus shows in review which texts a change of rules gives another verdict.
func TestCorpus(t *testing.T) {
	e := engine(t)
	header, lines := corpus(t)
	var out bytes.Buffer
	out.WriteString(header)
	for _, l := range lines {
		row := l.Row()
		got := verdict(e.Classify(&row))
		fmt.Fprintf(&out, "%s\t%s\t%s\n", got, l.SMTPCommand, l.Text)
		if got != l.verdict && !*update {
			t.Errorf("%s\n got %q\nwant %q", l.Text, got, l.verdict)
		}
	}
	if *update {
		if err := os.WriteFile(corpusFile, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if t.Failed() {
		t.Log("if that is meant: go test ./pipeline/classify -run TestCorpus -update")
	}
}

// TestOrderAndConcurrency: a verdict depends on nothing that was classified before or meanwhile, nor on the cache, nor on an exchange
// of rules for the same ones.
func TestOrderAndConcurrency(t *testing.T) {
	_, lines := corpus(t)
	alone := make([]record.Class, len(lines))
	e := engine(t)
	for i, l := range lines {
		row := l.Row()
		alone[i] = e.Classify(&row)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	e = engine(t) // with an empty cache
	var wait sync.WaitGroup
	for w := range 8 {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(w)))
			for range 3 {
				for _, i := range random.Perm(len(lines)) {
					row := lines[i].Row()
					if got := e.Classify(&row); got != alone[i] {
						t.Errorf("%s: %+v, alone %+v", lines[i].Text, got, alone[i])
					}
				}
			}
		})
	}
	wait.Go(func() {
		if err := e.Reload(); err != nil {
			t.Error(err)
		}
	})
	wait.Wait()
}

// TestLongTexts: a text of a megabyte, whatever it is made of, is judged by its beginning, and the cache stays in its bounds.
func TestLongTexts(t *testing.T) {
	e := engine(t)
	j := e.current.Load()
	for _, unit := range []string{"a", " ", "@", "a@b.example ", "http://", "1.2.3.4 ", "550 ", "550-", "550 5.1.1 ", " said: 550 ", `\n`, "\"", "#", ".", "::", "=", "é", "\xff", "(in reply to ", "blocked using zen.spamhaus.org ",
		"try again in 1 seconds ", "user unknown mailbox full spam "} {
		text := "550 5.1.1 " + strings.Repeat(unit, 1<<20/len(unit))
		row := Case{Text: text}.Row()
		c := e.Classify(&row)
		if Lookup(c.Category) == nil || c.BounceType == "" {
			t.Errorf("%q: %+v", unit, c)
		}
	}
	for i := range 3 * cacheSlots {
		row := answer(fmt.Sprintf("550 never seen %c%c%c%c", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26, 'a'+i/17576%26))
		e.Classify(&row)
	}
	held := 0
	for i := range j.cache.slots {
		if j.cache.slots[i].Load() != nil {
			held++
		}
	}
	if held < cacheSlots/2 || len(j.cache.slots) != cacheSlots {
		t.Errorf("the cache holds %d texts in %d slots", held, len(j.cache.slots))
	}
}

// TestUserRulesComeFirst: also with the lowest priority, and are exchanged by Reload; wrong ones leave the old ones in use.
func TestUserRulesComeFirst(t *testing.T) {
	path := t.TempDir() + "/mine.yaml"
	set := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set("- {id: mine, category: sender_rejected, priority: -1000, any: [user unknown], match: ['550 5.1.1 User unknown']}\n- {id: first, category: policy_rejected, priority: 1, all: [user unknown, xyzzy]}")
	e, err := New(Options{UserRules: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	before := e.Version()
	rule := func(text string) string {
		row := answer(text)
		return e.Classify(&row).Rule
	}
	if got := rule("550 5.1.1 User unknown"); got != "mine" {
		t.Errorf("by %s", got)
	}
	if got := rule("550 5.1.1 User unknown xyzzy"); got != "first" {
		t.Errorf("by %s, and the priority is higher", got)
	}
	set("- {id: mine, category: nonsense, any: [user unknown]}")
	if err := e.Reload(); err == nil || e.Version() != before || rule("550 5.1.1 User unknown") != "mine" {
		t.Errorf("wrong rules were taken over: %v", err)
	}
	set("- {id: new, category: sender_rejected, any: [user unknown]}")
	if err := e.Reload(); err != nil || e.Version() == before || rule("550 5.1.1 User unknown") != "new" {
		t.Errorf("right rules were not taken over: %v", err)
	}
}

// TestVersionNamesTheProgram: two programs may judge otherwise by the same rules.
func TestVersionNamesTheProgram(t *testing.T) {
	version := func(program string) string {
		t.Helper()
		e, err := New(Options{Program: program})
		if err != nil {
			t.Fatal(err)
		}
		return e.Version()
	}
	if a, b := version("1.0"), version("1.1"); a == b || a != version("1.0") {
		t.Errorf("versions 1.0 and 1.1 are rule sets %s and %s", a, b)
	}
}
