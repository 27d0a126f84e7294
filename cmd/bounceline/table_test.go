package main

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/text"
)

// printed is a table as it looks in a terminal of the width.
func printed(t *testing.T, width int, form tableForm, columns []string, rows ...[]any) string {
	t.Helper()
	var b bytes.Buffer
	out := newScreen(&b)
	out.width = width
	w := newTable(out, form, columns...)
	for _, r := range rows {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTableFitsTheTerminal(t *testing.T) {
	form := tableForm{optional: []string{"rule", "provider"}}
	columns := []string{"recipient", "bounce rate %", "failures", "provider", "rule", "reply"}
	rows := [][]any{
		{"ann.with.a.long.name@department.example.org", percentage{100, 2}, amount(12345), "Google", "google-unknown", "550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking"},
		{"bob@example.org", nil, amount(3), "", "unknown", "550 Benutzer gelöscht"},
	}
	for _, test := range []struct {
		width   int
		columns string // those in the header
	}{
		{0, "recipient, bounce rate %, failures, provider, rule, reply"},
		{400, "recipient, bounce rate %, failures, provider, rule, reply"},
		{140, "recipient, bounce rate %, failures, provider, rule, reply"},
		{115, "recipient, bounce rate %, failures, provider, reply"},
		{100, "recipient, bounce rate %, failures, reply"},
		{66, "recipient, bounce rate %, failures, reply"},
		{60, ""},
		{1, ""},
	} {
		got := printed(t, test.width, form, columns, rows...)
		lines := strings.Split(strings.TrimRight(got, "\n"), "\n")
		for _, l := range lines {
			if n := text.StringWidth(l); test.width > 0 && n > max(test.width, narrowestText) && !strings.HasPrefix(l, "A wider terminal") {
				t.Errorf("%d: a line of %d: %s", test.width, n, l)
			}
		}
		for _, s := range []string{"12345", "12,345"} {
			if strings.Contains(got, s) != (s == "12,345") {
				t.Errorf("%d: %s in\n%s", test.width, s, got)
			}
		}
		if test.columns == "" {
			if !strings.HasPrefix(got, "── 1 ─") || strings.Count(got, "\nrecipient ") != 2 || strings.Count(got, "\nbounce rate % ") != 1 {
				t.Errorf("%d: no records:\n%s", test.width, got)
			}
			continue
		}
		header, left := strings.Join(lines[1:3], " "), []string(nil)
		for _, c := range columns {
			word, _, _ := strings.Cut(c, " ")
			if shown := slices.Contains(strings.Split(test.columns, ", "), c); strings.Contains(header, word) != shown {
				t.Errorf("%d: column %s in\n%s", test.width, c, got)
			} else if !shown {
				left = append(left, c)
			}
		}
		if note := "A wider terminal shows more: " + strings.Join(left, ", ") + ".\n"; strings.HasSuffix(got, note) != (left != nil) {
			t.Errorf("%d: it does not end with %q:\n%s", test.width, note, got)
		}
	}
}

// TestTableForPrograms: whatever is not a terminal gets every column.
func TestTableForPrograms(t *testing.T) {
	if n := terminalWidth(io.Discard); n != 0 {
		t.Errorf("width %d", n)
	}
	long := strings.Repeat("x", widestCell)
	got := printed(t, 0, tableForm{optional: []string{"b"}}, []string{"a", "b"}, []any{long, long})
	if strings.Count(got, long) != 2 {
		t.Error(got)
	}
}

func TestParagraphFitsTheScreen(t *testing.T) {
	words := strings.TrimSpace(strings.Repeat("word ", 100))
	for width, want := range map[int]int{0: widestText, 500: widestText, 80: 80, 10: narrowestText} {
		var b bytes.Buffer
		out := newScreen(&b)
		out.width = width
		paragraph(out, "  > ", words)
		if err := out.Flush(); err != nil {
			t.Fatal(err)
		}
		longest := 0
		for _, l := range strings.Split(strings.TrimRight(b.String(), "\n"), "\n") {
			longest = max(longest, len(l))
		}
		if longest > want || longest < want-len("word ") {
			t.Errorf("width %d: lines of up to %d, want %d", width, longest, want)
		}
	}
}

// TestPlainTable: a terminal that does not know UTF-8 gets ASCII, as a table and as records.
func TestPlainTable(t *testing.T) {
	for _, width := range []int{200, 10} {
		var b bytes.Buffer
		out := newScreen(&b)
		out.width, out.plain = width, true
		w := newTable(out, tableForm{}, "a", "b")
		if err := w.Write([]any{"first", bars(&counts{hard: 1, soft: 1, block: 1}, 3, shades(out))}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := out.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := b.String(); strings.ContainsFunc(got, func(r rune) bool { return r > 0x7f }) || !strings.Contains(got, "########========........") {
			t.Errorf("width %d:\n%s", width, got)
		}
	}
}

// TestTableGoesOn: rows that come later stand below the ones before, and those that need more room below a new header.
func TestTableGoesOn(t *testing.T) {
	form := tableForm{optional: []string{"host"}}
	for _, c := range []struct {
		width int
		want  string
	}{
		{0, `
┌───────────────┬──────┐
│ to            │ host │
├───────────────┼──────┤
│ a@example.org │ mx1  │
│ b@example.net │      │
│ c             │ mx2  │
└───────────────┴──────┘
┌─────────────────┬──────┐
│ to              │ host │
├─────────────────┼──────┤
│ ann@example.org │ mx1  │
│ d@example.org   │ mx1  │
└─────────────────┴──────┘
`},
		{22, `
┌───────────────┐
│ to            │
├───────────────┤
│ a@example.org │
│ b@example.net │
│ c             │
└───────────────┘
A wider terminal shows more: host.
┌─────────────────┐
│ to              │
├─────────────────┤
│ ann@example.org │
│ d@example.org   │
└─────────────────┘
A wider terminal shows more: host.
`},
		{8, `
── 1 ───
to    a@example.org
host  mx1
── 2 ───
to    b@example.net
── 3 ───
to    c
host  mx2
── 4 ───
to    ann@example.org
host  mx1
── 5 ───
to    d@example.org
host  mx1
`},
	} {
		var b bytes.Buffer
		out := newScreen(&b)
		out.width = c.width
		w := newTable(out, form, "to", "host")
		for _, rows := range [][][]any{{{"a@example.org", "mx1"}, {"b@example.net", ""}}, {{"c", "mx2"}}, {}, {{"ann@example.org", "mx1"}}, {{"d@example.org", "mx1"}}} {
			for _, r := range rows {
				if err := w.Write(r); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := errors.Join(w.Close(), out.Flush()); err != nil {
				t.Fatal(err)
			}
		}
		if got := "\n" + b.String(); got != c.want {
			t.Errorf("%d columns: %s, not %s", c.width, got, c.want)
		}
	}
}
