// Package classify says why a delivery failed: it gives each row a bounce type, a category, what to do, and how sure that is.
//
// Evidence is weighed in a fixed order: what a provider documents, precise text, codes that servers use for what they say,
// codes that are overloaded. Verdicts are a function of the row and the rule set alone.
package classify

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
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
	UserRules []string // files whose rules are tried before the shipped ones
}

// An Engine classifies. It is immutable and may be used concurrently.
type Engine struct {
	rules   *ruleSet
	scratch sync.Pool
}

type scratch struct {
	text  []byte
	found []uint64
	in    input
}

// input is what rules look at.
type input struct {
	code     [3]byte // zero bytes where there was no reply
	enhanced []byte
	command  string
}

// New reads and checks the rules. Its error names every rule that is wrong, with file and line.
func New(o Options) (*Engine, error) {
	var user [][]byte
	for _, path := range o.UserRules {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		}
		user = append(user, data)
	}
	set, err := load(configs.Rules, user)
	if err != nil {
		return nil, err
	}
	e := &Engine{rules: set}
	e.scratch.New = func() any { return &scratch{found: make([]uint64, set.words)} }
	return e, nil
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
	text := r.RemoteText
	if len(text) == 0 {
		text = r.ResponseText
	}
	s := e.scratch.Get().(*scratch)
	defer e.scratch.Put(s)
	s.text = normalise(s.text[:0], text)
	clear(s.found)
	e.rules.automaton.scan(s.text, s.found)
	s.in = input{enhanced: r.EnhancedCode, command: r.SMTPCommand}
	if r.SMTPCode != 0 {
		strconv.AppendUint(s.in.code[:0], uint64(r.SMTPCode), 10)
	}
	rule := e.rules.match(&s.in, s.found)
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
