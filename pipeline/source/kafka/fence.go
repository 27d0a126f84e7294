package kafka

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
)

// A fence stands between a partition's runner and the sink: it is the runner's journal, kept with the group's committed
// offset, and lets a batch through only while the partition is ours. It is used by one goroutine.
type fence struct {
	pipeline.Sink
	members   *membership
	topic     string
	partition int
	stream    string
	renewal   time.Duration // how old an announcement may be when a batch is sent: after that somebody else may have taken over

	next      int64         // committed offset
	reached   *atomic.Int64 // the same, for others
	meta      metadata
	announced time.Time
}

// Intend implements pipeline.Journal.
func (f *fence) Intend(b *batch.Batch) error {
	r := f.own(b)
	meta := f.meta
	meta.Intent = &intent{From: r.From, To: r.To, Anchor: r.Anchor}
	begun := time.Now()
	if err := f.members.commit(f.topic, f.partition, f.next, meta); err != nil {
		return err
	}
	f.announced = begun
	return nil
}

// Write implements pipeline.Sink.
func (f *fence) Write(ctx context.Context, b *batch.Batch, token string) error {
	if err := f.renew(b); err != nil {
		return err
	}
	return f.Sink.Write(ctx, b, token)
}

// WriteLedger implements pipeline.Sink.
func (f *fence) WriteLedger(ctx context.Context, b *batch.Batch) error {
	if err := f.renew(b); err != nil {
		return err
	}
	return f.Sink.WriteLedger(ctx, b)
}

// renew announces the batch again if that was long ago: this process may have been stopped meanwhile.
func (f *fence) renew(b *batch.Batch) error {
	if time.Since(f.announced) < f.renewal {
		return nil
	}
	return f.Intend(b)
}

// Commit implements pipeline.Journal.
func (f *fence) Commit(b *batch.Batch) error {
	r := f.own(b)
	return f.commit(r.To, r.Marker)
}

// commit moves the committed offset.
func (f *fence) commit(next int64, marker string) error {
	meta := metadata{Incarnation: f.meta.Incarnation, Marker: marker}
	if err := f.members.commit(f.topic, f.partition, next, meta); err != nil {
		return err
	}
	f.next, f.meta = next, meta
	f.reached.Store(next)
	return nil
}

// own is the batch's range of the partition itself.
func (f *fence) own(b *batch.Batch) *batch.Range {
	for i := range b.Ranges {
		if b.Ranges[i].Stream == f.stream {
			return &b.Ranges[i]
		}
	}
	panic("a batch without a range of its partition")
}

// retryable is what the runner may try again: nothing once the partition is lost.
func (f *fence) retryable(of func(error) bool) func(error) bool {
	return func(err error) bool { return !errors.Is(err, errFenced) && of(err) }
}
