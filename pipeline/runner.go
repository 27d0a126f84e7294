package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"bounceline/parsers"
	"bounceline/pipeline/batch"
	qctx "bounceline/pipeline/context"
	"bounceline/pipeline/record"
)

// A Classifier gives a row its verdict. It is pure: same row and same rules, same class.
type Classifier interface {
	Classify(r *record.Row) record.Class
}

// Config is what a Runner is made of. All fields without "optional" are required.
type Config struct {
	Classifier Classifier
	Context    *qctx.Table
	Sink       Sink
	Audit      Auditor     // optional: a sink that keeps no rows of its own cannot be asked
	Compare    Comparer    // optional: without it lines that were read directly are stored again when they are shipped
	Dead       DeadLetters // optional: without them a row that cannot be stored stops the runner
	Isolate    Isolate     // optional: without it a batch that the sink refuses for a row's sake does
	Journal    Journal
	Buffers    *Buffers
	Retryable  func(error) bool // whether a sink's error may pass when tried again
	Log        *slog.Logger
	Counts     *Counts // what is seen; runners may share one; optional, its own
	Unread     *Unread // the same for lines that were not understood

	MaxRows   int           // a batch with so many rows is sealed; optional, 100,000
	MaxBytes  int           // or with so much text; optional, 16 MiB
	MaxDelay  time.Duration // or when its first row has waited so long; optional, 1 s
	IdleDelay time.Duration // or, without rows, when its first line has; optional, 10 s
	Pace      *Pace         // shared with other runners; optional, there is none
	RetryFor  time.Duration // how long a batch is tried before Run fails; 0 is for ever
	DrainFor  time.Duration // how long Run may go on writing after ctx is done; optional, 20 s
	Attempt   string        // appended to the tokens: rows that were removed are not taken for those that are sent now
	StoreRaw  bool          // keep the whole line in column raw
}

// A Runner runs the pipeline, once or several times one after the other.
type Runner struct {
	Config

	streams map[*Stream]*streamState
	shipped map[*Stream]*shippedState
	current *batch.Batch
	free    chan *batch.Batch
	sealed  chan *batch.Batch
	result  record.Result
	due     time.Time            // when the current batch is sealed at the latest
	pace    time.Duration        // pause before each insert, where the sink is crowded
	from    place                // of the record at hand
	twins   map[twinPair]kinship // what the writer has found out
	pinned  bool                 // the current batch repeats an interrupted one: nothing but its end seals it
}

type streamState struct {
	parser *parsers.Stream
	source []byte
	name   []byte
	tail   []byte // the last batch.MarkerBytes before the position reached
}

// NewRunner returns a runner that is ready to Run.
func NewRunner(c Config) *Runner {
	if c.Counts == nil {
		c.Counts = &Counts{}
	}
	if c.Unread == nil {
		c.Unread = &Unread{}
	}
	if c.MaxRows == 0 {
		c.MaxRows = 100_000
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 16 << 20
	}
	if c.MaxDelay == 0 {
		c.MaxDelay = time.Second
	}
	if c.IdleDelay == 0 {
		c.IdleDelay = 10 * time.Second
	}
	if c.DrainFor == 0 {
		c.DrainFor = 20 * time.Second
	}
	const batches = 2 // one fills while one is written
	r := &Runner{Config: c, streams: map[*Stream]*streamState{}, shipped: map[*Stream]*shippedState{}, twins: map[twinPair]kinship{}, free: make(chan *batch.Batch, batches)}
	for range batches {
		r.free <- batch.New()
	}
	return r
}

// Run consumes chunks until the channel is closed, writes what they gave and returns. The sender closes the channel when
// ctx is done; Run then seals what it has and goes on writing for DrainFor at the most. What is not committed by then is
// read again after the next start.
//
// When it returns an error it no longer receives: cancel the senders. The error is the sink's or the journal's.
func (r *Runner) Run(ctx context.Context, in <-chan Chunk) error {
	writing, abandon := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abandon(nil)
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(r.DrainFor, func() { abandon(errors.New("the time allowed for draining is over")) })
	})
	defer stop()

	r.sealed = make(chan *batch.Batch)
	var writer sync.WaitGroup
	var failed error
	broken := make(chan struct{})
	writer.Go(func() {
		for b := range r.sealed {
			if failed == nil {
				if failed = r.write(writing, b); failed != nil {
					close(broken)
				}
			}
			b.Reset()
			r.free <- b
		}
	})
	r.consume(in, broken)
	close(r.sealed)
	writer.Wait()
	return failed
}

// consume is the processing half: it returns when in is closed or the writer is broken.
func (r *Runner) consume(in <-chan Chunk, broken <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		var freed <-chan *batch.Batch
		switch {
		case r.current == nil || r.pinned:
		case time.Until(r.due) > 0:
			timer.Reset(time.Until(r.due))
		case len(r.free) > 0: // the writer has nothing to do
			if wait := r.Pace.take(time.Now()); wait > 0 {
				r.due = time.Now().Add(wait)
				timer.Reset(wait)
			} else {
				r.seal()
			}
		default: // it is busy: the batch may grow until it is not
			freed = r.free
		}
		select {
		case b := <-freed:
			r.free <- b
		case c, ok := <-in:
			if !ok {
				r.seal()
				return
			}
			r.chunk(c)
		case <-timer.C:
		case <-broken:
			return
		}
	}
}

// chunk processes one chunk, in segments between the positions where the ledger's ranges begin and end.
func (r *Runner) chunk(c Chunk) {
	defer r.Buffers.Give(c.Buffer)
	st := r.state(c.Stream)
	if c.Records != nil {
		at, begin, dead := c.Offset, 0, c.Dead
		for i, rec := range c.Records {
			r.from = place{stream: c.Stream, offset: rec.Next - 1}
			if rec.KeyEnd > rec.End {
				r.from.key = c.Data[rec.End:rec.KeyEnd]
			}
			if c.Shipped != nil && c.Shipped[i].Stream != nil {
				r.from.shipped = &c.Shipped[i]
			}
			var d *batch.Dead
			if len(dead) > 0 && dead[0].Pos < rec.Next {
				d, dead = &dead[0], dead[1:]
			}
			r.record(st, c, rec, d, c.Data[begin:rec.End], at)
			at, begin = rec.Next, max(rec.End, rec.KeyEnd)
		}
		r.from = place{}
	} else if len(c.Tail) > 0 {
		r.segment(st, c, c.Data, c.Offset, c.Next)
	} else {
		data, at := c.Data, c.Offset
		for len(data) > 0 {
			end := min(c.Next, boundary(c.Stream, at))
			part := data[:end-at]
			r.segment(st, c, part, at, end)
			data, at = data[len(part):], end
		}
	}
	if c.Last {
		r.seal()
		delete(r.streams, c.Stream)
	}
}

// segment processes lines that are either all to be stored or all for context only.
func (r *Runner) segment(st *streamState, c Chunk, data []byte, from, to int64) {
	if c.Quiet || stored(c.Stream, from) {
		if r.current != nil && r.current.Has(c.Stream.Name) {
			r.seal() // its marker is made of the bytes before this position
		}
		for line, rest := cutLine(data); line != nil; line, rest = cutLine(rest) {
			r.learn(st, line)
		}
		r.Counts.Quiet.Add(to - from)
		st.keep(data, c.Tail)
		return
	}
	at := from
	if r.current != nil && r.pinned != pinned(c.Stream, from) {
		r.seal()
	}
	r.pinned = pinned(c.Stream, from)
	for line, rest := cutLine(data); line != nil; line, rest = cutLine(rest) {
		next := at + int64(len(line))
		if len(rest) == 0 {
			next = to
		}
		rg := r.rangeOf(st, c.Stream, at)
		if len(c.Stream.Twins) > 0 {
			r.current.Twin(c.Stream.Name, c.Stream.Twins, at)
		}
		r.line(st, rg, line, at, 0)
		rg.To = next
		if !r.pinned && (r.current.Rows >= r.MaxRows || r.current.Bytes >= r.MaxBytes) {
			st.keep(data[:len(data)-len(rest)], c.Tail)
			data = rest
			r.seal()
		}
		at = next
	}
	st.keep(data, c.Tail)
	if to == c.Stream.Intent.To {
		r.pinned = false
		r.seal()
	}
}

// learn takes a line in for what it says about queue IDs and gives no rows.
func (r *Runner) learn(st *streamState, line []byte) {
	st.parser.Parse(trim(line), &r.result)
	if r.result.Class != record.Event && len(r.result.Fact.QueueID) == 0 {
		return
	}
	r.resolve()
}

// resolve takes context, classifies, and remembers.
func (r *Runner) resolve() {
	r.Context.Enrich(&r.result)
	rows := r.result.Rows.All()
	for i := range rows {
		rows[i].Class = r.Classifier.Classify(&rows[i])
	}
	r.Context.Remember(&r.result)
}

// line processes one line at the position, the index-th of its record.
func (r *Runner) line(st *streamState, rg *batch.Range, line []byte, at int64, index uint64) {
	whole := trim(line)
	text := whole
	if len(text) > MaxLine {
		text = text[:MaxLine]
		r.Counts.Cut.Add(1)
	}
	st.parser.Parse(text, &r.result)
	rg.Lines++
	r.Counts.add(&r.result)
	switch r.result.Class {
	case record.Event:
		rg.EventLines++
	case record.Context:
		rg.Context++
	case record.Other:
		rg.Other++
	default:
		rg.Malformed++
		r.Unread.add(r.result.Kind, rg.Stream, at, text)
	}
	r.keep(st, whole, at, index)
	if r.result.Class != record.Event && len(r.result.Fact.QueueID) == 0 {
		return
	}
	r.resolve()
	rows := r.result.Rows.All()
	if reason := invalid(rows); reason != "" {
		r.bury(st, rg, &rows[0], text, at, index, reason)
		return
	}
	if len(rows) > 0 && r.current.Rows == 0 {
		r.due = time.Now().Add(r.MaxDelay)
	}
	if len(rows) > 0 {
		if r.from.stream != nil && r.from.stream.Topic != "" {
			r.current.LineFrom(text, index, batch.From{Offset: r.from.offset, Stream: r.from.stream, Shipped: r.from.shipped}, r.from.key)
		} else {
			r.current.Line(text, index)
		}
	}
	for i := range rows {
		row := &rows[i]
		row.Source, row.Stream, row.Pos = st.source, st.name, uint64(at)
		row.Number = record.InRecord(index, row.Number)
		if r.StoreRaw {
			row.Raw = text
		}
		r.current.Add(row)
		rg.Rows++
		if rg.FirstEvent == 0 || row.EventTime < rg.FirstEvent {
			rg.FirstEvent = row.EventTime
		}
		rg.LastEvent = max(rg.LastEvent, row.EventTime)
	}
	r.Counts.Rows.Add(int64(len(rows)))
}

// rangeOf returns the current batch's range of the stream that ends at the position, sealing a batch whose range ends
// elsewhere.
func (r *Runner) rangeOf(st *streamState, s *Stream, at int64) *batch.Range {
	if r.current != nil {
		if rg := r.current.Range(s.Name, at); rg.To == at {
			r.open(rg, st, s)
			return rg
		}
		r.seal()
	}
	r.current = <-r.free
	r.due = time.Now().Add(r.IdleDelay)
	rg := r.current.Range(s.Name, at)
	r.open(rg, st, s)
	return rg
}

func (r *Runner) open(rg *batch.Range, st *streamState, s *Stream) {
	if rg.To == rg.From {
		if !r.pinned { // a range that is repeated keeps the reference that it had
			st.parser.Renew(time.Now())
		}
		rg.Source, rg.Anchor = s.Source, st.parser.Anchor()
	}
	if rg.To < s.Doubt || r.pinned {
		r.current.Doubt = true
	}
}

// seal fixes the current batch and hands it to the writer; it blocks while the writer has one.
func (r *Runner) seal() {
	b := r.current
	if b == nil {
		return
	}
	r.current = nil
	for i := range b.Ranges {
		for s, st := range r.streams {
			if s.Name == b.Ranges[i].Stream {
				b.Ranges[i].Marker = batch.Marker(st.tail)
			}
		}
	}
	b.Seal(time.Now())
	r.Counts.Evicted.Store(r.Context.Stats().Evicted)
	r.sealed <- b
}

func (r *Runner) state(s *Stream) *streamState {
	st := r.streams[s]
	if st != nil {
		return st
	}
	p, err := parsers.NewStream(s.Parser)
	if err != nil { // the options were validated when they were read
		panic(fmt.Sprintf("stream %s: %v", s.Name, err))
	}
	p.SetReference(s.Reference)
	if s.Anchor != "" {
		if err := p.Restore(s.Anchor); err != nil {
			r.Log.Warn("the stream's anchor is not readable; years are inferred from the file's time", "path", s.Path, "error", err)
		}
	}
	st = &streamState{parser: p, source: []byte(s.Source), name: []byte(s.Name)}
	r.streams[s] = st
	return st
}

// keep notes the last bytes before the position reached: those of data, or tail where data is a line that was cut.
func (st *streamState) keep(data, tail []byte) {
	if len(tail) > 0 {
		st.tail = append(st.tail[:0], tail...)
		return
	}
	st.tail = batch.AppendTail(st.tail, data)
}

// boundary is the first position after at where a stored span of the stream, or an interrupted batch, begins or ends.
func boundary(s *Stream, at int64) int64 {
	end := int64(1<<63 - 1)
	for _, sp := range s.Stored {
		for _, p := range [2]int64{sp.From, sp.To} {
			if p > at && p < end {
				end = p
			}
		}
	}
	for _, p := range [2]int64{s.Intent.From, s.Intent.To} {
		if p > at && p < end {
			end = p
		}
	}
	return end
}

func stored(s *Stream, at int64) bool {
	for _, sp := range s.Stored {
		if sp.From <= at && at < sp.To {
			return true
		}
	}
	return false
}

// pinned reports whether the position lies in an interrupted batch, which is sealed at its own end and nowhere else.
func pinned(s *Stream, at int64) bool { return s.Intent.From <= at && at < s.Intent.To }

// cutLine returns the first line of data with its newline, and the rest. The line is nil at the end.
func cutLine(data []byte) (line, rest []byte) {
	if len(data) == 0 {
		return nil, nil
	}
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return data[:i+1], data[i+1:]
	}
	return data, nil
}

func trim(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		return line[:n-1]
	}
	return line
}
