package classify

import (
	"slices"
	"strings"
)

// Bounce types.
const (
	Delivered = "delivered"
	General   = "general" // informational replies, 3xx
	Soft      = "soft"    // may succeed later, or for a reason that is not the address
	Hard      = "hard"    // the address or its domain takes no mail
	Block     = "block"   // the recipient is fine and the sending side was refused
)

// Severity says how much a bounce matters to whoever sends.
type Severity string

// Severities, from the least.
const (
	SeverityNone   Severity = "none"
	SeverityLow    Severity = "low"    // mends itself, or concerns one message
	SeverityMedium Severity = "medium" // costs an address or a destination
	SeverityHigh   Severity = "high"   // hits all mail until the sender does something
)

// A Category is one reason for a bounce: its type, which follows from the reply's class, and what to do about it.
type Category struct {
	Name      string
	Permanent string // type where the reply's class is 5
	Transient string // where it is 4
	Local     string // where no reply was received; empty: Transient if the message stays in the queue, else Permanent
	Action    string
	Severity  Severity
	Lists     bool // a reply may name a blocklist
	Waits     bool // a reply may say how long to wait
	Meaning   string
	Advice    string
	Elsewhere Equivalents
}

// Equivalents are the words of other systems for a category; empty where a system has none.
type Equivalents struct{ Sisimai, KumoMTA, PowerMTA, SparkPost, SES, SendGrid string }

// A Word is what a system calls a category.
type Word struct{ System, Word string }

// Words lists what other systems call a category, for those that have a word.
func (e Equivalents) Words() []Word {
	return slices.DeleteFunc([]Word{{"Sisimai", e.Sisimai}, {"KumoMTA", e.KumoMTA}, {"PowerMTA", e.PowerMTA}, {"SparkPost", e.SparkPost}, {"SES", e.SES}, {"SendGrid", e.SendGrid}},
		func(w Word) bool { return w.Word == "" })
}

// Elsewhere lists the categories that some other system calls by the word, capitals aside.
func Elsewhere(word string) (out []*Category) {
	for i := range Categories {
		if slices.ContainsFunc(Categories[i].Elsewhere.Words(), func(w Word) bool {
			between := ",()"
			if w.System == "SparkPost" { // numbers
				between = "/"
			}
			return slices.ContainsFunc(strings.FieldsFunc(w.Word, func(r rune) bool { return strings.ContainsRune(between, r) }), func(one string) bool {
				return word != "" && strings.EqualFold(strings.TrimSpace(one), word)
			})
		}) {
			out = append(out, &Categories[i])
		}
	}
	return out
}

var byName = func() map[string]*Category {
	m := make(map[string]*Category, len(Categories))
	for i := range Categories {
		m[Categories[i].Name] = &Categories[i]
	}
	return m
}()

// Lookup returns the category of a name, or nil.
func Lookup(name string) *Category { return byName[name] }

// Advice returns what to do about a category; empty for a name that is none.
func Advice(category string) string {
	if c := byName[category]; c != nil {
		return c.Advice
	}
	return ""
}

func categoryNames() []string {
	names := make([]string, len(Categories))
	for i := range Categories {
		names[i] = Categories[i].Name
	}
	return names
}
