package classify

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

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

// A Blocklist lists senders.
type Blocklist struct {
	Name    string
	Domains []string // of its zones and pages
	Words   []string // literals that name it
	Line    int
}

var blocklistKeys = []key[Blocklist]{
	{"name", text(func(b *Blocklist) *string { return &b.Name })},
	{"domains", words(func(b *Blocklist) *[]string { return &b.Domains })},
	{"words", words(func(b *Blocklist) *[]string { return &b.Words })},
}

// nameTables say who is behind a name. They are immutable.
type nameTables struct {
	providers  []Provider
	blocklists []Blocklist
	relays     domains
	mailboxes  domains
	servers    domains
	pages      domains
	lists      domains
}

// newNameTables reads the two tables, configs/providers.yaml and configs/blocklists.yaml.
func newNameTables(providers, blocklists []byte) (*nameTables, error) {
	t := &nameTables{}
	var errs []error
	list, err := decodeTable("providers.yaml", providers, providerKeys, func(p *Provider, n *yaml.Node) { p.Line = n.Line })
	errs = append(errs, err)
	t.providers = list
	lists, err := decodeTable("blocklists.yaml", blocklists, blocklistKeys, func(b *Blocklist, n *yaml.Node) { b.Line = n.Line })
	errs = append(errs, err)
	t.blocklists = lists
	add := func(to *domains, names []string, v int32, where string) {
		for _, d := range names {
			if err := to.add(d, v); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", where, err))
			}
		}
	}
	for i, p := range t.providers {
		where := fmt.Sprintf("providers.yaml:%d: %s", p.Line, p.Name)
		add(&t.relays, p.Relays, int32(i), where)
		add(&t.mailboxes, p.Domains, int32(i), where)
		add(&t.servers, p.Servers, int32(i), where)
		add(&t.pages, p.Pages, int32(i), where)
	}
	for i, b := range t.blocklists {
		add(&t.lists, b.Domains, int32(i), fmt.Sprintf("blocklists.yaml:%d: %s", b.Line, b.Name))
	}
	return t, errors.Join(errs...)
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

// provider is who runs the recipient's mailbox or its gateway: by the relay's name, else by the recipient's domain; -1 if
// neither tells.
func (t *nameTables) provider(r *record.Row) int32 {
	if p := t.relays.find(r.RelayHost); p >= 0 {
		return p
	}
	return t.mailboxes.find(record.Domain(r.Recipient))
}

func (t *nameTables) name(p int32) string {
	if p < 0 {
		return ""
	}
	return t.providers[p].Name
}

func (t *nameTables) isList(host []byte) bool   { return t.lists.find(host) >= 0 }
func (t *nameTables) page(host []byte) int32    { return t.pages.find(host) }
func (t *nameTables) server(host []byte) int32  { return t.servers.find(host) }
func (t *nameTables) hasProvider(n string) bool { return slices.Contains(t.providerNames(), n) }

func (t *nameTables) providerNames() []string {
	names := make([]string, len(t.providers))
	for i := range t.providers {
		names[i] = t.providers[i].Name
	}
	return names
}

// domains finds the longest of a set of domains that a host is, or is below. It is keyed by the last two labels.
type domains struct {
	by map[string][]domainValue // the longest first
}

type domainValue struct {
	domain string
	value  int32
}

func (d *domains) add(domain string, value int32) error {
	if domain != strings.ToLower(domain) || !strings.Contains(domain, ".") || strings.HasPrefix(domain, ".") {
		return fmt.Errorf("%q is no domain in lower case of two labels or more", domain)
	}
	if d.by == nil {
		d.by = map[string][]domainValue{}
	}
	tail := domain[lastLabels([]byte(domain)):]
	list := d.by[tail]
	if slices.ContainsFunc(list, func(v domainValue) bool { return v.domain == domain }) {
		return fmt.Errorf("%s stands in the table twice", domain)
	}
	list = append(list, domainValue{domain, value})
	slices.SortFunc(list, func(a, b domainValue) int { return len(b.domain) - len(a.domain) })
	d.by[tail] = list
	return nil
}

// find returns the value of the longest domain, -1 if there is none.
func (d *domains) find(host []byte) int32 {
	for len(host) > 0 && host[len(host)-1] == '.' {
		host = host[:len(host)-1]
	}
	if len(host) == 0 {
		return -1
	}
	var buf [64]byte
	tail := host[lastLabels(host):]
	if len(tail) > len(buf) {
		return -1
	}
	folded := buf[:len(tail)]
	for i, c := range tail {
		folded[i] = lower[c]
	}
	for _, v := range d.by[string(folded)] {
		if n := len(host) - len(v.domain); n == 0 || n > 0 && host[n-1] == '.' {
			if equalFold(host[n:], v.domain) {
				return v.value
			}
		}
	}
	return -1
}

// lastLabels is where the last two labels of a host begin.
func lastLabels(host []byte) int {
	i := bytes.LastIndexByte(host, '.')
	if i < 0 {
		return 0
	}
	return bytes.LastIndexByte(host[:i], '.') + 1
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
