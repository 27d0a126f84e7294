package swar

import (
	"bytes"
	"encoding/binary"
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
