package classify

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"bounceline/pipeline/record"
)

// A wordWeights judges replies by their terms: each speaks for some categories and against others, and so do the codes. It is a sum, so that
// a verdict can be told by its terms. TestWeigh makes it from replies whose category is known.
//
// A term is the beginning of a word, or those of two that follow one another.
type wordWeights struct {
	filter     []uint64 // a bit for each hash's low bits that is in the table: most terms of a text are not
	index      []uint16 // places in terms, from 1, by hash: a power of two, at least half of them 0
	terms      []weighed
	categories []*Category
	bias       []int32 // points of each category before anything is said
	bad        []bool  // whether it says that the recipient's address is bad
}

// A weighed term takes half a line of the processor's cache, since each is looked up on its own.
type weighed struct {
	hash    uint32
	weights [maxWeights]weight
}

// maxWeights is how many categories a term may speak for or against.
const maxWeights = 14

// A weight is how much a term speaks for a category: its place in the table's first line in the high six bits, and the points, -512 to 511.
type weight uint16

const maxPoints = 511

func newWeight(category, points int) weight { return weight(category<<10 | points&0x3ff) }

func (w weight) category() int { return int(w >> 10) }

func (w weight) points() int32 { return int32(int16(w<<6) >> 6) }

// noWeight is the n-th of those that say nothing, each of a category of its own: to add to the same one again takes longer.
func noWeight(n int) weight { return newWeight(maxReasons-1-n, 0) }

// maxReasons is how many categories there may be: scores are held in an array of this size.
const maxReasons = 64

// A likely is the category that the terms of a reply make the likeliest, nil if they say nothing, and the points by which it leads: before the
// category of the rule that holds, or else before the next one. Points are hundredths of the margin that the table was made to keep.
type likely struct {
	category *Category
	lead     int32
}

// Leads that a category must have to be believed. To say that the recipient's address is bad takes a wider one against whatever does not say so.
const (
	leadOverCode = 10 // or a vague rule
	leadWithCode = 20 // with a basic code that says so too, but is not believed alone
	leadOverBad  = 50 // a rule that says so
	leadOverRule = 50
	leadOverBoth = 50 // more where the enhanced code says what the rule says
	leadToBad    = 30
)

// beats reports whether what is likely is better than a verdict of codes, or of a rule, nil if none holds. A reply that came before the recipient
// was named is never about it, nor one whose code is for something else; a code that servers use for what it says makes
// a rule right that says the same.
func (l likely) beats(c *record.Class, rule *Rule, r *record.Row) bool {
	if c.Category == l.category.Name || notOfRecipient(r, l.category.Name) != "" || aboutRecipient(l.category.Name) && acquitted(r) {
		return false
	}
	need := int32(leadOverCode)
	switch code := LookupBasic(r.SMTPCode); {
	case rule != nil && rule.Vague:
	case rule != nil && rule.bad:
		need = leadOverBad
	case rule != nil:
		need = leadOverRule
		if aboutRecipient(l.category.Name) {
			need += leadToBad
		}
	case !aboutRecipient(l.category.Name) || c.BounceType == Hard:
	case c.Confidence == ByCode && code != nil && aboutRecipient(code.Category):
		need = leadWithCode
	default:
		need += leadToBad
	}
	if enhanced, ok := lookupEnhanced(r.EnhancedCode); ok && rule != nil && enhanced.Category == c.Category {
		if enhanced.Trusted {
			return false
		}
		need += leadOverBoth
	}
	return l.lead >= need
}

// biasTerm stands for no term, in the table.
const biasTerm = "#bias"

// filterBits is the size of the filter, a power of two.
const filterBits = 1 << 18

// newWordWeights reads configs/words.tsv: the categories in a line, then a line for each term with its weights as
// category:points, the category by its place in the first line.
func newWordWeights(data []byte) (wordWeights, error) {
	lines, size := bytes.Count(data, []byte("\n")), 1
	for size < 2*lines {
		size *= 2
	}
	w := wordWeights{filter: make([]uint64, filterBits/64), index: make([]uint16, size)}
	if lines > math.MaxUint16 {
		return w, fmt.Errorf("words.tsv: %d lines are too many", lines)
	}
	var errs []error
	n := 0
	for line := range bytes.Lines(data) {
		n++
		fields := strings.Split(strings.TrimSuffix(string(line), "\n"), "\t")
		switch {
		case fields[0] == "" || strings.HasPrefix(fields[0], "# "):
			continue
		case w.categories == nil:
			for _, name := range fields {
				c := Lookup(name)
				if c == nil || len(w.categories) == maxReasons-maxWeights {
					return w, fmt.Errorf("words.tsv:%d: %q is no category, or one too many", n, name)
				}
				w.categories, w.bad = append(w.categories, c), append(w.bad, aboutRecipient(name))
			}
			w.bias = make([]int32, len(w.categories))
			continue
		}
		var weights []weight
		for _, f := range fields[1:] {
			category, points, _ := strings.Cut(f, ":")
			c, err := strconv.Atoi(category)
			p, err2 := strconv.Atoi(points)
			if err != nil || err2 != nil || c < 0 || c >= len(w.categories) || p < -maxPoints || p > maxPoints {
				errs = append(errs, fmt.Errorf("words.tsv:%d: want category:points, got %q", n, f))
				continue
			}
			weights = append(weights, newWeight(c, p))
		}
		if fields[0] == biasTerm {
			for _, x := range weights {
				w.bias[x.category()] = x.points()
			}
			continue
		}
		hash := hashOfTerm(fields[0])
		term := weighed{hash: uint32(hash >> 32)}
		if w.of(hash) != nil || len(weights) == 0 || len(weights) > maxWeights {
			errs = append(errs, fmt.Errorf("words.tsv:%d: %q has no weights, or more than %d, or stands there twice", n, fields[0], maxWeights))
			continue
		}
		for i := range term.weights {
			term.weights[i] = noWeight(i)
		}
		copy(term.weights[:], weights)
		w.terms = append(w.terms, term)
		*w.slot(hash) = uint16(len(w.terms))
		w.filter[hash%filterBits/64] |= 1 << (hash % 64)
	}
	if len(w.categories) < 2 {
		errs = append(errs, errors.New("words.tsv: wants two categories at least"))
	}
	return w, errors.Join(errs...)
}

// slot is where the index has the term with that hash, or would have it.
func (w *wordWeights) slot(hash uint64) *uint16 {
	for i := hash; ; i++ {
		if s := &w.index[i&uint64(len(w.index)-1)]; *s == 0 || w.terms[*s-1].hash == uint32(hash>>32) {
			return s
		}
	}
}

// of returns the weights of a term, nil if it is not in the table.
func (w *wordWeights) of(hash uint64) *[maxWeights]weight {
	if w.filter[hash%filterBits/64]&(1<<(hash%64)) == 0 {
		return nil
	}
	if n := *w.slot(hash); n > 0 {
		return &w.terms[n-1].weights
	}
	return nil
}

// A hit is a term that the filter knows.
type hit struct {
	hash uint64
	mask bool // it is no word
}

// usualHits is how many the terms of a text usually have at most.
const usualHits = 64

// weigh adds up what the terms of a normalised text and the codes say, beside the rule that holds, nil if none does.
func (w *wordWeights) weigh(text []byte, in *input, rule *Rule) likely {
	var room [usualHits]hit
	hits, all := room[:0], 0
	t := terms{text: text}
	for n := t.next(); n > 0; n = t.next() {
		k := len(hits)
		hits = slices.Grow(hits, n)[:k+n]
		for i, hash := range t.hashes[:n] { // without a branch for each
			hits[k] = hit{hash, t.masks&(1<<i) != 0}
			k += int(w.filter[hash%filterBits/64] >> (hash % 64) & 1)
		}
		hits = hits[:k]
		all += n
	}
	tooFew := func(known int) bool { return rule != nil && !rule.Vague && known*knownOf < all*knownAtLeast }
	if tooFew(len(hits)) {
		return likely{}
	}
	heard, words := make([]*[maxWeights]weight, 0, usualHits), 0 // all looked up before any is added, so that memory is waited for once
	for _, h := range hits {
		if weights := w.of(h.hash); weights != nil {
			heard = append(heard, weights)
			if !h.mask {
				words++
			}
		}
	}
	if words == 0 || tooFew(len(heard)) {
		return likely{}
	}
	for _, code := range [][]byte{in.code[:], in.enhanced} {
		if weights := w.of(uint64(hashOf(code))); weights != nil {
			heard = append(heard, weights)
		}
	}
	var scores [maxReasons]int32
	for _, weights := range heard {
		for _, x := range weights {
			scores[x.category()] += x.points()
		}
	}
	scale := int32(scaled / math.Sqrt(float64(len(heard))))
	own, bad := -1, int32(0)
	if rule != nil {
		if own = rule.place; !rule.bad {
			bad = leadToBad
		}
	}
	best, second := -1, -1
	for i, bias := range w.bias {
		score := scores[i]*scale/scaled + bias
		if w.bad[i] {
			score -= bad
		}
		switch scores[i] = score; {
		case best < 0 || score > scores[best]:
			best, second = i, best
		case second < 0 || score > scores[second]:
			second = i
		}
	}
	if own < 0 {
		own = second
	}
	return likely{w.categories[best], scores[best] - scores[own]}
}

// hear takes the weights to be heard beside the rules.
func (j *judge) hear(w wordWeights) {
	j.weights = w
	for i := range j.rules.rules {
		r := &j.rules.rules[i]
		r.place = slices.Index(w.categories, r.category)
	}
}

// knownAtLeast of knownOf terms must be known for the others to be heard against a rule that is not vague: what one word of a foreign sentence
// speaks for says little.
const knownAtLeast, knownOf = 2, 5

// scaled is the unit of the factor by which points are made less in a text with many terms: each term counts for one by the square root of their
// number, as it did when the table was made.
const scaled = 1 << 10

// speakFor lists the terms of a normalised text that speak for the category, those that say most first, each with the blanks
// beside it, so that it is not taken for a part of another word.
func (w *wordWeights) speakFor(category *Category, text []byte) []string {
	points := map[string]int32{}
	hear := func(hash uint64, start, end int) {
		weights := w.of(hash)
		if weights == nil {
			return
		}
		for _, x := range weights {
			if x.points() <= 0 || w.categories[x.category()] != category {
				continue
			}
			if start > 0 && text[start-1] == ' ' {
				start--
			}
			if end < len(text) && text[end] == ' ' {
				end++
			}
			points[string(text[start:end])] = x.points()
		}
	}
	before, behind := noHash, 0 // of the word before, and where it starts
	for word, rest := nextWord(text); len(word) > 0; word, rest = nextWord(rest) {
		start := cap(text) - cap(word) // it is a part of the text
		hash := hashOf(beginningOf(word))
		hear(uint64(hash), start, start+len(word))
		if first, _ := utf8.DecodeRune(word); wide(first) {
			before = noHash
			continue
		}
		if before != noHash {
			hear(before.pair(hash), behind, start+len(word))
		}
		before, behind = hash, start
	}
	return slices.SortedFunc(maps.Keys(points), func(a, b string) int {
		return cmp.Or(cmp.Compare(points[b], points[a]), strings.Compare(a, b))
	})
}

// nextWord returns the first word of a normalised text and what is behind it. A word is letters, or a mask such as #ip; of scripts
// that put no blanks between words it is two characters, and the rest begins with the second.
func nextWord(text []byte) (word, rest []byte) {
	start, i := -1, 0
	for i < len(text) {
		c, size := rune(text[i]), 1
		if c < utf8.RuneSelf {
			switch {
			case byteTable[c].class&letter != 0:
				if start < 0 {
					start = i
				}
			case start >= 0:
				return text[start:i], text[i:]
			case c == '#':
				start = i
			}
			i++
			continue
		}
		switch c, size = utf8.DecodeRune(text[i:]); {
		case wide(c) && start < 0:
			n := size
			if next, more := utf8.DecodeRune(text[i+size:]); wide(next) {
				n += more
			}
			return text[i : i+n], text[i+size:]
		case start < 0 && c != utf8.RuneError:
			start = i
		case start >= 0 && (wide(c) || c == utf8.RuneError):
			return text[start:i], text[i:]
		}
		i += size
	}
	if start < 0 {
		return nil, nil
	}
	return text[start:], nil
}

// wide reports whether a character is of a script that puts no blanks between words.
func wide(c rune) bool { return c >= 0x2e80 && c != utf8.RuneError }
