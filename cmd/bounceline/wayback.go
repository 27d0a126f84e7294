package main

import (
	"fmt"
	"strings"

	"bounceline/pipeline/classify"
)

// guides are the tables of what can be done about a refusal.
type guides struct {
	ways      classify.Ways
	lists     classify.Blocklists
	providers classify.Providers
}

func newGuides() (guides, error) {
	ways, err := classify.NewWays()
	if err != nil {
		return guides{}, err
	}
	lists, err := classify.NewBlocklists()
	if err != nil {
		return guides{}, err
	}
	providers, err := classify.NewProviders()
	return guides{ways, lists, providers}, err
}

// of lists the ways back to a provider, by its name as reports have it.
func (g guides) of(provider string) []*classify.Way {
	var out []*classify.Way
	for i := range g.ways {
		if g.ways[i].Provider == provider {
			out = append(out, &g.ways[i])
		}
	}
	return out
}

// A wayBack is what those who refused a message document for having mail accepted again; either part is nil where there is
// nothing to tell.
type wayBack struct {
	list *classify.Blocklist
	way  *classify.Way
}

// back finds the way back from a reply of the provider that named the list. From a hard bounce there is none: it is the address
// that is at fault. A page that provider and list have in common is told once.
func (g guides) back(kind, provider, list, reply string, code uint16, enhanced string) wayBack {
	b := wayBack{list: g.lists.Find(list)}
	if kind != classify.Hard {
		b.way = g.ways.Find(provider, []byte(reply), code, enhanced)
	}
	if b.list != nil && b.way != nil && b.list.Page == b.way.Page {
		b.list = nil
	}
	return b
}

// print writes the way back in lines that fit the screen, but for the page, which stays whole.
func (b wayBack) print(out *screen) {
	if b.list != nil {
		paragraph(out, "    + ", b.list.Name+": "+b.list.Advice())
	}
	if w := b.way; w != nil {
		paragraph(out, "    + ", w.Provider+": "+w.Meaning+". "+capital(strings.Join(w.Steps, "; "))+".")
		fmt.Fprintf(out, "      %s\n", w.Page)
	}
}
