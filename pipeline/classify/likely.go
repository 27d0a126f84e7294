package classify

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"bounceline/pipeline/record"
)

// A wordWeights judges replies that no precise rule knows: each word speaks for some categories and against others, and so do
// the codes. It is a sum, so that a verdict can be told by its words. TestWeigh makes it from replies whose category is known.
type wordWeights struct {
	slots      []slot // a power of two, at least half of them free
	weights    []weight
	categories []*Category
}

// A slot holds a word, by its hash, and where its weights are. It is free where there are none.
type slot struct {
	hash     uint64
	from, to uint32
}

// A weight is how much a word speaks for a category, by its place in the table's first line.
type weight struct {
	category uint8
	points   int16
}

// maxReasons is how many categories there may be: scores are held in an array of this size.
const maxReasons = 64

// enough is the lead that a category must have to be believed.
const enough = 10

// A likely is the category that the words of a reply make the likeliest, nil if they say nothing, and the points by which it leads.
// In a long text many words add up to a lead, so that it counts for less.
type likely struct {
	category *Category
	lead     int32
}

// beats reports whether what is likely is better than a verdict of codes, or of a vague rule. That the recipient's address is bad is said only
// where nothing but a basic code speaks, and takes a wide lead; a reply that came before the recipient was named is never about it.
func (l likely) beats(c *record.Class, r *record.Row) bool {
	bad := aboutRecipient(l.category.Name)
	need := int32(enough)
	switch {
	case c.Category == l.category.Name, bad && notOfRecipient(r, l.category.Name) != "":
		return false
	case c.Confidence == ByText || c.Confidence == ByDSN:
		if bad {
			return false
		}
		need = 3 * enough
	case bad && c.BounceType != Hard:
		need = 4 * enough
	}
	return l.lead >= need
}

// newWordWeights reads configs/words.tsv: the categories in a line, then a line for each word with its weights as
// category:points, the category by its place in the first line.
func newWordWeights(data []byte) (wordWeights, error) {
	var w wordWeights
	var errs []error
	n, size := 0, 1
	for size < 2*bytes.Count(data, []byte("\n")) {
		size *= 2
	}
	w.slots = make([]slot, size)
	for line := range bytes.Lines(data) {
		n++
		fields := strings.Split(strings.TrimSuffix(string(line), "\n"), "\t")
		switch {
		case fields[0] == "" || strings.HasPrefix(fields[0], "# "):
			continue
		case w.categories == nil:
			for _, name := range fields {
				c := Lookup(name)
				if c == nil || len(w.categories) == maxReasons {
					return w, fmt.Errorf("words.tsv:%d: %q is no category, or one too many", n, name)
				}
				w.categories = append(w.categories, c)
			}
			continue
		}
		from := len(w.weights)
		for _, f := range fields[1:] {
			category, points, _ := strings.Cut(f, ":")
			c, err := strconv.ParseUint(category, 10, 8)
			p, err2 := strconv.ParseInt(points, 10, 16)
			if err != nil || err2 != nil || int(c) >= len(w.categories) {
				errs = append(errs, fmt.Errorf("words.tsv:%d: want category:points, got %q", n, f))
				continue
			}
			w.weights = append(w.weights, weight{uint8(c), int16(p)})
		}
		s := w.slot(wordHash([]byte(fields[0])))
		if s.to > s.from || len(w.weights) == from {
			errs = append(errs, fmt.Errorf("words.tsv:%d: %q has no weights, or stands there twice", n, fields[0]))
		}
		*s = slot{wordHash([]byte(fields[0])), uint32(from), uint32(len(w.weights))}
	}
	if len(w.categories) < 2 {
		errs = append(errs, errors.New("words.tsv: wants two categories at least"))
	}
	return w, errors.Join(errs...)
}

// slot is where the word with that hash is, or would be.
func (w *wordWeights) slot(hash uint64) *slot {
	for i := hash; ; i++ {
		if s := &w.slots[i&uint64(len(w.slots)-1)]; s.hash == hash || s.to == s.from {
			return s
		}
	}
}

// of returns the weights of a word, none if it is not in the table.
func (w *wordWeights) of(word []byte) []weight {
	s := w.slot(wordHash(word))
	return w.weights[s.from:s.to]
}

// wordHash is FNV-1a of a word, its high bits mixed in. Words of the table that had the same one would be refused as standing there twice.
func wordHash(word []byte) uint64 {
	h := uint64(fnvBasis)
	for _, c := range word {
		h = (h ^ uint64(c)) * fnvPrime
	}
	return h ^ h>>32
}

// plainWord returns how long the word is that the text begins with, as far as it is of ASCII, and its hash.
func plainWord(text []byte) (n int, hash uint64) {
	h := uint64(fnvBasis)
	for n < len(text) && (text[n] < utf8.RuneSelf && byteTable[text[n]].class&letter != 0 || n == 0 && text[0] == '#') {
		h = (h ^ uint64(text[n])) * fnvPrime
		n++
	}
	return n, h ^ h>>32
}

const fnvBasis, fnvPrime = 14695981039346656037, 1099511628211

// weigh adds up what the words of a normalised text and the codes say.
func (w *wordWeights) weigh(text []byte, in *input) likely {
	var scores [maxReasons]int32
	add := func(hash uint64) bool {
		s := w.slot(hash)
		for _, x := range w.weights[s.from:s.to] {
			scores[x.category] += int32(x.points)
		}
		return s.to > s.from
	}
	known := int32(0)
	for rest := text; len(rest) > 0; {
		n, hash := plainWord(rest)
		word := rest[:n]
		switch {
		case n < len(rest) && rest[n] >= utf8.RuneSelf: // it goes on with other letters, or begins so
			word, rest = nextWord(rest)
			hash = wordHash(word)
		case n == 0:
			rest = rest[1:]
			continue
		default:
			rest = rest[n:]
		}
		if len(word) > 0 && add(hash) && word[0] != '#' {
			known++
		}
	}
	if known == 0 {
		return likely{}
	}
	add(wordHash(in.code[:]))
	add(wordHash(in.enhanced))
	best, second := 0, 1
	if scores[1] > scores[0] {
		best, second = 1, 0
	}
	for i := 2; i < len(w.categories); i++ {
		switch {
		case scores[i] > scores[best]:
			best, second = i, best
		case scores[i] > scores[second]:
			second = i
		}
	}
	const long = 20 // words of which one counts half
	return likely{w.categories[best], (scores[best] - scores[second]) * long / (long + known)}
}

// speakFor lists the words of a normalised text that speak for the category, those that say most first, each with the blanks
// beside it, so that it is not taken for a part of another word.
func (w *wordWeights) speakFor(category *Category, text []byte) []string {
	points := map[string]int16{}
	for word, rest := nextWord(text); len(word) > 0; word, rest = nextWord(rest) {
		start := len(text) - len(rest) - len(word)
		if first, size := utf8.DecodeRune(word); wide(first) {
			start = len(text) - len(rest) - size
		}
		end := start + len(word)
		for _, x := range w.of(word) {
			if w.categories[x.category] != category || x.points <= 0 {
				continue
			}
			if start > 0 && text[start-1] == ' ' {
				start--
			}
			if end < len(text) && text[end] == ' ' {
				end++
			}
			points[string(text[start:end])] = x.points
		}
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
