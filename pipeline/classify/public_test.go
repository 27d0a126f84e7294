package classify

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestPublicReplies measures the rules on texts that people posted, and on free wordings. Not each can be told apart, so that it holds
// their number, not every single one; each text whose category is not acceptable is shown. The worst error, a good address called bad,
// is held to less.
func TestPublicReplies(t *testing.T) {
	for _, name := range []string{"public", "wordings"} {
		t.Run(name, func(t *testing.T) { measure(t, "testdata/"+name+".tsv") })
	}
}

func measure(t *testing.T, file string) {
	const least, mostHard = 0.98, 0.005 // shares of the texts
	e := engine(t)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	texts, right, hard := 0, 0, 0
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) < 3 || len(f) > 4 {
			t.Fatalf("want text, category, acceptable categories and perhaps a site: %q", line)
		}
		acceptable := append(strings.FieldsFunc(f[2], func(r rune) bool { return r == ',' }), f[1])
		mayBeHard := false
		for _, name := range acceptable {
			c := Lookup(name)
			if c == nil {
				t.Fatalf("there is no category %q: %q", name, line)
			}
			mayBeHard = mayBeHard || c.Permanent == Hard
		}
		texts++
		row := Case{Text: f[0]}.Row()
		v := e.Classify(&row)
		if slices.Contains(acceptable, v.Category) {
			right++
			continue
		}
		if v.BounceType == Hard && !mayBeHard {
			hard++
		}
		t.Logf("%s\n got %s (%s) by %s\nwant %s", f[0], v.Category, v.BounceType, v.Rule, strings.Join(acceptable, ", "))
	}
	t.Logf("%d texts, %d with an acceptable category, %d wrongly hard", texts, right, hard)
	if float64(right) < least*float64(texts) || float64(hard) > mostHard*float64(texts) {
		t.Errorf("of %d texts %d got an acceptable category, %d were wrongly called hard", texts, right, hard)
	}
}
