package classify

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	mathbits "math/bits"
	"slices"

	"bounceline/configs"
)

// A source is a file of rules.
type source struct {
	name string
	data []byte
	user bool
}

// A ruleSet is rules in the order in which they are tried, compiled. It is immutable.
type ruleSet struct {
	rules     []Rule
	literals  []string
	automaton *automaton
	screen    *screen

	misspellings misspellings

	signatures markers // of providers
	lists      markers
	misspelt   markers // words, which may be parts of others
	acquitting markers
	things     markers // words by which ofAnother knows a thing
	version    string
}

// markers are literals that name entries of a table, in its order. They are numbered before the literals of rules, so that a few
// words of a found's bits say whether there is one.
type markers struct {
	list []marker
	mask []uint64
}

type marker struct{ literal, value int32 }

func (m *markers) add(literals []int32, value int) {
	for _, n := range literals {
		m.list = append(m.list, marker{n, int32(value)})
		for int(n>>6) >= len(m.mask) {
			m.mask = append(m.mask, 0)
		}
		m.mask[n>>6] |= 1 << (n & 63)
	}
}

// any reports whether a found literal names an entry.
func (m *markers) any(f *found) bool {
	for i, mask := range m.mask {
		if f.bits[i]&mask != 0 {
			return true
		}
	}
	return false
}

// first is the first entry of the table that a found literal names, -1 if there is none.
func (m *markers) first(f *found) int32 {
	for i, mask := range m.mask {
		if f.bits[i]&mask != 0 {
			at := slices.IndexFunc(m.list, func(l marker) bool { return f.has(l.literal) })
			return m.list[at].value
		}
	}
	return -1
}

// misspells reports whether the text has a misspelt word: one that was found and is no part of another, as addres is of address.
func (s *ruleSet) misspells(text []byte, f *found) bool {
	for i, mask := range s.misspelt.mask {
		for bits := f.bits[i] & mask; bits != 0; bits &= bits - 1 {
			if hasWord(text, s.literals[i<<6+mathbits.TrailingZeros64(bits)]) {
				return true
			}
		}
	}
	return false
}

// shippedRules reads the files of the folder rules, in the order of their names.
func shippedRules(shipped fs.FS) ([]source, error) {
	names, err := fs.Glob(shipped, "rules/*.yaml")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var out []source
	for _, name := range names {
		data, err := fs.ReadFile(shipped, name)
		if err != nil {
			return nil, err
		}
		out = append(out, source{name: name, data: data})
	}
	return out, nil
}

// compile decodes the sources, checks what can be seen of each rule alone, and builds the automaton. Its error joins all that
// is wrong. The program's version is a part of the set's.
func compile(program string, sources []source, names *nameTables) (*ruleSet, error) {
	v, err := newVocabulary()
	if err != nil {
		return nil, err
	}
	set := &ruleSet{version: versionOf(program, sources), misspellings: v.misspellings}
	var errs []error
	for _, s := range sources {
		rules, err := decodeRules(s)
		errs = append(errs, err)
		set.rules = append(set.rules, rules...)
	}
	slices.SortStableFunc(set.rules, func(a, b Rule) int {
		if a.User != b.User {
			return map[bool]int{true: -1, false: 1}[a.User]
		}
		return b.Priority - a.Priority
	})
	ids := map[string]*Rule{}
	for i := range set.rules {
		r := &set.rules[i]
		if before := ids[r.ID]; before != nil && r.ID != "" {
			late, early := r, before
			if before.User && !r.User { // the shipped rule was there first
				late, early = before, r
			}
			errs = append(errs, fmt.Errorf("%s: the id is already taken at %s:%d", late.where(), early.File, early.Line))
		}
		ids[r.ID] = r
		errs = append(errs, r.check(names))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	set.number(v, names)
	if set.automaton, err = newAutomaton(set.literals); err != nil {
		return nil, err
	}
	if set.screen, err = newScreen(set.rules, set.literals); err != nil {
		return nil, err
	}
	return set, nil
}

// versionOf names a rule set by all that decides: the program, its tables, and the rules.
func versionOf(program string, sources []source) string {
	sum := sha256.New()
	add := func(data []byte) {
		fmt.Fprintf(sum, "%d\n", len(data))
		sum.Write(data)
	}
	add([]byte(program))
	for _, table := range [][]byte{configs.Providers, configs.Blocklists, configs.Spellings, configs.Misspellings, configs.Acquitting, configs.Words} {
		add(table)
	}
	for _, s := range sources {
		add(s.data)
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}

// A vocabulary is what is known of words besides rules.
type vocabulary struct {
	spellings    spellings
	misspellings misspellings
	acquitting   []string
}

func newVocabulary() (v vocabulary, err error) {
	if v.spellings, err = newSpellings(configs.Spellings); err != nil {
		return v, err
	}
	if v.misspellings, err = newMisspellings(configs.Misspellings); err != nil {
		return v, err
	}
	v.acquitting, err = newAcquitting(configs.Acquitting)
	return v, err
}

// number gives the literals their numbers, those of markers first, and the rules the numbers of theirs in all spellings.
func (s *ruleSet) number(v vocabulary, names *nameTables) {
	index := map[string]int32{}
	number := func(words ...string) []int32 {
		out := make([]int32, 0, len(words))
		for _, w := range words {
			n, ok := index[w]
			if !ok {
				n = int32(len(s.literals))
				index[w] = n
				s.literals = append(s.literals, w)
			}
			out = append(out, n)
		}
		return out
	}
	known := map[string][]int32{} // many words stand in many rules
	spellings := func(word string) []int32 {
		if _, ok := known[word]; !ok {
			known[word] = number(v.misspellings.withMeant(v.spellings.of(word))...)
		}
		return known[word]
	}
	spelled := func(words []string) (out []int32) {
		for _, w := range words {
			out = append(out, spellings(w)...)
		}
		return out
	}
	for i, p := range names.providers {
		s.signatures.add(number(p.Signatures...), i)
	}
	for i, b := range names.blocklists {
		s.lists.add(number(slices.Concat(b.Domains, b.Words)...), i)
	}
	s.misspelt.add(number(slices.Sorted(maps.Keys(s.misspellings))...), 0)
	for _, word := range append(slices.Clone(determiners), []byte("of")) {
		s.things.add(number(" "+string(word)+" "), 0)
	}
	for _, n := range spelled(v.acquitting) {
		s.acquitting.add([]int32{n}, int(n))
	}
	for i := range s.rules {
		r := &s.rules[i]
		r.any, r.with, r.none = spelled(r.Any), spelled(r.With), spelled(r.None)
		for _, w := range r.All {
			r.all = append(r.all, spellings(w))
		}
		r.yields = r.bad && !r.User && r.Provider == "" && len(r.Enhanced) == 0 && !r.asksFor(v.acquitting)
	}
}

// isUser reports whether a rule is the user's own.
func (s *ruleSet) isUser(id string) bool {
	r := s.byID(id)
	return r != nil && r.User
}

// byID returns a rule, nil if there is none of that name.
func (s *ruleSet) byID(id string) *Rule {
	if i := slices.IndexFunc(s.rules, func(r Rule) bool { return r.ID == id }); i >= 0 {
		return &s.rules[i]
	}
	return nil
}
