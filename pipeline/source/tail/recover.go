package tail

import (
	"context"
	"errors"
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
// It is called before Run and blocks until the batch is stored, or ctx is done; files are held meanwhile.
func (f *Follower) Recover(ctx context.Context, c pipeline.Config) error {
	intent := f.Store.State().Intent
	if intent == nil {
		return nil
	}
	f.open()
	f.search()
	c.MaxRows, c.MaxBytes = 1<<40, 1<<40
	c.MaxDelay, c.IdleDelay = 1000*time.Hour, 1000*time.Hour
	journal := c.Journal
	for {
		parts, err := f.awaitParts(ctx, intent, c.Audit)
		if err != nil || ctx.Err() != nil {
			closeParts(parts)
			return err
		}
		if len(parts) == 0 {
			break
		}
		f.Log.Info("a batch was being sent when the last run ended; it is sent again", "batch", intent.ID)
		again := func(ctx context.Context, out chan<- pipeline.Chunk) error {
			return sendParts(ctx, parts, f.Buffers, out)
		}
		once := &repeated{journal, intent, parts, map[string]bool{}}
		c.Journal = once
		sending, done := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() {
			defer done()
			ended <- pipeline.Drive(ctx, again, pipeline.NewRunner(c))
		}()
		f.Hold(sending)
		if err = <-ended; err == nil && !once.complete() {
			err = errOther
		}
		if errors.Is(err, errOther) && ctx.Err() == nil {
			f.Log.Info("a file was cut while a batch was made from it again; its copy is looked for", "batch", intent.ID)
			f.holdFor(ctx, f.Poll)
			continue
		}
		if err != nil || ctx.Err() != nil {
			return err
		}
		break
	}
	return f.Store.Update(func(s *checkpoint.State) { s.Intent = nil })
}

// errOther says that lines which were read for an interrupted batch are not its lines.
var errOther = errors.New("the lines are not those of the batch that was interrupted")

// A repeated journal takes no batch but the intent's: a file may be cut, and filled again, between the look that found the intent's
// lines in it and the reading. Each range must end where a part does, in the same bytes, or where more is stored already.
type repeated struct {
	pipeline.Journal
	intent *checkpoint.Intent
	parts  []part
	ended  map[string]bool // streams whose part has come to its end
}

func (j *repeated) Intend(b *batch.Batch) error {
	for _, r := range b.Ranges {
		if !j.takes(r) {
			return errOther
		}
	}
	return j.Journal.Intend(b)
}

func (j *repeated) takes(r batch.Range) bool {
	for _, i := range j.intent.Ranges {
		if i.Stream == r.Stream && i.To == r.To {
			j.ended[r.Stream] = true
			return i.Marker == r.Marker
		}
	}
	return slices.ContainsFunc(j.parts, func(p part) bool {
		return p.stream.Name == r.Stream && slices.ContainsFunc(p.stream.Stored, func(s pipeline.Span) bool { return s.From == r.To })
	})
}

// complete reports whether all parts have come to their ends.
func (j *repeated) complete() bool {
	return !slices.ContainsFunc(j.parts, func(p part) bool {
		return !j.ended[p.stream.Name] && !slices.ContainsFunc(p.stream.Stored, func(s pipeline.Span) bool { return s.From < p.to && p.to <= s.To })
	})
}

// awaitParts returns the parts when the ledger answers, or ctx is done, and holds files meanwhile.
func (f *Follower) awaitParts(ctx context.Context, intent *checkpoint.Intent, audit pipeline.Auditor) ([]part, error) {
	for {
		f.see() // what is held is not lost
		parts, err := f.parts(ctx, intent, audit)
		switch {
		case err == nil:
			return parts, nil
		case ctx.Err() != nil:
			return nil, nil
		case !f.Retryable(err):
			return nil, err
		}
		f.Log.Warn("the batch that was being sent when the last run ended cannot be settled yet", "batch", intent.ID, "error", err)
		f.holdFor(ctx, askAgain)
	}
}

// askAgain is how long a ledger is left alone that did not answer.
const askAgain = 5 * time.Second

// holdFor holds files for so long.
func (f *Follower) holdFor(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	f.Hold(ctx)
}

// A part is a range of the intent whose lines can be sent again: those before it are for context.
type part struct {
	file   source
	stream *pipeline.Stream
	from   int64 // where reading begins
	to     int64
	last   bool
}

// A source is an open file.
type source interface {
	io.ReaderAt
	io.Closer
	Name() string
}

// held is the file of a generation, which closes it.
type held struct{ *os.File }

func (held) Close() error { return nil }

// parts are what must be sent again of the intent, all of it or nothing. A range whose file is gone is left out and counted as lost.
func (f *Follower) parts(ctx context.Context, intent *checkpoint.Intent, audit pipeline.Auditor) (parts []part, err error) {
	defer func() {
		if err != nil {
			closeParts(parts)
			parts = nil
		}
	}()
	open, err := f.unsettled(ctx, intent)
	if err != nil {
		return nil, err
	}
	if !open {
		return nil, f.settled(intent)
	}
	for _, r := range intent.Ranges {
		path, ok := f.pathOf(r.Stream)
		if _, followed := f.targetOf(path); ok && !followed { // it may come back
			f.Log.Warn("a batch cannot be sent again: the file with its lines is no longer followed", "path", path, "from", r.From, "to", r.To)
			continue
		}
		file, input, ok := f.find(path, r)
		if !ok {
			stored, err := f.present(ctx, audit, r)
			if err != nil {
				return parts, err
			}
			if stored {
				f.Log.Warn("the file with a batch's lines is gone; its rows are stored", "stream", r.Stream, "from", r.From, "to", r.To)
				err = f.Store.Update(func(st *checkpoint.State) { st.Account(r.Stream, r.To) })
			} else {
				err = f.loseRange(path, r)
			}
			if err != nil {
				return parts, err
			}
			continue
		}
		ranges, err := f.Ledger.Ledger(ctx, r.Stream)
		if err != nil {
			file.Close()
			return parts, fmt.Errorf("ask the ledger: %w", err)
		}
		ranges = slices.DeleteFunc(ranges, func(l batch.Range) bool { return l.Stream != r.Stream })
		s := &pipeline.Stream{Name: r.Stream, Source: r.Source, Path: file.Name(), Parser: input.Parser, Stored: content.Spans(ranges), Doubt: r.To}
		at := f.begin(s, ranges)
		if len(ranges) == 0 {
			at, s.Anchor = r.From, r.Anchor
		}
		parts = append(parts, part{file: file, stream: s, from: at, to: r.To})
	}
	if len(parts) > 0 {
		parts[len(parts)-1].last = true
	}
	return parts, nil
}

func closeParts(parts []part) {
	for _, p := range parts {
		p.file.Close()
	}
}

// sendParts sends the parts and nothing else, so that the receiver makes the same batch, and closes their files.
func sendParts(ctx context.Context, parts []part, buffers *pipeline.Buffers, out chan<- pipeline.Chunk) error {
	defer closeParts(parts)
	for _, p := range parts {
		if err := p.send(ctx, buffers, out); err != nil {
			return fmt.Errorf("%s: %w", p.file.Name(), err)
		}
	}
	return nil
}

// settled moves the streams' positions to the ends of a batch that the ledger has.
func (f *Follower) settled(intent *checkpoint.Intent) error {
	return f.Store.Update(func(st *checkpoint.State) { st.Done(intent.Ranges) })
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

// loseRange counts a range of the intent as lost, once, however often its batch is looked at.
func (f *Follower) loseRange(path string, r batch.Range) error {
	for _, s := range f.Store.State().Streams {
		if s.Name == r.Stream && s.Lost >= r.To {
			return nil
		}
	}
	return f.lose(path, &f.Lost.Intent, checkpoint.Loss{Stream: r.Stream, From: r.From, To: r.To, Reason: wasGone})
}

// present reports whether the sink has rows of the range: then it has all of them, as they went in with one insert.
func (f *Follower) present(ctx context.Context, audit pipeline.Auditor, r batch.Range) (bool, error) {
	if audit == nil || r.Rows == 0 {
		return r.Rows == 0, nil
	}
	rows, err := audit.Present(ctx, r.Stream, r.From, r.To)
	return len(rows) > 0, err
}

// send sends the part's lines.
func (p *part) send(ctx context.Context, buffers *pipeline.Buffers, out chan<- pipeline.Chunk) error {
	c, err := whole(p.file)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.CopyN(io.Discard, c, p.from); err != nil {
		return err
	}
	lines := content.NewLines(io.LimitReader(c, p.to-p.from), p.stream, p.from, buffers)
	for {
		chunk, err := lines.Next()
		if err == io.EOF {
			rest, ok := lines.Rest()
			if !ok {
				rest = pipeline.Chunk{Stream: p.stream, Offset: p.to, Next: p.to}
			}
			chunk = rest
			chunk.Last = p.last
		} else if err != nil {
			return err
		}
		select {
		case out <- chunk:
		case <-ctx.Done():
			buffers.Give(chunk.Buffer)
			return ctx.Err()
		}
		if err == io.EOF {
			return nil
		}
	}
}

// looks is how often the files are looked through: rotation may move them from name to name meanwhile.
const looks = 3

// pathOf is where the checkpoint says that the stream was followed.
func (f *Follower) pathOf(stream string) (path string, ok bool) {
	for _, s := range f.Store.State().Streams {
		if s.Name == stream {
			return s.Path, true
		}
	}
	return "", false
}

// find opens a file that holds the range: one that is held, or at the path or beside it. It is opened
// once and for all: by its name it might be another one the next time. The caller closes it.
func (f *Follower) find(path string, r batch.Range) (file source, input *Input, ok bool) {
	t, ok := f.targetOf(path)
	if !ok {
		return nil, nil, false
	}
	for _, g := range f.live {
		if g.target.path == path && holds(g.file, r) {
			return held{g.file}, t.input, true
		}
	}
	for range looks {
		paths := []string{path}
		for _, x := range f.siblings(path) {
			paths = append(paths, x.path)
		}
		for _, p := range paths {
			file, err := openRegular(p)
			if err != nil {
				continue
			}
			if holds(file, r) {
				return file, t.input, true
			}
			file.Close()
		}
	}
	return nil, nil, false
}

// whole is the file's content from its beginning, decompressed.
func whole(file io.ReaderAt) (*content.File, error) {
	return content.Decode(io.NewSectionReader(file, 0, 1<<62))
}

// holds reports whether the file has the range: its content is named so, and has the same bytes before the range's end.
func holds(file io.ReaderAt, r batch.Range) bool {
	c, err := whole(file)
	if err != nil {
		return false
	}
	defer c.Close()
	head, read, err := content.ReadHead(c)
	if err != nil || head == nil || !strings.HasPrefix(r.Stream, content.Prefix(head)) {
		return false
	}
	markers, err := content.MarkersOf(content.WithHead(read, c), []int64{r.To})
	return err == nil && markers[r.To] == r.Marker
}
