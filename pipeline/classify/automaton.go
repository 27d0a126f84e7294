package classify

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// An automaton finds all of a set of literals in one pass over a text (Aho and Corasick, 1975). It knows of each literal only the
// beginning that few others share: where that stands in the text, the rests of all that share it are compared. So it has about one
// state for each literal and not one for each byte of it. States are numbered by depth, so that those which texts are mostly in lie
// together.
//
// By the bytes that are common in literals each state has a row of its own, which is a line of the processor's cache. By the
// others most states lead where their suffixes do, and share their rows.
type automaton struct {
	column  [256]uint16 // from 1; those from line on are rare, and that of line itself is of bytes that no beginning holds
	common  []uint16    // state*line + column: the state that follows; in column 0 a literal whose beginning ends there
	rare    []uint16    // rareRow[state]*width + column-line: the state that follows
	rareRow []uint16    // by state
	width   int
	ends    []end // by literal; these are counted from 1 here
	rests   string
}

// line is how many columns there are for common bytes, with that for ends.
const line = 32

// An end is what is to be done where the beginning of a literal ends: compare what follows with a part of rests, then go on to
// the next literal with this beginning, or with the next shorter of those that end there; 0 if there is none.
type end struct {
	rest         uint32
	length, next uint16
}

// newAutomaton builds the automaton of distinct literals, which hold no capital letters of ASCII; texts are folded while they
// are read. It fails where the literals are too many for the table.
func newAutomaton(literals []string) (*automaton, error) {
	if len(literals) > math.MaxUint16 {
		return nil, fmt.Errorf("rules: %d literals are more than %d: use fewer", len(literals), math.MaxUint16)
	}
	a := &automaton{ends: make([]end, len(literals)+1)}
	order := make([]int32, len(literals))
	for n := range literals {
		order[n] = int32(n)
	}
	slices.SortFunc(order, func(i, j int32) int { return strings.Compare(literals[i], literals[j]) })
	beginnings := make([]string, len(literals))
	var rests strings.Builder
	byOne, byMore := shared(literals, order, 1), shared(literals, order, sharers)
	for i, n := range order {
		l := literals[n]
		keep := min(len(l), byOne[i]+1, max(byMore[i]+1, alone))
		if len(l)-keep > math.MaxUint16 {
			return nil, fmt.Errorf("rules: literal %.20q... is longer than %d bytes", l, math.MaxUint16)
		}
		beginnings[n] = l[:keep]
		a.ends[n+1] = end{rest: uint32(rests.Len()), length: uint16(len(l) - keep)}
		rests.WriteString(l[keep:])
	}
	a.rests = rests.String()
	a.columns(beginnings)
	t, err := a.grow(beginnings, order)
	if err != nil {
		return nil, err
	}
	a.link(t)
	return a, nil
}

// At most sharers literals share a beginning, and none one that is shorter than alone: texts hold short beginnings so often that it takes longer
// to compare rests there than it takes to have more states.
const (
	sharers = 4
	alone   = 6
)

// shared is how many bytes of its beginning each literal, in order, shares with so many others.
func shared(literals []string, order []int32, others int) []int {
	out := make([]int, len(order))
	for i := 0; i+others < len(order); i++ {
		c := common(literals[order[i]], literals[order[i+others]])
		for k := range others + 1 {
			out[i+k] = max(out[i+k], c)
		}
	}
	return out
}

// common is the length of the longest common beginning.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// columns gives each byte of the beginnings its column, the commonest first.
func (a *automaton) columns(beginnings []string) {
	var count [256]int
	for _, b := range beginnings {
		for i := range len(b) {
			count[b[i]]++
		}
	}
	var bytes [256]uint8
	for c := range bytes {
		bytes[c] = uint8(c)
	}
	slices.SortStableFunc(bytes[:], func(b, c uint8) int { return cmp.Compare(count[c], count[b]) })
	last := 0
	for _, c := range bytes {
		if a.column[c] = line; count[c] > 0 {
			if last++; last == line {
				last++
			}
			a.column[c] = uint16(last)
		}
	}
	a.width = max(last, line) - line + 1
	for c := 'A'; c <= 'Z'; c++ {
		a.column[c] = a.column[c+'a'-'A']
	}
}

// A trie is the tree of the beginnings, its states numbered by depth, and those of one depth by parent.
type trie struct {
	parent []uint16
	by     []uint16 // the column by which a state is reached from its parent
	end    []uint16 // a literal whose beginning ends in a state, counted from 1; 0 is none. The others with that beginning follow as next
}

// grow makes the trie, depth by depth, of beginnings in order.
func (a *automaton) grow(beginnings []string, order []int32) (*trie, error) {
	t := &trie{parent: []uint16{0}, by: []uint16{0}, end: []uint16{0}}
	state := make([]uint16, len(beginnings))
	for depth := 0; len(order) > 0; depth++ {
		deeper := order[:0]
		for _, n := range order {
			b := beginnings[n]
			last := len(t.parent) - 1
			if c := a.column[b[depth]]; t.parent[last] != state[n] || t.by[last] != c {
				if last++; last > math.MaxUint16 {
					return nil, fmt.Errorf("rules: their literals need more than %d states: use fewer", last)
				}
				t.parent, t.by, t.end = append(t.parent, state[n]), append(t.by, c), append(t.end, 0)
			}
			state[n] = uint16(last)
			if depth+1 < len(b) {
				deeper = append(deeper, n)
			} else {
				a.ends[n+1].next = t.end[last]
				t.end[last] = uint16(n + 1)
			}
		}
		order = deeper
	}
	return t, nil
}

// link makes the tables of the trie. A state does as its longest proper suffix does, but for its children; the suffix has a lower
// number, and so has its rows already.
func (a *automaton) link(t *trie) {
	states := len(t.parent)
	a.common = make([]uint16, states*line)
	a.rare = make([]uint16, a.width)
	a.rareRow = make([]uint16, states)
	suffix := make([]uint16, states)
	child := 1
	for s := range states {
		row := a.common[s*line:][:line]
		if s > 0 {
			copy(row, a.common[int(suffix[s])*line:])
			a.rareRow[s] = a.rareRow[suffix[s]]
		}
		if n := t.end[s]; n > 0 {
			last := n
			for a.ends[last].next > 0 {
				last = a.ends[last].next
			}
			a.ends[last].next = row[0]
			row[0] = n
		}
		own := s == 0 // has a row of its own for rare bytes
		for ; child < states && int(t.parent[child]) == s; child++ {
			to := &row[t.by[child]%line]
			if c := int(t.by[child]); c >= line {
				if !own {
					own = true
					a.rare = append(a.rare, a.rare[int(a.rareRow[s])*a.width:][:a.width]...)
					a.rareRow[s] = uint16(len(a.rare)/a.width - 1)
				}
				to = &a.rare[int(a.rareRow[s])*a.width+c-line]
			}
			suffix[child] = *to
			*to = uint16(child)
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

// members are literals of a set, those whose bits stand in one word of a found's.
type members struct {
	mask uint64
	word int32
	last bool // of the set
}

func membersOf(set []int32) (all []members) {
	for _, n := range slices.Sorted(slices.Values(set)) {
		if len(all) == 0 || all[len(all)-1].word != n>>6 {
			all = append(all, members{word: n >> 6})
		}
		all[len(all)-1].mask |= 1 << (n & 63)
	}
	if len(all) > 0 {
		all[len(all)-1].last = true
	}
	return all
}

// scan adds each literal that the text holds, in small letters or capitals.
func (a *automaton) scan(text []byte, f *found) { a.pass(text, false, f) }

// scanFolded does so for a text without capitals, as a normalised one is.
func (a *automaton) scanFolded(text []byte, f *found) { a.pass(text, true, f) }

// pass is a scan of a text that is folded already, or is not.
func (a *automaton) pass(text []byte, folded bool, f *found) {
	state := 0
	common, ends := a.common, a.ends
	for i, b := range text {
		if c := int(a.column[b]); c < line {
			state = int(common[state*line+c])
		} else {
			state = int(a.rare[int(a.rareRow[state])*a.width+c-line])
		}
		for o := common[state*line]; o != 0; o = ends[o].next {
			n := int32(o) - 1
			if bit := uint64(1) << (n & 63); f.bits[n>>6]&bit == 0 && a.goesOn(text[i+1:], folded, &ends[o]) {
				f.bits[n>>6] |= bit
				f.list = append(f.list, n)
			}
		}
	}
}

// goesOn reports whether a literal whose beginning was found stands there as a whole; text is what follows.
func (a *automaton) goesOn(text []byte, folded bool, e *end) bool {
	if e.length == 0 {
		return true
	}
	rest := a.rests[e.rest:][:e.length]
	return len(rest) <= len(text) && (string(text[:len(rest)]) == rest || !folded && equalFold(text[:len(rest)], rest))
}
