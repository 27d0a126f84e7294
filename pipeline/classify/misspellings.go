package classify

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// misspellings are words that servers misspell, and what they mean.
type misspellings map[string]string

// newMisspellings reads configs/misspellings.yaml.
func newMisspellings(data []byte) (misspellings, error) {
	var groups map[string][]string
	if err := yaml.Unmarshal(data, &groups); err != nil {
		return nil, fmt.Errorf("misspellings.yaml: %w", err)
	}
	m := misspellings{}
	var errs []error
	for meant, wrong := range groups {
		for _, w := range wrong {
			switch before, known := m[w]; {
			case wordEnd([]byte(w), 0) != len(w) || len(w) == 0:
				errs = append(errs, fmt.Errorf("misspellings.yaml: %q is not a word of small letters", w))
				continue
			case known:
				errs = append(errs, fmt.Errorf("misspellings.yaml: %q cannot mean both %s and %s", w, before, meant))
			case groups[w] != nil:
				errs = append(errs, fmt.Errorf("misspellings.yaml: %q is itself meant by others", w))
			}
			m[w] = meant
		}
	}
	return m, errors.Join(errs...)
}

// corrected appends the text to out with each misspelt word as it is meant. Where none is, it returns nil and leaves out alone. It also
// returns what becomes of a place in the text, which is not within a word.
func (m misspellings) corrected(out, text []byte, place int) ([]byte, int) {
	done, moved := 0, place
	for i := 0; i < len(text); i++ {
		if !smallLetter(text[i]) {
			if text[i] >= 0x80 { // a word of another language goes on behind it
				i = wordEnd(text, i+1) - 1
			}
			continue
		}
		end := wordEnd(text, i)
		if meant, ok := m[string(text[i:end])]; ok && (end == len(text) || text[end] < 0x80) {
			out = append(append(out, text[done:i]...), meant...)
			if done = end; end <= place {
				moved += len(meant) - (end - i)
			}
		}
		i = end - 1
	}
	if done == 0 {
		return nil, place
	}
	return append(out, text[done:]...), moved
}

// withMeant adds to literals the words as they are meant: a literal in which one is misspelt finds nothing else, for no text has it then, unless it
// is the beginning of a longer word.
func (m misspellings) withMeant(literals []string) []string {
	for _, l := range literals[:len(literals):len(literals)] {
		if out, _ := m.corrected(nil, []byte(l), 0); out != nil {
			literals = append(literals, string(out))
		}
	}
	return distinct(literals)
}

// hasWord reports whether the word stands in the text, of small letters as it is, with no other letter beside it.
func hasWord(text []byte, word string) bool {
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(word))
		if i < 0 {
			return false
		}
		start, end := at+i, at+i+len(word)
		if (start == 0 || !letterPart(text[start-1])) && (end == len(text) || !letterPart(text[end])) {
			return true
		}
		at = end
	}
}

// wordEnd is where the small letters end that stand in the text from i on.
func wordEnd(text []byte, i int) int {
	for i < len(text) && smallLetter(text[i]) {
		i++
	}
	return i
}

// letterPart reports whether a byte of a normalised text is a letter, or a part of one that is not ASCII.
func letterPart(c byte) bool { return smallLetter(c) || c >= utf8.RuneSelf }

func smallLetter(c byte) bool { return 'a' <= c && c <= 'z' }

// correct puts the words that are meant in the place of misspelt ones, and reports whether there were any.
func (n *normalised) correct(m misspellings) bool {
	out, cut := m.corrected(n.spare[:0], n.text, n.cut)
	if out == nil {
		return false
	}
	n.text, n.spare, n.cut = out, n.text, cut
	return true
}
