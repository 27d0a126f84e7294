package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
)

// How records are fetched. The client waits for nothing longer than maxWait, since nothing ends its wait (kafka-go issue
// 428).
const (
	maxWait    = 500 * time.Millisecond
	readWithin = maxWait + 10*time.Second
	maxFetch   = 4 << 20
	stalled    = 30 * time.Second // without a record while the broker has some: something is wrong with this client
)

// Errors that end a reader for good: the partition must be looked at anew.
var (
	errMoved   = errors.New("the offset to read next is no longer in the partition")
	errStalled = errors.New("the broker has records and hands out none")
	errGone    = errors.New("the partition is gone")
)

// A reader reads one partition from a position on. It is used by one goroutine; the atomics may be read by others.
type reader struct {
	dialer    *kafka.Dialer
	brokers   []string
	topic     string
	partition int
	buffers   *pipeline.Buffers
	counts    *Counts
	log       *slog.Logger

	next      int64            // position of the next record
	quiet     int64            // records before it are read for context only
	quietLeft int64            // how many bytes of them may still be read
	reread    *pipeline.Stream // what the records before quiet belong to
	stream    *pipeline.Stream // what the others belong to: the same, unless the parser is to begin anew there
	shipments *shipments
	stop      int64 // where the interrupted batch ends: a record, or nothing, must end there; 0 is nowhere

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

// connect opens a connection to the partition's leader.
func (r *reader) connect(ctx context.Context) (*kafka.Conn, error) {
	var last error
	for _, b := range r.brokers {
		conn, err := r.dialer.DialLeader(ctx, "tcp", b, r.topic, r.partition)
		if err == nil {
			return conn, nil
		}
		last = err
	}
	return nil, last
}

// connected reads over one connection until that fails.
func (r *reader) connected(ctx context.Context, out chan<- pipeline.Chunk) error {
	conn, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	hangUp := context.AfterFunc(ctx, func() { conn.Close() })
	defer hangUp()
	if _, err := conn.Seek(r.next, kafka.SeekAbsolute|kafka.SeekDontCheck); err != nil {
		return err
	}
	progress := time.Now()
	for {
		begun := r.next
		end, err := r.fetch(ctx, conn, out)
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
func (r *reader) fetch(ctx context.Context, conn *kafka.Conn, out chan<- pipeline.Chunk) (end int64, err error) {
	if err := conn.SetReadDeadline(time.Now().Add(readWithin)); err != nil {
		return 0, err
	}
	b := conn.ReadBatchWith(kafka.ReadBatchConfig{MinBytes: 1, MaxBytes: maxFetch, MaxWait: maxWait})
	p := packer{reader: r, conn: conn, ctx: ctx, out: out}
	begun := r.next
	for err == nil {
		var m kafka.Message
		if m, err = b.ReadMessage(); err == nil && m.Offset >= r.next {
			err = p.add(&m)
		}
	}
	end = b.HighWaterMark()
	if closed := b.Close(); errors.Is(err, io.EOF) {
		err = closed
	}
	if errors.Is(err, kafka.RequestTimedOut) || errors.Is(err, errEnough) {
		err = nil
	}
	if at, _ := conn.Offset(); err == nil && r.next == begun && at > begun && at <= end {
		// What stood there was compacted away; the client has seen where it ends.
		if err = p.gap(at); err == nil && r.next < at {
			err = p.put(at, nil, 0, pipeline.Shipped{})
		}
	}
	err = errors.Join(err, p.flush())
	if at, _ := conn.Offset(); err == nil && at != r.next {
		_, err = conn.Seek(r.next, kafka.SeekAbsolute|kafka.SeekDontCheck)
	}
	return end, err
}

// A packer fills chunks with records.
type packer struct {
	*reader
	ctx   context.Context
	out   chan<- pipeline.Chunk
	conn  *kafka.Conn
	chunk pipeline.Chunk
	open  bool
}

// errEnough says that no more is to be read for context.
var errEnough = errors.New("enough was read again")

// add puts a record into the chunk.
func (p *packer) add(m *kafka.Message) error {
	if err := p.gap(m.Offset); err != nil {
		return err
	}
	if m.Offset < p.quiet {
		if p.quietLeft -= int64(len(m.Value)); p.quietLeft < 0 {
			err := p.flush()
			p.next = p.quiet
			return errors.Join(err, p.known(), errEnough)
		}
	}
	p.counts.Records.Add(1)
	p.counts.Bytes.Add(int64(len(m.Value)))
	value := m.Value
	switch {
	case control(m):
		p.counts.Control.Add(1)
		value = nil
	case len(m.Value) == 0:
		p.counts.Empty.Add(1)
	}
	from, _, err := p.shipments.from(p.ctx, m, m.Offset < p.quiet)
	if err != nil {
		return err
	}
	return p.put(m.Offset+1, value, m.Time.UnixMilli(), from)
}

// gap ends the interrupted batch and the quiet part where no record does, if they end before the offset. A gap that
// nothing ends in is covered by the record behind it.
func (p *packer) gap(offset int64) error {
	for _, at := range [2]int64{p.quiet, p.stop} {
		if at > p.next && at <= offset {
			if err := p.put(at, nil, 0, pipeline.Shipped{}); err != nil {
				return err
			}
		}
	}
	return nil
}

// put appends a record that ends at next.
func (p *packer) put(next int64, value []byte, stamp int64, from pipeline.Shipped) error {
	quiet := next <= p.quiet
	if p.open && (p.chunk.Quiet != quiet || len(p.chunk.Data)+len(value) > cap(p.chunk.Data)) {
		if err := p.flush(); err != nil {
			return err
		}
	}
	if !p.open {
		p.open = true
		stream := p.stream
		if quiet {
			stream = p.reread
		}
		p.chunk = pipeline.Chunk{Stream: stream, Offset: p.next, Quiet: quiet, Records: make([]pipeline.Record, 0, 64)}
		if len(value) > pipeline.BufferSize {
			p.chunk.Data = make([]byte, 0, len(value))
		} else {
			p.chunk.Buffer = p.buffers.Take()
			p.chunk.Data = p.chunk.Buffer[:0]
		}
	}
	p.chunk.Data = appendLines(p.chunk.Data, value)
	p.chunk.Records = append(p.chunk.Records, pipeline.Record{Next: next, End: len(p.chunk.Data), Time: stamp})
	if from.Stream != nil || p.chunk.Shipped != nil {
		for len(p.chunk.Shipped) < len(p.chunk.Records)-1 {
			p.chunk.Shipped = append(p.chunk.Shipped, pipeline.Shipped{})
		}
		p.chunk.Shipped = append(p.chunk.Shipped, from)
	}
	p.chunk.Next, p.next = next, next
	if next == p.quiet {
		return errors.Join(p.flush(), p.known())
	}
	return nil
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
	return p.send(p.chunk)
}

func (p *packer) send(c pipeline.Chunk) error {
	select {
	case p.out <- c:
		return p.conn.SetReadDeadline(time.Now().Add(readWithin)) // the receiver may have taken its time
	case <-p.ctx.Done():
		p.buffers.Give(c.Buffer)
		return p.ctx.Err()
	}
}

// look asks the partition's leader which offsets it has.
func (r *reader) look(ctx context.Context) (first, last int64, err error) {
	conn, err := r.connect(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(readWithin)); err != nil {
		return 0, 0, err
	}
	return conn.ReadOffsets()
}

// marker returns the marker of the record at the offset, empty if none is there any more.
func (r *reader) marker(ctx context.Context, offset int64) (string, error) {
	conn, err := r.connect(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := conn.Seek(offset, kafka.SeekAbsolute|kafka.SeekDontCheck); err != nil {
		return "", err
	}
	if err := conn.SetReadDeadline(time.Now().Add(readWithin)); err != nil {
		return "", err
	}
	b := conn.ReadBatchWith(kafka.ReadBatchConfig{MinBytes: 1, MaxBytes: maxFetch, MaxWait: maxWait})
	defer b.Close()
	m, err := b.ReadMessage()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, kafka.RequestTimedOut), errors.Is(err, kafka.OffsetOutOfRange):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read the record at offset %d: %w", offset, err)
	case m.Offset != offset:
		return "", nil
	}
	var text []byte
	if !control(&m) {
		text = appendLines(nil, m.Value)
	}
	return batch.Marker(pipeline.AppendMarked(nil, m.Time.UnixMilli(), text)), nil
}
