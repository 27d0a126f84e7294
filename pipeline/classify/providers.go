package classify

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"bounceline/configs"
	"bounceline/pipeline/record"
)

// A Provider runs mailboxes or a gateway before them.
type Provider struct {
	Name       string
	Relays     []string // domains of its mail servers
	Domains    []string // domains of its mailboxes
	Servers    []string // domains of its servers as it names them in its replies
	Pages      []string // domains of the pages that its replies point to
	Signatures []string // literals that only its replies hold
	Line       int
}

var providerKeys = []key[Provider]{
	{"name", text(func(p *Provider) *string { return &p.Name })},
	{"relays", words(func(p *Provider) *[]string { return &p.Relays })},
	{"domains", words(func(p *Provider) *[]string { return &p.Domains })},
	{"servers", words(func(p *Provider) *[]string { return &p.Servers })},
	{"pages", words(func(p *Provider) *[]string { return &p.Pages })},
	{"signatures", words(func(p *Provider) *[]string { return &p.Signatures })},
}

// nameTables say who is behind a name. They are immutable.
type nameTables struct {
	providers  []Provider
	blocklists []Blocklist
	domains    domains
}

// newNameTables reads the two tables, configs/providers.yaml and configs/blocklists.yaml.
func newNameTables(providers, blocklists []byte) (*nameTables, error) {
	t := &nameTables{domains: domains{byTail: map[termHash][]domain{}}}
	var errs []error
	var err error
	t.providers, err = decodeTable("providers.yaml", providers, providerKeys, func(p *Provider, n *yaml.Node) { p.Line = n.Line })
	errs = append(errs, err)
	t.blocklists, err = decodeTable("blocklists.yaml", blocklists, blocklistKeys, func(b *Blocklist, n *yaml.Node) { b.Line = n.Line })
	errs = append(errs, err)
	add := func(names []string, as role, v int32, where string) {
		for _, d := range names {
			if err := t.domains.add(d, as, v); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", where, err))
			}
		}
	}
	for i, p := range t.providers {
		where := fmt.Sprintf("providers.yaml:%d: %s", p.Line, p.Name)
		add(p.Relays, relay, int32(i), where)
		add(p.Domains, mailbox, int32(i), where)
		add(p.Servers, server, int32(i), where)
		add(p.Pages, page, int32(i), where)
	}
	for i, b := range t.blocklists {
		add(b.Domains, list, int32(i), fmt.Sprintf("blocklists.yaml:%d: %s", b.Line, b.Name))
	}
	return t, errors.Join(errs...)
}

// Providers is the table of providers, for people who name one.
type Providers []Provider

// NewProviders reads the table that bounceline ships.
func NewProviders() (Providers, error) {
	return decodeTable("providers.yaml", configs.Providers, providerKeys, func(p *Provider, n *yaml.Node) { p.Line = n.Line })
}

// About returns the names of the providers that a person means, as column provider has them: by a name, whatever its capitals, by
// a domain of mailboxes or mail servers, and by what people say for those: gmail, hotmail, yahoo, microsoft.
func (ps Providers) About(what string) []string {
	what = strings.ToLower(strings.TrimSpace(what))
	begins := func(domain string) bool { return strings.HasPrefix(domain, what+".") }
	word := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	for _, means := range []func(*Provider) bool{
		func(p *Provider) bool { return strings.ToLower(p.Name) == what },
		func(p *Provider) bool { return slices.Contains(p.Domains, what) },
		func(p *Provider) bool { return slices.Contains(p.Relays, what) },
		func(p *Provider) bool { return slices.Contains(p.Domains, what+".com") },
		func(p *Provider) bool {
			return slices.Contains(strings.FieldsFunc(strings.ToLower(p.Name), word), what)
		},
		func(p *Provider) bool {
			return slices.ContainsFunc(p.Domains, begins) || slices.ContainsFunc(p.Relays, begins)
		},
	} {
		var names []string
		for i := range ps {
			if means(&ps[i]) && !slices.Contains(names, ps[i].Name) {
				names = append(names, ps[i].Name)
			}
		}
		if what != "" && names != nil {
			return names
		}
	}
	return nil
}

// Names are those of all providers.
func (ps Providers) Names() []string {
	names := make([]string, len(ps))
	for i := range ps {
		names[i] = ps[i].Name
	}
	return names
}

// decodeTable reads a list of mappings.
func decodeTable[T any](name string, data []byte, keys []key[T], each func(*T, *yaml.Node)) ([]T, error) {
	list, err := sequence(name, data)
	if err != nil {
		return nil, err
	}
	var errs []error
	out := make([]T, len(list))
	for i, n := range list {
		each(&out[i], n)
		if err := decodeMapping(n, keys, &out[i]); err != nil {
			errs = append(errs, prefixLines(name, err))
		}
	}
	return out, errors.Join(errs...)
}

// provider is who runs the recipient's mailbox or its gateway: the provider behind the relay's name, else by the recipient's
// domain; -1 if neither tells.
func (t *nameTables) provider(r *record.Row, relay int32) int32 {
	if relay >= 0 {
		return relay
	}
	return t.domains.near(record.Domain(r.Recipient)).find(mailbox)
}

func (t *nameTables) name(p int32) string {
	if p < 0 {
		return ""
	}
	return t.providers[p].Name
}

// relay is the provider behind a relay's name, -1 if none.
func (t *nameTables) relay(host []byte) int32 { return t.domains.near(host).find(relay) }

func (t *nameTables) hasProvider(n string) bool { return slices.Contains(t.providerNames(), n) }

func (t *nameTables) providerNames() []string { return Providers(t.providers).Names() }

// A role is what a domain is known as.
type role uint8

const (
	relay role = iota
	mailbox
	server
	page
	list // of senders
)

// domains are those that are known.
type domains struct {
	filter [1 << 8]uint64        // a bit for each hash's low bits that is in the table: most hosts are not
	byTail map[termHash][]domain // by the hash of their last two labels, the longest first
}

type domain struct {
	name  string
	role  role
	value int32
}

func (d *domains) add(name string, as role, value int32) error {
	if name != strings.ToLower(name) || !strings.Contains(name, ".") || strings.HasPrefix(name, ".") {
		return fmt.Errorf("%q is no domain in lower case of two labels or more", name)
	}
	tail := lastLabels([]byte(name))
	if slices.ContainsFunc(d.byTail[tail], func(v domain) bool { return v.name == name && v.role == as }) {
		return fmt.Errorf("%s stands in the table twice", name)
	}
	d.filter[tail>>6%termHash(len(d.filter))] |= 1 << (tail % 64)
	d.byTail[tail] = append(d.byTail[tail], domain{name, as, value})
	slices.SortStableFunc(d.byTail[tail], func(a, b domain) int { return len(b.name) - len(a.name) })
	return nil
}

// A neighbourhood is a host and the known domains that may end in the same two labels.
type neighbourhood struct {
	host  []byte
	known []domain
}

// near looks once for all that may be known of a host.
func (d *domains) near(host []byte) neighbourhood {
	for len(host) > 0 && host[len(host)-1] == '.' {
		host = host[:len(host)-1]
	}
	if len(host) == 0 {
		return neighbourhood{}
	}
	tail := lastLabels(host)
	if d.filter[tail>>6%termHash(len(d.filter))]>>(tail%64)&1 == 0 {
		return neighbourhood{}
	}
	return neighbourhood{host, d.byTail[tail]}
}

// find returns the value of the longest domain of that role which the host is, or is below; -1 if there is none.
func (n neighbourhood) find(as role) int32 {
	for i := range n.known {
		d := &n.known[i]
		if under := len(n.host) - len(d.name); d.role == as && (under == 0 || under > 0 && n.host[under-1] == '.') && equalFold(n.host[under:], d.name) {
			return d.value
		}
	}
	return -1
}

// lastLabels is a hash of the last two labels of a host, the same for capitals and small letters.
func lastLabels(host []byte) termHash {
	if i := bytes.LastIndexByte(host, '.'); i >= 0 {
		host = host[bytes.LastIndexByte(host[:i], '.')+1:]
	}
	h := firstHash
	for len(host) > 8 {
		h, host = h.add(eightOf(host)|' '*eachByte), host[8:]
	}
	return h.add(eightOf(host) | ' '*eachByte)
}

// equalFold compares with a word in lower case.
func equalFold(b []byte, word string) bool {
	for i, c := range b {
		if lower[c] != word[i] {
			return false
		}
	}
	return true
}
