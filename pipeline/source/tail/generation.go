package tail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/source/content"
)

// turn is how much is read of one file before the others have their turn.
const turn = 4 << 20

// A generation is one physical content that is open.
type generation struct {
	target  target
	path    string
	file    io.ReadCloser // *os.File, or a decompressed rotated file
	plain   *os.File      // the same where it is not compressed
	id      fileID
	head    []byte // the first bytes, to notice that the file was filled anew
	stream  *pipeline.Stream
	lines   *content.Lines
	release func()
	retired time.Time // since when it is no longer at its path; zero while it is
	quiet   time.Time // when a retired file last gave something
}

type fileID struct{ device, inode uint64 }

func identify(st os.FileInfo) fileID {
	s := st.Sys().(*syscall.Stat_t)
	return fileID{uint64(s.Dev), s.Ino}
}

func (g *generation) close() {
	g.file.Close()
	g.release()
}

// open opens the file, names its content, and puts it behind what the ledger has of it. It returns nil while the file has
// no complete line, or cannot be opened. Only the ledger's, the checkpoint's and the lock's errors are returned.
func (f *Follower) open(ctx context.Context, t target, path, preferred string) (*generation, error) {
	g := &generation{target: t, path: path}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		f.wait(path, err)
		return nil, nil
	}
	st, err := file.Stat()
	if err != nil || !st.Mode().IsRegular() {
		file.Close()
		return nil, nil
	}
	g.id, g.file, g.plain = identify(st), file, file
	ok, err := f.name(ctx, g, preferred)
	if err != nil || !ok {
		g.file.Close()
		return nil, err
	}
	delete(f.waiting, path)
	f.live = append(f.live, g)
	f.Log.Info("following", "path", path, "stream", g.stream.Name, "from", g.lines.Offset(), "stored_to", storedTo(g.stream))
	return g, f.Store.Update(func(s *checkpoint.State) {
		now := checkpoint.Stream{Name: g.stream.Name, Path: t.path, Device: g.id.device, Inode: g.id.inode, Next: storedTo(g.stream), Seen: time.Now()}
		for i := range s.Streams {
			if s.Streams[i].Name == now.Name {
				s.Streams[i] = now
				return
			}
		}
		s.Streams = append(s.Streams, now)
	})
}

// name finds out which stream the content is, locks it, and opens its lines. It reports false where nothing can be said yet.
func (f *Follower) name(ctx context.Context, g *generation, preferred string) (bool, error) {
	compressed, err := content.Open(g.path)
	if err != nil {
		f.wait(g.path, err)
		return false, nil
	}
	defer compressed.Close()
	head, read, err := content.ReadHead(compressed)
	if err != nil || head == nil {
		return false, nil
	}
	if compressed.Compression == "" {
		if _, complete := content.Head(read, false); !complete {
			return false, nil // its first line is still being written
		}
	} else {
		g.plain = nil
	}
	if preferred == "" {
		preferred = f.remembered(g.id, content.Prefix(head))
	}
	markers := func(at []int64) (map[int64]string, error) {
		r, err := content.Open(g.path)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return content.MarkersOf(r, at)
	}
	same := func(name string) (bool, error) { return f.Same(ctx, g.path, g.target.input.Parser, name) }
	known, err := content.Resolve(ctx, f.Ledger, head, preferred, markers, same)
	if err != nil {
		return false, fmt.Errorf("%s: %w", g.path, err)
	}
	if f.followed(known.Name) {
		return false, nil // a copy of a file that is being followed
	}
	if g.release, err = f.Lock(known.Name); err != nil {
		return false, err
	}
	g.head = append([]byte(nil), read[:min(len(read), len(head), batch.MarkerBytes)]...)
	g.stream = &pipeline.Stream{Name: known.Name, Source: g.target.input.Name, Path: g.path, Parser: g.target.input.Parser,
		Reference: time.Now(), Stored: content.Spans(known.Ranges)}
	at := f.begin(g.stream, known.Ranges)
	var src io.Reader
	if g.plain != nil {
		if _, err := g.plain.Seek(at, io.SeekStart); err != nil {
			return false, fmt.Errorf("%s: %w", g.path, err)
		}
		src = g.plain
	} else {
		c, err := content.Open(g.path)
		if err != nil {
			g.release()
			return false, nil
		}
		if _, err := io.CopyN(io.Discard, c, at); err != nil {
			c.Close()
			g.release()
			return false, nil
		}
		g.file.Close()
		g.file, src = c, c
	}
	g.lines = content.NewLines(src, g.stream, at, f.Buffers)
	return true, nil
}

func (f *Follower) followed(stream string) bool {
	for _, g := range f.live {
		if g.stream.Name == stream {
			return true
		}
	}
	return false
}

// remembered is the stream that the checkpoint has for the file, if it begins so.
func (f *Follower) remembered(id fileID, prefix string) string {
	for _, s := range f.Store.State().Streams {
		if _, ok := content.Counter(prefix, s.Name); ok && (fileID{s.Device, s.Inode}) == id {
			return s.Name
		}
	}
	return ""
}

// begin returns where reading begins, a horizon before what is not stored, and gives the stream the anchor of that place.
func (f *Follower) begin(s *pipeline.Stream, ranges []batch.Range) int64 {
	goal := storedTo(s) - f.Horizon
	at := int64(0)
	for _, r := range ranges {
		if r.From > storedTo(s) {
			break
		}
		if r.From == 0 || r.From <= goal {
			at, s.Anchor = r.From, r.Anchor
		}
	}
	return at
}

// storedTo is the end of what is stored from the stream's beginning on without a gap.
func storedTo(s *pipeline.Stream) int64 {
	if len(s.Stored) > 0 && s.Stored[0].From == 0 {
		return s.Stored[0].To
	}
	return 0
}

// read sends what there is to read of the file, a turn at the most.
func (f *Follower) read(ctx context.Context, g *generation, out chan<- pipeline.Chunk) (more bool, err error) {
	if truncated, err := f.truncated(ctx, g); truncated || err != nil {
		return false, err
	}
	for begun := g.lines.Offset(); g.lines.Offset()-begun < turn; {
		c, err := g.lines.Next()
		if errors.Is(err, io.EOF) {
			return false, f.settle(ctx, g, out)
		}
		if err != nil {
			f.wait(g.path, err)
			return false, nil
		}
		if !g.ours() {
			f.Buffers.Give(c.Buffer)
			return false, f.anew(ctx, g)
		}
		g.quiet = time.Now()
		select {
		case out <- c:
		case <-ctx.Done():
			f.Buffers.Give(c.Buffer)
			return false, ctx.Err()
		}
	}
	return true, nil
}

// settle leaves a rotated file when it has been quiet long enough.
func (f *Follower) settle(ctx context.Context, g *generation, out chan<- pipeline.Chunk) error {
	if g.retired.IsZero() || g.plain != nil && time.Since(g.quiet) < f.RotateWait {
		return nil
	}
	at := g.lines.Offset()
	c, ok := g.lines.Rest()
	if !ok {
		c = pipeline.Chunk{Stream: g.stream, Offset: at, Next: at}
	}
	c.Last = true
	select {
	case out <- c:
	case <-ctx.Done():
		f.Buffers.Give(c.Buffer)
		return ctx.Err()
	}
	f.drop(g)
	if storedTo(g.stream) == c.Next { // known to be stored since it was opened: nothing of it is in flight
		if err := f.forget(g.stream.Name); err != nil {
			return err
		}
	}
	f.Log.Info("a rotated file is done", "path", g.path, "stream", g.stream.Name, "bytes", c.Next)
	return nil
}

func (f *Follower) drop(g *generation) {
	g.close()
	for i := range f.live {
		if f.live[i] == g {
			f.live = append(f.live[:i], f.live[i+1:]...)
			break
		}
	}
	for p, x := range f.paths {
		if x == g {
			delete(f.paths, p)
		}
	}
}

// truncated sees whether the file has become shorter than what was read of it.
func (f *Follower) truncated(ctx context.Context, g *generation) (bool, error) {
	if g.plain == nil {
		return false, nil
	}
	st, err := g.plain.Stat()
	if err != nil || st.Size() >= g.lines.Offset()+g.lines.Pending() {
		return false, nil
	}
	return true, f.anew(ctx, g)
}

// ours reports whether the file still begins as it did: if not it was truncated and filled again.
func (g *generation) ours() bool {
	if g.plain == nil {
		return true
	}
	now := make([]byte, len(g.head))
	_, err := g.plain.ReadAt(now, 0)
	return err == nil && bytes.Equal(now, g.head)
}

// anew leaves a content that is gone from its file. What is in the file now is opened as another content at the next look;
// a copy of the old one, as logrotate's copytruncate leaves it, is read to its end.
func (f *Follower) anew(ctx context.Context, g *generation) error {
	f.Truncations.Add(1)
	f.Log.Warn("the file was truncated while it was followed; rename it and signal the writer instead, to lose nothing",
		"path", g.path, "read_to", g.lines.Offset())
	f.drop(g)
	return f.adopt(ctx, g.target, g.stream.Name)
}
