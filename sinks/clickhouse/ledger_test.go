package clickhouse

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"bounceline/pipeline/batch"
)

// TestLedgerJoinsRanges compares what Ledger returns with the ranges that were written: of streams without end, with gaps and with
// ranges over one another, read directly and shipped through two partitions.
func TestLedgerJoinsRanges(t *testing.T) {
	const n = 3000
	d := migrated(t)
	random := rand.New(rand.NewPCG(1, 2))
	type way struct{ stream, via string }
	wrote := map[way][]batch.Range{}
	var all batch.Batch
	for _, w := range []way{{"file-x-0", ""}, {"file-x-0", "c/maillog/0/0"}, {"file-x-0", "c/maillog/1/0"}, {"file-x-1", ""}, {"file-x-1\t", "gaps"}, {"file-y-0", ""}} {
		at := int64(0)
		for i := range n {
			r := batch.Range{Stream: w.stream, Via: w.via, From: at, To: at + 1 + int64(random.IntN(1000)), Source: "mail", Lines: 7, EventLines: 3, Context: 4, Rows: 5}
			switch {
			case w.via == "gaps" && random.IntN(n/10) == 0: // a line was refused
				r.From++
				r.To++
			case w.stream == "file-x-1" && random.IntN(n/10) == 0: // it was stored twice
				r.From -= min(r.From, 10)
			}
			r.Marker, r.Anchor = fmt.Sprintf("%016x", r.To), fmt.Sprint("anchor ", i)
			wrote[w] = append(wrote[w], r)
			all.Ranges = append(all.Ranges, r)
			at = r.To
		}
	}
	if err := d.WriteLedger(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	got, err := d.Ledger(t.Context(), "file-x-")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(got, batch.Range.Compare) {
		t.Error("the ranges are not sorted")
	}
	found := map[way][]batch.Range{}
	for _, r := range got {
		found[way{r.Stream, r.Via}] = append(found[way{r.Stream, r.Via}], r)
	}
	if len(found) != 5 {
		t.Errorf("there are %d streams and ways", len(found))
	}
	for w, ranges := range found {
		raw := wrote[w]
		if len(ranges) > n/3 {
			t.Errorf("%v: %d ranges of %d", w, len(ranges), len(raw))
		}
		var lines uint64
		for _, r := range ranges {
			first, ok := slices.BinarySearchFunc(raw, r.From, func(x batch.Range, at int64) int { return cmp.Compare(x.From, at) })
			if !ok || raw[first].Anchor != r.Anchor {
				t.Errorf("%v: a range begins at %d with %q", w, r.From, r.Anchor)
			}
			last, ok := slices.BinarySearchFunc(raw, r.To, func(x batch.Range, at int64) int { return cmp.Compare(x.To, at) })
			if !ok || raw[last].Marker != r.Marker {
				t.Errorf("%v: a range ends at %d with %s", w, r.To, r.Marker)
			}
			if s := raw[first : last+1]; r.Lines != uint64(7*len(s)) || r.EventLines != uint64(3*len(s)) || r.Context != uint64(4*len(s)) || r.Rows != uint64(5*len(s)) || r.Source != "mail" {
				t.Errorf("%v: %+v is of %d ranges", w, r, len(s))
			}
			lines += r.Lines
		}
		if lines != 7*n || !slices.Equal(joinedSpans(ranges), joinedSpans(raw)) {
			t.Errorf("%v: %d lines of %d, or other gaps", w, lines, 7*n)
		}
		if a, b := ranges[len(ranges)-3:], raw[len(raw)-3:]; !slices.Equal(a, b) {
			t.Errorf("%v ends with %+v, not with %+v", w, a, b)
		}
	}
	if none, err := d.Ledger(t.Context(), "file-z"); err != nil || len(none) != 0 {
		t.Errorf("of no stream: %v, %v", none, err)
	}
}

// joinedSpans are the positions that the ranges cover, as from and to in turn.
func joinedSpans(ranges []batch.Range) (out []int64) {
	for _, r := range ranges {
		if n := len(out); n > 0 && r.From <= out[n-1] {
			out[n-1] = max(out[n-1], r.To)
			continue
		}
		out = append(out, r.From, r.To)
	}
	return out
}
