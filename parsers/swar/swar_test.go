package swar

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"testing"
)

// Index agrees with bytes.IndexByte, whatever stands around.
func TestIndex(t *testing.T) {
	for _, fill := range []byte{0, 1, ' ' - 1, ' ' + 1, 0x7f, 0x80, 0xa0, 0xff} {
		for at := range 17 {
			for then := at; then < 17; then++ {
				b := bytes.Repeat([]byte{fill}, 17)
				b[at], b[then] = ' ', ' '
				b = b[:16]
				want := bytes.IndexByte(b, ' ')
				if want < 0 {
					want = 16
				}
				if got := Index(b, ' '); got != want {
					t.Errorf("%q: %d, want %d", b, got, want)
				}
			}
		}
	}
}

// Either agrees with bytes.IndexAny, at every length.
func TestEither(t *testing.T) {
	for _, fill := range []byte{0, ',' - 1, ',' + 1, '/' + 1, 0x7f, 0x80 | ',', 0xff} {
		for length := range 27 {
			for first := range length + 1 {
				for second := range length + 1 {
					b := bytes.Repeat([]byte{fill}, length+1)
					b[first], b[second] = ',', '/'
					b = b[:length]
					want := length
					for i, c := range b {
						if c == ',' || c == '/' {
							want = i
							break
						}
					}
					if got := Either(b, ',', '/'); got != want {
						t.Fatalf("%q: %d, want %d", b, got, want)
					}
				}
			}
		}
	}
}

// Exact, Hexadecimal and Bits judge each byte by itself, whatever stands beside it.
func TestMarks(t *testing.T) {
	for c := range 256 {
		for _, beside := range []byte{0, '.' - 1, '.', '.' + 1, '/', '0', '9', ':', '@', 'A', 'F', 'G', 'a', 0x7f, 0x80, 0x80 | '.', 0xff} {
			for at := range 8 {
				b := bytes.Repeat([]byte{beside}, 8)
				b[at] = byte(c)
				word := binary.LittleEndian.Uint64(b)
				var dots, digits uint64
				for i, x := range b {
					if x == '.' {
						dots |= 1 << i
					}
					if '0' <= x && x <= '9' || 'A' <= x && x <= 'F' {
						digits |= 1 << i
					}
				}
				if got := Bits(Exact(word, '.')); got != dots {
					t.Fatalf("%q: dots are %b, want %b", b, got, dots)
				}
				if got := Hexadecimal(word); Bits(got) != digits || got&^All != 0 {
					t.Fatalf("%q: hexadecimal digits are %x, want %b", b, got, digits)
				}
			}
		}
	}
}

// Decimal4 agrees with Decimal.
func TestDecimal4(t *testing.T) {
	check := func(b []byte, digits int) {
		word := binary.LittleEndian.Uint64(b)
		want, ok := Decimal(word, digits)
		if got, ok4 := Decimal4(word, digits); ok4 != (ok && digits <= 4) || ok4 && got != want {
			t.Fatalf("%d of %q: %d %t, want %d %t", digits, b, got, ok4, want, ok)
		}
	}
	for n := range 10_000 {
		for digits := range 10 {
			check(fmt.Appendf(nil, "%04d.,/]", n), digits)
		}
	}
	for c := range 256 {
		for at := range 8 {
			b := []byte("11111111")
			b[at] = byte(c)
			for digits := range 10 {
				check(b, digits)
			}
		}
	}
}

// Decimal reads what strconv reads, and nothing but digits.
func TestDecimal(t *testing.T) {
	for _, s := range []string{"0", "7", "42", "417", "12345678", "99999999", "00000001"} {
		word := binary.LittleEndian.Uint64([]byte(s + "]]]]]]]]"))
		want, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := Decimal(word, len(s)); !ok || got != want {
			t.Errorf("%s: %d, %t", s, got, ok)
		}
		if _, ok := Decimal(word, 0); ok {
			t.Error("no digits are a number")
		}
	}
	for c := range 256 {
		for at := range 8 {
			b := []byte("11111111")
			b[at] = byte(c)
			_, ok := Decimal(binary.LittleEndian.Uint64(b), 8)
			if want := '0' <= c && c <= '9'; ok != want {
				t.Errorf("%q: %t", b, ok)
			}
		}
	}
}
