package classify

import (
	"strings"
	"testing"
)

// TestBlocklists: each has a page of its own, and is found by the name that is stored and by what a person types.
func TestBlocklists(t *testing.T) {
	lists, err := NewBlocklists()
	if err != nil {
		t.Fatal(err)
	}
	for i := range lists {
		b := &lists[i]
		if lists.Find(b.Name) != b || lists.About(b.Name) != b || !strings.Contains(b.Advice(), b.Page) {
			t.Errorf("blocklists.yaml:%d: %s is not found by its name, or its advice has no page: %q", b.Line, b.Name, b.Advice())
		}
	}
	for what, want := range map[string]string{"zen.spamhaus.org": "Spamhaus ZEN", "ZEN.Spamhaus.org.": "Spamhaus ZEN", "www.spamhaus.org": "Spamhaus", "b.barracudacentral.org": "Barracuda", "spamcop": "SpamCop",
		"dnsbl-2.uceprotect.net": "UCEPROTECT-2", "dnsbl.example": "", "": "", "org": "", "notspamcop.net": ""} {
		got := ""
		if b := lists.About(what); b != nil {
			got = b.Name
		}
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	if b := lists.Find("zen.spamhaus.org"); b != nil {
		t.Errorf("found %s by a name that is not stored", b.Name)
	}
	if a := lists.Find("SORBS").Advice(); !strings.Contains(a, "ended in 2024") {
		t.Errorf("the advice on a list that has ended is %q", a)
	}
}
