package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestEscapeTerminal(t *testing.T) {
	for in, want := range map[string]string{
		"plain text":                 "plain text",
		"Empfänger ☺ 漢字":             "Empfänger ☺ 漢字",
		"\x1b[2Jcls":                 `\x1b[2Jcls`,
		"a\r\nb\tc":                  `a\r\nb\tc`,
		"nul\x00 del\x7f c1\u009b2J": `nul\x00 del\x7f c1\x9b2J`,
		"\xff\xfebad":                `\xff\xfebad`,
		"cut \xe6\xbc":               `cut \xe6\xbc`,
		"rtl \u202egpj.exe":          `rtl \u202egpj.exe`,
		"iso \u2066x\u2069":          `iso \u2066x\u2069`,
		"zero\u200bwidth\ufeff":      `zero\u200bwidth\ufeff`,
		"line\u2028para\u2029":       `line\u2028para\u2029`,
		"tag \U000e0041":             `tag \U000e0041`,
		"\ufffd stays":               "\ufffd stays",
		"":                           "",
	} {
		if got := escapeTerminal([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := escapeLines("a\nb\x1b"); got != "a\nb\\x1b" {
		t.Errorf("%q", got)
	}
}

// FuzzEscapeTerminal: whatever comes in, what goes out is valid, and harmless.
func FuzzEscapeTerminal(f *testing.F) {
	f.Add([]byte("550 \x1b[2J \u202e \xff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		out := escapeTerminal(in)
		if !utf8.ValidString(out) {
			t.Fatalf("%q: %q is not valid UTF-8", in, out)
		}
		for _, r := range out {
			if unsafeRune(r, utf8.RuneLen(r)) {
				t.Fatalf("%q: %q holds %U", in, out, r)
			}
		}
	})
}

var values = []any{"=SUM(A1)", uint64(5), -1.5, nil, time.Date(2026, 11, 22, 5, 6, 7, 8e6, time.UTC), net.ParseIP("::ffff:192.0.2.1"), "a,\"b\"\nc", []any{uint8(1), "x"}}

var valueColumns = []string{"f", "n", "x", "nil", "at", "ip", "text", "list"}

func TestCSV(t *testing.T) {
	var b bytes.Buffer
	w := newRowWriter(&b, "csv", valueColumns)
	for _, row := range [][]any{values, {"+1", uint64(1), 1.0, "-x", "@cmd", "\tx", "\r", "＝1"}, {"safe-", uint64(1), 1.0, "", "a@b", "\xff", "'", "x=1"}, {"\x1b[2J", uint64(1), 1.0, "\u009b2J", "\u202egpj", "a\tb\n", "\x00", "ü"}} {
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{valueColumns,
		{"'=SUM(A1)", "5", "-1.5", "", "2026-11-22T05:06:07.008Z", "192.0.2.1", "a,\"b\"\nc", "1, x"},
		{"'+1", "1", "1", "'-x", "'@cmd", "'\tx", `\r`, "'＝1"},
		{"safe-", "1", "1", "", "a@b", "\ufffd", "'", "x=1"},
		{`\x1b[2J`, "1", "1", `\x9b2J`, `\u202egpj`, "a\tb\n", `\x00`, "ü"}}
	for i := range want {
		if strings.Join(got[i], "|") != strings.Join(want[i], "|") {
			t.Errorf("row %d: %q, want %q", i, got[i], want[i])
		}
	}
}

func TestNDJSON(t *testing.T) {
	var b bytes.Buffer
	w := newRowWriter(&b, "ndjson", append(valueColumns, "nan"))
	if err := w.Write(append(append([]any(nil), values...), math.NaN())); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(b.String(), "\n"); got != 1 {
		t.Errorf("%d lines: %s", got, b.String())
	}
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got["f"] != "=SUM(A1)" || got["n"] != 5.0 || got["x"] != -1.5 || got["nil"] != nil || got["ip"] != "192.0.2.1" || got["nan"] != nil {
		t.Errorf("%v", got)
	}
}

func TestTableEscapes(t *testing.T) {
	var b bytes.Buffer
	w := newRowWriter(&b, "table", []string{"te\x1bxt"})
	if err := w.Write([]any{"\x1b]0;x\a\u202e"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); strings.ContainsAny(s, "\x1b\a\u202e") || !strings.Contains(s, `\x1b]0;x\x07\u202e`) {
		t.Errorf("%q", s)
	}
}

// TestNothingIsShownAsNothing: what is absent has no text, whatever its type calls it.
func TestNothingIsShownAsNothing(t *testing.T) {
	for _, v := range []any{nil, "", time.Time{}, net.IPv6unspecified, math.NaN(), float32(math.NaN()), []any{}} {
		if got := formatValue(v); got != "" {
			t.Errorf("%T: %q", v, got)
		}
	}
}
