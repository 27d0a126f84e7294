package reply

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"unsafe"

	"bounceline/parsers/swar"
	"bounceline/pipeline/record"
)

// IP parses an address; ok is false where text is none. It does not allocate.
func IP(text []byte) (record.Addr, bool) {
	if len(text) == 0 || len(text) > 45 {
		return record.Addr{}, false
	}
	if a, ok := ipv4(text); ok {
		return a, true
	}
	text = bytes.TrimPrefix(text, ipv6Prefix)
	a, err := netip.ParseAddr(unsafe.String(unsafe.SliceData(text), len(text)))
	if err != nil || a.Zone() != "" {
		return record.Addr{}, false
	}
	return a.As16(), true
}

// ipv4 reads the common case.
func ipv4(t []byte) (a record.Addr, ok bool) {
	part, value, digits := 12, 0, 0
	for _, c := range t {
		switch {
		case digit(c):
			value = value*10 + int(c-'0')
			if digits++; digits > 3 || value > 255 {
				return record.Addr{}, false
			}
		case c == '.' && digits > 0 && part < 15:
			a[part] = byte(value)
			part++
			value, digits = 0, 0
		default:
			return record.Addr{}, false
		}
	}
	if part != 15 || digits == 0 {
		return record.Addr{}, false
	}
	a[15], a[10], a[11] = byte(value), 0xff, 0xff
	return a, true
}

// QuickIPv4 reads "192.0.2.25]" at the start of a text of 20 bytes at least into a, without a branch for each of them. It returns
// the address's length, and 0 where the text is not quite so: a is then as it was.
func QuickIPv4(text []byte, a *record.Addr) (length int) {
	if len(text) < 20 {
		return 0
	}
	dots := swar.Bits(swar.Exact(binary.LittleEndian.Uint64(text), '.')) | swar.Bits(swar.Exact(binary.LittleEndian.Uint64(text[8:]), '.'))<<8
	first := bits.TrailingZeros64(dots)
	dots &= dots - 1
	second := bits.TrailingZeros64(dots)
	dots &= dots - 1
	third := bits.TrailingZeros64(dots)
	if third > 14 {
		return 0
	}
	last := binary.LittleEndian.Uint32(text[third+1:])
	p, q, r, s := first, second-first-1, third-second-1, bits.TrailingZeros32(uint32(swar.Equal(uint64(last), ']')))/8
	if (threeAtMost>>(p&31))&(threeAtMost>>(q&31))&(threeAtMost>>(r&31))&(threeAtMost>>(s&31))&1 == 0 {
		return 0
	}
	// The digits of two bytes at a time, each right-aligned in 32 bits, the last digit highest.
	x := digits(binary.LittleEndian.Uint32(text), p) | digits(binary.LittleEndian.Uint32(text[first+1:]), q)<<32
	y := digits(binary.LittleEndian.Uint32(text[second+1:]), r) | digits(last, s)<<32
	const each, ninesOver = 0xff<<32 | 0xff, 0x7676767676767676 // what is more than 9 gets the highest bit
	v, w := x>>8&each*100+x>>16&each*10+x>>24&each, y>>8&each*100+y>>16&each*10+y>>24&each
	if (x|y|(x+ninesOver)|(y+ninesOver))&0x8080808080808080|(v|w)&^each != 0 { // no digits, or more than 255
		return 0
	}
	binary.LittleEndian.PutUint64(a[:], 0) // by words: a byte written just before would delay who reads a as a whole
	binary.LittleEndian.PutUint64(a[8:], 0xffff<<16|v<<32|v>>32<<40|w<<48|w>>32<<56)
	return third + 1 + s
}

// threeAtMost has the bits 1, 2 and 3 set.
const threeAtMost = 0b1110

// digits is the values of the first n bytes, one to three, in the highest bytes.
func digits(word uint32, n int) uint64 {
	unused := 8 * (4 - uint(n)) & 31
	return uint64(word<<unused ^ 0x30303030<<unused)
}

var ipv6Prefix = []byte("IPv6:")
