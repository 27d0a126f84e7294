package classify

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"bounceline/configs"
)

var weigh = flag.Bool("weigh", false, "make configs/words.tsv anew")

const wordsFile = "../../configs/words.tsv"

// An example is a reply whose category is known: its different terms, and its codes where they are looked at.
type example struct {
	text     string
	terms    []string
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
		s.n.correct(j.rules.misspellings)
		x := example{text, slices.Compact(slices.Sorted(slices.Values(termsOf(s.n.text)))), slices.Index(categories, known[text])}
		times := 1
		if _, f := j.ruled(&row, -1); f.rule == nil || f.rule.Vague {
			times = 4
		}
		out = append(out, slices.Repeat([]example{x}, times)...)
		if s.in.code[0] != 0 {
			x.terms = append(slices.Clone(x.terms), string(s.in.code[:]))
		}
		if len(s.in.enhanced) > 0 {
			x.terms = append(slices.Clone(x.terms), string(s.in.enhanced))
		}
		if s.in.code[0] != 0 || len(s.in.enhanced) > 0 {
			out = append(out, slices.Repeat([]example{x}, times)...)
		}
	}
	return out, categories
}

// train makes weights that tell each category from all others: support vector machines with a squared hinge loss, one for each category, by dual
// coordinate descent (Hsieh and others, A Dual Coordinate Descent Method for Large-scale Linear SVM, 2008). A term counts for one by the square root
// of how many an example has; one that fewer than three replies have says nothing.
func train(examples []example, categories []string) []byte {
	const (
		rounds   = 12
		cost     = 2.0
		points   = 100 // for a margin
		least    = 20  // what is less is left out
		replies  = 3   // that have a term
		diagonal = .5 / cost
	)
	texts := map[string][]string{} // the first that a term was seen in
	for _, x := range examples {
		for _, t := range x.terms {
			if seen := texts[t]; len(seen) < replies && !slices.Contains(seen, x.text) {
				texts[t] = append(seen, x.text)
			}
		}
	}
	maps.DeleteFunc(texts, func(_ string, seen []string) bool { return len(seen) < replies })
	names := slices.Sorted(maps.Keys(texts))
	type point struct {
		terms    []int // places in names
		value    float64
		category int
	}
	var data []point
	for _, x := range examples {
		p := point{category: x.category}
		for _, t := range x.terms {
			if n, ok := slices.BinarySearch(names, t); ok {
				p.terms = append(p.terms, n)
			}
		}
		if len(p.terms) > 0 {
			p.value = 1 / math.Sqrt(float64(len(p.terms)))
			data = append(data, p)
		}
	}
	names = append(names, biasTerm)
	all := make([][][2]int, len(names)) // category and points
	random := rand.New(rand.NewPCG(1, 1))
	for c := range categories {
		weights, alpha := make([]float64, len(names)), make([]float64, len(data))
		bias := &weights[len(names)-1]
		for range rounds {
			for _, i := range random.Perm(len(data)) {
				x, y := &data[i], -1.0
				if x.category == c {
					y = 1
				}
				sum := 0.0
				for _, t := range x.terms {
					sum += weights[t]
				}
				old := alpha[i]
				alpha[i] = max(old-(y*(sum*x.value+*bias)-1+diagonal*old)/(2+diagonal), 0)
				if step := (alpha[i] - old) * y; step != 0 {
					for _, t := range x.terms {
						weights[t] += step * x.value
					}
					*bias += step
				}
			}
		}
		for t, w := range weights {
			if p := int(math.Round(w * points)); p <= -least || p >= least {
				all[t] = append(all[t], [2]int{c, max(-maxPoints, min(p, maxPoints))})
			}
		}
	}
	var out bytes.Buffer
	out.WriteString("# How much each term of a reply speaks for a category, or against it. Made by\n" +
		"# go test ./pipeline/classify -run TestWeigh -weigh\n" + strings.Join(categories, "\t") + "\n")
	for t, weights := range all {
		slices.SortStableFunc(weights, func(a, b [2]int) int { return cmp.Compare(max(b[1], -b[1]), max(a[1], -a[1])) })
		if names[t] != biasTerm {
			weights = weights[:min(len(weights), maxWeights)]
		}
		slices.SortFunc(weights, func(a, b [2]int) int { return a[0] - b[0] })
		line := names[t]
		for _, w := range weights {
			line += fmt.Sprintf("\t%d:%d", w[0], w[1])
		}
		if len(weights) > 0 {
			out.WriteString(line + "\n")
		}
	}
	return out.Bytes()
}

// learn makes weights from examples, and again with more of those which the words would take from a rule or a code that has them right, until there are none
// or it has tried often enough.
func learn(t testing.TB, e *Engine, examples []example, categories []string) []byte {
	t.Helper()
	table := train(examples, categories)
	for range 6 {
		w, err := newWordWeights(table)
		if err != nil {
			t.Fatal(err)
		}
		j := e.current.Load()
		j.hear(w)
		j.cache = newCache()
		var taken []example
		for _, x := range examples {
			row := Case{Text: x.text}.Row()
			if c, _ := j.ruled(&row, -1); c.Category == categories[x.category] && j.classify(&row).Category != c.Category {
				taken = append(taken, x)
			}
		}
		if len(taken) == 0 {
			break
		}
		examples = slices.Concat(examples, slices.Repeat(taken, 8))
		table = train(examples, categories)
	}
	return table
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
		if l := w.weigh([]byte(strings.Join(x.terms, " ")), &input{}, nil); l.category != nil && l.category.Name == categories[x.category] {
			right++
		}
	}
	const least = 0.7
	t.Logf("%d of %d replies, %.1f %%", right, len(rest), 100*float64(right)/float64(len(rest)))
	if float64(right) < least*float64(len(rest)) {
		t.Errorf("want %.0f %% at least", 100*least)
	}
	if *weigh {
		if err := os.WriteFile(wordsFile, learn(t, engine(t), all, categories), 0o644); err != nil {
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

// TestTerms: the hashes of a text's terms are those of the terms as the table has them, and which of them are no words is known.
func TestTerms(t *testing.T) {
	for _, text := range []string{"", "a", " naïve#ip-end", "boîtes pleines рассылка unavailable unavailably #addresses", "#ip ip # end", "用户a no user", "\xff#ip\xe7\x94#id #n", "ïa a用户 b", " \xffbroken\xe7\x94 用\xff", " 550 no such user_here - @ (a,b)", strings.Repeat("one two 用户 #ip naïve ", 50)} {
		type hashed struct {
			hash uint64
			none bool
		}
		none := func(word string) bool { return word[0] == '#' || len(word) <= 2 }
		var got, want []hashed
		found := terms{text: []byte(text)}
		for n := found.next(); n > 0; n = found.next() {
			for i, hash := range found.hashes[:n] {
				got = append(got, hashed{hash, found.masks&(1<<i) != 0})
			}
		}
		for _, term := range termsOf([]byte(text)) {
			first, second, two := strings.Cut(term, " ")
			want = append(want, hashed{hashOfTerm(term), none(first) && (!two || none(second))})
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v: %q", text, got, want, termsOf([]byte(text)))
		}
	}
}

// TestTermsOfCapitals: a normalised text has none, but whoever lets one through gets an end too.
func TestTermsOfCapitals(t *testing.T) {
	found := terms{text: []byte(" USER unKnown ")}
	if n := found.next(); n != 3 || found.next() != 0 || found.hashes[0] != hashOfTerm("un") || found.hashes[2] != hashOfTerm("un nown") {
		t.Errorf("%d terms", n)
	}
}

func TestWordsAreRefused(t *testing.T) {
	for data, want := range map[string]string{
		"user_unknown\tnobody\n":                                   `words.tsv:1: "nobody" is no category`,
		"# a\nuser_unknown\tother\nnobody\t2:7\n":                  `words.tsv:3: want category:points, got "2:7"`,
		"user_unknown\tother\nnobody\t0:7\t1\n":                    `words.tsv:2: want category:points, got "1"`,
		"user_unknown\tother\nnobody\t0:40000\tno:1\n":             `words.tsv:2: want category:points, got "0:40000"`,
		"user_unknown\tother\na\t0:7\na\t1:7\n":                    `words.tsv:3: "a" has no weights, or more than 14, or stands there twice`,
		"user_unknown\tother\na\n":                                 `words.tsv:2: "a" has no weights, or more than 14, or stands there twice`,
		"user_unknown\n":                                           "words.tsv: wants two categories at least",
		strings.Repeat("other\t", maxReasons-maxWeights) + "other": `words.tsv:1: "other" is no category, or one too many`,
	} {
		if _, err := newWordWeights([]byte(data)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", data, err, want)
		}
	}
}

// TestWeighing: each term counts, for one by the square root of how many are known; codes too, but nothing where they are alone.
func TestWeighing(t *testing.T) {
	w, err := newWordWeights([]byte("user_unknown\tgreylisted\tpolicy_rejected\nnobod\t0:40\nthere\t0:20\nnobod there\t0:90\nminut\t1:22\t2:-5\nrules\t2:20\n550\t1:-20\n#ip\t1:99\n#ip #ip\t1:9\n#bias\t2:3\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text, code string
		rule       string
		want       string
		lead       int32
	}{
		{" nobody ", "000", "", "user_unknown", 40 - 3},
		{" nobody was there ", "000", "", "user_unknown", 42 - 3},
		{" nobody there ", "000", "", "user_unknown", 86 - 3},
		{" five minutes ", "000", "", "greylisted", 22},
		{" minutes ", "550", "", "greylisted", 1},
		{" minutes #ip ", "000", "", "greylisted", 85},
		{" #ip ", "550", "", "", 0},
		{" #ip #ip ", "550", "", "", 0},
		{" silence ", "550", "", "", 0},
		{" minutes ", "000", "policy_rejected", "greylisted", 22 + 5 - 3},
		{" minutes ", "000", "user_unknown", "greylisted", 22},
		{" five minutes ", "000", "user_unknown", "", 0}, // most of the text is not known
		{" nobody there ", "000", "greylisted", "user_unknown", 86 - leadToBad},
		{" nobody there ", "000", "user_unknown", "user_unknown", 0},
	} {
		in := input{code: [3]byte([]byte(c.code))}
		var rule *Rule
		if c.rule != "" {
			rule = &Rule{Category: c.rule, place: slices.Index(w.categories, Lookup(c.rule)), bad: aboutRecipient(c.rule)}
		}
		l := w.weigh([]byte(c.text), &in, rule)
		if name := nameOf(l.category); name != c.want || l.lead != c.lead {
			t.Errorf("%q, %s, rule %q: got %s by %d, want %s by %d", c.text, c.code, c.rule, name, l.lead, c.want, c.lead)
		}
	}
}

// TestWordsDecide: where rules know nothing or little, or look for words that are said of many things, the terms decide if they are sure enough,
// and never that an address is bad as easily as anything else.
func TestWordsDecide(t *testing.T) {
	w, err := newWordWeights([]byte("user_unknown\tgreylisted\tpolicy_rejected\tcontent_rejected\n" +
		"nobod\t0:55\nhere\t0:35\nminut\t1:30\nlong\t1:90\nrules\t2:25\nbodie\t3:75\nparts\t3:140\nuser\t3:1\nunkno\t3:1\nvirus\t3:1\n550\t1:-30\n"))
	if err != nil {
		t.Fatal(err)
	}
	e := engine(t)
	j := e.current.Load()
	j.hear(w)
	for _, c := range []struct{ text, want string }{
		{"450 nobody", "words"},
		{"450 here", "code"},              // not sure enough that the address is bad
		{"450 five minutes", "words"},     // any other reason needs less
		{"450 minutes and rules", "code"}, // undecided
		{"550 five minutes", "code"},      // the code speaks against it
		{"450 4.2.2 five minutes", "words"},
		{"550 policy, minutes", "policy"},     // a vague rule, and the code speaks for it
		{"450 policy, long minutes", "words"}, // or not
		{"550 user unknown, parts", "words"},  // a rule that says that the address is bad
		{"550 user unknown in long", "x"},     // is heard if the words are not sure
		{"550 virus, bodies", "x"},            // more needed against a rule that says anything else
		{"550 virus, parts bodies", "words"},
		{"550 virus, nobody here", "x"}, // yet more to say that the address is bad
		{"550 Requested mail action aborted, mailbox not found, parts [TSS09]", "x"},
	} {
		row := Case{Text: c.text}.Row()
		v := e.Classify(&row)
		if v.Rule != c.want && !(c.want == "x" && v.Rule != byWords && v.Confidence != ByCode) {
			t.Errorf("%q: got %s by %s", c.text, v.Category, v.Rule)
		}
		if v.Rule == byWords && v.Confidence != ByCode {
			t.Errorf("%q: confidence %s", c.text, v.Confidence)
		}
	}
	row := Case{Text: "450 nobody", SMTPCommand: "MAIL FROM"}.Row()
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
	w, err := newWordWeights([]byte("user_unknown\tgreylisted\nfive\t0:5\t1:10\nminut\t1:60\n邮件\t1:5\n"))
	if err != nil {
		t.Fatal(err)
	}
	e.current.Load().hear(w)
	row := Case{Text: "450 fives 5 minutes, (five) 的邮件"}.Row()
	x := e.Explain(&row)
	if want := []string{" minutes", "five", "邮件 "}; x.Class.Rule != byWords || !slices.Equal(x.Matched, want) {
		t.Errorf("got %q by %s, want %q", x.Matched, x.Class.Rule, want)
	}
	j := e.current.Load()
	if w, err = newWordWeights([]byte("user_unknown\tcontent_rejected\nparts\t1:400\nuser\t1:9\nunkno\t1:9\n")); err != nil {
		t.Fatal(err)
	}
	j.hear(w)
	row = Case{Text: "550 user unknown, parts"}.Row()
	x = e.Explain(&row)
	why := map[string]string{}
	for _, l := range x.Lost {
		why[l.Why] = l.Rule
	}
	outvoted := why["the words of the text make content_rejected likelier"]
	if x.Class.Rule != byWords || outvoted == "" || why["it comes after "+outvoted] == "" {
		t.Errorf("%s: %v", x.Class.Rule, x.Lost)
	}
	if _, err := newWordWeights(configs.Words); err != nil {
		t.Error(err)
	}
}

// termsOf lists the terms of a normalised text, as the table has them.
func termsOf(text []byte) []string {
	var out []string
	before := ""
	for word, rest := nextWord(text); len(word) > 0; word, rest = nextWord(rest) {
		term := string(beginningOf(word))
		out = append(out, term)
		if first, _ := utf8.DecodeRune(word); wide(first) {
			before = ""
			continue
		}
		if before != "" {
			out = append(out, before+" "+term)
		}
		before = term
	}
	return out
}
