package classify

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// What a byte of a word is.
const (
	letter uint8 = 1 << iota
	digit
	dot
	atSign
	divider // : / =
	joiner  // - _ + %
	capital
)

const (
	wordByte = letter | digit | dot | atSign | divider | joiner | capital
	special  = digit | dot | atSign | divider // only words with one of these are ever masked
)

type byteEntry struct{ class, low byte }

// byteTable has for each byte what it is in a word, 0 for what ends one, and the byte in lower case; lower the latter alone.
var byteTable, lower = func() (table [256]byteEntry, low [256]byte) {
	for c := range 256 {
		t := &table[c]
		t.low = byte(c)
		switch {
		case 'a' <= c && c <= 'z':
			t.class = letter
		case 'A' <= c && c <= 'Z':
			t.class = letter | capital
			t.low = byte(c) + 'a' - 'A'
		case '0' <= c && c <= '9':
			t.class = digit
		case c < 0x20, c == 0x7f:
			t.low = ' '
		}
		low[c] = t.low
	}
	for c, bits := range map[byte]uint8{'.': dot, '@': atSign, ':': divider, '/': divider, '=': divider, '-': joiner, '_': joiner, '+': joiner, '%': joiner} {
		table[c].class = bits
	}
	return table, low
}()

func byteClass(c byte) uint8 { return byteTable[c].class }

// plainWords copies what of the text is letters and single blanks, in lower case, behind the first byte of out, which stands
// before the text. It returns how much that is, and where in it the last word begins. It looks at eight bytes at a time, each
// in its part of a number, and so leaves up to seven at the end of the text.
func plainWords(out, text []byte) (n, word int) {
	const each, high = eachByte, highBits
	before := uint64(0) // set if a blank stands before the eight
	if out[0] == ' ' {
		before = 0x80
	}
	for n+8 <= len(text) {
		eight := binary.LittleEndian.Uint64(text[n:])
		folded := eight | ' '*each
		binary.LittleEndian.PutUint64(out[n+1:], folded)

		// The high bit of each byte says whether it is a letter, whether it is a blank, and whether it is neither or a blank
		// behind a blank. No addition carries over into the next byte.
		letters := lettersOf(folded) &^ eight
		other := eight ^ ' '*each
		blanks := ^(other&^high + 0x7f*each | other) & high
		odd := ^letters & high &^ (blanks &^ (blanks<<8 | before))

		good := 8
		if odd != 0 {
			good = bits.TrailingZeros64(odd) / 8
			blanks &= odd&-odd - 1
		}
		if blanks != 0 {
			word = n + 8 - bits.LeadingZeros64(blanks)/8
		}
		n += good
		if odd != 0 {
			break
		}
		before = blanks >> 56
	}
	return n, word
}

const eachByte, highBits = 0x0101010101010101, 0x8080808080808080

// lettersOf has the high bit of each byte set that is a small letter of ASCII.
func lettersOf(eight uint64) uint64 {
	ascii := eight &^ highBits
	return (ascii + (0x80-'a')*eachByte) &^ (ascii + (0x7f-'z')*eachByte) &^ eight & highBits
}

// typeset is the plain character for one of typesetting, 0 for one that is not seen and for a mark that stands behind its letter.
func typeset(r rune) (plain byte, ok bool) {
	switch r {
	case '\u00ad', '\u200b', '\ufeff':
		return 0, true
	case '\u00a0', '\u2009', '\u202f', '\u3000':
		return ' ', true
	case '\u2010', '\u2011', '\u2013', '\u2014':
		return '-', true
	case '\u00b4', '\u2018', '\u2019', '\u201a':
		return '\'', true
	case '\u201c', '\u201d', '\u201e', '\u00ab', '\u00bb':
		return '"', true
	}
	return 0, '\u0300' <= r && r <= '\u036f' // marks that belong to the letter before
}

// lettersOnly reports whether a word has no other signs than letters.
func lettersOnly(word []byte) bool {
	for _, c := range word {
		if byteClass(c)&letter == 0 {
			return false
		}
	}
	return true
}

func startsWithOne(word []byte, prefixes [][]byte) bool {
	for _, p := range prefixes {
		if bytes.HasPrefix(word, p) {
			return true
		}
	}
	return false
}

func endsWithOne(text []byte, suffixes [][]byte) bool {
	for _, s := range suffixes {
		if bytes.HasSuffix(text, s) {
			return true
		}
	}
	return false
}

func containsOne(text []byte, parts [][]byte) bool {
	for _, p := range parts {
		if bytes.Contains(text, p) {
			return true
		}
	}
	return false
}

func hasOneOf(word []byte, words [][]byte) bool {
	for _, w := range words {
		if bytes.Equal(word, w) {
			return true
		}
	}
	return false
}

func asBytes(words ...string) (list [][]byte) {
	for _, w := range words {
		list = append(list, []byte(w))
	}
	return list
}
