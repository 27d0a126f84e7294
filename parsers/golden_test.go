package parsers

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bounceline/pipeline/record"
)

var update = flag.Bool("update", false, "write what the parser gives into the .golden files")

// Each corpus gives, line by line, what its golden file says, and any cut of any of its lines is read without harm. A corpus
// begins with its options; a line "# name" begins a stream of its own.
func TestGolden(t *testing.T) {
	corpora, err := filepath.Glob("testdata/corpus/*.log")
	if err != nil || len(corpora) < 8 {
		t.Fatal(err, corpora)
	}
	for _, path := range corpora {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			first, rest, _ := bytes.Cut(text, []byte("\n"))
			options, reference := corpusOptions(t, string(first))
			var got bytes.Buffer
			s := newStream(t, options)
			s.SetReference(reference)
			var res record.Result
			number := 1
			for line := range bytes.SplitSeq(bytes.TrimSuffix(rest, []byte("\n")), []byte("\n")) {
				number++
				if name, ok := bytes.CutPrefix(line, []byte("# ")); ok {
					fmt.Fprintf(&got, "# %s\n", name)
					s = newStream(t, options)
					s.SetReference(reference)
					continue
				}
				s.Parse(line, &res)
				sound(t, line, &res)
				fmt.Fprintf(&got, "%d %s %s\n", number, res.Class, res.Kind)
				for i := range res.Rows.All() {
					values := columns(&res.Rows.All()[i])
					for _, c := range record.Columns {
						if v := values[c.Name]; v != "" && !slices.Contains([]string{"parser", "parser_version"}, c.Name) {
							fmt.Fprintf(&got, "\t%s=%s", c.Name, strings.ReplaceAll(v, "\n", `\n`))
						}
					}
					got.WriteByte('\n')
				}
			}
			golden := strings.TrimSuffix(path, ".log") + ".golden"
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			wanted := strings.Split(string(want), "\n")
			for i, line := range strings.Split(got.String(), "\n") {
				if i >= len(wanted) || line != wanted[i] {
					t.Fatalf("%s:%d:\ngot  %s\nwant %s", golden, i+1, line, strings.Join(wanted[min(i, len(wanted)):min(i+1, len(wanted))], ""))
				}
			}
		})
	}
}

// corpusOptions reads "## reference=2026-03-10 zone=Europe/Berlin".
func corpusOptions(t *testing.T, line string) (o Options, reference time.Time) {
	t.Helper()
	for _, option := range strings.Fields(strings.TrimPrefix(line, "##")) {
		name, value, _ := strings.Cut(option, "=")
		var err error
		switch name {
		case "reference":
			reference, err = time.Parse(time.DateOnly, value)
		case "zone":
			o.Zone, err = time.LoadLocation(value)
		default:
			t.Fatalf("there is no option %q", option)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return o, reference
}

// Any cut of any line of the corpora is read without harm.
func TestGoldenCuts(t *testing.T) {
	corpora, err := filepath.Glob("testdata/corpus/*.log")
	if err != nil {
		t.Fatal(err)
	}
	s := newStream(t, Options{})
	var res record.Result
	for _, path := range corpora {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.SplitSeq(text, []byte("\n")) {
			for i := range line {
				for _, part := range [][]byte{line[:i], line[i:]} {
					s.Parse(part, &res)
					sound(t, part, &res)
				}
			}
		}
	}
}
