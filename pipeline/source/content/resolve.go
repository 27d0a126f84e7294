package content

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
)

// A Ledger knows what is stored.
type Ledger interface {
	// Ledger returns the stored ranges of all streams whose name begins with prefix, sorted by stream and position.
	Ledger(ctx context.Context, prefix string) ([]batch.Range, error)
	// Reach returns, for each such stream that has rows, the position after its last row, ledger or not.
	Reach(ctx context.Context, prefix string) (map[string]int64, error)
}

// Known is what a file turned out to be.
type Known struct {
	Name   string
	Ranges []batch.Range // what is stored of it, sorted by position
	Doubt  int64         // before it there are rows that the ledger does not know; 0 if there are none
	Free   int           // the lowest counter that ledger and rows know for no content that begins so
}

// Resolve names the content that begins with head. Of the streams that begin alike it is the first whose markers inside
// the content all agree, at least one; preferred, if it is not empty, is taken where no marker lies inside; else same
// decides, and where it knows none the content is a new stream.
//
// markers returns the marker at each of the positions, which are sorted, as far as the content reaches; same reports
// whether a stream of which no marker lies inside the content holds the same rows at its positions: all that the content
// gives, or, of a stream that the ledger does not know, some of them.
func Resolve(ctx context.Context, l Ledger, head []byte, preferred string, markers func(at []int64) (map[int64]string, error),
	same func(name string) (bool, error)) (Known, error) {
	reach, err := l.Reach(ctx, Prefix(head))
	if err != nil {
		return Known{}, fmt.Errorf("ask what is stored: %w", err)
	}
	k, err := resolve(ctx, l, reach, head, preferred, markers, same)
	if end := reach[k.Name]; end > storedTo(k.Ranges) {
		k.Doubt = end
	}
	return k, err
}

// storedTo is the end of what is stored from the beginning on without a gap.
func storedTo(ranges []batch.Range) int64 {
	if spans := Spans(ranges); len(spans) > 0 && spans[0].From == 0 {
		return spans[0].To
	}
	return 0
}

func resolve(ctx context.Context, l Ledger, reach map[string]int64, head []byte, preferred string,
	markers func(at []int64) (map[int64]string, error), same func(name string) (bool, error)) (Known, error) {
	prefix := Prefix(head)
	ranges, err := l.Ledger(ctx, prefix)
	if err != nil {
		return Known{}, fmt.Errorf("ask the ledger: %w", err)
	}
	streams := map[int][]batch.Range{}
	var positions []int64
	free := 0
	for _, r := range ranges {
		n, ok := Counter(prefix, r.Stream)
		if !ok {
			continue
		}
		streams[n] = append(streams[n], r)
		positions = append(positions, r.To)
		free = max(free, n+1)
	}
	for name := range reach {
		if n, ok := Counter(prefix, name); ok {
			free = max(free, n+1)
		}
	}
	if n, ok := Counter(prefix, preferred); ok {
		free = max(free, n+1)
	}
	slices.Sort(positions)
	positions = slices.Compact(positions)
	var found map[int64]string
	if len(positions) > 0 {
		if found, err = markers(positions); err != nil {
			return Known{}, err
		}
	}
	var outside []int
	for n := range free {
		switch inside, agree := compare(streams[n], found); {
		case inside > 0 && agree:
			return Known{Name: Name(prefix, n), Ranges: streams[n], Free: free}, nil
		case inside == 0 && (len(streams[n]) > 0 || reach[Name(prefix, n)] > 0):
			outside = append(outside, n)
		}
	}
	if _, ok := Counter(prefix, preferred); ok {
		n, _ := Counter(prefix, preferred)
		if inside, _ := compare(streams[n], found); inside == 0 {
			return Known{Name: preferred, Ranges: streams[n], Free: free}, nil
		}
	}
	for _, n := range outside {
		ok, err := same(Name(prefix, n))
		if err != nil {
			return Known{}, err
		}
		if ok {
			return Known{Name: Name(prefix, n), Ranges: streams[n], Free: free}, nil
		}
	}
	return Known{Name: Name(prefix, free), Free: free + 1}, nil
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
			out[at[0]] = batch.Marker(tailOf(tail, cut))
			at = at[1:]
		}
		tail = tailOf(tail, data)
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
