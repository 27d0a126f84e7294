// Package kafka ships log lines to a topic: each line as it is, one record a line, all of a host in one partition and in
// their order. A record carries the line's origin (see package shipped), so that its reader stores what an import of the file
// would store, however often the line is sent.
package kafka

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/fault"
	"bounceline/pipeline/kafkaconn"
)

// Config is what a Shipper needs. Fields with a default say so.
type Config struct {
	Conn        *kafkaconn.Conn
	Topic       string
	Host        string // key of all records; it chooses the partition where the checkpoint knows none
	Compression string // none, gzip, snappy, lz4 or zstd; zstd
	Store       *checkpoint.Store
	Dead        pipeline.DeadLetters // for lines that the brokers refuse for good
	Buffers     *pipeline.Buffers
	Log         *slog.Logger
	MaxDelay    time.Duration // how long a line may wait for others; 500 ms
	DrainFor    time.Duration // how long Run may go on sending after ctx is done; 20 s
}

// A Shipper sends lines. Open makes one.
type Shipper struct {
	Config
	Counts  pipeline.Counts // lines, cut lines, batches, retries, dead letters
	ledger  Ledger
	codec   codec
	part    int
	streams map[*pipeline.Stream]*stream
	current *parcel
	due     time.Time
	free    chan *parcel
	full    chan *parcel
}

// Run consumes chunks until the channel is closed, sends their lines and returns. The sender closes the channel when ctx is
// done; Run then goes on sending for DrainFor at the most. What the brokers have not acknowledged by then is sent again after
// the next start. While they do not answer, Run tries again for ever and receives nothing.
//
// When it returns an error it no longer receives: cancel the sender. The error is the checkpoint's, or says that the time
// for draining is over.
func (s *Shipper) Run(ctx context.Context, in <-chan pipeline.Chunk) error {
	sending, abandon := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abandon(nil)
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(s.DrainFor, func() { abandon(errDrained) })
		context.AfterFunc(sending, func() { timer.Stop() })
	})
	defer stop()

	const parcels = 2 // one fills while one is sent
	s.free, s.full = make(chan *parcel, parcels), make(chan *parcel)
	for range parcels {
		s.free <- &parcel{}
	}
	var sender sync.WaitGroup
	var failed error
	broken := make(chan struct{})
	sender.Go(func() {
		for b := range s.full {
			shared := false
			if failed == nil {
				if shared, failed = s.deliver(sending, b); failed != nil {
					close(broken)
				}
			}
			b.reset(shared)
			s.free <- b
		}
	})
	s.consume(in, broken)
	close(s.full)
	sender.Wait()
	return failed
}

var errDrained = errors.New("the time allowed for draining is over")

// consume is the reading half: it returns when in is closed or sending is broken.
func (s *Shipper) consume(in <-chan pipeline.Chunk, broken <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if s.current != nil {
			timer.Reset(time.Until(s.due))
		}
		select {
		case c, ok := <-in:
			if !ok {
				s.seal()
				return
			}
			s.chunk(c)
		case <-timer.C:
			s.seal()
			timer.Reset(time.Hour)
		case <-broken:
			return
		}
	}
}

// chunk takes in one chunk.
func (s *Shipper) chunk(c pipeline.Chunk) {
	defer s.Buffers.Give(c.Buffer)
	st := s.stream(c)
	if c.Tail != nil {
		if len(c.Data) > 0 {
			s.line(st, c.Data, c.Next, c.Tail)
		}
		st.keep(c.Data, c.Tail)
	} else {
		for i := 0; i < len(c.Data); {
			end := len(c.Data)
			if n := bytes.IndexByte(c.Data[i:], '\n'); n >= 0 {
				end = i + n + 1
			}
			before := c.Data[max(0, end-batch.MarkerBytes):end]
			if end < batch.MarkerBytes {
				before = append(st.tail[:len(st.tail):len(st.tail)], before...)
			}
			s.line(st, c.Data[i:end], c.Offset+int64(end), before)
			i = end
		}
		st.keep(c.Data, nil)
	}
	if c.Last {
		s.seal()
		st.ended = true
		s.sweep()
	}
}

// stream returns the state of the chunk's stream.
func (s *Shipper) stream(c pipeline.Chunk) *stream {
	st := s.streams[c.Stream]
	if st == nil {
		var err error
		if st, err = newStream(c.Stream, s.ledger.of(c.Stream.Name), c.Offset); err != nil {
			panic(err) // the options were validated when they were read
		}
		s.streams[c.Stream] = st
	}
	st.ended = false
	return st
}

// sweep drops the state of streams that have ended, but for some: a content may be found again.
func (s *Shipper) sweep() {
	const keep = 256
	for p, st := range s.streams {
		if len(s.streams) > keep && st.ended {
			delete(s.streams, p)
		}
	}
}

// line takes in one line, its newline included.
func (s *Shipper) line(st *stream, text []byte, next int64, before []byte) {
	if n := len(text); text[n-1] == '\n' {
		text = text[:n-1]
	}
	if len(text) > pipeline.MaxLine {
		text = text[:pipeline.MaxLine]
		s.Counts.Cut.Add(1)
	}
	if s.current != nil && s.current.size()+len(text)+headerRoom > maxParcel {
		s.seal()
	}
	if s.current == nil {
		s.current = <-s.free
		s.due = time.Now().Add(s.MaxDelay)
	}
	before0 := len(s.current.records)
	st.line(text, next, before, s.current)
	s.Counts.Lines.Add(int64(len(s.current.records) - before0))
	if len(s.current.records) == 0 {
		s.free <- s.current
		s.current = nil
	}
}

// headerRoom is how much of a parcel is kept for one record's header.
const headerRoom = 2 << 10

// seal hands the parcel to the sender; it blocks while the sender has one.
func (s *Shipper) seal() {
	b := s.current
	if b == nil {
		return
	}
	s.current = nil
	now := time.Now()
	for i := range b.ends {
		e := &b.ends[i]
		e.shipped, e.stream.queued = e.stream.state(now), false
	}
	s.full <- b
}

// deliver brings a parcel into the topic and notes it. It reports whether a request that failed may still be reading the parcel.
func (s *Shipper) deliver(ctx context.Context, b *parcel) (shared bool, err error) {
	d := delivery{Shipper: s, parcel: b}
	if err := fault.Around(fault.BeforeSend, fault.AfterSend, func() error { return d.send(ctx, 0, len(b.records)) }); err != nil {
		return d.shared, err
	}
	if err := s.ledger.commit(b.ends); err != nil {
		return d.shared, err
	}
	s.Counts.Batches.Add(1)
	return d.shared, nil
}

// markerHex is a marker as the checkpoint has it.
func markerHex(m [8]byte) string { return hex.EncodeToString(m[:]) }

// describe names the target for people.
func (s *Shipper) describe() string { return fmt.Sprintf("%s, partition %d", s.Topic, s.part) }
