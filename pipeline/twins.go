package pipeline

import (
	"context"
	"math"
	"slices"

	"bounceline/pipeline/batch"
)

// A content that was read directly and is shipped afterwards comes under another name: a shipper cannot ask what is stored. Its
// rows are there already, at the same positions; but another content may begin with the same bytes, and then none of its rows
// may be missing. Rows decide, in the first batch in which both contents have some. What is decided stands in the database from
// then on: a stream that has rows of its own where its twin has the same ones is another content. So whoever makes a batch again,
// and whoever gets the partition afterwards, decides the same.

// A twinPair is a stream that is shipped, and one that was read directly.
type twinPair struct{ shipped, twin string }

// A kinship is what is known of a pair.
type kinship int

const (
	unknown kinship = iota
	same
	apart
)

// leaveOut takes out of the batch the rows of lines that are stored under the name of a twin.
func (r *Runner) leaveOut(ctx context.Context, b *batch.Batch) error {
	if r.Compare == nil {
		return nil
	}
	for i := range b.Twinned {
		t := &b.Twinned[i]
		for _, twin := range t.Twins {
			pair := twinPair{t.Stream, twin.Stream}
			if r.twins[pair] == apart || twin.End <= t.Starts[0] {
				continue
			}
			if _, err := r.retry(ctx, "compare with what was read directly", r.Retryable, func() error { return r.compare(ctx, b, t, twin) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare takes out of the batch what the twin holds, if it is the same content.
func (r *Runner) compare(ctx context.Context, b *batch.Batch, t *batch.Twinned, twin batch.Twin) error {
	pair := twinPair{t.Stream, twin.Stream}
	rg := b.Range(t.Stream, 0)
	held, err := r.Compare.QueueIDs(ctx, twin.Stream, rg.From, rg.To, math.MaxInt32)
	if err != nil || len(held) == 0 {
		return err
	}
	ours := b.QueueIDs(t.Stream)
	equal, beyond, contrary := 0, false, false
	for at, id := range held {
		switch our, ok := ours[at]; {
		case ok && our == id:
			equal++
			beyond = beyond || at > 0
		case ok:
			contrary = true
		default: // a line that gives no row may have given one to another version
			_, begins := slices.BinarySearch(t.Starts, at)
			contrary = contrary || !begins
		}
	}
	if contrary && !twin.Same {
		if r.twins[pair] == same {
			r.Counts.Parted.Add(1)
			r.Log.Error("a shipped stream is another content than one that was read directly: they have the same beginning, which is stored once", "stream", t.Stream,
				"read_directly", twin.Stream, "from", rg.From)
		}
		r.twins[pair] = apart
		return nil
	}
	if equal == 0 {
		return nil
	}
	if !twin.Same {
		if !beyond && rg.To < twin.End { // the first line, which all that begin alike have, proves nothing
			return nil
		}
		own, err := r.ownBefore(ctx, pair, rg.To)
		if err != nil {
			return err
		}
		if own {
			r.twins[pair] = apart
			return nil
		}
	}
	if r.twins[pair] != same && !twin.Same {
		r.twins[pair] = same
		r.Log.Info("shipped lines are stored already, since they were read directly", "stream", t.Stream, "read_directly", twin.Stream, "from", rg.From)
	}
	left := map[int64]bool{}
	rows := uint64(0)
	b.Keep(func(i int) bool {
		stream, at := b.Place(i)
		if id, ok := held[at.Pos]; string(stream) != t.Stream || !ok || id != ours[at.Pos] {
			return true
		}
		left[at.Pos] = true
		rows++
		return false
	})
	rg.Lines -= uint64(len(left))
	rg.EventLines -= uint64(len(left))
	rg.Rows -= rows
	r.Counts.Elsewhere.Add(int64(len(left)))
	return nil
}

// ownBefore reports whether the shipped stream has rows of its own before the position where its twin has the same.
func (r *Runner) ownBefore(ctx context.Context, p twinPair, to int64) (bool, error) {
	own, err := r.Compare.QueueIDs(ctx, p.shipped, 0, to, 1)
	if err != nil {
		return false, err
	}
	for at, id := range own {
		held, err := r.Compare.QueueIDs(ctx, p.twin, at, at+1, 1)
		if err != nil {
			return false, err
		}
		if there, ok := held[at]; ok && there == id {
			return true, nil
		}
	}
	return false, nil
}
