package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// What appendString writes is what encoding/json reads as the same text, where it was UTF-8, and otherwise as its replacement; and a terminal may
// show it.
func TestAppendString(t *testing.T) {
	for _, v := range []string{"", "ann@example.org", `"o\"k"@d`, `\`, "a\tb\x00c\x1f\x7f", "пётр", "\xff", "a\xe9b", "\u2028", "\u009b2J", "\u202egpj.exe", "tag \U000e0041", "Empfänger ☺ 漢字 \U0001f600", "x" + strings.Repeat(`"`, 3), "\"\xc3", "�"} {
		var got string
		line := appendString([]byte("1,"), []byte(v))
		if err := json.Unmarshal(line[2:], &got); err != nil || got != strings.ToValidUTF8(v, "�") {
			t.Errorf("%q is %s: %q, %v", v, line, got, err)
		}
		others, err := json.Marshal(map[string]string{v: v})
		if err != nil {
			t.Fatal(err)
		}
		var again map[string]string
		if err := json.Unmarshal(escapeJSON(others), &again); err != nil || again[strings.ToValidUTF8(v, "�")] != strings.ToValidUTF8(v, "�") || escapeTerminal(escapeJSON(others)) != string(escapeJSON(others)) {
			t.Errorf("%q: %s, %v", v, escapeJSON(others), err)
		}
		if escapeTerminal(line) != string(line) {
			t.Errorf("%q: a terminal would obey %q", v, line)
		}
	}
}
