// Package classify says why a delivery failed: it gives each row a bounce type, a category, what to do, and how sure that is.
//
// Evidence is weighed in a fixed order: what a provider documents, precise text, codes that servers use for what they say,
// words that make a reason likely, codes that are overloaded. Verdicts are a function of the row and the rule set alone.
//
// A reply goes this way:
//
//	case.go       of what people paste, the reply and its codes are found: in a bounce message, an error, an event (quoted.go, clients.go, event.go)
//	normalise.go  the reply becomes the text that rules see; what stands around the reason is told apart (frame.go)
//	automaton.go  all literals of all rules are found in it at once, and which rules may hold (screen.go)
//	rules.go      the first of these whose conditions hold is taken
//	likely.go     words are weighed where that rule is not sure, or there is none
//	evidence.go   codes decide what words do not, and acquit those who are wrongly accused
//	engine.go     has the order of all this, from classify on
package classify

import (
	"bytes"
	"sync"
	"sync/atomic"

	"bounceline/configs"
	"bounceline/pipeline/record"
)

// Confidence says what a verdict rests on, the surest first.
const (
	ByProvider = "provider" // a provider's documented reply
	ByText     = "text"     // what the text says
	ByDSN      = "dsn"      // an enhanced status code
	ByCode     = "code"     // a bare basic code, or words that only make the reason likely
	ByNothing  = "none"
)

// byWords stands in the rule's place where words and pairs of words decide.
const byWords = "words"

// Options say which rules are used.
type Options struct {
	Program   string   // the version of the program, which is a part of the rule set's
	UserRules []string // files, or folders of *.yaml and *.yml files, whose rules are tried before the shipped ones
}

// An Engine classifies. It may be used concurrently, and its rules may be exchanged meanwhile: each row is judged by one rule
// set as a whole.
type Engine struct {
	options Options
	current atomic.Pointer[judge]
}

// New reads and checks the rules. Its error names every rule that is wrong, with file, line and reason.
func New(o Options) (*Engine, error) {
	e := &Engine{options: o}
	return e, e.Reload()
}

// Reload reads the user's rules again. The new rules are used from the next row on; after an error the old ones stay.
func (e *Engine) Reload() error {
	user, err := userRules(e.options.UserRules)
	if err != nil {
		return err
	}
	shipped, err := shippedRules(configs.Rules)
	if err != nil {
		return err
	}
	j, err := newJudge(e.options.Program, append(user, shipped...))
	if err != nil {
		return err
	}
	if err := j.verify(); err != nil {
		return err
	}
	e.current.Store(j)
	return nil
}

// Version names the rule set by all that decides: the program, rules, providers, blocklists, spellings and the weights of words.
func (e *Engine) Version() string { return e.current.Load().rules.version }

// Classify returns the verdict on a row. It reads what the parser and the context have filled in.
func (e *Engine) Classify(r *record.Row) record.Class { return e.current.Load().classify(r) }

// A judge is one rule set at work. It is immutable but for its cache and the names of zones, which change no verdict.
type judge struct {
	rules   *ruleSet
	names   *nameTables
	weights wordWeights
	cache   *cache
	zones   zones
	scratch sync.Pool
}

// scratch is the working memory of one call.
type scratch struct {
	n          normalised
	key        []byte // the text and behind it, in the same memory, all else that decides
	found      found
	candidates []uint64
	in         input
}

func newJudge(program string, sources []source) (*judge, error) {
	names, err := newNameTables(configs.Providers, configs.Blocklists)
	if err != nil {
		return nil, err
	}
	set, err := compile(program, sources, names)
	if err != nil {
		return nil, err
	}
	weights, err := newWordWeights(configs.Words)
	if err != nil {
		return nil, err
	}
	j := &judge{rules: set, names: names, cache: newCache()}
	j.hear(weights)
	j.scratch.New = func() any {
		return &scratch{found: found{bits: make([]uint64, (len(set.literals)+63)/64)}, candidates: make([]uint64, (len(set.rules)+63)/64)}
	}
	return j, nil
}

// classify weighs the evidence.
func (j *judge) classify(r *record.Row) (c record.Class) {
	relay := j.names.relay(r.RelayHost) // the provider behind the relay's name
	c, f := j.ruled(r, relay)
	if l := f.likely; l.category != nil && !((f.elsewhere || f.broken) && l.category.Permanent == Hard) && l.beats(&c, f.rule, r) {
		c = l.category.class(r, byWords, ByCode)
	}
	if p := j.names.provider(r, relay); p >= 0 {
		c.Provider = j.names.name(p)
	} else if c.Provider == "" {
		c.Provider = j.names.name(int32(f.answered))
	}
	if f.list >= 0 && Lookup(c.Category).Lists {
		c.ListName = j.names.blocklists[f.list].Name
	} else if f.list < 0 {
		c.ListName = j.listed(r, c.Category)
	}
	if f.retry != 0 && Lookup(c.Category).Waits {
		c.RetryAfter = f.retry
	}
	c.RuleSet = j.rules.version
	return c
}

// wordless reports whether the words of a row are not looked at, for its status or code tells all.
func wordless(r *record.Row) bool {
	return r.EventType == record.Expiration || delivered(r) || r.SMTPCode/100 == 3
}

func delivered(r *record.Row) bool {
	return r.Outcome == record.Delivered || r.Outcome == record.OtherOutcome && !bytes.HasPrefix(r.Status, undeliverable)
}

// byStatus is the verdict on a row whose words are not looked at.
func byStatus(r *record.Row) record.Class {
	switch {
	case r.EventType == record.Expiration:
		return class(r, "message_expired", "status:expired", ByText)
	case delivered(r):
		return record.Class{BounceType: Delivered, Category: "delivered", Action: "none", Rule: "status:delivered", Confidence: ByCode}
	}
	return class(r, "informational", "code:3xx", ByCode)
}

// ruled is the verdict of the row's status, of a rule, or of the codes, and what it was found by.
func (j *judge) ruled(r *record.Row, relay int32) (record.Class, finding) {
	if wordless(r) {
		return byStatus(r), nothing
	}
	s := j.scratch.Get().(*scratch)
	s.prepare(r, relay, j.names)
	text := s.n.text // before it is corrected
	f, inner := j.find(s), s.n.inner
	f.broken = (f.accusing() || f.rule.Vague && f.rule.bad) && broken(s.n.raw, text)
	j.scratch.Put(s)
	if inner != nil {
		answered := withCodesOf(inner, r)
		r = &answered
	}
	return f.verdict(r), f
}

// verdict is what the rule says, or the codes where they say more or there is none.
func (f *finding) verdict(r *record.Row) (c record.Class) {
	if f.rule == nil {
		c = byCodes(r)
		if c.Rule == "code" && (c.Category == "user_unknown" && f.said && len(r.EnhancedCode) == 0 || f.broken && c.BounceType == Hard) {
			// Of the replies with nothing but a 550 and words that nobody knows, two in three are about something else.
			c = class(r, "policy_rejected", "code", ByCode)
		}
		if f.elsewhere && aboutRecipient(c.Category) {
			c = class(r, "policy_rejected", c.Rule, ByCode)
		}
		return c
	}
	confidence := ByText
	if f.rule.Provider != "" {
		confidence = ByProvider
	} else if f.rule.Vague {
		code, ok := lookupEnhanced(r.EnhancedCode)
		if ok && code.Trusted {
			return byCodes(r)
		}
		if f.rule.bad { // its words add little to what the codes prove
			confidence = ByCode
			if ok && code.precise() && code.Category == f.rule.Category {
				if code.Proves() {
					confidence = ByDSN
				}
			} else if f.broken {
				return class(r, "policy_rejected", "code", ByCode)
			}
		}
	}
	if f.rule.accuses {
		if code, ok := lookupEnhanced(r.EnhancedCode); ok && code.acquits() && (f.rule.Vague || !code.yields()) {
			return byCodes(r)
		}
		if code := LookupBasic(r.SMTPCode); code != nil && code.acquits() {
			return class(r, code.Category, "code", ByCode)
		}
	}
	category := f.rule.category
	if other := notOfRecipient(r, category.Name); other != "" && len(f.rule.Commands) == 0 {
		category = Lookup(other)
	}
	if category.Name == "domain_not_found" && r.SMTPCode == 0 && namesRelay(r.ResponseText) {
		category = Lookup("dns_failure")
	}
	c = category.class(r, f.rule.ID, confidence)
	c.Provider = f.rule.Provider
	return c
}

var undeliverable = []byte("undeliverable")

// finding is what the words of a reply say.
type finding struct {
	rule      *Rule  // nil if no rule knows them
	likely    likely // weighed where there is no rule, or one that may be outvoted
	said      bool   // where there is no rule, that there are words
	elsewhere bool   // where there is no rule, or one that may be outvoted, that acquitting words are among them, or another subject
	broken    bool   // where no rule is sure, that the reply lacks its end; it is not remembered, for it hangs on how the reply is written
	retry     uint32
	list      int16 // place in its table of the blocklist that is named, -1 none
	answered  int16 // and of the provider that answered, by its words; -1 unknown
}

// nothing is what no words say.
var nothing = finding{list: -1, answered: -1}

// find returns what the prepared text says, from the cache if it can.
func (j *judge) find(s *scratch) finding {
	key := j.cache.fingerprint(s.key)
	if f := j.cache.get(key); f != nil {
		return *f
	}
	e := &cached{fingerprint: key} // made before the search, so that its memory has come when it is filled in
	e.finding = j.search(s)
	j.cache.put(e)
	return e.finding
}

// search looks for what the prepared text says, once misspelt words are put right in it.
func (j *judge) search(s *scratch) finding {
	f := nothing
	refused := j.look(s, &f)
	if j.rules.misspells(s.n.text, &s.found) && s.n.correct(j.rules.misspellings) {
		f.rule = nil
		refused = j.look(s, &f)
	}
	if f.rule == nil || !refused && f.rule.outvotable {
		f.said = f.rule == nil && saysAnything(s.n.text)
		if f.rule != nil || f.said {
			reason := s.n.reason()
			f.likely = j.weights.weigh(reason, &s.in, f.rule)
			if f.bare() && !bytes.HasSuffix(s.in.enhanced, badMailbox) {
				if rest := behindRefusal(reason); rest != nil {
					f.likely = j.weights.weigh(rest, &s.in, f.rule)
				}
			}
		}
		f.elsewhere = j.rules.acquitting.any(&s.found) || f.accusing() && j.rules.ofAnother(s.n.text, &s.found)
	}
	if f.may(func(c *Category) bool { return c.Lists }) {
		f.list = int16(j.rules.lists.first(&s.found))
	}
	if f.may(func(c *Category) bool { return c.Waits }) {
		f.retry = retryAfter(s.in.text)
	}
	return f
}

var badMailbox = []byte(".1.1")

// bare reports whether words alone say that the recipient's address is bad.
func (f *finding) bare() bool {
	return f.likely.category != nil && aboutRecipient(f.likely.category.Name) && (f.rule == nil || !f.rule.bad)
}

// accusing reports whether the words, or the codes where no rule knows these, may yet say that the recipient's address is bad.
func (f *finding) accusing() bool {
	return f.rule == nil || f.likely.category != nil && f.likely.category.Permanent == Hard
}

// look looks for the rule that takes the text: one that takes what comes before a second reply, else any. Where that
// one is vague, a rule that is not and reads the second reply for more than the end of the dialogue is better. It reports whether
// somebody is refused, and the frame says who.
func (j *judge) look(s *scratch, f *finding) (refused bool) {
	s.found.clear()
	j.rules.automaton.scanFolded(s.n.text[:s.n.cut], &s.found)
	for _, end := range []int{s.n.cut, len(s.n.text)} {
		if end > s.n.cut {
			j.rules.automaton.scanFolded(s.n.text, &s.found)
		}
		f.answered = int16(j.answered(s))
		s.in.provider = j.names.name(int32(f.answered))
		if f.answered < 0 {
			s.in.provider = j.names.name(s.in.relay)
		}
		s.in.text = s.n.text[:end]
		j.rules.screen.candidates(&s.found, s.candidates)
		first := f.rule
		f.rule = j.rules.match(&s.in, &s.found, s.candidates)
		if first == nil && end > s.n.cut && f.rule != nil && (s.n.frame == courtesy && (f.rule.Vague || f.rule.Category == "connection_failed") || s.n.frame == endFrame && f.rule.Category == "message_expired") {
			f.rule = nil // it knows the frame alone
		}
		refused = end > s.n.cut && s.n.frame == addressFrame && f.rule != nil && f.rule.Category == "ip_blocklisted"
		if first != nil && !refused && (f.rule == nil || f.rule.Vague && s.n.frame != laterFrame || f.rule.Category == "protocol_error") {
			f.rule = first
		}
		if end == len(s.n.text) || f.rule != nil && s.n.frame.leaves(f.rule, &s.in) {
			break
		}
	}
	return refused
}

// leaves reports whether the rule that takes what stands before the frame is the reply's, whatever the frame says. An MTA that asks itself to try
// again calls no address bad.
func (f frame) leaves(r *Rule, in *input) bool {
	switch f {
	case addressFrame:
		return !r.Vague || r.Category != "policy_rejected"
	case endFrame:
		return true
	case laterFrame:
		return !r.Vague && r.Category != "policy_rejected" && (!r.bad || in.code[0] != 0)
	}
	return !r.Vague
}

// may reports whether one of the categories that the verdict may have is such.
func (f *finding) may(be func(*Category) bool) bool {
	return f.rule != nil && be(f.rule.category) || f.likely.category != nil && be(f.likely.category)
}

// answered is the provider whose words the text has, -1 if none is known.
func (j *judge) answered(s *scratch) int32 {
	if p := j.rules.signatures.first(&s.found); p >= 0 {
		return p
	}
	return s.n.signed
}

// prepare normalises the row's text and notes all that rules look at; relay is the provider behind the relay's name.
func (s *scratch) prepare(r *record.Row, relay int32, names *nameTables) {
	text := r.RemoteText
	if len(text) == 0 {
		text = r.ResponseText
	}
	s.n.normalise(text, names)
	if s.n.inner != nil {
		answered := withCodesOf(s.n.inner, r)
		r = &answered
	}
	s.in = input{text: s.n.text, enhanced: r.EnhancedCode, class: byte(replyClass(r)), command: r.SMTPCommand, relay: relay, mta: r.MTA, status: r.Status}
	if code := r.SMTPCode; code >= 100 && code <= 999 {
		s.in.code = [3]byte{'0' + byte(code/100), '0' + byte(code/10%10), '0' + byte(code%10)}
	}
	k := append(s.n.text, byte(s.in.class), byte(s.in.relay), byte(s.in.relay>>8), byte(s.n.signed), byte(s.n.signed>>8), byte(s.n.cut), byte(s.n.cut>>8),
		s.in.code[0], s.in.code[1], s.in.code[2])
	k = append(append(k, s.in.enhanced...), 0)
	k = append(append(k, s.in.command...), 0)
	k = append(append(k, s.in.mta...), 0)
	s.key = append(k, s.in.status...)
}

// keySpace is how much longer the key of a text in the cache is than the text, usually.
const keySpace = 128
