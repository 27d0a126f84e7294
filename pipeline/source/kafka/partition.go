package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"bounceline/pipeline"
	qctx "bounceline/pipeline/context"
	"bounceline/pipeline/kafkaconn"
	"bounceline/pipeline/source/content"
)

// batchMemory is how much text the batches of all partitions may hold: a partition has two of them.
const batchMemory = 256 << 20

// How much is fetched of a partition at once. All partitions together hold fetchMemory, and as much again where batches are
// compressed.
const (
	maxFetched  = 1 << 20
	minFetched  = 128 << 10
	fetchMemory = 64 << 20
)

// Of batches that are sent only because their time has come there are two a second, and no more than burst at once: the rest of
// what was written while nobody read does not wait.
const (
	every = time.Second / 2
	burst = 24
)

// A partition is one that this member has in a generation.
type partition struct {
	*Source
	members   *membership
	reach     func(context.Context) (map[string]int64, error) // see content.Ledger, asked once a generation
	prefix    string                                          // of the names of its streams
	committed kafka.OffsetFetchPartition
	share     int // how many partitions share this process
	reader    *reader
}

func (s *Source) partition(m *membership, reach func(context.Context) (map[string]int64, error), cluster, topic string, id, share int,
	at kafka.OffsetFetchPartition) *partition {
	return &partition{Source: s, members: m, reach: reach, prefix: fmt.Sprintf("%s/%s/%d/", cluster, topic, id), committed: at, share: share,
		reader: &reader{conn: s.Conn, topic: topic, partition: id, maxBytes: min(maxFetched, max(minFetched, fetchMemory/share)),
			suspect: -1, buffers: s.Pipeline.Buffers, counts: &s.Counts, log: s.Log}}
}

// run reads the partition until ctx is done, or until it must be looked at anew: then the error says why.
func (p *partition) run(ctx context.Context) error {
	at, first, err := p.settle(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	var reached atomic.Int64
	f := &fence{reached: &reached, Sink: p.Pipeline.Sink, members: p.members, topic: p.reader.topic, partition: p.reader.partition, stream: at.stream,
		renewal: p.SessionTimeout, next: at.next, meta: metadata{Incarnation: at.incarnation, Marker: at.marker, Intent: at.intent}}
	reached.Store(at.next)
	if at.commit {
		if err := f.commit(at.next, at.marker); err != nil {
			return p.ended(ctx, err)
		}
	}
	p.place(&at, first)
	p.reader.shipments = &shipments{ledger: p.Ledger, retryable: p.Pipeline.Retryable, via: at.stream, committed: &reached, idle: p.Idle, counts: &p.Counts, log: p.Log,
		streams: map[string]*shipment{}}
	p.Log.Info("reading", "topic", p.reader.topic, "partition", p.reader.partition, "stream", at.stream, "from", at.next, "context_from", p.reader.next,
		"interrupted_batch", at.intent != nil)

	c := p.Pipeline
	if c.Audit != nil {
		c.Audit = p.mender
	}
	c.Journal, c.Sink, c.Retryable = f, f, f.retryable(p.Pipeline.Retryable)
	c.Context = qctx.New(max(1<<20, p.ContextMemory/p.share))
	c.MaxBytes = min(16<<20, max(1<<20, batchMemory/2/p.share))
	c.Pace = p.pace
	c.DrainFor = p.drain()
	return p.pump(ctx, pipeline.NewRunner(c))
}

// pump reads and writes.
func (p *partition) pump(ctx context.Context, runner *pipeline.Runner) error {
	err := pipeline.Drive(ctx, p.reader.run, runner)
	if err == nil || fatal(err) || errors.Is(err, errMoved) || errors.Is(err, errStalled) || errors.Is(err, errGone) {
		return err
	}
	return p.ended(ctx, err)
}

// ended says what the end of writing means for the generation.
func (p *partition) ended(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, errFenced):
		p.Counts.Fenced.Add(1)
		p.Log.Info("the partition went to another member before its last batch was stored; that one does it", "topic", p.reader.topic, "partition", p.reader.partition)
		return errFenced
	case ctx.Err() != nil:
		p.Log.Warn("the last batch could not be stored before the partition was to be given back; its next owner does it",
			"topic", p.reader.topic, "partition", p.reader.partition, "error", err)
		return nil
	}
	return fatalError{fmt.Errorf("topic %s, partition %d: %w", p.reader.topic, p.reader.partition, err)}
}

// settle finds out where reading begins. It tries until it knows, or until ctx is done.
func (p *partition) settle(ctx context.Context) (at place, first int64, err error) {
	said := ""
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		at, first, err = p.try(ctx)
		switch {
		case ctx.Err() != nil:
			return at, first, nil
		case err == nil:
			p.Counts.Skipped.Add(at.skipped)
			p.Counts.Unreadable.Add(at.unreadable)
			if at.skipped > 0 {
				p.Log.Error("records that were to be read are not: they were deleted, or the policy for offsets out of range leaves them out",
					"topic", p.reader.topic, "partition", p.reader.partition, "records", at.skipped, "next", at.next)
			}
			if at.unreadable > 0 {
				p.Log.Error("a batch that was being sent when its owner ended cannot be made again: its records were deleted",
					"topic", p.reader.topic, "partition", p.reader.partition, "records", at.unreadable)
			}
			for _, l := range at.lost {
				if p.Lose != nil {
					p.Lose(at.stream, l.From, l.To, "the records were deleted from the topic, or left out by policy")
				}
			}
			return at, first, nil
		case fatal(err):
			return at, first, err
		}
		if said != err.Error() {
			said = err.Error()
			p.Log.Error("a partition cannot be read yet", "topic", p.reader.topic, "partition", p.reader.partition, "error", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return at, first, nil
		}
	}
}

// try asks broker and ledger once.
func (p *partition) try(ctx context.Context) (place, int64, error) {
	k := known{prefix: p.prefix, committed: p.committed.CommittedOffset,
		marker: func(offset int64) (string, error) { return p.reader.marker(ctx, offset) }}
	k.meta, k.ours = decode(p.committed.Metadata)
	var err error
	if k.first, k.last, err = p.reader.look(ctx); err != nil {
		if kafkaconn.Permanent(err) {
			err = fatalError{err}
		}
		return place{}, 0, kafkaconn.Explain(err)
	}
	if k.ledger, err = p.Ledger.Ledger(ctx, p.prefix); err == nil {
		k.reach, err = p.reach(ctx)
	}
	if err != nil {
		err = fmt.Errorf("ask the ledger: %w", err)
		if !p.Pipeline.Retryable(err) {
			err = fatalError{err}
		}
		return place{}, 0, err
	}
	at, err := k.find(p.OutOfRange)
	if errors.Is(err, errOutOfRange) {
		err = fatalError{err}
	}
	return at, k.first, err
}

// place puts the reader where it begins.
func (p *partition) place(at *place, first int64) {
	r := p.reader
	r.quiet = at.next
	if at.intent != nil {
		r.quiet, r.stop = at.intent.From, at.intent.To
	}
	from, anchor := at.before(r.quiet, first)
	r.next, r.quietLeft = from, quietBytes
	stream := pipeline.Stream{Name: at.stream, Source: r.topic, Path: fmt.Sprintf("kafka %s/%d", r.topic, r.partition),
		Topic: r.topic, Partition: r.partition, Parser: p.Parser,
		Anchor: anchor, Reference: time.Now(), Stored: content.Spans(at.ranges), Doubt: at.doubt, Intent: at.intent.span()}
	r.reread = &stream
	r.stream = r.reread
	if at.intent != nil && at.intent.Anchor != "" {
		again := stream
		again.Anchor = at.intent.Anchor
		r.stream = &again
	}
	r.position.Store(r.next)
}
