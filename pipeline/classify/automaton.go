package classify

// An automaton finds all of a set of literals in one pass over a text (Aho and Corasick, 1975). Letters are classes of bytes, so that
// bytes which no literal holds share one column and the table stays small.
type automaton struct {
	class   [256]uint8
	width   int
	next    []int32   // state * width + class
	matches [][]int32 // literals that end in a state, those of its suffixes included
}

// newAutomaton builds the automaton of the literals, which are in lower case; text is folded while it is read.
func newAutomaton(literals []string) *automaton {
	a := &automaton{width: 1}
	for _, l := range literals {
		for i := range len(l) {
			if a.class[l[i]] == 0 {
				a.class[l[i]] = uint8(a.width)
				a.width++
			}
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		a.class[c] = a.class[c+'a'-'A']
	}
	a.next = make([]int32, a.width)
	a.matches = make([][]int32, 1)
	for n, l := range literals {
		state := 0
		for i := range len(l) {
			at := state*a.width + int(a.class[l[i]])
			if a.next[at] == 0 {
				a.next[at] = int32(len(a.matches))
				a.next = append(a.next, make([]int32, a.width)...)
				a.matches = append(a.matches, nil)
			}
			state = int(a.next[at])
		}
		a.matches[state] = append(a.matches[state], int32(n))
	}
	a.link()
	return a
}

// link turns the trie into the automaton, breadth first.
func (a *automaton) link() {
	fail := make([]int32, len(a.matches))
	var queue []int32
	for c := range a.width {
		if s := a.next[c]; s != 0 {
			queue = append(queue, s)
		}
	}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		a.matches[s] = append(a.matches[s], a.matches[fail[s]]...)
		for c := range a.width {
			at := int(s)*a.width + c
			onFail := a.next[int(fail[s])*a.width+c]
			if t := a.next[at]; t != 0 {
				fail[t] = onFail
				queue = append(queue, t)
			} else {
				a.next[at] = onFail
			}
		}
	}
}

// scan sets the bit of each literal that the text holds.
func (a *automaton) scan(text []byte, found []uint64) {
	state := 0
	for _, b := range text {
		state = int(a.next[state*a.width+int(a.class[b])])
		for _, m := range a.matches[state] {
			found[m>>6] |= 1 << (m & 63)
		}
	}
}
