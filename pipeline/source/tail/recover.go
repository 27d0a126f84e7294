package tail

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/source/content"
)

// Recover settles the batch that was being sent when the last run ended: what the ledger has of it is done, else the very
// same batch is made again from the files and sent under its own token, by a runner made of c, whose limits do not count.
// It is called before Run and blocks until the batch is stored.
func (f *Follower) Recover(ctx context.Context, c pipeline.Config) error {
	intent := f.Store.State().Intent
	if intent == nil {
		return nil
	}
	open, err := f.unsettled(ctx, intent)
	if err != nil {
		return err
	}
	if open {
		f.Log.Info("a batch was being sent when the last run ended; it is sent again", "batch", intent.ID)
		c.MaxRows, c.MaxBytes = 1<<40, 1<<40
		c.MaxDelay, c.IdleDelay = 1000*time.Hour, 1000*time.Hour
		again := func(ctx context.Context, out chan<- pipeline.Chunk) error {
			return f.again(ctx, intent, c.Audit, out)
		}
		if err := pipeline.Drive(ctx, again, pipeline.NewRunner(c)); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return f.Store.Update(func(s *checkpoint.State) { s.Intent = nil })
}

// unsettled reports whether the ledger lacks a range of the intent: then its batch must be sent again.
func (f *Follower) unsettled(ctx context.Context, intent *checkpoint.Intent) (bool, error) {
	for _, r := range intent.Ranges {
		ranges, err := f.Ledger.Ledger(ctx, r.Stream)
		if err != nil {
			return false, fmt.Errorf("ask the ledger: %w", err)
		}
		ranges = slices.DeleteFunc(ranges, func(l batch.Range) bool { return l.Stream != r.Stream })
		if !slices.ContainsFunc(content.Spans(ranges), func(s pipeline.Span) bool { return s.From <= r.From && r.To <= s.To }) {
			return true, nil
		}
	}
	return false, nil
}

// again sends the lines of the intent's ranges, each after the stretch before it that gives context, and nothing else, so
// that the receiver makes the same batch. A range whose file is gone is left out and counted as lost.
func (f *Follower) again(ctx context.Context, intent *checkpoint.Intent, audit pipeline.Auditor, out chan<- pipeline.Chunk) error {
	for i, r := range intent.Ranges {
		file, input, ok := f.find(r.Stream, r.To)
		if !ok {
			stored, err := f.present(ctx, audit, r)
			if err != nil {
				return err
			}
			if stored {
				f.Log.Warn("the file with a batch's lines is gone; its rows are stored", "stream", r.Stream, "from", r.From, "to", r.To)
				if err := f.account(r); err != nil {
					return err
				}
				continue
			}
			if err := f.loseRange(r); err != nil {
				return err
			}
			continue
		}
		ranges, err := f.Ledger.Ledger(ctx, r.Stream)
		if err != nil {
			file.Close()
			return fmt.Errorf("ask the ledger: %w", err)
		}
		ranges = slices.DeleteFunc(ranges, func(l batch.Range) bool { return l.Stream != r.Stream })
		s := &pipeline.Stream{Name: r.Stream, Source: r.Source, Path: file.Name(), Parser: input.Parser, Stored: content.Spans(ranges), Doubt: r.To}
		at := f.begin(s, ranges)
		if len(ranges) == 0 {
			at, s.Anchor = r.From, r.Anchor
		}
		if err := f.sendRange(ctx, file, s, at, r.To, i == len(intent.Ranges)-1, out); err != nil {
			return err
		}
	}
	return nil
}

// loseRange counts a range of the intent as lost, once, however often its batch is looked at.
func (f *Follower) loseRange(r batch.Range) error {
	for _, s := range f.Store.State().Streams {
		if s.Name == r.Stream && s.Lost >= r.To {
			return nil
		}
	}
	f.Lost.Intent.Add(r.To - r.From)
	f.Log.Error("a batch cannot be sent again: the file with its lines is gone", "stream", r.Stream, "from", r.From, "to", r.To)
	f.note(r.Stream, r.From, r.To, "the file was gone before their batch was stored")
	return f.account(r)
}

// account notes that what is lost of the stream begins behind the range.
func (f *Follower) account(r batch.Range) error {
	return f.Store.Update(func(st *checkpoint.State) {
		for i := range st.Streams {
			if x := &st.Streams[i]; x.Name == r.Stream {
				x.Lost = max(x.Lost, r.To)
			}
		}
	})
}

// present reports whether the sink has rows of the range: then it has all of them, as they went in with one insert.
func (f *Follower) present(ctx context.Context, audit pipeline.Auditor, r batch.Range) (bool, error) {
	if audit == nil || r.Rows == 0 {
		return r.Rows == 0, nil
	}
	rows, err := audit.Present(ctx, r.Stream, r.From, r.To)
	return len(rows) > 0, err
}

// sendRange sends the lines in [at, to) of the file's content, and closes it.
func (f *Follower) sendRange(ctx context.Context, file *os.File, s *pipeline.Stream, at, to int64, last bool, out chan<- pipeline.Chunk) error {
	defer file.Close()
	c, err := whole(file)
	if err != nil {
		return fmt.Errorf("%s: %w", file.Name(), err)
	}
	defer c.Close()
	if _, err := io.CopyN(io.Discard, c, at); err != nil {
		return fmt.Errorf("%s: %w", file.Name(), err)
	}
	lines := content.NewLines(io.LimitReader(c, to-at), s, at, f.Buffers)
	for {
		chunk, err := lines.Next()
		if err == io.EOF {
			rest, ok := lines.Rest()
			if !ok {
				rest = pipeline.Chunk{Stream: s, Offset: to, Next: to}
			}
			chunk = rest
			chunk.Last = last
		} else if err != nil {
			return fmt.Errorf("%s: %w", file.Name(), err)
		}
		select {
		case out <- chunk:
		case <-ctx.Done():
			f.Buffers.Give(chunk.Buffer)
			return ctx.Err()
		}
		if err == io.EOF {
			return nil
		}
	}
}

// looks is how often the files are looked through: rotation may move them from name to name meanwhile.
const looks = 3

// find opens a file with the stream's content, at least as long as size, at the paths that are followed and beside them. It
// is opened once and for all: by its name it might be another one the next time. The caller closes it.
func (f *Follower) find(stream string, size int64) (file *os.File, input *Input, ok bool) {
	for _, s := range f.Store.State().Streams {
		if s.Name != stream {
			continue
		}
		t, ok := f.targetOf(s.Path)
		if !ok {
			return nil, nil, false
		}
		for range looks {
			paths := []string{s.Path}
			for _, x := range f.siblings(s.Path) {
				paths = append(paths, x.path)
			}
			for _, p := range paths {
				file, err := openRegular(p)
				if err != nil {
					continue
				}
				if holdsStream(file, stream, size) {
					return file, t.input, true
				}
				file.Close()
			}
		}
	}
	return nil, nil, false
}

// whole is the file's content from its beginning, decompressed.
func whole(file *os.File) (*content.File, error) {
	return content.Decode(io.NewSectionReader(file, 0, 1<<62))
}

// holdsStream reports whether the file's content is named so and is at least so long.
func holdsStream(file *os.File, stream string, size int64) bool {
	c, err := whole(file)
	if err != nil {
		return false
	}
	defer c.Close()
	head, read, err := content.ReadHead(c)
	if err != nil || head == nil || !strings.HasPrefix(stream, content.Prefix(head)) {
		return false
	}
	rest := size - int64(len(read))
	n, _ := io.CopyN(io.Discard, c, max(0, rest))
	return n >= rest
}
