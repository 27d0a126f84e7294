package classify

import (
	"bytes"
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"bounceline/configs"
)

var weigh = flag.Bool("weigh", false, "make configs/words.tsv anew")

const wordsFile = "../../configs/words.tsv"

// An example is a reply whose category is known: its different words, and its codes where they are looked at.
type example struct {
	text     string
	words    []string
	category int // place in the table's first line
}

// examples are the replies of testdata and the samples of the shipped rules, each with its codes and once more without, and
// the categories that they have, sorted. Those that no precise rule knows are what the table is for, and there more often.
func examples(t testing.TB) (out []example, categories []string) {
	t.Helper()
	known := map[string]string{}
	for _, file := range []struct {
		name           string
		text, category int // fields
	}{{"testdata/wordings.tsv", 0, 1}, {"testdata/public.tsv", 0, 1}, {"testdata/replies.tsv", 1, 0}} {
		data, err := os.ReadFile(file.name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if f := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); !strings.HasPrefix(line, "#") && (file.text == 0 || len(f) == 2) { // nothing but the words decides
				known[f[file.text]] = f[file.category]
			}
		}
	}
	e := engine(t)
	for _, r := range e.Rules() {
		for _, c := range r.Match {
			if c == (Case{Text: c.Text}) { // nothing but the words decides
				known[c.Text] = r.Category
			}
		}
	}
	maps.DeleteFunc(known, func(_, category string) bool { return category == "other" }) // words never make that likely
	categories = slices.Compact(slices.Sorted(maps.Values(known)))
	j := e.current.Load()
	s := j.scratch.Get().(*scratch)
	for _, text := range slices.Sorted(maps.Keys(known)) {
		row := Case{Text: text}.Row()
		s.prepare(&row, -1, j.names)
		words := map[string]bool{}
		for word, rest := nextWord(s.n.text); len(word) > 0; word, rest = nextWord(rest) {
			words[string(word)] = true
		}
		x := example{text, slices.Sorted(maps.Keys(words)), slices.Index(categories, known[text])}
		times := 1
		if _, f := j.ruled(&row, -1); f.rule == nil || f.rule.Vague {
			times = 4
		}
		out = append(out, slices.Repeat([]example{x}, times)...)
		if s.in.code[0] != 0 {
			x.words = append(slices.Clone(x.words), string(s.in.code[:]))
		}
		if len(s.in.enhanced) > 0 {
			x.words = append(slices.Clone(x.words), string(s.in.enhanced))
		}
		if len(x.words) > len(words) {
			out = append(out, slices.Repeat([]example{x}, times)...)
		}
	}
	return out, categories
}

// train makes weights that give each of the examples its category if that can be: an averaged perceptron with a margin (Freund and Schapire, Large Margin Classification Using the Perceptron Algorithm, 1999). It reckons in whole
// numbers, so that it gives the same table everywhere. A word that only one reply has says nothing.
func train(examples []example, categories []string) []byte {
	const rounds, margin, scale = 20, 3, 10
	replies := map[string]string{} // the only reply that a word was seen in; empty where there are several
	for _, x := range examples {
		for _, w := range x.words {
			if first, seen := replies[w]; !seen {
				replies[w] = x.text
			} else if first != x.text {
				replies[w] = ""
			}
		}
	}
	weights, sums := map[string][]int{}, map[string][]int{} // what is to be taken off for the average
	for w, only := range replies {
		if only == "" {
			weights[w], sums[w] = make([]int, len(categories)), make([]int, len(categories))
		}
	}
	random := rand.New(rand.NewPCG(1, 1))
	n := 1
	scores := make([]int, len(categories))
	for range rounds {
		for _, i := range random.Perm(len(examples)) {
			x := examples[i]
			clear(scores)
			for _, w := range x.words {
				for c, p := range weights[w] {
					scores[c] += p
				}
			}
			right, rival := scores[x.category], -1
			for c, p := range scores {
				if c != x.category && (rival < 0 || p > scores[rival]) {
					rival = c
				}
			}
			if right < scores[rival]+margin {
				for _, w := range x.words {
					if weights[w] != nil {
						weights[w][x.category]++
						weights[w][rival]--
						sums[w][x.category] += n
						sums[w][rival] -= n
					}
				}
			}
			n++
		}
	}
	var out bytes.Buffer
	out.WriteString("# How much each word of a reply speaks for a category, or against it, read where no precise rule knows the reply. Made by\n" +
		"# go test ./pipeline/classify -run TestWeigh -weigh\n" + strings.Join(categories, "\t") + "\n")
	for _, w := range slices.Sorted(maps.Keys(weights)) {
		line := w
		for c, p := range weights[w] {
			if p = (p*n - sums[w][c]) * scale / n; p != 0 {
				line += fmt.Sprintf("\t%d:%d", c, p)
			}
		}
		if line != w {
			out.WriteString(line + "\n")
		}
	}
	return out.Bytes()
}

// TestWeigh holds the weights to replies that they were not made from: four fifths of the examples judge the last.
func TestWeigh(t *testing.T) {
	all, categories := examples(t)
	var most, rest []example
	for _, x := range all {
		h := fnv.New32a()
		h.Write([]byte(x.text))
		if h.Sum32()%5 == 0 {
			rest = append(rest, x)
		} else {
			most = append(most, x)
		}
	}
	w, err := newWordWeights(train(most, categories))
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for _, x := range rest {
		if l := w.weigh([]byte(strings.Join(x.words, " ")), &input{}); l.category != nil && l.category.Name == categories[x.category] {
			right++
		}
	}
	const least = 0.7
	t.Logf("%d of %d replies, %.1f %%", right, len(rest), 100*float64(right)/float64(len(rest)))
	if float64(right) < least*float64(len(rest)) {
		t.Errorf("want %.0f %% at least", 100*least)
	}
	if *weigh {
		if err := os.WriteFile(wordsFile, train(all, categories), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNextWord(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		" 550 5.1.1 #ip ":              "#ip",
		" no such user_here - @ (a,b)": "no such user here a b",
		" почта переполнена ":          "почта переполнена",
		" boîte pleine":                "boîte pleine",
		" 用户不存在 user ":                 "用户 户不 不存 存在 在 user",
		" \xffbroken\xe7\x94 用\xff":    "broken 用",
	} {
		var got []string
		for word, rest := nextWord([]byte(text)); len(word) > 0; word, rest = nextWord(rest) {
			got = append(got, string(word))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// TestPlainWord: words of ASCII are found as all words are.
func TestPlainWord(t *testing.T) {
	w, err := newWordWeights([]byte("user_unknown\tgreylisted\na\t0:1\nnaïve\t0:10\n#ip\t0:100\nend\t0:1000\n用户\t0:10000\nïa\t1:7\n"))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int32{"a": 1, " naïve#ip-end": 1110, "#ip ip # end": 1100, "用户a": 10001, "ïa a用户": 9994} {
		sum := int32(0)
		for word, rest := nextWord([]byte(text)); len(word) > 0; word, rest = nextWord(rest) {
			for _, x := range w.of(word) {
				sum += int32(x.points) * (1 - 2*int32(x.category))
			}
		}
		known := map[string]int32{"a": 1, " naïve#ip-end": 2, "#ip ip # end": 1, "用户a": 2, "ïa a用户": 3}[text]
		if l := w.weigh([]byte(text), &input{}); sum != want || l.lead != want*20/(20+known) {
			t.Errorf("%q: %d points, lead %d, want %d", text, sum, l.lead, want)
		}
	}
}

func TestWordsAreRefused(t *testing.T) {
	for data, want := range map[string]string{
		"user_unknown\tnobody\n":                        `words.tsv:1: "nobody" is no category`,
		"# a\nuser_unknown\tother\nnobody\t2:7\n":       `words.tsv:3: want category:points, got "2:7"`,
		"user_unknown\tother\nnobody\t0:7\t1\n":         `words.tsv:2: want category:points, got "1"`,
		"user_unknown\tother\nnobody\t0:40000\tno:1\n":  `words.tsv:2: want category:points, got "0:40000"`,
		"user_unknown\tother\na\t0:7\na\t1:7\n":         `words.tsv:3: "a" has no weights, or stands there twice`,
		"user_unknown\tother\na\n":                      `words.tsv:2: "a" has no weights, or stands there twice`,
		"user_unknown\n":                                "words.tsv: wants two categories at least",
		strings.Repeat("other\t", maxReasons) + "other": `words.tsv:1: "other" is no category, or one too many`,
	} {
		if _, err := newWordWeights([]byte(data)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", data, err, want)
		}
	}
}

// TestWordsDecide: where rules know nothing or little, the words decide if they are sure enough, and never that an address is bad as easily
// as anything else.
func TestWordsDecide(t *testing.T) {
	w, err := newWordWeights([]byte("user_unknown\tgreylisted\tpolicy_rejected\nnobody\t0:40\nthere\t0:20\nminutes\t1:22\t2:-5\nrules\t2:20\n550\t1:-20\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text, want string
		lead       int32
	}{
		{" nobody ", "user_unknown", 40 * 20 / 21},
		{" nobody there ", "user_unknown", 60 * 20 / 22},
		{" five minutes ", "greylisted", 22 * 20 / 21},
		{" five minutes rules", "greylisted", 7 * 20 / 22},
		{" silence ", "", 0},
	} {
		l := w.weigh([]byte(c.text), &input{})
		if name := nameOf(l.category); name != c.want || l.lead != c.lead {
			t.Errorf("%q: got %s by %d, want %s by %d", c.text, name, l.lead, c.want, c.lead)
		}
	}
	e := engine(t)
	e.current.Load().weights = w
	for _, c := range []struct{ text, want string }{
		{"450 nobody", "code"},             // not sure enough that the address is bad
		{"450 nobody there", "words"},      // sure enough
		{"450 five minutes", "words"},      // any other reason needs less
		{"450 five minutes rules", "code"}, // undecided
		{"550 five minutes", "code"},       // the code speaks against it
		{"450 4.2.2 five minutes", "dsn"},  // more needed against a code that names the reason
		{"450 4.2.2 nobody there", "dsn"},  // which is never made to say that the address is bad
		{"550 policy, nobody there", "policy"},
		{"550 user unknown in minutes", "x"}, // a precise rule
	} {
		row := Case{Text: c.text}.Row()
		v := e.Classify(&row)
		if v.Rule != c.want && !(c.want == "x" && v.Confidence == ByText) {
			t.Errorf("%q: got %s by %s", c.text, v.Category, v.Rule)
		}
		if v.Rule == byWords && v.Confidence != ByCode {
			t.Errorf("%q: confidence %s", c.text, v.Confidence)
		}
	}
	row := Case{Text: "450 nobody there", SMTPCommand: "MAIL FROM"}.Row()
	if v := e.Classify(&row); v.BounceType == Hard || aboutRecipient(v.Category) {
		t.Errorf("an answer to MAIL FROM: got %s", v.Category)
	}
}

func nameOf(c *Category) string {
	if c == nil {
		return ""
	}
	return c.Name
}

// TestExplainWords names the words that decided.
func TestExplainWords(t *testing.T) {
	e := engine(t)
	w, err := newWordWeights([]byte("user_unknown\tgreylisted\nfive\t0:5\t1:10\nminutes\t1:60\n邮件\t1:5\n"))
	if err != nil {
		t.Fatal(err)
	}
	e.current.Load().weights = w
	row := Case{Text: "450 fives 5 minutes, (five) 的邮件"}.Row()
	x := e.Explain(&row)
	if want := []string{" minutes", "five", "邮件 "}; x.Class.Rule != byWords || !slices.Equal(x.Matched, want) {
		t.Errorf("got %q by %s, want %q", x.Matched, x.Class.Rule, want)
	}
	if _, err := newWordWeights(configs.Words); err != nil {
		t.Error(err)
	}
}
