package classify

import (
	"fmt"
	"strings"
	"testing"
)

// TestListName: the list that a reply names is told, be it in the table or not.
func TestListName(t *testing.T) {
	e := engine(t)
	for text, want := range map[string]string{
		"554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org":                           "Spamhaus ZEN",
		"554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using singular.ttk.example.hu; see x":             "singular.ttk.example.hu",
		"554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using RBL.Efnetrbl.ORG.":                          "rbl.efnetrbl.org",
		"554 5.7.1 Service unavailable; Sender address [a@b.example] blocked using dbl.spamhaus.org":                      "Spamhaus DBL",
		"554 5.7.1 Service unavailable; Sender address [a@b.example] blocked using rhsbl.example.org":                     "rhsbl.example.org",
		"550 rejected because 192.0.2.1 is in a black list at dnsbl.example.net":                                          "",
		"550 5.7.1 192.0.2.1 is listed in dnsbl.example.net":                                                              "dnsbl.example.net",
		"550 5.7.1 Your IP 192.0.2.1 was found in bl2.lists.example":                                                      "bl2.lists.example",
		"550 5.7.1 Your IP is blacklisted, listed at mx1.example.org":                                                     "",
		"550 5.7.1 Blocked by mx.blocked.example: your IP is on our blacklist":                                            "",
		"550 5.7.1 listed by 192.0.2.1 in a blacklist":                                                                    "",
		"550 5.7.1 client blocked using " + strings.Repeat("a", 80) + ".example":                                          "",
		"550 5.1.1 User unknown, listed in dnsbl.example.net":                                                             "",
		"host mx.example.org[192.0.2.1] said: 554 Client host blocked using bl.example.net (in reply to RCPT TO command)": "bl.example.net",
	} {
		row := answer(text)
		if c := e.Classify(&row); c.ListName != want {
			t.Errorf("%s: %s, list %q, want %q", text, c.Category, c.ListName, want)
		}
	}
}

// TestZonesAreBounded: names beyond the bound are told as well, and are not kept.
func TestZonesAreBounded(t *testing.T) {
	var z zones
	for i := range 2 * maxZones {
		if name := fmt.Sprintf("bl.example%d.net", i); z.name([]byte(name)) != name {
			t.Fatalf("%s has another name", name)
		}
	}
	if len(z.known) != maxZones {
		t.Errorf("%d names are kept, want %d", len(z.known), maxZones)
	}
	zone := []byte("bl.example7.net")
	if n := testing.AllocsPerRun(100, func() { z.name(zone) }); n != 0 {
		t.Errorf("a name that is known costs %v allocations", n)
	}
}
