package classify

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// An automaton finds all of a set of literals in one pass over a text (Aho and Corasick, 1975). It knows of each literal only the
// beginning that no other one shares: where that stands in the text, the rest is compared. So it has a few states for each
// literal and not one for each byte of it. Bytes which no beginning holds share one column, and states are numbered by depth,
// so that those which texts are mostly in lie together.
type automaton struct {
	class   [256]uint8
	width   int
	next    []uint16 // state * width + class
	output  []uint16 // by state: the literal with the longest of the beginnings that end there, counted from 1; 0 is none
	shorter []uint16 // by literal, counted from 1 too: the one with the next shorter
	rest    []string // by literal: what follows its beginning
}

// leastBeginning is how many bytes of a literal the automaton knows at least, so that few texts hold the beginning and not the
// literal.
const leastBeginning = 8

// newAutomaton builds the automaton of distinct literals, which hold no capital letters of ASCII; texts are folded while they
// are read. It fails where the literals are too many for the table.
func newAutomaton(literals []string) (*automaton, error) {
	a := &automaton{width: 1, rest: make([]string, len(literals))}
	order := make([]int32, len(literals))
	for n := range literals {
		order[n] = int32(n)
	}
	slices.SortFunc(order, func(i, j int32) int { return strings.Compare(literals[i], literals[j]) })
	beginnings := make([]string, len(literals))
	shared := 0 // with the literal before
	for i, n := range order {
		l, next := literals[n], 0
		if i+1 < len(order) {
			next = common(l, literals[order[i+1]])
		}
		keep := min(len(l), max(shared+1, next+1, leastBeginning))
		beginnings[n], a.rest[n] = l[:keep], l[keep:]
		shared = next
	}
	if err := a.classes(beginnings); err != nil {
		return nil, err
	}
	t, err := a.grow(beginnings, order)
	if err != nil {
		return nil, err
	}
	a.link(t)
	return a, nil
}

// common is the length of the longest common beginning.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// classes gives each byte of the beginnings its column.
func (a *automaton) classes(beginnings []string) error {
	for _, b := range beginnings {
		for i := range len(b) {
			if a.class[b[i]] == 0 {
				if a.width > math.MaxUint8 {
					return fmt.Errorf("rules: their literals hold more than %d different bytes", math.MaxUint8)
				}
				a.class[b[i]] = uint8(a.width)
				a.width++
			}
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		a.class[c] = a.class[c+'a'-'A']
	}
	return nil
}

// A trie is the tree of the beginnings, its states numbered by depth, and those of one depth by parent.
type trie struct {
	parent []uint16
	by     []uint8 // the column by which a state is reached from its parent
	end    []int32 // the literal whose beginning ends in a state, -1 if none
}

// grow makes the trie, depth by depth, of beginnings in order.
func (a *automaton) grow(beginnings []string, order []int32) (*trie, error) {
	t := &trie{parent: []uint16{0}, by: []uint8{0}, end: []int32{-1}}
	state := make([]uint16, len(beginnings))
	for depth := 0; len(order) > 0; depth++ {
		deeper := order[:0]
		for _, n := range order {
			b := beginnings[n]
			last := len(t.parent) - 1
			if c := a.class[b[depth]]; t.parent[last] != state[n] || t.by[last] != c {
				if last++; last > math.MaxUint16 {
					return nil, fmt.Errorf("rules: their literals need more than %d states: use fewer", last)
				}
				t.parent, t.by, t.end = append(t.parent, state[n]), append(t.by, c), append(t.end, -1)
			}
			state[n] = uint16(last)
			if depth+1 < len(b) {
				deeper = append(deeper, n)
			} else {
				t.end[last] = n
			}
		}
		order = deeper
	}
	return t, nil
}

// link makes the table of the trie. A state does as its longest proper suffix does, but for its children; the suffix has a lower
// number, and so has its row already.
func (a *automaton) link(t *trie) {
	states := len(t.parent)
	a.next = make([]uint16, states*a.width)
	a.output = make([]uint16, states)
	a.shorter = make([]uint16, len(a.rest)+1)
	suffix := make([]uint16, states)
	child := 1
	for s := range states {
		row := a.next[s*a.width:][:a.width]
		if s > 0 {
			copy(row, a.next[int(suffix[s])*a.width:])
			a.output[s] = a.output[suffix[s]]
		}
		if n := t.end[s]; n >= 0 {
			a.shorter[n+1] = a.output[s]
			a.output[s] = uint16(n + 1)
		}
		for ; child < states && int(t.parent[child]) == s; child++ {
			suffix[child] = row[t.by[child]]
			row[t.by[child]] = uint16(child)
		}
	}
}

// found is a set of literals: a bit for each, and those that are in it by name, so that it is emptied and gone through in the time
// that its members take.
type found struct {
	bits []uint64
	list []int32
}

func (f *found) has(literal int32) bool { return f.bits[literal>>6]&(1<<(literal&63)) != 0 }

func (f *found) clear() {
	for _, n := range f.list {
		f.bits[n>>6] = 0
	}
	f.list = f.list[:0]
}

// scan adds each literal that the text holds.
func (a *automaton) scan(text []byte, f *found) {
	state := 0
	next, class, width, output, shorter := a.next, &a.class, a.width, a.output, a.shorter
	for i, b := range text {
		state = int(next[state*width+int(class[b])])
		for o := output[state]; o != 0; o = shorter[o] {
			n := int32(o) - 1
			if bit := uint64(1) << (n & 63); f.bits[n>>6]&bit == 0 && a.goesOn(text[i+1:], n) {
				f.bits[n>>6] |= bit
				f.list = append(f.list, n)
			}
		}
	}
}

// goesOn reports whether a literal whose beginning was found stands there as a whole; text is what follows.
func (a *automaton) goesOn(text []byte, literal int32) bool {
	rest := a.rest[literal]
	return len(rest) <= len(text) && (string(text[:len(rest)]) == rest || equalFold(text[:len(rest)], rest))
}
