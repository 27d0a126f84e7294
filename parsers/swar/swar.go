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
	lows  = 0x7f7f7f7f7f7f7f7f
)

// All is the word in which every byte is marked.
const All = highs

// Equal marks the bytes of a word that are c by their highest bits. The lowest mark is exact; higher ones may be false.
func Equal(word uint64, c byte) uint64 {
	word ^= ones * uint64(c)
	return (word - ones) &^ word & highs
}

// Exact marks the bytes of a word that are c by their highest bits, and no others. It takes two operations more than Equal.
func Exact(word uint64, c byte) uint64 {
	word ^= ones * uint64(c)
	return ^(word&lows + lows | word | lows)
}

// Bits gathers the marks of a word in its eight lowest bits, the first byte's in the lowest.
func Bits(marks uint64) uint64 { return marks & highs * 0x0002040810204081 >> 56 }

// Hexadecimal marks the bytes of a word that are upper-case hexadecimal digits by their highest bits.
func Hexadecimal(word uint64) uint64 {
	low := word & lows
	digits := (low + ones*(0x80-'0')) &^ (low + ones*(0x80-'9'-1))
	letters := (low + ones*(0x80-'A')) &^ (low + ones*(0x80-'F'-1))
	return (digits | letters) &^ word & highs
}

// Either is where c or d stands first in b; its length where neither does.
func Either(b []byte, c, d byte) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		word := binary.LittleEndian.Uint64(b[i:])
		if marks := Equal(word, c) | Equal(word, d); marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
	}
	for i < len(b) && b[i] != c && b[i] != d {
		i++
	}
	return i
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

// Decimal4 is Decimal for one to four digits, and takes half as long.
func Decimal4(word uint64, digits int) (uint64, bool) {
	unused := uint(32 - 8*digits)
	word = word<<(unused&63)&0xffffffff ^ 0x30303030<<(unused&63)&0xffffffff // the values, with zeros in front
	if digits == 0 || digits > 4 || (word|(word+0x76767676))&0x80808080 != 0 {
		return 0, false
	}
	return (word * 2561 >> 8 & 0x00ff00ff) * (100<<16 | 1) >> 16 & 0xffff, true
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
