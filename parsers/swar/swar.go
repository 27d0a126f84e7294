// Package swar looks at eight bytes of text at a time, as one 64-bit word whose lowest byte is the first: "SIMD within a
// register". It has no branch that depends on where a byte is found, which is what a loop over short fields spends its time
// on. The tricks are those of H. S. Warren, Hacker's Delight, chapter 6, and of D. Lemire, "Quickly parsing eight digits".
package swar

import (
	"encoding/binary"
	"math/bits"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// Equal marks the bytes of a word that are c by their highest bits. The lowest mark is exact; higher ones may be false.
func Equal(word uint64, c byte) uint64 {
	word ^= ones * uint64(c)
	return (word - ones) &^ word & highs
}

// Index is where c stands first in the first 16 bytes of b, which has as many; 16 where it does not.
func Index(b []byte, c byte) int {
	first := Equal(binary.LittleEndian.Uint64(b), c)
	second := Equal(binary.LittleEndian.Uint64(b[8:]), c)
	if first != 0 {
		return bits.TrailingZeros64(first) / 8
	}
	return 8 + bits.TrailingZeros64(second)/8
}

// Decimal reads the first digits bytes of a word, one to eight, as a decimal number. It reports false where they are not
// digits, or are none.
func Decimal(word uint64, digits int) (uint64, bool) {
	if digits == 0 || digits > 8 {
		return 0, false
	}
	unused := uint(64 - 8*digits)
	word = word<<unused | 0x3030303030303030&(1<<unused-1) // with zeros in front
	if word&(word+0x0606060606060606)&0xf0f0f0f0f0f0f0f0 != 0x3030303030303030 {
		return 0, false
	}
	word = word & 0x0f0f0f0f0f0f0f0f * 2561 >> 8
	word = word & 0x00ff00ff00ff00ff * 6553601 >> 16
	return word & 0x0000ffff0000ffff * 42949672960001 >> 32, true
}
