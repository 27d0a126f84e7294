package classify

import (
	"bytes"
	"fmt"
	"slices"

	"bounceline/pipeline/record"
)

// An Explanation is how a verdict came about.
type Explanation struct {
	Class    record.Class
	Because  string   // where it is not simply what the named rule says: what decided
	Text     string   // the normalised text, without the blanks at its ends
	Matched  []string // the literals, and what the regular expression found, for which the rule was taken
	Lost     []Loser  // other rules that the text made candidates: those that hold, then those that lack something, each in the order in which they are tried
	More     int      // candidates beyond those that Lost holds
	Basic    *BasicCode
	Enhanced *EnhancedCode
}

// A Loser is a rule that the text could have got.
type Loser struct {
	Rule, Category string
	Why            string
}

// maxWords bounds how many words are named where they decide.
const maxWords = 4

// maxLosers bounds how many are named.
const maxLosers = 8

// Explain judges the row as Classify does, and says why.
func (e *Engine) Explain(r *record.Row) Explanation { return e.current.Load().explain(r) }

func (j *judge) explain(r *record.Row) Explanation {
	x := Explanation{Class: j.classify(r), Basic: LookupBasic(r.SMTPCode)}
	x.Enhanced, _ = lookupEnhanced(r.EnhancedCode)
	s := j.scratch.Get().(*scratch)
	defer j.scratch.Put(s)
	s.prepare(r, j.names.relay(r.RelayHost), j.names)
	f := j.search(s)
	x.Text = string(bytes.TrimSpace(s.in.text))
	judgedWithout := wordless(r)
	x.Because = because(r, &x.Class, f.rule)
	first := false // whether the rule that holds first has been met
	var held, lacking []Loser
	if x.Class.Rule == byWords {
		words := j.weights.speakFor(f.likely.category, s.n.text)
		x.Matched = words[:min(len(words), maxWords)]
	}
	for i := range j.rules.rules {
		rule := &j.rules.rules[i]
		switch {
		case rule == f.rule && x.Class.Rule == rule.ID:
			first = true
			x.Matched = j.matched(rule, s)
			continue
		case s.candidates[i>>6]&(1<<(i&63)) == 0, !hasAny(&s.found, rule.any):
			continue
		}
		why := j.rules.lacks(rule, &s.in, &s.found)
		to := &held
		if why != "" {
			to = &lacking
		}
		switch {
		case why == "" && judgedWithout:
			why = "the row was judged without its words"
		case rule == f.rule:
			first = true
			why = overruled(&x.Class, rule)
		case why == "" && first:
			why = fmt.Sprintf("it comes after %s", f.rule.ID)
		case why == "":
			why = "it takes what only follows from the first reply"
		}
		*to = append(*to, Loser{rule.ID, rule.Category, why})
	}
	x.Lost = append(held, lacking...)
	x.More = max(0, len(x.Lost)-maxLosers)
	x.Lost = x.Lost[:len(x.Lost)-x.More]
	return x
}

// because says what decided where no rule did, or where a rule's category or the trust in its words was changed.
func because(r *record.Row, c *record.Class, rule *Rule) string {
	switch c.Rule {
	case byWords:
		return "no rule is sure; single words of the text, and the codes, are mostly said for this reason"
	case "code":
		if b := LookupBasic(r.SMTPCode); b != nil && b.Category != c.Category && notOfRecipient(r, b.Category) == "" {
			return "no rule knows the words; what says nothing but such a code is mostly not about the address"
		}
		return "no rule decides; the basic code does"
	case "dsn":
		return "no rule decides; the enhanced code does"
	case "mta dsn":
		return "there is no reply; the MTA's own enhanced code decides"
	case "suspended", "last reply":
		return "no delivery was tried; what failed before decides"
	case "status:expired", "status:delivered":
		return "the MTA's word for the outcome decides"
	case "code:3xx":
		return "a reply of class 3 asks for more, and refuses nothing"
	}
	switch {
	case rule == nil || rule.ID != c.Rule:
		return ""
	case rule.Category != c.Category:
		return fmt.Sprintf("the rule says %s, but what answers %s is not about the recipient", rule.Category, r.SMTPCommand)
	case c.Confidence == ByCode, c.Confidence == ByDSN:
		return "the rule's words are vague about a recipient: they prove no more than the code does"
	}
	return ""
}

// overruled says why the verdict is not that of the rule that holds.
func overruled(c *record.Class, rule *Rule) string {
	switch {
	case c.Rule == byWords:
		return fmt.Sprintf("the words of the text make %s likelier", c.Category)
	case rule.Vague:
		return "its words are vague, and the codes say more"
	}
	return "the code is about something else than the recipient"
}

// matched lists what of the text made the rule hold.
func (j *judge) matched(r *Rule, s *scratch) []string {
	var out []string
	own := slices.Concat(slices.Concat(r.all...), r.any, r.with)
	for _, n := range slices.Compact(slices.Sorted(slices.Values(own))) {
		if s.found.has(n) {
			out = append(out, j.rules.literals[n])
		}
	}
	if r.regexp != nil {
		out = append(out, string(r.regexp.Find(s.in.text)))
	}
	return out
}

// Rules lists the rules in the order in which they are tried. They must not be changed.
func (e *Engine) Rules() []Rule { return e.current.Load().rules.rules }
