package classify

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Lint reports what is allowed in rules and probably not meant; of the user's rules only, or of all. Each line names file, line
// and rule.
func (e *Engine) Lint(userOnly bool) []string {
	j := e.current.Load()
	s := j.rules
	var out []string
	for i := range s.rules {
		r := &s.rules[i]
		if userOnly && !r.User {
			continue
		}
		warn := func(format string, args ...any) {
			out = append(out, r.where()+": "+fmt.Sprintf(format, args...))
		}
		if len(r.Match) == 0 {
			warn("has no sample in match: nobody sees when it stops working")
		}
		for _, w := range slices.Concat(r.Any, r.With, r.All, r.None) {
			if seen := j.masked(w); r.User && seen != "" && !j.inSamples(r, w) {
				warn("literal %q is probably never found: a rule sees %q there", w, seen)
			}
		}
		for k, a := range r.Any {
			for l, b := range r.Any {
				if k != l && strings.Contains(a, b) && (a != b || k > l) {
					warn("literal %q adds nothing to %q", a, b)
					break
				}
			}
			for _, n := range r.None {
				if strings.Contains(a, n) {
					warn("literal %q can never count: it holds %q, which none forbids", a, n)
				}
			}
			one := *r
			one.Any = []string{a}
			if by := s.shadowOf(&one, i); by != nil {
				warn("literal %q never gets here: rule %s at %s:%d comes before and takes it", a, by.ID, by.File, by.Line)
			}
		}
	}
	return out
}

// masks are what stands in the normalised text for what differs from reply to reply.
var masks = []string{"@", "#ip", "#n", "#id", "url", "host"}

// masked returns what the text has where a reply has the literal, if part of it is masked there; else nothing.
func (j *judge) masked(literal string) string {
	literal = withoutMarks(literal)
	var n normalised
	n.normalise([]byte(literal), j.names)
	text := strings.TrimSpace(string(n.text))
	if strings.Contains(text, strings.TrimSpace(literal)) {
		return ""
	}
	for _, m := range masks {
		if strings.Contains(text, m) && (m == "@" || !strings.Contains(literal, m)) {
			return text
		}
	}
	return ""
}

// inSamples reports whether the text of one of the rule's samples has the literal.
func (j *judge) inSamples(r *Rule, literal string) bool {
	return slices.ContainsFunc(slices.Concat(r.Match, r.NoMatch), func(c Case) bool {
		s := j.scratch.Get().(*scratch)
		defer j.scratch.Put(s)
		row := c.Row()
		s.prepare(&row, j.names.relay(row.RelayHost), j.names)
		return strings.Contains(string(s.in.text), withoutMarks(literal))
	})
}

// An Expectation is a reply and the verdict that it must get, as a user writes it for rules test.
type Expectation struct {
	Case Case
	Want []Wanted
	Line int
}

// Wanted is the value that a column must have.
type Wanted struct{ Column, Value string }

// A Difference is a column whose value is another than was wanted.
type Difference struct{ Column, Want, Got string }

var wantedColumns = []string{"bounce_type", "bounce_category", "action", "rule", "confidence", "provider", "list_name", "retry_after"}

// wantedValues are the values that a column may have; nil for one that any text may stand in.
func wantedValues(column string) (values []string) {
	switch column {
	case "bounce_type":
		return []string{Delivered, General, Soft, Hard, Block}
	case "bounce_category":
		return categoryNames()
	case "confidence":
		return []string{ByProvider, ByText, ByDSN, ByCode, ByNothing}
	case "action":
		for i := range Categories {
			values = append(values, Categories[i].Action)
		}
	}
	return values
}

// ReadExpectations reads a YAML file of cases. Its errors name file and line.
func ReadExpectations(path string) ([]Expectation, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var keys []key[Expectation]
	for _, k := range caseKeys {
		keys = append(keys, key[Expectation]{k.name, func(x *Expectation, n *yaml.Node) error { return k.set(&x.Case, n) }})
	}
	for _, column := range wantedColumns {
		keys = append(keys, key[Expectation]{column, func(x *Expectation, n *yaml.Node) error {
			if values := wantedValues(column); values != nil && !slices.Contains(values, n.Value) {
				return at(n, "there is no %s %q%s", strings.TrimPrefix(column, "bounce_"), n.Value, nearest(n.Value, values))
			}
			x.Want = append(x.Want, Wanted{column, n.Value})
			return nil
		}})
	}
	out, err := decodeTable(path, data, keys, func(x *Expectation, n *yaml.Node) { x.Line = n.Line })
	errs := []error{err}
	for _, x := range out {
		if err == nil && (strings.TrimSpace(x.Case.Text) == "" || len(x.Want) == 0) {
			errs = append(errs, fmt.Errorf("%s:%d: a case needs a text and at least one expected column", path, x.Line))
		}
	}
	return out, errors.Join(errs...)
}

// Check judges a case and returns what is other than expected.
func (e *Engine) Check(x Expectation) []Difference {
	row := x.Case.Row()
	c := e.Classify(&row)
	var out []Difference
	for _, w := range x.Want {
		got := map[string]string{"bounce_type": c.BounceType, "bounce_category": c.Category, "action": c.Action, "rule": c.Rule, "confidence": c.Confidence,
			"provider": c.Provider, "list_name": c.ListName, "retry_after": strconv.Itoa(int(c.RetryAfter))}[w.Column]
		if got != w.Value {
			out = append(out, Difference{w.Column, w.Value, got})
		}
	}
	return out
}
