package classify

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// localPart is where in the output an address begins whose word begins at start: what may stand in a local part and not in a
// word belongs to it (RFC 5322, section 3.2.3).
func (w *normaliser) localPart(start int, word []byte, bits uint8) int {
	if bits&divider != 0 {
		if i := bytes.LastIndexByte(word[:bytes.IndexByte(word, '@')], ':'); i >= 0 {
			return start + i + 1
		}
	}
	if word[0] == '@' && w.out[start-1] == '"' {
		for i := start - 2; i > 0 && i > start-64; i-- {
			if w.out[i] == '"' {
				return i
			}
		}
	}
	for start > 1 {
		_, wide := utf8.DecodeLastRune(w.out[:start])
		if wide > 1 && letterBeyond(w.out[start-wide:start]) == 0 || wide == 1 && byteClass(w.out[start-1])&(letter|digit|dot|joiner) == 0 && bytes.IndexByte(addressSigns, w.out[start-1]) < 0 {
			break
		}
		start -= wide
	}
	return start
}

// letterBeyond is the length of the letter at the start of a text if it is one of Latin, Greek or Cyrillic that is not ASCII, else 0.
// Texts in other scripts write no blanks around addresses, so what stands beside one there is no part of it.
func letterBeyond(text []byte) int {
	if len(text) == 0 || text[0] < utf8.RuneSelf {
		return 0
	}
	if r, n := utf8.DecodeRune(text); r < 0x530 && n == 2 && unicode.IsLetter(r) {
		return n
	}
	return 0
}

var addressSigns = []byte("!#$&*?^`{|}~")

// foldRune appends the character at the start of text in lower case, and returns its length. What typesetting makes of blanks,
// hyphens and quotation marks becomes them again, for people paste replies from pages. Invalid bytes stay.
func (w *normaliser) foldRune(text []byte) int {
	r, n := utf8.DecodeRune(text)
	if plain, ok := typeset(r); ok {
		if plain != 0 && (plain != ' ' || w.out[len(w.out)-1] != ' ') {
			w.out = append(w.out, plain)
		}
		return n
	}
	if r < 0x530 && n == 2 { // Latin, Greek and Cyrillic
		if l := unicode.ToLower(r); l != r && utf8.RuneLen(l) == n {
			w.out = utf8.AppendRune(w.out, l)
			return n
		}
	}
	w.out = append(w.out, text[:n]...)
	return n
}
