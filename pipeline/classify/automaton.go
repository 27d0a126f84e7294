package classify

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// An automaton finds all of a set of literals in one pass over a text (Aho and Corasick, 1975). Bytes which no literal holds
// share one column, and states are numbered by depth, so that those which texts are mostly in lie together.
type automaton struct {
	class   [256]uint8
	width   int
	next    []uint16 // state * width + class
	output  []uint16 // by state: place in outputs; 0 is none
	outputs [][]int32
}

// newAutomaton builds the automaton of distinct literals, which hold no capital letters of ASCII; texts are folded while they
// are read. It fails where the literals are too many for the table.
func newAutomaton(literals []string) (*automaton, error) {
	a := &automaton{width: 1}
	order := make([]int, len(literals))
	for n, l := range literals {
		order[n] = n
		for i := range len(l) {
			if a.class[l[i]] == 0 {
				if a.width > math.MaxUint8 {
					return nil, fmt.Errorf("rules: their literals hold more than %d different bytes", math.MaxUint8)
				}
				a.class[l[i]] = uint8(a.width)
				a.width++
			}
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		a.class[c] = a.class[c+'a'-'A']
	}
	slices.SortFunc(order, func(i, j int) int { return strings.Compare(literals[i], literals[j]) })
	states := 1
	for i, n := range order {
		states += len(literals[n])
		if i > 0 {
			states -= common(literals[n], literals[order[i-1]])
		}
	}
	if states > math.MaxUint16 {
		return nil, fmt.Errorf("rules: their literals need %d states, and %d are possible: use fewer or shorter ones", states, math.MaxUint16)
	}
	a.next = make([]uint16, states*a.width)
	a.output = make([]uint16, states)
	a.outputs = make([][]int32, 1)
	a.grow(literals, order)
	a.link()
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

// grow makes the trie, depth by depth.
func (a *automaton) grow(literals []string, order []int) {
	state := make([]int, len(literals))
	made := 1
	for depth := 0; len(order) > 0; depth++ {
		rest := order[:0]
		for _, n := range order {
			l := literals[n]
			at := state[n]*a.width + int(a.class[l[depth]])
			if a.next[at] == 0 {
				a.next[at] = uint16(made)
				made++
			}
			state[n] = int(a.next[at])
			if depth+1 < len(l) {
				rest = append(rest, n)
				continue
			}
			a.output[state[n]] = uint16(len(a.outputs))
			a.outputs = append(a.outputs, []int32{int32(n)})
		}
		order = rest
	}
}

// link turns the trie into the automaton. Its numbers go by depth, so a state's suffixes come before it.
func (a *automaton) link() {
	fail := make([]uint16, len(a.output))
	for s := range a.output {
		row := a.next[s*a.width : (s+1)*a.width]
		onFail := a.next[int(fail[s])*a.width:]
		if f := a.output[fail[s]]; s != 0 && f != 0 {
			if o := a.output[s]; o == 0 {
				a.output[s] = f
			} else {
				a.outputs[o] = append(a.outputs[o], a.outputs[f]...)
			}
		}
		for c, t := range row {
			switch {
			case t == 0:
				if s != 0 {
					row[c] = onFail[c]
				}
			case s != 0:
				fail[t] = onFail[c]
			}
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
	next, class, width, output := a.next, &a.class, a.width, a.output
	for _, b := range text {
		state = int(next[state*width+int(class[b])])
		if o := output[state]; o != 0 {
			for _, n := range a.outputs[o] {
				if bit := uint64(1) << (n & 63); f.bits[n>>6]&bit == 0 {
					f.bits[n>>6] |= bit
					f.list = append(f.list, n)
				}
			}
		}
	}
}

// size is the memory of its tables in bytes.
func (a *automaton) size() int { return 2*len(a.next) + 2*len(a.output) + 24*len(a.outputs) }
