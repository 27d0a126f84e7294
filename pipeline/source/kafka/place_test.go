package kafka

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
)

// stored are ranges of incarnation n.
func stored(n string, marker string, bounds ...int64) []batch.Range {
	var out []batch.Range
	for i := 0; i+1 < len(bounds); i++ {
		out = append(out, batch.Range{Stream: "c/t/0/" + n, From: bounds[i], To: bounds[i+1], Marker: marker, Anchor: "a"})
	}
	return out
}

func TestFindPlace(t *testing.T) {
	ours := func(incarnation int, marker string, i *intent) metadata {
		return metadata{Version: 1, Incarnation: incarnation, Marker: marker, Intent: i}
	}
	for name, c := range map[string]struct {
		known  known
		policy OutOfRange
		there  string // marker of the record that stands before the place now; empty: none
		want   place
		err    error
	}{
		"nothing known": {known: known{committed: -1, first: 7, last: 9},
			want: place{stream: "c/t/0/0", next: 7, commit: true}},
		"as committed": {known: known{committed: 50, ours: true, meta: ours(0, "m", nil), ledger: stored("0", "m", 0, 20, 50), first: 0, last: 90}, there: "m",
			want: place{stream: "c/t/0/0", next: 50, marker: "m"}},
		"ledger further than the group": {known: known{committed: 20, ours: true, meta: ours(0, "x", nil), ledger: stored("0", "m", 0, 20, 50), first: 0, last: 90}, there: "m",
			want: place{stream: "c/t/0/0", next: 50, marker: "m", commit: true}},
		"group behind everything": {known: known{committed: 20, ours: true, meta: ours(0, "m", nil), first: 0, last: 90}, there: "m", err: errBehind},
		"intent": {known: known{committed: 20, ours: true, meta: ours(0, "m", &intent{From: 20, To: 30}), ledger: stored("0", "m", 0, 20), first: 0, last: 90}, there: "m",
			want: place{stream: "c/t/0/0", next: 20, marker: "m", intent: &intent{From: 20, To: 30}}},
		"intent that is stored": {known: known{committed: 20, ours: true, meta: ours(0, "m", &intent{From: 20, To: 30}), ledger: stored("0", "m", 0, 20, 30), first: 0, last: 90}, there: "m",
			want: place{stream: "c/t/0/0", next: 30, marker: "m", commit: true}},
		"intent partly deleted": {known: known{committed: 20, ours: true, meta: ours(0, "m", &intent{From: 20, To: 30}), ledger: stored("0", "m", 0, 20), first: 25, last: 90},
			want: place{stream: "c/t/0/0", next: 25, commit: true, skipped: 5, unreadable: 5, lost: []pipeline.Span{{From: 20, To: 25}, {From: 20, To: 25}}}},
		"record before is gone": {known: known{committed: 50, ours: true, meta: ours(3, "m", nil), ledger: stored("3", "m", 0, 50), first: 50, last: 90},
			want: place{incarnation: 3, stream: "c/t/0/3", next: 50, marker: "m"}},
		"another record stands there": {known: known{committed: 50, ours: true, meta: ours(3, "m", nil), ledger: stored("3", "m", 0, 50), first: 0, last: 90}, there: "n",
			want: place{incarnation: 4, stream: "c/t/0/4", next: 0, commit: true}},
		"shorter than before": {known: known{committed: 50, ours: true, meta: ours(0, "m", nil), ledger: stored("0", "m", 0, 50), first: 0, last: 9},
			want: place{incarnation: 1, stream: "c/t/0/1", next: 0, commit: true}},
		"created anew, group forgotten": {known: known{committed: -1, ledger: stored("0", "m", 0, 50), first: 0, last: 90}, there: "n",
			want: place{incarnation: 1, stream: "c/t/0/1", next: 0, commit: true}},
		"group forgotten": {known: known{committed: -1, ledger: stored("0", "m", 0, 50), first: 0, last: 90}, there: "m",
			want: place{stream: "c/t/0/0", next: 50, marker: "m", commit: true}},
		"set back by hand": {known: known{committed: 10, ledger: stored("0", "m", 0, 50), first: 0, last: 90}, there: "m",
			want: place{stream: "c/t/0/0", next: 50, marker: "m", commit: true}},
		"set forward by hand": {known: known{committed: 70, ledger: stored("0", "m", 0, 50), first: 0, last: 90}, there: "m",
			want: place{stream: "c/t/0/0", next: 70, commit: true}},
		"rows without ledger": {known: known{committed: -1, reach: map[string]int64{"c/t/0/0": 60}, ledger: stored("0", "m", 0, 50), first: 0, last: 90}, there: "m",
			want: place{stream: "c/t/0/0", next: 50, marker: "m", doubt: 60, commit: true}},
		"deleted, earliest": {known: known{committed: 50, ours: true, meta: ours(0, "m", nil), ledger: stored("0", "m", 0, 50), first: 60, last: 90},
			want: place{stream: "c/t/0/0", next: 60, skipped: 10, commit: true, lost: []pipeline.Span{{From: 50, To: 60}}}},
		"deleted, latest": {known: known{committed: 50, ours: true, meta: ours(0, "m", nil), ledger: stored("0", "m", 0, 50), first: 60, last: 90}, policy: Latest,
			want: place{stream: "c/t/0/0", next: 90, skipped: 40, commit: true, lost: []pipeline.Span{{From: 50, To: 90}}}},
		"deleted, fail": {known: known{committed: 50, ours: true, meta: ours(0, "m", nil), ledger: stored("0", "m", 0, 50), first: 60, last: 90}, policy: Fail, err: errOutOfRange},
	} {
		t.Run(name, func(t *testing.T) {
			k := c.known
			k.prefix = "c/t/0/"
			k.marker = func(int64) (string, error) { return c.there, nil }
			if c.policy == "" {
				c.policy = Earliest
			}
			got, err := k.find(c.policy)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, not %v", err, c.err)
			}
			if err != nil {
				return
			}
			switch {
			case (got.intent == nil) != (c.want.intent == nil), got.intent != nil && *got.intent != *c.want.intent:
				t.Errorf("intent %+v, not %+v", got.intent, c.want.intent)
			}
			got.intent, c.want.intent, got.ranges = nil, nil, nil
			if !equalPlaces(got, c.want) {
				t.Errorf("%+v, not %+v", got, c.want)
			}
		})
	}
}

func equalPlaces(a, b place) bool {
	return a.incarnation == b.incarnation && a.stream == b.stream && a.next == b.next && a.marker == b.marker && a.doubt == b.doubt &&
		a.skipped == b.skipped && a.unreadable == b.unreadable && a.commit == b.commit && slices.Equal(a.lost, b.lost)
}

func TestContextBegins(t *testing.T) {
	for name, c := range map[string]struct {
		ranges    []batch.Range
		at, first int64
		from      int64
		anchor    string
	}{
		"nothing before":       {nil, 0, 0, 0, ""},
		"at a range's start":   {stored("0", "m", 0, 5_000, 15_000, 30_000), 30_000, 0, 15_000, "a"},
		"over several ranges":  {stored("0", "m", 0, 5_000, 15_000, 18_000), 18_000, 0, 0, "a"},
		"inside a large range": {stored("0", "m", 0, 100_000), 100_000, 0, 80_000, "a"},
		"what is still there":  {stored("0", "m", 0, 5_000, 15_000), 15_000, 9_000, 9_000, "a"},
		"after a gap":          {stored("0", "m", 0, 50), 70, 0, 70, ""},
	} {
		p := place{ranges: c.ranges}
		if from, anchor := p.before(c.at, c.first); from != c.from || anchor != c.anchor {
			t.Errorf("%s: %d %q, not %d %q", name, from, anchor, c.from, c.anchor)
		}
	}
}

func TestMetadata(t *testing.T) {
	m := metadata{Incarnation: 3, Marker: "00ff", Intent: &intent{From: 7, To: 9, Anchor: "2026\tx=\"1\""}}
	got, ok := decode(m.encode())
	if !ok || got.Incarnation != 3 || got.Marker != "00ff" || *got.Intent != *m.Intent || got.Intent.span() != (pipeline.Span{From: 7, To: 9}) {
		t.Errorf("%+v came back as %+v", m, got)
	}
	m.Intent.Anchor = strings.Repeat("a", maxMetadata)
	if text := m.encode(); len(text) > maxMetadata {
		t.Errorf("%d bytes", len(text))
	} else if got, ok = decode(text); !ok || got.Intent.Anchor != "" || got.Intent.To != 9 {
		t.Errorf("without its anchor: %+v", got)
	}
	for _, text := range []string{"", "offsets reset by an operator", "{}", `{"v":2}`, `{"v":1,"i":-1}`, `{"v":1,"t":{"f":9,"t":9}}`, `{"v":1`} {
		if m, ok := decode(text); ok {
			t.Errorf("%q was read as %+v", text, m)
		}
	}
}

func TestLinesInValues(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"\x00\r\n":                 "",
		"a line\n":                 "a line",
		"one\ntwo\r\n":             "one\ntwo",
		`{"a":1}`:                  `{"a":1}`,
		"{\n \"a\": \"}\\\"\"\n}":  `{  "a": "}\"" }`,
		"{\"a\":1}\n\n{\"b\":{}}":  "{\"a\":1}\n{\"b\":{}}",
		`[{"a":1}, {"b":2}]`:       "{\"a\":1}\n{\"b\":2}",
		" [ {\"a\":[1,\n{}]} ]\n":  `{"a":[1, {}]}`,
		`[{"a":1}, {"b":2`:         `[{"a":1}, {"b":2`,
		"[{":                       "[{",
		"{\"a\":1}\nnot JSON\nx":   "{\"a\":1}\nnot JSON\nx",
		"{\"a\":\n":                "{\"a\":",
		"[1/2] Exim's split line":  "[1/2] Exim's split line",
		"[2026-11-22] {braces}":    "[2026-11-22] {braces}",
		"{\"a\":1}{\"b\":2}\n{}  ": "{\"a\":1}\n{\"b\":2}\n{}",
	} {
		if got := string(appendLines(nil, []byte(in))); got != want {
			t.Errorf("%q: %q, not %q", in, got, want)
		}
	}
}

func FuzzLinesInValues(f *testing.F) {
	for _, s := range []string{`[{"a":1},{"b":2}]`, "{\n}", "{\"\\", "[{}", "[{}]x", "[{},,{}]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		before := string(value)
		if got := appendLines([]byte("x"), value); len(got) > len(value)+1 || got[0] != 'x' || string(value) != before {
			t.Errorf("%q became %q", before, got)
		}
	})
}

func TestSpread(t *testing.T) {
	var partitions []kafka.Partition
	for _, topic := range []string{"a", "b", "c"} {
		partitions = append(partitions, kafka.Partition{Topic: topic, ID: 0}, kafka.Partition{Topic: topic, ID: 1})
	}
	b := &spread{}
	out := b.AssignGroups([]kafka.GroupMember{{ID: "m2", Topics: []string{"a", "b", "c"}}, {ID: "m1", Topics: []string{"a", "b", "c"}}, {ID: "m3", Topics: []string{"a"}},
		{ID: "m0", Topics: []string{"d"}}}, partitions)
	count := func(m string) (n int) {
		for _, ids := range out[m] {
			n += len(ids)
		}
		return n
	}
	if count("m0") != 0 || count("m3") != 0 && count("m3") != 1 || count("m1")+count("m2")+count("m3") != 6 || count("m1") > 3 || count("m2") > 3 {
		t.Errorf("assigned %v", out)
	}
	if got := b.take(); got["a"] != 2 || got["d"] != 0 || len(got) != 4 || b.take() != nil {
		t.Errorf("counted %v", got)
	}
}

func TestParseTopics(t *testing.T) {
	for _, bad := range [][]string{nil, {"/a"}, {"/(/"}} {
		if err := ValidTopics(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	topics, err := parseTopics([]string{"plain", "/mail-.*/"})
	if err != nil || topics[0].name != "plain" || !topics[1].pattern.MatchString("mail-1") || topics[1].pattern.MatchString("xmail-1") {
		t.Errorf("%v %v", topics, err)
	}
}
