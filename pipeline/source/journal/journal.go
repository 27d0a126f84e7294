// Package journal follows systemd's journal, which on many hosts is the only place where mail servers log.
//
// It reads what journalctl --output=json prints, so that it needs no library and sees what the administrator sees. An
// entry's stream is the journal's sequence-number ID and its position its sequence number, both out of its cursor
// (systemd.journal-fields(7), __CURSOR): the journal counts all its entries in one row, whatever file they are in.
package journal

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"bounceline/parsers"
	"bounceline/pipeline"
	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/source/content"
)

// prefix is what the names of all journals' streams begin with.
const prefix = "journal-"

// Config is what a Reader needs. Fields with a default say so.
type Config struct {
	Directory string // where the journal's files are; the system's journal if empty
	Source    string // source name of the rows
	Parser    parsers.Options
	Ledger    content.Ledger
	Store     *checkpoint.Store
	Buffers   *pipeline.Buffers
	Retryable func(error) bool // which errors of Ledger may pass
	Log       *slog.Logger
	Horizon   int64         // how many entries before the position are read again for context; 50,000
	Pause     time.Duration // before journalctl is started again when it has ended; 5 s
}

// A Reader follows one journal. Run is called once.
type Reader struct {
	Config
	Entries atomic.Int64 // entries read
	Gaps    atomic.Int64 // sequence numbers that were not there: entries vacuumed before they were read, or of users that we may not see

	streams map[string]*reading
	last    string // the stream that was read last
}

// A reading is a stream and how far it was read.
type reading struct {
	stream *pipeline.Stream
	next   int64
	fresh  bool // nothing of it was read since the start: a gap before it cannot be told from its beginning
}

// New returns a reader that is ready to Run.
func New(c Config) *Reader {
	if c.Horizon == 0 {
		c.Horizon = 50_000
	}
	if c.Pause == 0 {
		c.Pause = 5 * time.Second
	}
	return &Reader{Config: c, streams: map[string]*reading{}}
}

// Run sends the journal's entries, from where the last run stopped or from the oldest, until ctx is done. It blocks while
// the receiver is busy. When journalctl ends it is started again; what cannot be started is an error.
func (r *Reader) Run(ctx context.Context, out chan<- pipeline.Chunk) error {
	if _, err := exec.LookPath("journalctl"); err != nil {
		return fmt.Errorf("the journal is read with journalctl, which is not installed: %w", err)
	}
	for {
		err := r.follow(ctx, out)
		if ctx.Err() != nil {
			return nil
		}
		var ended *endedError
		if !errors.As(err, &ended) && !r.Retryable(err) {
			return err
		}
		r.Log.Warn("the journal is not read at the moment; it is tried again", "error", err, "again_in", r.Pause)
		select {
		case <-time.After(r.Pause):
		case <-ctx.Done():
			return nil
		}
	}
}

// An endedError says that journalctl has ended, and what it said.
type endedError struct{ why string }

func (e *endedError) Error() string { return "journalctl ended: " + e.why }

// follow runs journalctl once.
func (r *Reader) follow(ctx context.Context, out chan<- pipeline.Chunk) error {
	args := []string{"--output=json", "--all", "--follow", "--no-tail", "--quiet"}
	if r.Directory != "" {
		args = append(args, "--directory="+r.Directory)
	}
	cursor, err := r.cursor(ctx)
	if err != nil {
		return err
	}
	if cursor != "" {
		args = append(args, "--after-cursor="+cursor)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cmd := exec.CommandContext(ctx, "journalctl", args...)
	var said tailBuffer
	cmd.Stderr = &said
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start journalctl: %w", err)
	}
	r.Log.Info("following the journal", "after", cursor, "directory", r.Directory)
	err = r.read(ctx, pipe, out)
	stop()
	ended := cmd.Wait()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return &endedError{strings.TrimSpace(fmt.Sprintf("%v %s", ended, said.text()))}
}

// cursor is where reading begins: a horizon before what the checkpoint says of the stream that was read last. Without one
// it is empty, and the whole journal is read; the ledger knows what of it is stored.
func (r *Reader) cursor(ctx context.Context) (string, error) {
	if r.last == "" {
		var newest time.Time
		for _, s := range r.Store.State().Streams {
			if strings.HasPrefix(s.Name, prefix) && !s.Seen.Before(newest) {
				r.last, newest = s.Name, s.Seen
			}
		}
	}
	if r.last == "" {
		return "", nil
	}
	x, err := r.open(ctx, r.last)
	if err != nil {
		return "", err
	}
	at := x.next
	if x.fresh {
		at -= r.Horizon
	}
	if at <= 1 {
		return "", nil
	}
	return fmt.Sprintf("s=%s;i=%x", strings.TrimPrefix(r.last, prefix), at-1), nil
}

// open returns the stream, asking the ledger what is stored of it when it is met for the first time.
func (r *Reader) open(ctx context.Context, name string) (*reading, error) {
	if x := r.streams[name]; x != nil {
		return x, nil
	}
	ranges, err := r.Ledger.Ledger(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("ask the ledger: %w", err)
	}
	reach, err := r.Ledger.Reach(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("ask what is stored: %w", err)
	}
	s := &pipeline.Stream{Name: name, Source: r.Source, Path: "journal", Parser: r.Parser, Reference: time.Now(),
		Stored: content.Spans(ranges), Doubt: reach[name]}
	x := &reading{stream: s, fresh: true}
	if n := len(s.Stored); n > 0 {
		x.next = s.Stored[n-1].To
	}
	st := r.Store.State()
	if st.Intent != nil {
		for _, in := range st.Intent.Ranges {
			if in.Stream == name && in.From >= x.next {
				s.Intent, s.Doubt = pipeline.Span{From: in.From, To: in.To}, max(s.Doubt, in.To)
			}
		}
	}
	r.streams[name] = x
	return x, r.Store.Update(func(st *checkpoint.State) {
		for i := range st.Streams {
			if st.Streams[i].Name == name {
				st.Streams[i].Seen = time.Now()
				return
			}
		}
		st.Streams = append(st.Streams, checkpoint.Stream{Name: name, Path: "journal", Next: x.next, Seen: time.Now()})
	})
}

// read sends the entries of journalctl's output, as many in a chunk as are there at once.
func (r *Reader) read(ctx context.Context, pipe io.Reader, out chan<- pipeline.Chunk) error {
	in := bufio.NewReaderSize(pipe, pipeline.BufferSize)
	var c pipeline.Chunk
	send := func() error {
		if c.Records == nil {
			return nil
		}
		select {
		case out <- c:
			c = pipeline.Chunk{}
			return nil
		case <-ctx.Done():
			r.Buffers.Give(c.Buffer)
			c = pipeline.Chunk{}
			return ctx.Err()
		}
	}
	for {
		text, err := line(in)
		if err != nil {
			return errors.Join(send(), err)
		}
		name, seq, ok := parseCursor(text)
		if !ok {
			return &endedError{fmt.Sprintf("a line without a cursor: %.200q", text)}
		}
		x, err := r.open(ctx, name)
		if err != nil {
			return errors.Join(send(), err)
		}
		if c.Records != nil && (c.Stream != x.stream || len(c.Data)+len(text) > pipeline.BufferSize) {
			if err := send(); err != nil {
				return err
			}
		}
		r.Entries.Add(1)
		if c.Records == nil {
			c = pipeline.Chunk{Stream: x.stream, Offset: seq, Buffer: r.Buffers.Take()}
			if 0 < x.next && x.next < seq { // what is missing is passed: it will never be there
				c.Offset = x.next
			}
			c.Data = c.Buffer[:0]
		}
		r.count(x, name, seq)
		c.Data = append(c.Data, text...)
		c.Next = seq + 1
		c.Records = append(c.Records, pipeline.Record{Next: seq + 1, End: len(c.Data), Time: seq})
		if in.Buffered() == 0 {
			if err := send(); err != nil {
				return err
			}
		}
	}
}

// count notes how far the stream has been read, and what is missing before the entry.
func (r *Reader) count(x *reading, name string, seq int64) {
	if seq > x.next && x.next > 0 {
		r.Gaps.Add(seq - x.next)
		r.Log.Warn("entries of the journal are not there: they were vacuumed before they were read, or belong to users whose journal may not be read",
			"stream", name, "from", x.next, "to", seq, "entries", seq-x.next)
	}
	if seq >= x.next {
		x.next, x.fresh = seq+1, false
	}
	r.last = name
}

// line returns the next line without its newline, at most pipeline.MaxLine bytes of it. It is valid until the next call.
func line(in *bufio.Reader) ([]byte, error) {
	text, err := in.ReadSlice('\n')
	if err == nil {
		return cut(text[:len(text)-1]), nil
	}
	if !errors.Is(err, bufio.ErrBufferFull) {
		return nil, err
	}
	head := bytes.Clone(cut(text))
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = in.ReadSlice('\n')
	}
	return head, err
}

func cut(text []byte) []byte { return text[:min(len(text), pipeline.MaxLine)] }

// parseCursor returns the stream and the sequence number of an entry.
func parseCursor(text []byte) (stream string, seq int64, ok bool) {
	_, rest, ok := bytes.Cut(text, []byte(`"__CURSOR":"`))
	if !ok {
		_, rest, ok = bytes.Cut(text, []byte(`"__CURSOR" : "`)) // before systemd 248
	}
	if !ok {
		return "", 0, false
	}
	cursor, _, _ := bytes.Cut(rest, []byte(`"`))
	for _, part := range strings.Split(string(cursor), ";") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "s":
			stream = prefix + value
		case "i":
			n, err := strconv.ParseInt(value, 16, 64)
			if err != nil || n < 1 {
				return "", 0, false
			}
			seq = n
		}
	}
	return stream, seq, len(stream) > len(prefix) && seq > 0
}

// A tailBuffer keeps the last of what a process says.
type tailBuffer struct{ buf []byte }

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	t.buf = t.buf[max(0, len(t.buf)-1000):]
	return len(p), nil
}

func (t *tailBuffer) text() string { return string(t.buf) }
