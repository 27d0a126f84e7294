package classify

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// terms goes through the terms of a normalised text, some at a time: the beginning of each word, and those of each two that follow one another. See
// wordWeights.
type terms struct {
	text   []byte
	before termHash // of the last word; 0 if there is none to go with the next

	hashes [32]uint64 // of the terms that next has found
	masks  uint32     // which of them are of no words: they stand for what was masked, as #ip does, or are so short that they say nothing alone
	masked bool       // the last one is none
}

// A termHash is a hash of a term's bytes so far, eight at a time.
type termHash uint64

const noHash, firstHash termHash = 0, 1

// add multiplies by 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming, section 6.4).
func (h termHash) add(eight uint64) termHash {
	h = (h<<5 ^ h>>59 ^ termHash(eight)) * 0x9e3779b97f4a7c15
	return h ^ h>>32
}

// pair is the hash of two beginnings.
func (h termHash) pair(next termHash) uint64 { return uint64(h.add(uint64(next))) }

// hashOf is the hash of the beginning of a word, or of a code.
func hashOf(beginning []byte) termHash {
	h := firstHash
	for len(beginning) > 8 {
		h, beginning = h.add(binary.LittleEndian.Uint64(beginning)), beginning[8:]
	}
	return h.add(eightOf(beginning))
}

// beginningLength is how many letters of a word are looked at, so that reject, rejects, rejected and rejection are one term.
const beginningLength = 5

// beginningOf returns the letters of a word that are looked at.
func beginningOf(word []byte) []byte {
	n := 0
	for i := range string(word) { // does not allocate
		if n == beginningLength {
			return word[:i]
		}
		n++
	}
	return word
}

// eightOf returns the first eight bytes, zeros behind the end.
func eightOf(text []byte) uint64 {
	if len(text) >= 8 {
		return binary.LittleEndian.Uint64(text)
	}
	var eight [8]byte
	copy(eight[:], text)
	return binary.LittleEndian.Uint64(eight[:])
}

// hashOfTerm is the hash of a term as the table has it.
func hashOfTerm(term string) uint64 {
	if first, second, ok := strings.Cut(term, " "); ok {
		return hashOf([]byte(first)).pair(hashOf([]byte(second)))
	}
	return uint64(hashOf([]byte(term)))
}

// next finds the next terms, and returns how many.
func (t *terms) next() (n int) {
	text, before, masked, at := t.text, t.before, t.masked, 0
	t.masks = 0
	for n < len(t.hashes)-1 { // a word may make two terms
		for at < len(text) && text[at] < utf8.RuneSelf && byteTable[text[at]].class != letter && text[at] != '#' { // capitals would be no word's beginning below
			at++
		}
		if at == len(text) {
			break
		}
		start := at
		eight := eightOf(text[at:])
		letters := lettersOf(eight)
		mask := text[start] == '#'
		if mask {
			letters |= 0x80
		}
		k := bits.TrailingZeros64(letters^highBits) / 8
		h := firstHash.add(eight & (1<<(8*min(k, beginningLength)) - 1))
		for at += k; k == 8; at += k {
			k = bits.TrailingZeros64(lettersOf(eightOf(text[at:]))^highBits) / 8
		}
		alone := false
		if at < len(text) && text[at] >= utf8.RuneSelf { // it goes on with other letters, or begins so
			word, rest := nextWord(text[start:])
			if at = len(text) - len(rest); len(word) == 0 {
				break
			}
			first, _ := utf8.DecodeRune(word)
			h, alone, mask = hashOf(beginningOf(word)), wide(first), word[0] == '#'
		}
		if mask = mask || at-start <= 2; mask {
			t.masks |= 1 << n
		}
		t.hashes[n] = uint64(h)
		n++
		if alone {
			before = noHash
			continue
		}
		if before != noHash {
			if mask && masked {
				t.masks |= 1 << n
			}
			t.hashes[n] = before.pair(h)
			n++
		}
		before, masked = h, mask
	}
	t.text, t.before, t.masked = text[at:], before, masked
	return n
}

// saysAnything reports whether a normalised text has a word, other than those that stand for a host's name or a page's address.
func saysAnything(text []byte) bool {
	for word, rest := nextWord(text); len(word) > 0; word, rest = nextWord(rest) {
		if word[0] != '#' && string(word) != "host" && string(word) != "url" {
			return true
		}
	}
	return false
}
