package content

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
)

// A Ledger knows what is stored.
type Ledger interface {
	// Ledger returns the stored ranges of all streams whose name begins with prefix, sorted by stream and position. A range may stand
	// for several that follow one another: it has the anchor of the first and the marker of the last.
	Ledger(ctx context.Context, prefix string) ([]batch.Range, error)
	// Reach returns, for each such stream that has rows, the position after its last row, ledger or not.
	Reach(ctx context.Context, prefix string) (map[string]int64, error)
}

// Known is what a file turned out to be.
type Known struct {
	Name   string
	Parts  []string      // the streams that hold some of it: a file that was imported and then shipped is stored under two names
	Ranges []batch.Range // what is stored of it, sorted by position
	Doubt  int64         // before it there are rows that the ledger does not know; 0 if there are none
	Free   int           // the lowest counter, behind prefix and tag, that ledger and rows know for no content that begins so
}

// Resolve names the content that begins with head. It is every stream that begins alike whose markers inside the content all
// agree, at least one; preferred, if it is not empty, is taken where no marker lies inside; else same decides, and where it
// knows none the content is a new stream, whose name has the tag.
//
// markers returns the marker at each of the positions, which are sorted, as far as the content reaches; same reports
// whether a stream of which no marker lies inside the content holds the same rows at its positions: all that the content
// gives, or, of a stream that the ledger does not know, some of them.
func Resolve(ctx context.Context, l Ledger, head []byte, tag, preferred string, markers func(at []int64) (map[int64]string, error),
	same func(name string) (bool, error)) (Known, error) {
	prefix := Prefix(head)
	reach, err := l.Reach(ctx, prefix)
	if err != nil {
		return Known{}, fmt.Errorf("ask what is stored: %w", err)
	}
	ranges, err := l.Ledger(ctx, prefix)
	if err != nil {
		return Known{}, fmt.Errorf("ask the ledger: %w", err)
	}
	b := beginners{prefix: prefix, reach: reach, ranges: map[string][]batch.Range{}}
	for _, r := range ranges {
		b.ranges[r.Stream] = append(b.ranges[r.Stream], r)
	}
	k, err := b.resolve(preferred, markers, same)
	if err != nil {
		return Known{}, err
	}
	for _, name := range append(b.names(), preferred) {
		if n, ok := Counter(prefix+tag, name); ok {
			k.Free = max(k.Free, n+1)
		}
	}
	if k.Name == "" {
		return Known{Name: Name(prefix+tag, k.Free), Free: k.Free + 1}, nil
	}
	for _, name := range k.Parts {
		if end := reach[name]; end > storedTo(k.Ranges) {
			k.Doubt = max(k.Doubt, end)
		}
	}
	return k, nil
}

// storedTo is the end of what is stored from the beginning on without a gap.
func storedTo(ranges []batch.Range) int64 {
	if spans := Spans(ranges); len(spans) > 0 && spans[0].From == 0 {
		return spans[0].To
	}
	return 0
}

// beginners are the streams that begin alike, and what is stored of them.
type beginners struct {
	prefix string
	reach  map[string]int64
	ranges map[string][]batch.Range
}

// names are the streams' names, but for those that nobody who reads files gives: those with a tag behind the others, and of one tag in the order of their counters.
func (b *beginners) names() []string {
	all := map[string]bool{}
	for name := range b.reach {
		all[name] = true
	}
	for name := range b.ranges {
		all[name] = true
	}
	maps.DeleteFunc(all, func(name string, _ bool) bool { return !named(b.prefix, name) })
	return slices.SortedFunc(maps.Keys(all), func(x, y string) int {
		return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y))
	})
}

// resolve finds the streams that are the content. It returns no name if there is none.
func (b *beginners) resolve(preferred string, markers func(at []int64) (map[int64]string, error), same func(name string) (bool, error)) (Known, error) {
	var positions []int64
	for _, ranges := range b.ranges {
		for _, r := range ranges {
			positions = append(positions, r.To)
		}
	}
	slices.Sort(positions)
	positions = slices.Compact(positions)
	var found map[int64]string
	if len(positions) > 0 {
		var err error
		if found, err = markers(positions); err != nil {
			return Known{}, err
		}
	}
	var alike, outside []string
	for _, name := range b.names() {
		switch inside, agree := compare(b.ranges[name], found); {
		case inside > 0 && agree:
			alike = append(alike, name)
		case inside == 0:
			outside = append(outside, name)
		}
	}
	if len(alike) > 0 {
		return b.known(b.chosen(alike, preferred), alike), nil
	}
	if strings.HasPrefix(preferred, b.prefix) {
		if inside, _ := compare(b.ranges[preferred], found); inside == 0 {
			return b.known(preferred, []string{preferred}), nil
		}
	}
	for _, name := range outside {
		ok, err := same(name)
		if err != nil {
			return Known{}, err
		}
		if ok {
			return b.known(name, []string{name}), nil
		}
	}
	return Known{}, nil
}

// chosen is the stream of those alike under which more of the content is to be stored: the preferred one; else one that is
// shipped, since more of it may be on its way under its name; else the first.
func (b *beginners) chosen(alike []string, preferred string) string {
	if slices.Contains(alike, preferred) {
		return preferred
	}
	out := alike[0]
	for _, name := range alike[1:] {
		if Tagged(b.prefix, name) && (!Tagged(b.prefix, out) || end(b.ranges[name]) > end(b.ranges[out])) {
			out = name
		}
	}
	return out
}

func end(ranges []batch.Range) (at int64) {
	for _, r := range ranges {
		at = max(at, r.To)
	}
	return at
}

func (b *beginners) known(name string, parts []string) Known {
	k := Known{Name: name, Parts: parts}
	for _, p := range parts {
		k.Ranges = append(k.Ranges, b.ranges[p]...)
	}
	slices.SortStableFunc(k.Ranges, func(x, y batch.Range) int { return cmp.Compare(x.From, y.From) })
	return k
}

// compare counts the ranges that end inside the content and says whether all their markers agree.
func compare(ranges []batch.Range, found map[int64]string) (inside int, agree bool) {
	agree = true
	for _, r := range ranges {
		if m, ok := found[r.To]; ok {
			inside++
			agree = agree && m == r.Marker
		}
	}
	return inside, agree
}

// Spans joins adjacent ranges.
func Spans(ranges []batch.Range) []pipeline.Span {
	var out []pipeline.Span
	for _, r := range ranges {
		if n := len(out); n > 0 && r.From <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, r.To)
			continue
		}
		out = append(out, pipeline.Span{From: r.From, To: r.To})
	}
	return out
}

// ReadHead returns the part of r's first bytes that names it, all bytes that had to be read for that, and whether r ended
// with them. Head is nil where r is empty.
func ReadHead(r io.Reader) (head, read []byte, err error) {
	buf := make([]byte, 0, 4096)
	for {
		if h, ok := Head(buf, false); ok {
			return h, buf, nil
		}
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, len(buf))
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			h, _ := Head(buf, true)
			return h, buf, nil
		}
		if err != nil {
			return nil, nil, err
		}
	}
}

// MarkersOf reads r from its start and returns the marker at each position, as far as r reaches. It stops behind the last.
func MarkersOf(r io.Reader, at []int64) (map[int64]string, error) {
	out := map[int64]string{}
	buf := make([]byte, pipeline.BufferSize)
	var tail []byte
	pos := int64(0)
	for len(at) > 0 {
		n, err := r.Read(buf)
		data := buf[:n]
		for len(at) > 0 && at[0] <= pos+int64(n) {
			cut := data[:max(0, at[0]-pos)]
			out[at[0]] = batch.Marker(batch.AppendTail(bytes.Clone(tail), cut))
			at = at[1:]
		}
		tail = batch.AppendTail(tail, data)
		pos += int64(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// WithHead gives back the bytes that ReadHead took.
func WithHead(read []byte, r io.Reader) io.Reader { return io.MultiReader(bytes.NewReader(read), r) }
