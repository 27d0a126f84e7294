package classify

import "testing"

// TestMatchTakesTheFirstRuleThatLacksNothing: the packed conditions say what the rules do.
func TestMatchTakesTheFirstRuleThatLacksNothing(t *testing.T) {
	j := engine(t).current.Load()
	s := j.scratch.New().(*scratch)
	_, lines := corpus(t)
	taken := 0
	for _, l := range lines {
		row := l.Row()
		s.prepare(&row, j.names.relay(row.RelayHost), j.names)
		s.found.clear()
		j.rules.automaton.scan(s.n.text, &s.found)
		j.rules.screen.candidates(&s.found, s.candidates)
		got := j.rules.match(&s.in, &s.found, s.candidates)
		var want *Rule
		for i := range j.rules.rules {
			if r := &j.rules.rules[i]; j.rules.lacks(r, &s.in, &s.found) == "" {
				want = r
				break
			}
		}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", l.Text, got, want)
		}
		if got != nil {
			taken++
		}
	}
	if taken == 0 {
		t.Error("no rule was taken")
	}
}
