package parsers

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"bounceline/pipeline/record"
)

// reference is what years are inferred from in these tests.
var reference = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// columns gives the row's columns that say something, as parse prints them.
func columns(r *record.Row) map[string]string {
	m := map[string]string{}
	for _, c := range record.Columns {
		v := ""
		switch c.Kind {
		case record.Text, record.Word:
			v = string(c.Bytes(r))
		case record.Float:
			if f := c.Real(r); f == f {
				v = strconv.FormatFloat(float64(f), 'g', -1, 32)
			}
		case record.IP:
			if a := netip.AddrFrom16(c.Address(r)).Unmap(); !a.IsUnspecified() {
				v = a.String()
			}
		case record.Millis:
			v = time.UnixMilli(int64(c.Number(r))).UTC().Format("2006-01-02T15:04:05.000")
		case record.Enum:
			v = c.Values[c.Number(r)]
		case record.Int32:
			v = strconv.Itoa(int(int32(c.Number(r))))
		default:
			v = strconv.FormatUint(c.Number(r), 10)
		}
		if v != "" && v != "0" {
			m[c.Name] = v
		}
	}
	return m
}

// A shape is one kind of line, and what must be read from it: "verdict kind", and for an event "column=value" joined by
// " | ", where a column without a value must be empty. Several lines are read one after the other, and the last one counts.
type shape struct {
	name, lines, want string
}

func newStream(t testing.TB, o Options) *Stream {
	t.Helper()
	if o.AssumedZone == nil {
		o.AssumedZone = time.UTC
	}
	s, err := NewStream(o)
	if err != nil {
		t.Fatal(err)
	}
	s.SetReference(reference)
	return s
}

func checkShapes(t *testing.T, shapes []shape) {
	t.Helper()
	for _, sh := range shapes {
		t.Run(sh.name, func(t *testing.T) {
			s := newStream(t, Options{})
			var res record.Result
			for line := range strings.SplitSeq(sh.lines, "\n") {
				s.Parse([]byte(line), &res)
			}
			for _, problem := range compare(&res, sh.want) {
				t.Error(problem)
			}
			if t.Failed() {
				t.Logf("%s\n%s %s", sh.lines, res.Class, res.Kind)
			}
		})
	}
}

func compare(res *record.Result, want string) (problems []string) {
	parts := strings.Split(want, " | ")
	verdict, kind, _ := strings.Cut(parts[0], " ")
	if res.Class.String() != verdict || kind != "" && res.Kind != kind {
		problems = append(problems, fmt.Sprintf("it is %s %q, want %s", res.Class, res.Kind, parts[0]))
	}
	if (res.Rows.Len() > 0) != (verdict == "event") {
		return append(problems, fmt.Sprintf("it has %d rows", res.Rows.Len()))
	}
	row := 0
	for _, p := range parts[1:] {
		name, value, _ := strings.Cut(p, "=")
		if name == "rows" {
			if strconv.Itoa(res.Rows.Len()) != value {
				problems = append(problems, fmt.Sprintf("it has %d rows, want %s", res.Rows.Len(), value))
			}
			continue
		}
		if name == "next row" {
			if row++; row >= res.Rows.Len() {
				return append(problems, "there is no next row")
			}
			continue
		}
		if got := columns(&res.Rows.All()[row])[name]; got != value {
			problems = append(problems, fmt.Sprintf("%s is %q, want %q", name, got, value))
		}
	}
	return problems
}
