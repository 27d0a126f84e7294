package classify

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A Rule gives a category to replies by what they say. All of its conditions must hold. Literals are compared with the
// normalised text, which is in lower case and has a blank at both ends; see normalise for what is masked in it.
type Rule struct {
	ID       string
	Category string
	Priority int    // rules are tried from the highest to the lowest, those of equal priority in the order of the files
	Provider string // whose documented reply it is: the verdict's confidence is then ByProvider
	Vague    bool   // its words say little: an enhanced code that says more wins

	Any    []string // at least one of these literals
	With   []string // and at least one of these
	All    []string // and each of these
	None   []string // and none of these
	Regexp string   // and this (RE2), looked for only where the literals are

	Codes     []string // basic codes or their beginnings: 550, 5
	Enhanced  []string // enhanced codes without class, or their beginnings: 7.1, "7."
	Classes   []string // 4 or 5: the class that decides the type; holds where no code tells it
	Commands  []string // the command that was answered: RCPT TO, MAIL FROM, ...
	Providers []string // who answered, by the words of the reply or the relay's name
	MTAs      []string // the MTA that logged it: postfix, exim, ...
	Statuses  []string // its word for the outcome: deferred, bounced, ==, **

	Match   []Case // replies that must get this rule
	NoMatch []Case // replies that must not

	File string
	Line int
	User bool // not shipped

	any, with, none []int32
	all             [][]int32 // for each literal its spellings
	regexp          *regexp.Regexp
	category        *Category
	outvotable      bool // see mayBeOutvoted
	bad             bool // it says that the recipient's address is bad
	accuses         bool // and by its words alone
	yields          bool // to acquitting words and subjects: it does not take a text that has one
	place           int  // of its category in the table of terms, -1 none
}

func (r *Rule) where() string {
	return strings.TrimRight(fmt.Sprintf("%s:%d: rule %s", r.File, r.Line, r.ID), " ")
}

// check finds what is wrong with a rule by itself, and compiles its regular expression.
func (r *Rule) check(names *nameTables) error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", r.where(), fmt.Sprintf(format, args...)))
	}
	switch r.ID {
	case "":
		bad("it needs an id")
	case byWords, "code", "dsn", "suspended":
		bad("its id stands for a verdict without a rule: give it another")
	}
	if r.Category == "" {
		bad("it needs a category")
	} else if r.category = Lookup(r.Category); r.category == nil {
		bad("there is no category %q%s", r.Category, nearest(r.Category, categoryNames()))
	}
	r.outvotable, r.bad = r.mayBeOutvoted(), aboutRecipient(r.Category)
	r.accuses = r.bad && r.Category != "null_mx" && !r.User && r.Provider == "" && len(r.Enhanced) == 0 // a host without mail says so with any code
	if len(r.Any)+len(r.All) == 0 {
		bad("it needs a literal in any or all, so that it can be found without trying every rule")
	}
	for _, words := range [][]string{r.Any, r.With, r.All, r.None} {
		for _, w := range words {
			switch {
			case strings.TrimSpace(w) == "":
				bad("an empty literal is in every text")
			case w != strings.ToLower(w):
				bad("literal %q must be in lower case, as the normalised text is", w)
			case strings.Contains(w, "  "), strings.ContainsAny(w, "\t\r\n"):
				bad("literal %q cannot be found: a run of white space is one blank in the normalised text", w)
			}
		}
	}
	if r.Regexp != "" {
		re, err := regexp.Compile(withoutMarks(r.Regexp))
		if err != nil {
			bad("%v", err)
		} else if re.MatchString("") {
			bad("regexp %q matches every text", r.Regexp)
		}
		r.regexp = re
	}
	for _, c := range r.Codes {
		if len(c) == 0 || len(c) > 3 || strings.Trim(c, "0123456789") != "" {
			bad("codes: %q is neither a basic code nor the beginning of one", c)
		}
	}
	for _, c := range r.Classes {
		if c != "4" && c != "5" {
			bad("classes: %q is neither 4 nor 5", c)
		}
	}
	for _, c := range r.Enhanced {
		if subject, detail, ok := strings.Cut(c, "."); !ok || subject == "" || strings.Trim(subject+detail, "0123456789") != "" {
			bad(`enhanced: %q is neither subject and detail of a code, such as 7.1, nor a subject, such as "7."`, c)
		}
	}
	for _, c := range r.Commands {
		if !slices.Contains(commands, c) {
			bad("commands: there is no %q%s", c, nearest(c, commands))
		}
	}
	for _, p := range append(slices.Clone(r.Providers), r.Provider) {
		if p != "" && !names.hasProvider(p) {
			bad("there is no provider %q%s", p, nearest(p, names.providerNames()))
		}
	}
	return errors.Join(errs...)
}

// general is the first of the shipped files whose rules look for words that are said of many things; those before it know one sentence, or one
// provider's.
const general = "rules/40"

// mayBeOutvoted reports whether the terms of a text may be heard against the rule: against one of general words, and against one that says that the
// recipient's address is bad; never against the user's, a provider's documented reply, or one that looks at what the terms do not tell.
func (r *Rule) mayBeOutvoted() bool {
	return !r.User && r.Provider == "" && len(r.Commands)+len(r.MTAs)+len(r.Statuses) == 0 && (r.File >= general || aboutRecipient(r.Category))
}

// input is what rules look at besides the literals.
type input struct {
	text     []byte
	code     [3]byte // zero bytes where there was no reply
	enhanced []byte
	class    byte // '4', '5', or 0
	command  string
	provider string // that answered: by its words, else by the relay's name
	relay    int32  // number of the provider behind the relay's name, -1 if none
	mta      string
	status   []byte
}

// conditions reports whether there are any for unmet to look at.
func (r *Rule) conditions() bool {
	return len(r.Codes)+len(r.Enhanced)+len(r.Classes)+len(r.Commands)+len(r.Providers)+len(r.MTAs)+len(r.Statuses) > 0
}

// unmet names the first condition other than literals and regexp that does not hold; empty if all do.
func (r *Rule) unmet(in *input) string {
	switch {
	case len(r.Codes) > 0 && !prefixed(r.Codes, in.code[:]):
		return "codes"
	case len(r.Enhanced) > 0 && (len(in.enhanced) < 3 || !prefixed(r.Enhanced, in.enhanced[2:])):
		return "enhanced"
	case len(r.Classes) > 0 && in.class != 0 && !slices.ContainsFunc(r.Classes, func(c string) bool { return c[0] == in.class }):
		return "classes"
	case len(r.Commands) > 0 && !slices.Contains(r.Commands, in.command):
		return "commands"
	case len(r.Providers) > 0 && !slices.Contains(r.Providers, in.provider):
		return "providers"
	case len(r.MTAs) > 0 && !slices.Contains(r.MTAs, in.mta):
		return "mtas"
	case len(r.Statuses) > 0 && !slices.ContainsFunc(r.Statuses, func(s string) bool { return string(in.status) == s }):
		return "statuses"
	}
	return ""
}

// maxNamed bounds how many values of a condition are named.
const maxNamed = 6

// asks says what a condition that does not hold asks for, and what there is instead.
func (r *Rule) asks(condition string, in *input) string {
	var wanted []string
	var is string
	switch condition {
	case "codes":
		wanted, is = r.Codes, string(bytes.Trim(in.code[:], "\x00"))
	case "enhanced":
		wanted, is = r.Enhanced, string(in.enhanced)
	case "classes":
		wanted, is = r.Classes, string(rune(in.class))
	case "commands":
		wanted, is = r.Commands, in.command
	case "providers":
		wanted, is = r.Providers, in.provider
	case "mtas":
		wanted, is = r.MTAs, in.mta
	case "statuses":
		wanted, is = r.Statuses, string(in.status)
	}
	if is == "" {
		is = "none"
	}
	list := strings.Join(wanted[:min(len(wanted), maxNamed)], ", ")
	if len(wanted) > maxNamed {
		list += ", ..."
	}
	return fmt.Sprintf("condition %s asks for %s, and there is %s", condition, list, is)
}

// lacks says which of its conditions a rule misses; empty if all hold.
func (s *ruleSet) lacks(r *Rule, in *input, f *found) string {
	if !hasAny(f, r.any) {
		return "none of the literals in any is in the text"
	}
	if !hasAny(f, r.with) {
		return "none of the literals in with is in the text"
	}
	for _, spelled := range r.all {
		if !hasAny(f, spelled) {
			return fmt.Sprintf("%q is not in the text", s.literals[spelled[0]])
		}
	}
	if n := s.acquitting.first(f); r.yields && n >= 0 {
		return fmt.Sprintf("%q is in the text, which tells of something else than the recipient", s.literals[n])
	}
	if r.yields && s.ofAnother(in.text, f) {
		return "the text says it of something else than the recipient"
	}
	for _, n := range r.none {
		if f.has(n) {
			return fmt.Sprintf("%q is in the text, which none forbids", s.literals[n])
		}
	}
	if c := r.unmet(in); c != "" {
		return r.asks(c, in)
	}
	if r.regexp != nil && !r.regexp.Match(in.text) {
		return "regexp does not match"
	}
	return ""
}

// hasAny reports whether one of the literals is found; of no literals it is asked nothing.
func hasAny(f *found, literals []int32) bool {
	for _, n := range literals {
		if f.has(n) {
			return true
		}
	}
	return len(literals) == 0
}

// prefixed reports whether the value is one of the words, or begins with one that stands for a group: a basic code's first
// digits, or an enhanced code's subject with its dot. 7.1 is not the beginning of 7.14.
func prefixed(words []string, v []byte) bool {
	for _, w := range words {
		if len(v) < len(w) || string(v[:len(w)]) != w {
			continue
		}
		if len(v) == len(w) || isGroup(w) {
			return true
		}
	}
	return false
}

func isGroup(w string) bool {
	return len(w) < 3 && (w[len(w)-1] == '.' || !strings.Contains(w, "."))
}
