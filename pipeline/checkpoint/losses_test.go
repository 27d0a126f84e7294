package checkpoint

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestLosses keeps losses over a restart, each once, until they are told.
func TestLosses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	s, _ := open(t, path)
	a, b := Loss{"a", 3, 7, "cut"}, Loss{"b", 0, 5, "deleted"}
	update := func(change func(*State)) {
		t.Helper()
		if err := s.Update(change); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		update(func(st *State) { st.Lose(a) })
	}
	before := s.State()
	update(func(st *State) { st.Lose(b) })
	if err := s.Release(); err != nil { // there are no streams, but something is kept
		t.Fatal(err)
	}
	s, _ = open(t, path)
	defer s.Close()
	if got := fmt.Sprint(s.State().Losses); got != fmt.Sprint([]Loss{a, b}) {
		t.Errorf("after a restart: %s", got)
	}
	update(func(st *State) { st.Told([]Loss{a}) })
	if got := fmt.Sprint(s.State().Losses); got != fmt.Sprint([]Loss{b}) {
		t.Errorf("when one was told: %s", got)
	}
	if len(before.Losses) != 1 || before.Losses[0] != a {
		t.Errorf("a copy of the state has changed: %v", before.Losses)
	}
}

// TestManyLosses: their number is bounded, and their sum is right all the same.
func TestManyLosses(t *testing.T) {
	var st State
	for n := range 3 * maxLosses {
		st.Lose(Loss{fmt.Sprint("stream", n), 10, 20, "cut"})
		st.Lose(Loss{fmt.Sprint("stream", n), 30, 50, "deleted"})
	}
	told := append([]Loss(nil), st.Losses...)
	st.Lose(Loss{"stream0", 20, 25, "cut"})
	if n := len(st.Losses); n != maxLosses+2 {
		t.Errorf("%d losses are kept", n)
	}
	sum := map[string]int64{}
	for _, l := range st.Losses {
		sum[l.Reason] += l.To - l.From
		if l.Stream == "" || strings.HasPrefix(l.Stream, unnamed) != (l.From == 0) {
			t.Errorf("%+v is kept", l)
		}
	}
	if sum["cut"] != 30*maxLosses+5 || sum["deleted"] != 60*maxLosses {
		t.Errorf("their sums are %v", sum)
	}
	st.Told(told)
	if len(st.Losses) != 1 || st.Losses[0] != (Loss{"stream0", 10, 25, "cut"}) {
		t.Errorf("when all were told before one of them grew: %v", st.Losses)
	}
}
