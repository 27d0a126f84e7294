package classify

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"bounceline/configs"
)

// A Blocklist lists senders.
type Blocklist struct {
	Name    string
	Domains []string // of its zones and pages
	Words   []string // literals that name it
	Page    string   // its own page to look an address or domain up at, and to ask for removal
	Ended   string   // the year in which the list was given up; empty while it is kept
	Line    int
}

var blocklistKeys = []key[Blocklist]{
	{"name", text(func(b *Blocklist) *string { return &b.Name })},
	{"domains", words(func(b *Blocklist) *[]string { return &b.Domains })},
	{"words", words(func(b *Blocklist) *[]string { return &b.Words })},
	{"page", text(func(b *Blocklist) *string { return &b.Page })},
	{"ended", text(func(b *Blocklist) *string { return &b.Ended })},
}

// Advice says what to do about an entry in the list, with the list's page.
func (b *Blocklist) Advice() string {
	if b.Ended != "" {
		return "the list ended in " + b.Ended + "; ask the receiver to stop using it: " + b.Page
	}
	return "look up and delist here: " + b.Page
}

// Blocklists is the table of blocklists.
type Blocklists []Blocklist

// NewBlocklists reads the table that bounceline ships.
func NewBlocklists() (Blocklists, error) {
	lists, err := decodeTable("blocklists.yaml", configs.Blocklists, blocklistKeys, func(b *Blocklist, n *yaml.Node) { b.Line = n.Line })
	errs := []error{err}
	for _, b := range lists {
		if b.Name == "" || !isPage(b.Page) || len(b.Domains)+len(b.Words) == 0 {
			errs = append(errs, fmt.Errorf("blocklists.yaml:%d: an entry needs a name, domains or words, and a page", b.Line))
		}
	}
	return lists, errors.Join(errs...)
}

// Find returns the list of a name as it is stored in column list_name, nil if there is none.
func (bs Blocklists) Find(name string) *Blocklist {
	if i := slices.IndexFunc(bs, func(b Blocklist) bool { return b.Name == name }); i >= 0 && name != "" {
		return &bs[i]
	}
	return nil
}

// About returns the list that a person means: by its name, or by one of its zones or a host below it. Nil if there is none.
func (bs Blocklists) About(what string) *Blocklist {
	var found *Blocklist
	longest := 0
	what = strings.ToLower(strings.TrimSuffix(what, "."))
	for i := range bs {
		if strings.ToLower(bs[i].Name) == what {
			return &bs[i]
		}
		for _, d := range bs[i].Domains {
			if (what == d || strings.HasSuffix(what, "."+d)) && len(d) > longest {
				found, longest = &bs[i], len(d)
			}
		}
	}
	return found
}
