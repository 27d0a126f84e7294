package classify

import (
	"os"
	"strings"
	"testing"
)

// TestReplies holds the rules as a whole to replies of many servers, most of which are no rule's sample. Where single words decide, a
// few may be wrong: the table of words is made anew now and then, and moves a little.
func TestReplies(t *testing.T) {
	const most = 0.002 // share of the replies that words may get wrong
	e := engine(t)
	data, err := os.ReadFile("testdata/replies.tsv")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	wrong := 0
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
		v := e.Classify(&row)
		if v.Category == f[0] {
			continue
		}
		say := t.Errorf
		if v.Rule == byWords {
			say = t.Logf
			wrong++
		}
		say("%s\n got %s by %s\nwant %s", f[1], v.Category, v.Rule, f[0])
	}
	if float64(wrong) > most*float64(len(seen)) {
		t.Errorf("words get %d of %d replies wrong", wrong, len(seen))
	}
}
