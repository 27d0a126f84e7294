package classify

import "testing"

// TestBare: replies in pages, tables, lists and logs, without what surrounds them.
func TestBare(t *testing.T) {
	for text, want := range map[string]string{
		"**550 No such user.**":                             "550 No such user.",
		"• 550 No such user":                                "550 No such user",
		"2) 550-No such user":                               "550-No such user",
		"> 1. 550 5.1.1 No":                                 "550 5.1.1 No",
		"<b>550</b> No <br/>such user <ann@example.org>":    "550 No such user <ann@example.org>",
		"<td>550</td><td>No such user</td>":                 "550 No such user",
		"| 550 | No such user |":                            "550 No such user",
		"[2026-01-02 03:04:05] 550 5.1.1 No":                "550 5.1.1 No",
		"2026-01-02T03:04:05.678Z 550 5.1.1 No":             "550 5.1.1 No",
		"03:04:05.678 550 5.1.1 No":                         "550 5.1.1 No",
		"550 – 5.1.1 No":                                    "550 5.1.1 No",
		"550 = No such user":                                "550 No such user",
		"550/5.1.1 No":                                      "550 5.1.1 No",
		`550 "No such user"`:                                "550 No such user",
		"[550] No such user":                                "550 No such user",
		"No such user (550)":                                "550 No such user",
		"5.1.1 No such user. (error code 550).":             "550 5.1.1 No such user.",
		"550-5.1.1 No":                                      "550-5.1.1 No",
		"550 5.1.1 <ann@example.org> (550)":                 "550 5.1.1 <ann@example.org> (550)",
		`550 "MAIL FROM" refused`:                           `550 "MAIL FROM" refused`,
		"mx: 550 5.1.1 No such user [503]":                  "mx: 550 5.1.1 No such user [503]",
		"250 OK":                                            "250 OK",
		"1. 650 addresses":                                  "1. 650 addresses",
		"The limit is 550 messages":                         "The limit is 550 messages",
		"550 host <b> is <i>":                               "550 host <b> is <i>",
		"host mx.example.org said: No such user (550 5.1.1": "host mx.example.org said: No such user (550 5.1.1",
	} {
		if got := bare(text); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
