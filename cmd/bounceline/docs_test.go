package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bounceline/pipeline/config"
	"bounceline/sinks/clickhouse/queries"
)

func document(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDocuments: what the documents say about commands, queries and files is so.
func TestDocuments(t *testing.T) {
	readme := document(t, "README.md")
	for _, c := range newRootCommand(nil, nil, nil).Commands() {
		if !c.Hidden && c.Name() != "help" && !strings.Contains(readme, "| `"+c.Name()+"` |") {
			t.Errorf("the README's table lacks %s", c.Name())
		}
	}
	all, err := queries.All()
	if err != nil {
		t.Fatal(err)
	}
	list := document(t, "docs/queries.md")
	for _, q := range all {
		_, section, ok := strings.Cut(list, "\n## "+q.Name+"\n\n"+q.Description+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		if !ok {
			t.Errorf("docs/queries.md lacks %s, or describes it otherwise", q.Name)
		}
		for _, p := range q.Params {
			if !strings.Contains(section, "\n- `"+p.Name+"`: "+p.Meaning+" (") {
				t.Errorf("docs/queries.md, %s: lacks parameter %s", q.Name, p.Name)
			}
		}
	}
	link := regexp.MustCompile(`\]\(([^)#]+)\)`)
	for _, doc := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/rates.md", "docs/tables.md", "docs/queries.md", "docs/operations.md", "docs/write-a-rule.md"} {
		for _, m := range link.FindAllStringSubmatch(document(t, doc), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join("../..", filepath.Dir(doc), m[1])); err != nil {
				t.Errorf("%s: %v", doc, err)
			}
		}
	}
}

// TestExampleConfiguration: the shipped file is valid, and so is all that is commented out in it.
func TestExampleConfiguration(t *testing.T) {
	text := document(t, "configs/bounceline.yaml")
	whole := regexp.MustCompile(`(?m)^(\s*)#(\S)`).ReplaceAllString(text, "$1$2")
	if whole == text {
		t.Fatal("nothing is commented out")
	}
	for _, s := range []string{text, whole} {
		path := write(t, filepath.Join(t.TempDir(), "c.yaml"), []byte(s))
		c, err := config.Load(path)
		if err == nil {
			err = c.Validate()
		}
		if err != nil {
			t.Errorf("%v in\n%s", err, s)
		}
	}
}
