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
