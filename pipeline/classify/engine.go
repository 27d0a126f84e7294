// Package classify says why a delivery failed: it gives each row a bounce type, a category, what to do, and how sure that is.
//
// Evidence is weighed in a fixed order: what a provider documents, precise text, codes that servers use for what they say,
// codes that are overloaded. Verdicts are a function of the row and the rule set alone.
package classify

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"bounceline/configs"
	"bounceline/pipeline/record"
)

// Confidence says what a verdict rests on, the surest first.
const (
	ByProvider = "provider" // a provider's documented reply
	ByText     = "text"     // what the text says
	ByDSN      = "dsn"      // an enhanced status code
	ByCode     = "code"     // a bare basic code
	ByNothing  = "none"
)

// Options say which rules are used.
type Options struct {
	UserRules []string // files, or folders of *.yaml files, whose rules are tried before the shipped ones
}

// An Engine classifies. It is immutable and may be used concurrently.
type Engine struct {
	rules   *ruleSet
	scratch sync.Pool
}

type scratch struct {
	text       []byte
	found      []uint64
	candidates []uint64
	in         input
}

// New reads and checks the rules. Its error names every rule that is wrong, with file and line.
func New(o Options) (*Engine, error) {
	user, err := userRules(o.UserRules)
	if err != nil {
		return nil, err
	}
	shipped, err := shippedRules(configs.Rules)
	if err != nil {
		return nil, err
	}
	e, err := newEngine(append(user, shipped...))
	if err != nil {
		return nil, err
	}
	return e, e.verify()
}

// userRules reads files, and the *.yaml files of folders in the order of their names.
func userRules(paths []string) ([]source, error) {
	var out []source
	for _, path := range paths {
		names := []string{path}
		if info, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		} else if info.IsDir() {
			if names, err = filepath.Glob(filepath.Join(globQuote(path), "*.yaml")); err != nil {
				return nil, fmt.Errorf("rules: %w", err)
			}
			if len(names) == 0 {
				return nil, fmt.Errorf("rules: folder %s has no *.yaml file", path)
			}
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

func newEngine(sources []source) (*Engine, error) {
	set, err := compile(sources)
	if err != nil {
		return nil, err
	}
	e := &Engine{rules: set}
	e.scratch.New = func() any {
		return &scratch{found: make([]uint64, (len(set.literals)+63)/64), candidates: make([]uint64, (len(set.rules)+63)/64)}
	}
	return e, nil
}

// verify runs the rules' samples.
func (e *Engine) verify() error {
	var errs []error
	for i := range e.rules.rules {
		r := &e.rules.rules[i]
		for _, c := range r.Match {
			row := c.Row()
			if v := e.Classify(&row); v.Rule != r.ID {
				errs = append(errs, fmt.Errorf("%s: its sample %q does not reach it: %s", r.where(), c.Text, e.instead(&row, r, v)))
			}
		}
		for _, c := range r.NoMatch {
			row := c.Row()
			if v := e.Classify(&row); v.Rule == r.ID {
				errs = append(errs, fmt.Errorf("%s: it takes the reply %q, which it must not", r.where(), c.Text))
			}
		}
	}
	return errors.Join(errs...)
}

// instead says why a row did not get a rule.
func (e *Engine) instead(row *record.Row, r *Rule, v record.Class) string {
	s := e.scratch.Get().(*scratch)
	defer e.scratch.Put(s)
	e.prepare(s, row)
	if why := r.lacks(&s.in, s.found, e.rules.literals); why != "" {
		return why
	}
	for i := range e.rules.rules {
		if o := &e.rules.rules[i]; o.ID == v.Rule {
			return fmt.Sprintf("rule %s at %s:%d comes before it and takes it", o.ID, o.File, o.Line)
		}
	}
	return fmt.Sprintf("its verdict comes from %q", v.Rule)
}

// Version names the rule set by its content.
func (e *Engine) Version() string { return e.rules.version }

// Classify returns the verdict on a row. It reads what the parser and the context have filled in.
func (e *Engine) Classify(r *record.Row) record.Class {
	c := e.decide(r)
	c.RuleSet = e.rules.version
	c.Provider = provider(r)
	return c
}

// prepare normalises the row's text and finds the literals and the candidates in it.
func (e *Engine) prepare(s *scratch, r *record.Row) {
	text := r.RemoteText
	if len(text) == 0 {
		text = r.ResponseText
	}
	s.text = normalise(append(s.text[:0], ' '), text)
	s.text = append(s.text, ' ')
	clear(s.found)
	e.rules.automaton.scan(s.text, s.found)
	e.rules.candidates(s.found, s.candidates)
	s.in = input{text: s.text, enhanced: r.EnhancedCode, command: r.SMTPCommand, provider: byHost(r.RelayHost), mta: r.MTA, status: r.Status}
	if class := permanent(r); class != 0 {
		s.in.class = '0' + byte(class)
	}
	if r.SMTPCode != 0 {
		strconv.AppendUint(s.in.code[:0], uint64(r.SMTPCode), 10)
	}
}

func (e *Engine) decide(r *record.Row) record.Class {
	switch {
	case r.EventType == record.Expiration:
		return e.class(r, "message_expired", "status:expired", ByText)
	case r.Outcome == record.Delivered,
		r.Outcome == record.OtherOutcome && !bytes.HasPrefix(r.Status, []byte("undeliverable")):
		return record.Class{BounceType: Delivered, Category: "delivered", Action: "none", Rule: "status:delivered", Confidence: ByCode}
	case r.SMTPCode/100 == 3:
		return e.class(r, "informational", "code:3xx", ByCode)
	}
	s := e.scratch.Get().(*scratch)
	defer e.scratch.Put(s)
	e.prepare(s, r)
	rule := e.rules.match(&s.in, s.found, s.candidates)
	if rule != nil && rule.Provider != "" {
		return e.named(r, rule, ByProvider, s.text)
	}
	code, known := lookupEnhanced(r.EnhancedCode)
	switch {
	case rule != nil && !(rule.Vague && known && code.trusted):
		return e.named(r, rule, ByText, s.text)
	case known && code.category != "other" && r.EnhancedCode[3] != '0' && (code.category != "user_unknown" || r.SMTPCommand != record.CmdMAIL):
		return e.class(r, code.category, "dsn", ByDSN)
	case r.SMTPCode != 0:
		return e.class(r, e.byCode(r), "code", ByCode)
	case r.EventType == record.Suspended:
		if r.LastCategory != "" {
			return e.class(r, r.LastCategory, "last reply", ByNothing)
		}
		return e.class(r, "connection_failed", "suspended", ByNothing)
	}
	if code, ok := lookupEnhanced(r.DSN); ok && code.category != "other" && r.DSN[2] != '0' { // the MTA's own verdict on its own trouble
		return e.class(r, code.category, "mta dsn", ByDSN)
	}
	return e.class(r, "other", "", ByNothing)
}

// byCode is what a basic code means, for the command that it answered.
func (e *Engine) byCode(r *record.Row) string {
	category := basic[r.SMTPCode]
	switch {
	case category == "":
		return "other"
	case r.SMTPCommand == record.CmdMAIL && (category == "user_unknown" || category == "bad_address_syntax"):
		return "sender_rejected"
	case (r.SMTPCommand == record.CmdConnect || r.SMTPCommand == record.CmdEHLO || r.SMTPCommand == record.CmdHELO) && (category == "user_unknown" || category == "bad_address_syntax"):
		return "policy_rejected"
	case (r.SMTPCommand == record.CmdEndOfData || r.SMTPCommand == record.CmdDATA) && category == "user_unknown":
		return "policy_rejected"
	}
	return category
}

func (e *Engine) named(r *record.Row, rule *Rule, confidence string, text []byte) record.Class {
	c := e.class(r, rule.Category, rule.ID, confidence)
	if rule.Category == "ip_blocklisted" || rule.Category == "bad_reputation" || rule.Category == "spam_content" {
		c.ListName = listName(text)
	}
	if rule.Category == "greylisted" || rule.Category == "rate_limited" {
		c.RetryAfter = retryAfter(text)
	}
	return c
}

// class completes a verdict: the type follows from the category and the reply's class.
func (e *Engine) class(r *record.Row, category, rule, confidence string) record.Class {
	cat := byName[category]
	if cat == nil {
		cat = byName["other"]
	}
	c := record.Class{Category: cat.Name, Action: cat.Action, Rule: rule, Confidence: confidence}
	switch permanent(r) {
	case 5:
		c.BounceType = cat.Permanent
	case 4:
		c.BounceType = cat.Transient
	default:
		if c.BounceType = cat.Local; c.BounceType == "" {
			c.BounceType = cat.Permanent
			if r.Outcome == record.Deferred {
				c.BounceType = Soft
			}
		}
	}
	return c
}

// permanent is the class that decides the type: that of the reply. Where basic and enhanced code disagree the MTA's own
// disposition decides. 0 is no reply.
func permanent(r *record.Row) int {
	basic := int(r.SMTPCode / 100)
	if len(r.EnhancedCode) == 0 || basic == 0 || int(r.EnhancedCode[0]-'0') == basic {
		return basic
	}
	switch r.Outcome {
	case record.Bounced, record.Expired:
		return 5
	case record.Deferred:
		return 4
	}
	return basic
}

// retryAfter finds how long a reply asks to wait: "in 300 seconds", "after 5 minutes".
func retryAfter(text []byte) uint32 {
	for i := 0; i < len(text); i++ {
		if text[i] < '1' || text[i] > '9' || i > 0 && (text[i-1] != ' ' && text[i-1] != '(') {
			continue
		}
		n, j := uint32(0), i
		for j < len(text) && '0' <= text[j] && text[j] <= '9' && n < 1e6 {
			n = n*10 + uint32(text[j]-'0')
			j++
		}
		for j < len(text) && text[j] == ' ' {
			j++
		}
		switch rest := text[j:]; {
		case bytes.HasPrefix(rest, []byte("sec")):
			return n
		case bytes.HasPrefix(rest, []byte("min")):
			return n * 60
		case bytes.HasPrefix(rest, []byte("hour")):
			return n * 3600
		}
		i = j
	}
	return 0
}

// globQuote makes a path stand for itself in a glob.
func globQuote(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
