package classify

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxSpellings bounds how many literals one literal may stand for.
const maxSpellings = 32

// spellings are groups of ways to write the same words.
type spellings [][]string

// newSpellings reads configs/spellings.yaml.
func newSpellings(data []byte) (spellings, error) {
	var out spellings
	d := yaml.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&out); err != nil {
		return nil, fmt.Errorf("spellings.yaml: %w", err)
	}
	var errs []error
	for _, group := range out {
		for i, form := range group {
			switch {
			case form == "" || form != strings.ToLower(form):
				errs = append(errs, fmt.Errorf("spellings.yaml: %q is empty or has capitals", form))
			case slices.ContainsFunc(group[:i], func(o string) bool { return strings.Contains(o, form) || strings.Contains(form, o) }):
				errs = append(errs, fmt.Errorf("spellings.yaml: of the group of %q one form holds another", form))
			}
		}
	}
	return out, errors.Join(errs...)
}

// of returns the literal and its other spellings, maxSpellings at the most, as normalise leaves them.
func (s spellings) of(literal string) []string {
	out := []string{literal}
	for _, group := range s {
		for _, from := range group {
			if !strings.Contains(literal, from) {
				continue
			}
			for _, l := range out[:len(out):len(out)] {
				for _, to := range group {
					if to != from && len(out) < maxSpellings {
						out = append(out, strings.ReplaceAll(l, from, to))
					}
				}
			}
			break
		}
	}
	for _, l := range out[:len(out):len(out)] {
		if bare := strings.ReplaceAll(l, "'", ""); bare != l && len(out) < maxSpellings && !slices.Contains(out, bare) {
			out = append(out, bare)
		}
	}
	for _, l := range out[:len(out):len(out)] {
		if ascii := inASCII.Replace(l + " "); ascii != l+" " {
			out = append(out, ascii[:len(ascii)-1])
		}
	}
	for i, l := range out {
		out[i] = withoutMarks(withoutContractions(l))
	}
	return distinct(out)
}

// inASCII writes letters with two of ASCII, as Germans and Scandinavians do where they have no others, and Italians the accent at
// the end of a word: ueberlastet, foer, e' pieno.
var inASCII = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "å", "aa", "ø", "oe", "à ", "a' ", "è ", "e' ", "é ", "e' ", "ì ", "i' ", "ò ", "o' ", "ù ", "u' ")

// distinct removes repetitions; the first stays.
func distinct(words []string) []string {
	out := words[:0]
	for _, w := range words {
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// withoutContractions writes the contractions of a literal in full, as normalise does. One that begins in the middle of a word,
// such as "n't want", begins with the second word then.
func withoutContractions(l string) string {
	if !strings.Contains(l, "n't") {
		return l
	}
	out := []byte(" ") // so that the first word has a beginning
	for i := 0; i < len(l); i++ {
		switch {
		case l[i] == '\'' && contraction(out, []byte(l[i+1:])):
			out = inFull(out)
			i++
		case strings.HasPrefix(l, "n't") && i == 0:
			out = append(out, "not"...)
			i = len("n't") - 1
		default:
			out = append(out, l[i])
		}
	}
	return string(out[1:])
}
