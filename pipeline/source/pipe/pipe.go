// Package pipe reads named pipes, into which syslog daemons write (rsyslog's ompipe, syslog-ng's pipe()).
//
// What goes through a pipe cannot be read again: a stream begins at each opening, and what was read and not yet stored
// when the process is killed is lost. An orderly end takes in all that was written before it.
package pipe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hpcloud/tail"

	"bounceline/parsers"
	"bounceline/pipeline"
)

// A Pipe is a path that may be a named pipe, now or later, and how its lines are read.
type Pipe struct {
	Path   string
	Source string
	Parser parsers.Options
}

// Reader reads those of its pipes that are named pipes. Paths that are something else are left to others.
type Reader struct {
	Pipes   []Pipe
	Buffers *pipeline.Buffers
	Log     *slog.Logger
	Poll    time.Duration // how often the paths are looked at
}

// Run sends the lines of all named pipes until ctx is done, and then what is still in them. It blocks while the receiver
// is busy, and so does the writer of the pipe once that is full. It returns when nothing is read any longer.
func (r *Reader) Run(ctx context.Context, out chan<- pipeline.Chunk) error {
	ended := make(chan *Pipe)
	var open []*Pipe
	tick := time.NewTicker(r.Poll)
	defer tick.Stop()
	for {
		for i := range r.Pipes {
			p := &r.Pipes[i]
			if slices.Contains(open, p) || ctx.Err() != nil || !isPipe(p.Path) {
				continue
			}
			open = append(open, p)
			go func() {
				if err := r.read(ctx, p, out); err != nil {
					r.Log.Error("a named pipe is no longer read; it is opened again", "path", p.Path, "error", err)
				}
				ended <- p
			}()
		}
		done := ctx.Done()
		if ctx.Err() != nil {
			if len(open) == 0 {
				return nil
			}
			done = nil
		}
		select {
		case p := <-ended:
			open = slices.DeleteFunc(open, func(x *Pipe) bool { return x == p })
		case <-tick.C:
		case <-done:
		}
	}
}

func isPipe(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode()&fs.ModeNamedPipe != 0
}

// read reads one pipe from its opening to its end, as one stream.
//
// The pipe is held open for writing too: so it never ends, though writers come and go, and an unfinished line waits for
// its rest. Through the same handle the reader is woken at the end.
func (r *Reader) read(ctx context.Context, p *Pipe, out chan<- pipeline.Chunk) error {
	hold, err := os.OpenFile(p.Path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer hold.Close()
	stop := "bounceline-stop-" + rand.Text() // a line that nobody else writes
	s := &pipeline.Stream{Name: "pipe-" + rand.Text(), Source: p.Source, Path: p.Path, Parser: p.Parser, Reference: time.Now()}
	t, err := tail.TailFile(p.Path, tail.Config{Follow: true, Pipe: true, Poll: true, Logger: tail.DiscardingLogger})
	if err != nil {
		return err
	}
	r.Log.Info("reading a named pipe", "path", p.Path, "stream", s.Name)
	defer context.AfterFunc(ctx, func() { _, _ = hold.WriteString(stop + "\n") })()

	at := int64(0)
	for {
		l, ok := <-t.Lines
		if !ok {
			return fmt.Errorf("%s: %w", p.Path, errors.Join(t.Err(), errors.New("the reader ended")))
		}
		c := pipeline.Chunk{Stream: s, Offset: at, Buffer: r.Buffers.Take()}
		var last bool
		c.Data, last = gather(c.Buffer[:0], l, t.Lines, stop)
		at += int64(len(c.Data))
		c.Next, c.Last = at, last
		out <- c
		if last {
			t.Kill(nil)
			_, _ = hold.WriteString("\n") // it sees that it is to end when it has read a line
			return nil
		}
	}
}

// gather appends the line, and what else is there at once, as long as another one of the longest still fits. It reports
// whether the stop line came.
func gather(buf []byte, l *tail.Line, more <-chan *tail.Line, stop string) (data []byte, last bool) {
	for {
		text, stopped := strings.CutSuffix(l.Text, stop)
		if len(text) > pipeline.MaxLine {
			text = text[:pipeline.MaxLine]
		}
		if !stopped || text != "" {
			buf = append(append(buf, text...), '\n')
		}
		if stopped || len(buf)+pipeline.MaxLine >= cap(buf) {
			return buf, stopped
		}
		select {
		case next, ok := <-more:
			if !ok {
				return buf, false
			}
			l = next
		default:
			return buf, false
		}
	}
}
