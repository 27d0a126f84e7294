package classify

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"bounceline/pipeline/record"
)

// userRules reads files, and the *.yaml and *.yml files of folders in the order of their names.
func userRules(paths []string) ([]source, error) {
	var out []source
	for _, path := range paths {
		names, err := rulesFiles(path)
		if err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("rules: %w", err)
			}
			out = append(out, source{name: name, data: data, user: true})
		}
	}
	return out, nil
}

// rulesFiles lists the files that a path stands for.
func rulesFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") {
			names = append(names, filepath.Join(path, e.Name()))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("folder %s has no *.yaml or *.yml file", path)
	}
	return names, nil
}

// verify runs the rules' samples and looks for rules that can never be reached. What a user's rule takes from a shipped one is meant.
func (j *judge) verify() error {
	var errs []error
	for i := range j.rules.rules {
		r := &j.rules.rules[i]
		for _, c := range r.Match {
			row := c.Row()
			if v, _ := j.ruled(&row, j.names.relay(row.RelayHost)); v.Rule != r.ID && (r.User || !j.rules.isUser(v.Rule)) {
				errs = append(errs, fmt.Errorf("%s: its sample %q does not reach it: %s", r.where(), c.Text, j.instead(&row, r, v)))
			}
		}
		for _, c := range r.NoMatch {
			row := c.Row()
			if v, _ := j.ruled(&row, j.names.relay(row.RelayHost)); v.Rule == r.ID {
				errs = append(errs, fmt.Errorf("%s: it takes the reply %q, which it must not", r.where(), c.Text))
			}
		}
		if len(r.Match) == 0 {
			if by := j.rules.shadow(i); by != nil && (r.User || !by.User) {
				errs = append(errs, fmt.Errorf("%s: it can never be reached: rule %s at %s:%d comes before it and takes all that it would", r.where(), by.ID, by.File, by.Line))
			}
		}
	}
	return errors.Join(errs...)
}

// instead says why a row did not get a rule.
func (j *judge) instead(row *record.Row, r *Rule, v record.Class) string {
	s := j.scratch.Get().(*scratch)
	defer j.scratch.Put(s)
	s.prepare(row, j.names.relay(row.RelayHost), j.names)
	j.search(s)
	if why := j.rules.lacks(r, &s.in, &s.found); why != "" {
		return why + fmt.Sprintf("; the text is %q", s.in.text)
	}
	if o := j.rules.byID(v.Rule); o != nil {
		return fmt.Sprintf("rule %s at %s:%d comes before it and takes it", o.ID, o.File, o.Line)
	}
	return fmt.Sprintf("its verdict comes from %q", v.Rule)
}

// shadow returns a rule that comes before rule i and takes all that it would, nil if there is none. For each literal that can
// make rule i hold there must be an earlier rule which holds whenever rule i does.
func (s *ruleSet) shadow(i int) *Rule { return s.shadowOf(&s.rules[i], i) }

// shadowOf does so for a rule that would stand in rule i's place.
func (s *ruleSet) shadowOf(r *Rule, i int) *Rule {
	within := &found{bits: make([]uint64, (len(s.literals)+63)/64)}
	var last *Rule
	ways := r.Any
	if len(ways) == 0 {
		ways = []string{""}
	}
	for _, way := range ways {
		within.clear()
		for _, l := range append([]string{way}, r.All...) {
			s.automaton.scan([]byte(l), within)
		}
		var by *Rule
		for k := range s.rules[:i] {
			if o := &s.rules[k]; o.covers(r, within) {
				by = o
				break
			}
		}
		if by == nil {
			return nil
		}
		last = by
	}
	return last
}

// covers reports whether the rule holds for each text that holds the literals within and gets rule r.
func (o *Rule) covers(r *Rule, within *found) bool {
	if o.Regexp != "" || o.Vague && !r.Vague || o.yields && !r.yields {
		return false
	}
	for _, spelled := range o.all {
		if !hasAny(within, spelled) {
			return false
		}
	}
	if !hasAny(within, o.any) || !hasAny(within, o.with) {
		return false
	}
	for _, w := range o.None { // what it forbids must be forbidden to r too
		forbidden := false
		for _, v := range r.None {
			forbidden = forbidden || strings.Contains(w, v)
		}
		if !forbidden {
			return false
		}
	}
	for _, c := range [][2][]string{{o.Codes, r.Codes}, {o.Enhanced, r.Enhanced}, {o.Classes, r.Classes}, {o.Commands, r.Commands}, {o.Providers, r.Providers},
		{o.MTAs, r.MTAs}, {o.Statuses, r.Statuses}} {
		if len(c[0]) == 0 {
			continue
		}
		if len(c[1]) == 0 {
			return false
		}
		for _, v := range c[1] {
			if !prefixed(c[0], []byte(v)) {
				return false
			}
		}
	}
	return true
}
