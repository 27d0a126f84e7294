package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/kafkaconn"
)

// stalled is how long nothing may come while the broker has records: then something is wrong with this client.
const stalled = 30 * time.Second

// Errors that end a reader for good: the partition must be looked at anew.
var (
	errMoved   = errors.New("the offset to read next is no longer in the partition")
	errStalled = errors.New("the broker has records and hands out none")
	errGone    = errors.New("the partition is gone")
)

// A reader reads one partition from a position on. It is used by one goroutine; the atomics may be read by others.
type reader struct {
	conn      *kafkaconn.Conn
	topic     string
	partition int
	maxBytes  int // of records that are fetched at once
	buffers   *pipeline.Buffers
	counts    *Counts
	log       *slog.Logger

	next      int64            // position of the next record
	quiet     int64            // records before it are read for context only
	quietLeft int64            // how many bytes of them may still be read
	reread    *pipeline.Stream // what the records before quiet belong to
	stream    *pipeline.Stream // what the others belong to: the same, unless the parser is to begin anew there
	shipments *shipments
	set       recordSet
	record    message // the last one that was read
	expect    int     // records in a chunk, as in the last one
	suspect   int64   // first offset of a batch whose checksum was wrong; it is fetched once more
	stop      int64   // where the interrupted batch ends: a record, or nothing, must end there; 0 is nowhere

	position, end atomic.Int64 // how far it has read, and what the partition holds
}

// run sends records until ctx is done or the partition must be looked at anew. It blocks while the receiver is busy.
func (r *reader) run(ctx context.Context, out chan<- pipeline.Chunk) error {
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		begun := r.next
		err := r.connected(ctx, out)
		if ctx.Err() != nil {
			return nil
		}
		if fatal(err) || errors.Is(err, errMoved) || errors.Is(err, errStalled) || errors.Is(err, errGone) {
			return err
		}
		if r.next > begun {
			wait = 200 * time.Millisecond
		}
		r.counts.Reconnects.Add(1)
		pause := wait/2 + time.Duration(rand.Int64N(int64(wait)))
		r.log.Warn("reading from Kafka was interrupted; it goes on with a new connection", "topic", r.topic, "partition", r.partition,
			"offset", r.next, "again_in", pause.Round(time.Millisecond), "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
}

// connected reads over one connection until that fails.
func (r *reader) connected(ctx context.Context, out chan<- pipeline.Chunk) error {
	s, err := openSession(ctx, r.conn, r.topic, r.partition, r.maxBytes)
	if err != nil {
		return err
	}
	defer s.conn.Close()
	hangUp := context.AfterFunc(ctx, func() { s.conn.Close() })
	defer hangUp()
	progress := time.Now()
	for {
		begun := r.next
		end, err := r.fetch(ctx, s, out)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, kafka.OffsetOutOfRange):
			return errMoved
		case errors.Is(err, kafka.UnknownTopicOrPartition), errors.Is(err, kafka.UnknownTopicID):
			return errGone
		case err != nil:
			return err
		}
		r.position.Store(r.next)
		r.end.Store(end)
		if r.next > begun || end <= r.next {
			progress = time.Now()
		} else if time.Since(progress) > stalled {
			return errStalled
		}
	}
}

// fetch asks for records once and sends what comes. It returns the partition's end.
func (r *reader) fetch(ctx context.Context, s *session, out chan<- pipeline.Chunk) (end int64, err error) {
	begun := r.next
	batches, end, err := s.fetch(begun)
	if err != nil {
		return 0, err
	}
	p := packer{reader: r, ctx: ctx, out: out, last: end}
	if r.shipments != nil {
		r.shipments.now = time.Now()
	}
	r.set.reset(batches)
	for err == nil {
		if err = r.set.read(&r.record); err == nil {
			if r.record.offset >= r.next {
				err = p.add(&r.record)
			}
		} else if d := (*damage)(nil); errors.As(err, &d) {
			err = p.damaged(d)
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, errEnough) {
		err = nil
	}
	if at, ok := endOf(batches); ok && err == nil && r.next == begun && at > begun {
		// What stood there was compacted away.
		if err = p.gap(at); err == nil && r.next < at {
			err = p.put(at, 0, &message{}, pipeline.Shipped{}, nil)
		}
	}
	return end, errors.Join(err, p.flush())
}

// A packer fills chunks with records.
type packer struct {
	*reader
	ctx   context.Context
	out   chan<- pipeline.Chunk
	chunk pipeline.Chunk
	open  bool
	last  int64 // the partition's end
}

// errEnough says that no more is to be read for context.
var errEnough = errors.New("enough was read again")

// errChecksum says that a batch is to be fetched once more: what was wrong may have been the way here.
var errChecksum = errors.New("a batch came with a wrong checksum")

// add puts a record into the chunk.
func (p *packer) add(r *message) error {
	if err := p.gap(r.offset); err != nil {
		return err
	}
	quiet := r.offset < p.quiet
	if quiet {
		if p.quietLeft -= int64(len(r.value)); p.quietLeft < 0 {
			err := p.flush()
			p.next = p.quiet
			return errors.Join(err, p.known(), errEnough)
		}
	}
	p.counts.Records.Add(1)
	p.counts.Bytes.Add(int64(len(r.value)))
	reason := readable
	var from pipeline.Shipped
	var why error
	switch {
	case r.control:
		p.counts.Control.Add(1)
	case r.origin != nil:
		var err error
		if from, reason, why, err = p.shipments.from(p.ctx, r, quiet); err != nil {
			return err
		}
	case r.null:
		reason = tombstone
	case len(r.value) > maxValue:
		reason = tooLong
	case blank(r.value):
		reason = empty
	}
	var dead *batch.Dead
	if reason != readable {
		dead = p.letter(r.offset, reason, why)
		dead.Record.Header, dead.Size = slices.Clone(r.origin), len(r.value)
	}
	return p.put(r.offset+1, r.time, r, from, dead)
}

// damaged notes what cannot be read as records. What a checksum speaks against is fetched once more first.
func (p *packer) damaged(d *damage) error {
	if d.unsure && d.next <= p.next || d.next > p.last { // no more is given up than what was asked for
		d.from, d.next = p.next, p.next+1
	}
	if d.next <= p.next {
		return nil
	}
	if d.reason == badChecksum && p.suspect != d.from {
		p.suspect = d.from
		return errChecksum
	}
	at := max(p.next, d.from)
	if p.quiet > at && p.quiet < d.next {
		at = p.quiet
	}
	if err := p.gap(at); err != nil {
		return err
	}
	next := d.next
	if p.stop > p.next && next > p.stop { // an interrupted batch ends inside: what is behind comes again
		next = p.stop
	}
	dead := p.letter(at, d.reason, d.err)
	dead.Next, dead.Size = next, len(d.raw)
	return p.put(next, 0, &message{value: d.raw, origin: []byte{}}, pipeline.Shipped{}, dead)
}

// letter begins the dead letter of what cannot be read at the offset.
func (p *packer) letter(offset int64, reason badReason, why error) *batch.Dead {
	if offset >= p.quiet {
		p.counts.bad[reason].Add(1)
	}
	d := &batch.Dead{Stream: p.stream.Name, Source: p.stream.Source, Pos: offset, Reason: reason.sentence(), Unread: true,
		Record: &batch.Record{Topic: p.topic, Partition: p.partition, Offset: offset}}
	if why != nil {
		d.Reason += ": " + why.Error()
	}
	return d
}

// gap ends the interrupted batch and the quiet part where no record does, if they end before the offset. A gap that
// nothing ends in is covered by the record behind it.
func (p *packer) gap(offset int64) error {
	for _, at := range [2]int64{p.quiet, p.stop} {
		if at > p.next && at <= offset {
			if err := p.put(at, 0, &message{}, pipeline.Shipped{}, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// put appends a record that ends at next.
func (p *packer) put(next, stamp int64, r *message, from pipeline.Shipped, dead *batch.Dead) error {
	quiet := next <= p.quiet
	room := min(len(r.value), maxValue) + maxKey
	if p.open && (p.chunk.Quiet != quiet || len(p.chunk.Data)+room > cap(p.chunk.Data)) {
		if err := p.flush(); err != nil {
			return err
		}
	}
	if !p.open {
		p.begin(quiet, room)
	}
	c := &p.chunk
	c.Data = appendText(c.Data, r)
	end := len(c.Data)
	if !r.control {
		c.Data = append(c.Data, keptKey(r.key)...)
	}
	c.Records = append(c.Records, pipeline.Record{Next: next, End: end, KeyEnd: len(c.Data), Time: stamp})
	if from.Stream != nil || c.Shipped != nil {
		for len(c.Shipped) < len(c.Records)-1 {
			c.Shipped = append(c.Shipped, pipeline.Shipped{})
		}
		c.Shipped = append(c.Shipped, from)
	}
	if dead != nil {
		c.Dead = append(c.Dead, *dead)
	}
	c.Next, p.next = next, next
	if next == p.quiet {
		return errors.Join(p.flush(), p.known())
	}
	return nil
}

// begin begins a chunk with room for so many bytes at least.
func (p *packer) begin(quiet bool, room int) {
	p.open = true
	stream := p.stream
	if quiet {
		stream = p.reread
	}
	p.chunk = pipeline.Chunk{Stream: stream, Offset: p.next, Quiet: quiet, Records: make([]pipeline.Record, 0, p.expect+p.expect/8+16)}
	if room > pipeline.BufferSize {
		p.chunk.Data = make([]byte, 0, room)
	} else {
		p.chunk.Buffer = p.buffers.Take()
		p.chunk.Data = p.chunk.Buffer[:0]
	}
}

// known ends what was read for context, where the records behind it are read by another parser.
func (p *packer) known() error {
	if p.reread == p.stream {
		return nil
	}
	return p.send(pipeline.Chunk{Stream: p.reread, Offset: p.quiet, Next: p.quiet, Last: true})
}

// flush sends the chunk.
func (p *packer) flush() error {
	if !p.open {
		return nil
	}
	p.open = false
	p.expect = len(p.chunk.Records)
	return p.send(p.chunk)
}

func (p *packer) send(c pipeline.Chunk) error {
	select {
	case p.out <- c:
		return nil
	case <-p.ctx.Done():
		p.buffers.Give(c.Buffer)
		return p.ctx.Err()
	}
}

// look asks the partition's leader which offsets it has.
func (r *reader) look(ctx context.Context) (first, last int64, err error) {
	var conn *kafka.Conn
	for _, b := range r.conn.Brokers {
		if conn, err = r.conn.Dialer.DialLeader(ctx, "tcp", b, r.topic, r.partition); err == nil {
			break
		}
	}
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(readWithin)); err != nil {
		return 0, 0, err
	}
	return conn.ReadOffsets()
}

// marker returns the marker of what ends before the position, empty if that is not there any more.
func (r *reader) marker(ctx context.Context, offset int64) (string, error) {
	s, err := openSession(ctx, r.conn, r.topic, r.partition, r.maxBytes)
	if err != nil {
		return "", err
	}
	defer s.conn.Close()
	hangUp := context.AfterFunc(ctx, func() { s.conn.Close() })
	defer hangUp()
	batches, _, err := s.fetch(offset)
	switch {
	case errors.Is(err, kafka.OffsetOutOfRange):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read the record at offset %d: %w", offset, err)
	}
	var set recordSet
	var rec message
	set.reset(batches)
	for {
		err := set.read(&rec)
		d := (*damage)(nil)
		switch {
		case errors.As(err, &d) && d.next == offset+1:
			rec = message{value: d.raw, origin: []byte{}}
		case errors.As(err, &d), err == nil && rec.offset < offset:
			continue
		case err != nil || rec.offset > offset:
			return "", nil
		}
		return batch.Marker(pipeline.AppendMarked(nil, rec.time, appendText(nil, &rec))), nil
	}
}
