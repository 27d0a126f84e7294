package classify

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Rule gives a category to replies by what they say. All of its conditions must hold; literals are compared with the
// normalised text, in lower case.
type Rule struct {
	ID       string   `yaml:"id"`
	Category string   `yaml:"category"`
	Any      []string `yaml:"any"`      // at least one of these
	All      []string `yaml:"all"`      // and each of these
	None     []string `yaml:"none"`     // and none of these
	Codes    []string `yaml:"codes"`    // basic codes, or their beginnings: 550, 5
	Enhanced []string `yaml:"enhanced"` // enhanced codes without class, or their beginnings: 7.1, 7.
	Commands []string `yaml:"commands"` // the command that was answered
	Provider string   `yaml:"provider"` // name of the provider whose reply it is: the verdict's confidence is then "provider"
	Vague    bool     `yaml:"vague"`    // its words say little: an enhanced code that says more wins
	Samples  []string `yaml:"samples"`  // texts that must get this rule

	where          string // file and line, for complaints
	any, all, none []int32
}

// A ruleSet is rules in the order in which they are tried, compiled.
type ruleSet struct {
	rules     []Rule
	automaton *automaton
	words     int // length of a set of found literals
	version   string
}

// load reads all rule files of a folder, in the order of their names, after the user's own.
func load(shipped fs.FS, user [][]byte) (*ruleSet, error) {
	names, err := fs.Glob(shipped, "rules/*.yaml")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	sum := sha256.New()
	set := &ruleSet{}
	add := func(name string, data []byte) error {
		sum.Write(data)
		rules, err := decodeRules(name, data)
		set.rules = append(set.rules, rules...)
		return err
	}
	for i, data := range user {
		if err := add(fmt.Sprintf("user rules %d", i+1), data); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		data, err := fs.ReadFile(shipped, name)
		if err != nil {
			return nil, err
		}
		if err := add(name, data); err != nil {
			return nil, err
		}
	}
	set.version = hex.EncodeToString(sum.Sum(nil)[:6])
	return set, set.compile()
}

func decodeRules(name string, data []byte) ([]Rule, error) {
	var nodes []yaml.Node
	if err := yaml.Unmarshal(data, &nodes); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var rules []Rule
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&rules); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for i := range rules {
		rules[i].where = fmt.Sprintf("%s:%d", name, nodes[i].Line)
	}
	return rules, nil
}

// compile checks the rules and builds the automaton.
func (s *ruleSet) compile() error {
	var errs []error
	ids := map[string]string{}
	var literals []string
	index := map[string]int32{}
	number := func(r *Rule, words []string) []int32 {
		var out []int32
		for _, w := range words {
			if w == "" || w != strings.ToLower(w) {
				errs = append(errs, fmt.Errorf("%s: rule %s: literal %q must be lower case and not empty", r.where, r.ID, w))
				continue
			}
			n, ok := index[w]
			if !ok {
				n = int32(len(literals))
				index[w] = n
				literals = append(literals, w)
			}
			out = append(out, n)
		}
		return out
	}
	for i := range s.rules {
		r := &s.rules[i]
		switch before, dup := ids[r.ID]; {
		case r.ID == "":
			errs = append(errs, fmt.Errorf("%s: a rule needs an id", r.where))
		case dup:
			errs = append(errs, fmt.Errorf("%s: rule %s is already at %s", r.where, r.ID, before))
		case byName[r.Category] == nil:
			errs = append(errs, fmt.Errorf("%s: rule %s: there is no category %q", r.where, r.ID, r.Category))
		case len(r.Any)+len(r.All) == 0:
			errs = append(errs, fmt.Errorf("%s: rule %s needs a literal in any or all", r.where, r.ID))
		}
		ids[r.ID] = r.where
		r.any, r.all, r.none = number(r, r.Any), number(r, r.All), number(r, r.None)
	}
	s.automaton = newAutomaton(literals)
	s.words = (len(literals) + 63) / 64
	return errors.Join(errs...)
}

// match returns the first rule whose conditions hold, nil if there is none.
func (s *ruleSet) match(in *input, found []uint64) *Rule {
	for i := range s.rules {
		if r := &s.rules[i]; r.holds(in, found) {
			return r
		}
	}
	return nil
}

func (r *Rule) holds(in *input, found []uint64) bool {
	if len(r.any) > 0 && !slices.ContainsFunc(r.any, func(n int32) bool { return has(found, n) }) {
		return false
	}
	for _, n := range r.all {
		if !has(found, n) {
			return false
		}
	}
	for _, n := range r.none {
		if has(found, n) {
			return false
		}
	}
	return prefixed(r.Codes, in.code[:]) && (len(r.Enhanced) == 0 || len(in.enhanced) > 2 && prefixed(r.Enhanced, in.enhanced[2:])) &&
		(len(r.Commands) == 0 || slices.Contains(r.Commands, in.command))
}

func has(found []uint64, n int32) bool { return found[n>>6]&(1<<(n&63)) != 0 }

// prefixed reports whether the value begins with one of the words; no words hold for every value. A word that ends in a
// digit is a whole number where the value goes on: 7.1 is not the beginning of 7.14.
func prefixed(words []string, v []byte) bool {
	if len(words) == 0 {
		return true
	}
	for _, w := range words {
		if len(v) >= len(w) && string(v[:len(w)]) == w && (len(w) < 3 || len(v) == len(w) || w[len(w)-1] == '.' || !strings.Contains(w, ".")) {
			return true
		}
	}
	return false
}
