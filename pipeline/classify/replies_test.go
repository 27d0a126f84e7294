package classify

import (
	"os"
	"strings"
	"testing"
)

// TestReplies holds the rules as a whole to replies of many servers, most of which are no rule's sample.
func TestReplies(t *testing.T) {
	e := engine(t)
	data, err := os.ReadFile("testdata/replies.tsv")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) < 2 || len(f) > 3 || Lookup(f[0]) == nil || seen[line] {
			t.Fatalf("want a category, a text and perhaps a command, once: %q", line)
		}
		seen[line] = true
		c := Case{Text: f[1]}
		if len(f) == 3 {
			c.SMTPCommand = f[2]
		}
		row := c.Row()
		if v := e.Classify(&row); v.Category != f[0] {
			t.Errorf("%s\n got %s by %s\nwant %s", f[1], v.Category, v.Rule, f[0])
		}
	}
}
