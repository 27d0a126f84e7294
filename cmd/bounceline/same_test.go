package main

import (
	"errors"
	"fmt"
	"testing"
)

// TestStoredRows takes rows that stand at every tenth position, in pages of three.
func TestStoredRows(t *testing.T) {
	const rows = 7
	at := func(n ...int64) (positions []int64) {
		for _, n := range n {
			positions = append(positions, n*10)
		}
		return positions
	}
	for _, c := range []struct {
		what  string
		takes []int64
		end   int64
		taken bool
	}{
		{"nothing", nil, 0, true},
		{"a part", at(0, 1), 15, true},
		{"a page", at(0, 1, 2), 21, true},
		{"all", at(0, 1, 2, 3, 4, 5, 6), 1000, true},
		{"positions without rows too", []int64{0, 5, 10, 15, 20, 25, 30}, 39, true},
		{"one is left out", at(0, 2, 3), 31, false},
		{"the last of a page is left out", at(0, 1, 3), 31, false},
		{"the last is left out", at(0, 1), 25, false},
		{"pages are left out", nil, 45, false},
	} {
		s := storedRows{full: 3, ask: func(from int64) (map[int64]string, error) {
			page := map[int64]string{}
			for n := int64(0); n < rows && len(page) < 3; n++ {
				if n*10 >= from {
					page[n*10] = fmt.Sprint(n)
				}
			}
			return page, nil
		}}
		s.turn()
		for _, at := range c.takes {
			if id, there := s.take(at); there != (at%10 == 0) || there && id != fmt.Sprint(at/10) {
				t.Errorf("%s: at %d is %q, %v", c.what, at, id, there)
			}
		}
		if got := s.taken(c.end); got != c.taken || s.err != nil {
			t.Errorf("%s: taken before %d: %v, %v", c.what, c.end, got, s.err)
		}
	}
	broken := storedRows{full: 3, ask: func(int64) (map[int64]string, error) { return nil, errors.New("no answer") }}
	if broken.turn(); broken.err == nil {
		t.Error("an error was lost")
	}
}
