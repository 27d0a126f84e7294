package classify

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"bounceline/configs"
)

// A Way is the way back to a provider that refuses mail: what a code of it means, what to do, in order, and the provider's own
// page about it.
type Way struct {
	Provider string
	Codes    []string // enhanced or basic codes, or ranges of enhanced ones
	Tokens   []string // literals that the provider's replies hold
	Meaning  string
	Steps    []string
	Page     string
	Line     int
}

// Signs are the codes and tokens by which a reply gets the way, as the provider's pages write them: S3140, TSS04.
func (w *Way) Signs() []string {
	out := slices.Clone(w.Codes)
	for _, t := range w.Tokens {
		t = strings.Trim(t, " ;[]()")
		if strings.ContainsAny(t, "0123456789") {
			t = strings.ToUpper(t)
		}
		out = append(out, t)
	}
	return out
}

var wayKeys = []key[Way]{
	{"provider", text(func(w *Way) *string { return &w.Provider })},
	{"codes", words(func(w *Way) *[]string { return &w.Codes })},
	{"tokens", words(func(w *Way) *[]string { return &w.Tokens })},
	{"meaning", text(func(w *Way) *string { return &w.Meaning })},
	{"steps", words(func(w *Way) *[]string { return &w.Steps })},
	{"page", text(func(w *Way) *string { return &w.Page })},
}

// Ways is the table of ways back.
type Ways []Way

// NewWays reads the table that bounceline ships.
func NewWays() (Ways, error) {
	ways, err := decodeTable("wayback.yaml", configs.WayBack, wayKeys, func(w *Way, n *yaml.Node) { w.Line = n.Line })
	errs := []error{err}
	for _, w := range ways {
		if w.Provider == "" || w.Meaning == "" || len(w.Steps) == 0 || !isPage(w.Page) || len(w.Codes)+len(w.Tokens) == 0 {
			errs = append(errs, fmt.Errorf("wayback.yaml:%d: an entry needs a provider, codes or tokens, a meaning, steps and a page", w.Line))
		}
		for _, t := range w.Tokens {
			if t == "" || t != strings.ToLower(t) {
				errs = append(errs, fmt.Errorf("wayback.yaml:%d: token %q must be in lower case", w.Line, t))
			}
		}
	}
	return ways, errors.Join(errs...)
}

// isPage reports whether a table's link to a page is one. Some providers have none over TLS.
func isPage(link string) bool {
	return strings.HasPrefix(link, "https://") || strings.HasPrefix(link, "http://")
}

// Find returns the way back for a refusal: by a token in the reply, else by the provider and its codes. Nil if there is none.
// The basic code may be 0 and the enhanced code empty.
func (ws Ways) Find(provider string, reply []byte, basic uint16, enhanced string) *Way {
	folded := bytes.ToLower(reply[:min(len(reply), maxText)])
	for i := range ws {
		for _, t := range ws[i].Tokens {
			if bytes.Contains(folded, []byte(t)) {
				return &ws[i]
			}
		}
	}
	if provider == "" {
		return nil
	}
	for i := range ws {
		if ws[i].Provider != provider {
			continue
		}
		for _, c := range ws[i].Codes {
			if enhanced != "" && codeWithin(c, enhanced) || basic != 0 && c == strconv.Itoa(int(basic)) {
				return &ws[i]
			}
		}
	}
	return nil
}

// About lists the ways that concern an enhanced code or a token, as a person types it: 5.7.26, S3140, TSS04. A basic code alone
// says too little.
func (ws Ways) About(code string) []*Way {
	var out []*Way
	if len(code) <= 3 && strings.Trim(code, "0123456789") == "" {
		return nil
	}
	folded := strings.ToLower(strings.Trim(code, "[]()"))
	for i := range ws {
		hit := false
		for _, c := range ws[i].Codes {
			hit = hit || codeWithin(c, folded)
		}
		for _, t := range ws[i].Tokens {
			t = strings.Trim(t, "[]() ")
			hit = hit || len(folded) > 2 && (strings.HasPrefix(folded, t) || strings.HasPrefix(t, folded))
		}
		if hit {
			out = append(out, &ws[i])
		}
	}
	return out
}

// codeWithin reports whether a code is the one that is named, or is in the range: 5.7.606-5.7.649.
func codeWithin(named, code string) bool {
	from, to, isRange := strings.Cut(named, "-")
	if !isRange {
		return named == code
	}
	i := strings.LastIndexByte(from, '.')
	j := strings.LastIndexByte(code, '.')
	if j < 0 || from[:i] != code[:j] {
		return false
	}
	low, _ := strconv.Atoi(from[i+1:])
	high, _ := strconv.Atoi(to[strings.LastIndexByte(to, '.')+1:])
	n, err := strconv.Atoi(code[j+1:])
	return err == nil && low <= n && n <= high
}
