package reply

import (
	"math"
	"testing"
)

func TestNumber(t *testing.T) {
	for text, want := range map[string]uint64{"": 0, "x": 0, "0": 0, "2738": 2738, "25]": 25, "-1": 0, "1125899906842624": 1 << 50} {
		if got := Number([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	if got := Number([]byte("99999999999999999999999999999999")); got < 1<<50 || got > 1<<54 {
		t.Errorf("a number without end: %d", got)
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]float32{"0s": 0, "59s": 59, "1.345s": 1.345, "0.014s": 0.014, "1m9s": 69, "1d2h3m4s": 93784, "2w": 1209600} {
		if got := Duration([]byte(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{"", "5", "s", "1m9", "soon", "1.2.3s", ".s", "1s.", "1.s2", "-1s", "1 s"} {
		if got := Duration([]byte(text)); !math.IsNaN(float64(got)) {
			t.Errorf("%q is no duration, and taken for %v", text, got)
		}
	}
}
