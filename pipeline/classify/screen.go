package classify

import (
	"cmp"
	"fmt"
	"math"
	mathbits "math/bits"
	"slices"
)

// A screen is what rules ask of literals, packed so that the processor's cache holds it: most candidates fail here, without a look
// at the rules themselves.
type screen struct {
	triggers []trigger // by literal
	further  []trigger
	asked    []asked            // by rule
	byCode   [codeBits][]uint64 // for each bit of a codeSet the rules that may hold with it
	sets     []members
}

// A trigger is rules that a literal makes candidates, as bits of a half of a word of them, and where in screen.further there are more.
type trigger struct {
	rules      uint32
	half, next uint16
}

// asked says where in screen.sets those of a rule begin: sets of which one literal each must be found, then that of which none may be.
type asked struct {
	needed, none, end int32
	more              bool // it has conditions other than literals and a regular expression
}

// A codeSet has bits for basic codes in its low half and for enhanced codes in its high one. Codes share bits: it tells which
// rules need not be asked any more.
type codeSet uint64

const codeBits = 64

func basicBit(code []byte) uint32 { return codeHash(code) % (codeBits / 2) }

func enhancedBit(code []byte) uint32 { return codeBits/2 + codeHash(code)%(codeBits/2) }

func codeHash(code []byte) (h uint32) {
	for _, c := range code {
		h = h*11 + uint32(c)
	}
	return h
}

// codesOf is the codes with which a rule may hold.
func codesOf(r *Rule) (set codeSet) {
	const allBasic, allEnhanced codeSet = 1<<32 - 1, 1<<64 - 1<<32
	if len(r.Codes) == 0 {
		set |= allBasic
	}
	for _, w := range r.Codes {
		if set |= 1 << basicBit([]byte(w)); isGroup(w) {
			set |= allBasic
		}
	}
	if len(r.Enhanced) == 0 {
		set |= allEnhanced
	}
	for _, w := range r.Enhanced {
		if set |= 1 << enhancedBit([]byte(w)); isGroup(w) {
			set |= allEnhanced
		}
	}
	return set
}

// newScreen packs rules whose literals are numbered. It fails where they are too many for the table.
func newScreen(rules []Rule, literals []string) (*screen, error) {
	s := &screen{triggers: make([]trigger, len(literals)), further: make([]trigger, 1), asked: make([]asked, len(rules))}
	for bit := range s.byCode {
		s.byCode[bit] = make([]uint64, (len(rules)+63)/64)
	}
	triggered := make([][]int, len(literals)) // rules
	for i := range rules {
		r := &rules[i]
		// Of the groups of which one literal must be there, the rarest makes the rule a candidate, which need not be asked for it again.
		groups := slices.Concat([][]int32{r.any, r.with}, r.all)
		groups = slices.DeleteFunc(groups, func(g []int32) bool { return len(g) == 0 })
		by := slices.MinFunc(groups, func(a, b []int32) int { return cmp.Compare(commonness(literals, a), commonness(literals, b)) })
		for _, n := range by {
			triggered[n] = append(triggered[n], i)
		}
		a := &s.asked[i]
		a.needed = int32(len(s.sets))
		for _, g := range groups {
			if &g[0] != &by[0] {
				s.sets = append(s.sets, membersOf(g)...)
			}
		}
		a.none = int32(len(s.sets))
		s.sets = append(s.sets, membersOf(r.none)...)
		a.end = int32(len(s.sets))
		for set := codesOf(r); set != 0; set &= set - 1 {
			s.byCode[mathbits.TrailingZeros64(uint64(set))][i>>6] |= 1 << (i & 63)
		}
		a.more = r.conditions()
	}
	for n, rules := range triggered {
		t := &s.triggers[n]
		for _, i := range rules {
			if t.rules != 0 && int(t.half) != i>>5 {
				t.next = uint16(len(s.further))
				s.further = append(s.further, trigger{})
				t = &s.further[len(s.further)-1]
			}
			t.rules |= 1 << (i & 31)
			t.half = uint16(i >> 5)
		}
	}
	if len(s.further) > math.MaxUint16 {
		return nil, fmt.Errorf("rules: their literals make rules candidates in %d ways, which are more than %d: use fewer", len(s.further), math.MaxUint16)
	}
	return s, nil
}

// commonness guesses how often one of the literals is found: half as often for each byte more.
func commonness(all []string, group []int32) float64 {
	sum := 0.0
	for _, n := range group {
		sum += math.Ldexp(1, -len(all[n]))
	}
	return sum
}

// candidates sets the bit of every rule that one of the found literals makes a candidate.
func (s *screen) candidates(f *found, rules []uint64) {
	clear(rules)
	for _, n := range f.list {
		t := &s.triggers[n]
		t.set(rules)
		for t.next != 0 {
			t = &s.further[t.next]
			t.set(rules)
		}
	}
}

func (t *trigger) set(rules []uint64) { rules[t.half/2] |= uint64(t.rules) << (t.half % 2 * 32) }

// match returns the first of the candidates whose conditions hold, nil if there is none.
func (s *ruleSet) match(in *input, f *found, candidates []uint64) *Rule {
	acquitted := s.acquitting.any(f)
	basic, enhanced := s.screen.byCode[basicBit(in.code[:])], s.screen.byCode[enhancedBit(in.enhanced[min(2, len(in.enhanced)):])]
	for w, bits := range candidates {
		for bits &= basic[w] & enhanced[w]; bits != 0; bits &= bits - 1 {
			i := w<<6 + mathbits.TrailingZeros64(bits)
			r, a := &s.rules[i], &s.screen.asked[i]
			if a.more && r.unmet(in) != "" || !s.screen.lets(a, f) || acquitted && r.yields || r.regexp != nil && !r.regexp.Match(in.text) {
				continue
			}
			if r.yields && s.ofAnother(in.text, f) {
				acquitted = true
				continue
			}
			return r
		}
	}
	return nil
}

// lets reports whether the found literals are what a rule that is a candidate asks for.
func (s *screen) lets(a *asked, f *found) bool {
	met := false
	for _, m := range s.sets[a.needed:a.none] {
		met = met || f.bits[m.word]&m.mask != 0
		if m.last {
			if !met {
				return false
			}
			met = false
		}
	}
	for _, m := range s.sets[a.none:a.end] {
		if f.bits[m.word]&m.mask != 0 {
			return false
		}
	}
	return true
}
