package classify

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGuide: the examples of the guide to rules are rules, and do what it says.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/write-a-rule.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rules, cases := filepath.Join(dir, "house.yaml"), filepath.Join(dir, "cases.yaml")
	var text [2]strings.Builder
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(guide), -1) {
		if strings.HasPrefix(m[1], "# cases\n") {
			text[1].WriteString(m[1])
		} else {
			text[0].WriteString(m[1])
		}
	}
	for i, path := range []string{rules, cases} {
		if text[i].Len() == 0 {
			t.Fatalf("no example for %s", path)
		}
		if err := os.WriteFile(path, []byte(text[i].String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e, err := New(Options{UserRules: []string{rules}})
	if err != nil {
		t.Fatal(err)
	}
	if w := e.Lint(true); len(w) > 0 {
		t.Errorf("warnings about the examples:\n%s", strings.Join(w, "\n"))
	}
	expected, err := ReadExpectations(cases)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range expected {
		for _, d := range e.Check(x) {
			t.Errorf("%s: %s is %s, want %s", x.Case.Text, d.Column, d.Got, d.Want)
		}
	}
	for _, k := range ruleKeys {
		if !strings.Contains(string(guide), "`"+k.name) {
			t.Errorf("the guide does not name the key %s", k.name)
		}
	}
}
