package classify

import (
	"bytes"
	"strings"
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

// ofStaff reports whether an address, behind what is written before it, is that of those who run a server, and not somebody's to write to instead:
// please contact postmaster@example.org.
func ofStaff(before, address []byte) bool {
	before = bytes.TrimSuffix(before, []byte("<"))
	if !bytes.HasSuffix(before, []byte(" contact ")) {
		return false
	}
	local := bytes.TrimPrefix(address[:bytes.IndexByte(address, '@')], []byte("mailto:"))
	for _, s := range staff {
		if bytes.EqualFold(local, s) {
			return true
		}
	}
	return false
}

var staff = asBytes("postmaster", "abuse", "support", "admin", "administrator", "hostmaster", "helpdesk", "help", "root", "noc", "mailadmin", "unblock", "security")

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

// foldRune appends the character at the start of text in lower case and without marks, and returns its length. What typesetting
// makes of blanks, hyphens and quotation marks becomes them again, for people paste replies from pages. Invalid bytes stay.
func (w *normaliser) foldRune(text []byte) int {
	r, n := utf8.DecodeRune(text)
	if plain, ok := typeset(r); ok {
		if plain != 0 && (plain != ' ' || w.out[len(w.out)-1] != ' ') {
			w.out = append(w.out, plain)
		}
		return n
	}
	if bare := bareLetter(r); bare != "" {
		w.out = append(w.out, bare...)
		return n
	}
	w.out = append(w.out, text[:n]...)
	return n
}

// withoutMarks is a literal as foldRune leaves it.
func withoutMarks(literal string) string {
	var out strings.Builder
	for _, r := range literal {
		if bare := bareLetter(r); bare != "" {
			out.WriteString(bare)
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

// bareLetter is a letter of Latin, Greek or Cyrillic beyond ASCII as rules see it: in lower case, and without the marks that many
// servers and people leave out. é is e, ß is ss, ό is ο. It is never longer in bytes; empty for all else.
func bareLetter(r rune) string {
	switch {
	case r < latin1 || r >= moreLatin+moreLatinSize:
		return ""
	case r < lettersEnd:
		return bareLetters[r-latin1]
	case r >= moreLatin:
		return bareLetters[r-moreLatin+lettersEnd-latin1]
	}
	return ""
}

// The blocks of Unicode with these letters: from Latin-1 to Cyrillic, and Latin Extended Additional, in which Vietnamese is.
const latin1, lettersEnd, moreLatin, moreLatinSize = 0xc0, 0x530, 0x1e00, 0x100

var bareLetters = func() (bare [lettersEnd - latin1 + moreLatinSize]string) {
	of := map[rune]string{'ß': "ss", 'æ': "ae", 'œ': "oe", 'þ': "th"}
	for _, letters := range lettersWithMarks {
		base, n := utf8.DecodeRuneInString(letters)
		for _, r := range letters[n:] {
			of[r] = string(base)
		}
	}
	for i := range bare {
		r := rune(i) + latin1
		if r >= lettersEnd {
			r += moreLatin - lettersEnd
		}
		low := unicode.ToLower(r)
		if letter := of[low]; letter != "" {
			bare[i] = letter
		} else if low != r && utf8.RuneLen(low) <= utf8.RuneLen(r) {
			bare[i] = string(low)
		}
	}
	return bare
}()

// lettersWithMarks are letters, each followed by what it is with marks.
var lettersWithMarks = []string{"aàáâãäåāăąǎạảấầẩẫậắằẳẵặ", "cçćĉċč", "dďđð", "eèéêëēĕėęěẹẻẽếềểễệ", "gĝğġģǧ", "hĥħ", "iìíîïĩīĭįıǐỉị", "jĵ", "kķǩ", "lĺļľŀł",
	"nñńņňŉ", "oòóôõöøōŏőơǒọỏốồổỗộớờởỡợ", "rŕŗř", "sśŝşšș", "tţťŧț", "uùúûüũūŭůűųưǔụủứừửữự", "wŵ", "yýÿŷỳỵỷỹ", "zźżž",
	"αά", "εέ", "ηή", "ιίϊΐ", "οό", "σς", "υύϋΰ", "ωώ", "её"}
