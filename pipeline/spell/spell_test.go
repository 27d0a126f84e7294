package spell

import "testing"

func TestNearest(t *testing.T) {
	names := []string{"report", "run", "rules", "Google"}
	for word, want := range map[string]string{"reporr": "report", "rum": "run", "rep": "report", "googel": "Google", "x": "", "classify": "", "": "report"} {
		if got := Nearest(word, names); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 lines", 1: "1 line", 2: "2 lines", 1001: "1001 lines"} {
		if got := Count(n, "line", "lines"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
