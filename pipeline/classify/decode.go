package classify

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"bounceline/pipeline/spell"
)

// decodeRules reads a file of rules: a list of mappings. Unknown and repeated keys are errors; each error has its line.
func decodeRules(s source) ([]Rule, error) {
	list, err := sequence(s.name, s.data)
	if err != nil {
		return nil, err
	}
	var errs []error
	rules := make([]Rule, 0, len(list))
	for _, n := range list {
		r := Rule{File: s.name, Line: n.Line, User: s.user}
		if err := decodeMapping(n, ruleKeys, &r); err != nil {
			errs = append(errs, prefixLines(s.name, err))
		}
		rules = append(rules, r)
	}
	return rules, errors.Join(errs...)
}

// sequence parses a YAML document that is a list; an empty document is an empty one.
func sequence(name string, data []byte) ([]*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, notYAML(name, err)
	}
	if doc.Kind == 0 || len(doc.Content) == 1 && doc.Content[0].Tag == "!!null" {
		return nil, nil
	}
	if doc.Content[0].Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("%s:%d: expected a list, each entry beginning with \"- \"", name, doc.Content[0].Line)
	}
	return doc.Content[0].Content, nil
}

// notYAML puts file and line before what the YAML library says. It counts lines from 0 where it expected something else, and names none where
// that gives 0.
func notYAML(name string, err error) error {
	line, what := 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if n, rest, ok := strings.Cut(strings.TrimPrefix(what, "line "), ": "); ok {
		if at, err := strconv.Atoi(n); err == nil {
			line, what = at, rest
			if strings.HasPrefix(what, "did not find expected ") {
				line++
			}
		}
	}
	return fmt.Errorf("%s:%d: this is no YAML: %s", name, line, what)
}

// A lineError is a mistake at a line of a file that the caller knows.
type lineError struct {
	line int
	text string
}

func (e lineError) Error() string { return fmt.Sprintf("%d: %s", e.line, e.text) }

func at(n *yaml.Node, format string, args ...any) error {
	return lineError{n.Line, fmt.Sprintf(format, args...)}
}

// prefixLines puts the file's name before each line's number.
func prefixLines(name string, err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("%s:%w", name, err)
	}
	var errs []error
	for _, e := range joined.Unwrap() {
		errs = append(errs, prefixLines(name, e))
	}
	return errors.Join(errs...)
}

// A key is a key of a mapping and how its value is taken.
type key[T any] struct {
	name string
	set  func(*T, *yaml.Node) error
}

var ruleKeys = []key[Rule]{
	{"id", text(func(r *Rule) *string { return &r.ID })},
	{"category", text(func(r *Rule) *string { return &r.Category })},
	{"priority", func(r *Rule, n *yaml.Node) (err error) { return integer(n, &r.Priority) }},
	{"provider", text(func(r *Rule) *string { return &r.Provider })},
	{"vague", func(r *Rule, n *yaml.Node) (err error) { return boolean(n, &r.Vague) }},
	{"any", words(func(r *Rule) *[]string { return &r.Any })},
	{"with", words(func(r *Rule) *[]string { return &r.With })},
	{"all", words(func(r *Rule) *[]string { return &r.All })},
	{"none", words(func(r *Rule) *[]string { return &r.None })},
	{"regexp", text(func(r *Rule) *string { return &r.Regexp })},
	{"codes", words(func(r *Rule) *[]string { return &r.Codes })},
	{"enhanced", words(func(r *Rule) *[]string { return &r.Enhanced })},
	{"classes", words(func(r *Rule) *[]string { return &r.Classes })},
	{"commands", words(func(r *Rule) *[]string { return &r.Commands })},
	{"providers", words(func(r *Rule) *[]string { return &r.Providers })},
	{"mtas", words(func(r *Rule) *[]string { return &r.MTAs })},
	{"statuses", words(func(r *Rule) *[]string { return &r.Statuses })},
	{"match", cases(func(r *Rule) *[]Case { return &r.Match })},
	{"no_match", cases(func(r *Rule) *[]Case { return &r.NoMatch })},
}

var caseKeys = []key[Case]{
	{"text", text(func(c *Case) *string { return &c.Text })},
	{"smtp_code", func(c *Case, n *yaml.Node) error {
		v, err := strconv.ParseUint(n.Value, 10, 16)
		if err != nil || v > 599 {
			return at(n, "smtp_code: %q is no code", n.Value)
		}
		c.SMTPCode = uint16(v)
		return nil
	}},
	{"enhanced_code", text(func(c *Case) *string { return &c.EnhancedCode })},
	{"smtp_command", text(func(c *Case) *string { return &c.SMTPCommand })},
	{"relay_host", text(func(c *Case) *string { return &c.RelayHost })},
	{"recipient", text(func(c *Case) *string { return &c.Recipient })},
	{"mta", text(func(c *Case) *string { return &c.MTA })},
	{"status", text(func(c *Case) *string { return &c.Status })},
}

// decodeMapping fills to from a mapping. Its error joins a lineError for each mistake.
func decodeMapping[T any](n *yaml.Node, keys []key[T], to *T) error {
	if n.Kind != yaml.MappingNode {
		return at(n, "expected a mapping, such as {%s: ...}", keys[0].name)
	}
	var errs []error
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		at0 := slices.IndexFunc(keys, func(x key[T]) bool { return x.name == k.Value })
		switch {
		case at0 < 0:
			var names []string
			for _, x := range keys {
				names = append(names, x.name)
			}
			errs = append(errs, at(k, "unknown key %q%s", k.Value, nearest(k.Value, names)))
		case seen[k.Value]:
			errs = append(errs, at(k, "key %q stands here twice", k.Value))
		default:
			if err := keys[at0].set(to, v); err != nil {
				errs = append(errs, err)
			}
		}
		seen[k.Value] = true
	}
	return errors.Join(errs...)
}

func text[T any](field func(*T) *string) func(*T, *yaml.Node) error {
	return func(t *T, n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode {
			return at(n, "expected a text")
		}
		*field(t) = n.Value
		return nil
	}
}

// words takes a list of texts, or one.
func words[T any](field func(*T) *[]string) func(*T, *yaml.Node) error {
	return func(t *T, n *yaml.Node) error {
		if n.Kind == yaml.ScalarNode {
			*field(t) = []string{n.Value}
			return nil
		}
		if n.Kind != yaml.SequenceNode {
			return at(n, "expected a list of texts")
		}
		for _, e := range n.Content {
			if e.Kind != yaml.ScalarNode {
				return at(e, "expected a text")
			}
			*field(t) = append(*field(t), e.Value)
		}
		return nil
	}
}

// cases takes a list of replies, each a text or a mapping.
func cases[T any](field func(*T) *[]Case) func(*T, *yaml.Node) error {
	return func(t *T, n *yaml.Node) error {
		list := n.Content
		if n.Kind == yaml.ScalarNode {
			list = []*yaml.Node{n}
		}
		var errs []error
		for _, e := range list {
			c := Case{Text: e.Value}
			if e.Kind != yaml.ScalarNode {
				errs = append(errs, decodeMapping(e, caseKeys, &c))
			}
			if strings.TrimSpace(c.Text) == "" {
				errs = append(errs, at(e, "a sample needs a text"))
			}
			*field(t) = append(*field(t), c)
		}
		return errors.Join(errs...)
	}
}

func integer(n *yaml.Node, to *int) error {
	v, err := strconv.Atoi(n.Value)
	if err != nil || v < -1000 || v > 1000 {
		return at(n, "%q is no number from -1000 to 1000", n.Value)
	}
	*to = v
	return nil
}

func boolean(n *yaml.Node, to *bool) error {
	if n.Value != "true" && n.Value != "false" {
		return at(n, "%q is neither true nor false", n.Value)
	}
	*to = n.Value == "true"
	return nil
}

// nearest suggests the name that a mistyped word may have meant.
func nearest(word string, names []string) string {
	best := spell.Nearest(word, names)
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}
