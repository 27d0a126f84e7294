package tail

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/fault"
	"bounceline/pipeline/source/content"
)

// turn is how much is read of one file before the others have their turn.
const turn = 4 << 20

// maxDone is how many finished files are remembered.
const maxDone = 10_000

// A generation is one physical file that is open.
type generation struct {
	target  target
	path    string // where it was found
	file    *os.File
	id      fileID
	found   time.Time // the file's last change when it was opened
	retired time.Time // since when it is no longer at its path; zero while it is
	quiet   time.Time // when a retired file last grew
	recent  bool      // found at its path or by its time, not by its content alone
	packed  bool      // it is compressed, and finished
	size    int64     // how long the file was when last seen
	changed time.Time // and when it had changed last
	gone    bool      // the content that was named is no longer in the file
	head    []byte    // the first bytes
	cutHead []byte    // how the content that cut speaks of began
	cut     int64     // how much of a content that had no name yet is no longer in the file
	unfreed int64     // disk space that the file takes although it was deleted

	// Set when the content is named.
	stream  *pipeline.Stream
	decoder *content.File // of a compressed file
	at      int64         // the position: before it everything was sent
	before  []byte        // the last bytes before it: with head they tell whether the file was filled anew
	lines   *content.Lines
	release func()
	damaged bool // it cannot be read on until it changes

	young bool      // its first line is not complete
	retry time.Time // when naming it is tried again
	pause time.Duration
}

type fileID struct{ device, inode uint64 }

func identify(st os.FileInfo) fileID {
	s := st.Sys().(*syscall.Stat_t)
	return fileID{uint64(s.Dev), s.Ino}
}

// hold opens a file for a target.
func (f *Follower) hold(t target, path string) (*generation, error) {
	file, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	st, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	if g := f.byID(identify(st)); g != nil { // it took another's place since it was looked at
		file.Close()
		return g, nil
	}
	g := &generation{target: t, path: path, file: file, id: identify(st), found: st.ModTime(), recent: true}
	g.measure()
	f.live = append(f.live, g)
	f.failed = cmp.Or(f.failed, fault.At(fault.FileOpened))
	return g, nil
}

func (g *generation) close() {
	if g.decoder != nil {
		g.decoder.Close()
	}
	if g.file != nil { // else it was left
		g.file.Close()
	}
	if g.release != nil {
		g.release()
	}
}

// known is what people know the file as: another one may be at its path by now.
func (g *generation) known() string {
	if g.retired.IsZero() {
		return g.path
	}
	return g.path + " (rotated)"
}

// content opens the file's content from its beginning, decompressed, apart from the reading that goes on.
func (g *generation) content() (*content.File, error) {
	return whole(g.file)
}

// holds reports whether the file's content begins so and is at least so long. A compressed one is read for it.
func (g *generation) holds(head []byte, size int64) bool {
	c, err := g.content()
	if err != nil {
		return false
	}
	defer c.Close()
	have := make([]byte, len(head))
	if _, err := io.ReadFull(c, have); err != nil || !bytes.Equal(have, head) {
		return false
	}
	if c.Compression == "" {
		return g.size >= size
	}
	n, _ := io.CopyN(io.Discard, c, size-int64(len(head)))
	return n == size-int64(len(head))
}

// last returns the last bytes of the content before the position, or before its end where that comes first, and which it
// was.
func (g *generation) last(at int64) (int64, []byte, error) {
	if g.packed {
		c, err := g.content()
		if err != nil {
			return 0, nil, err
		}
		defer c.Close()
		return lastBefore(c, at)
	}
	at = min(at, g.size)
	buf := make([]byte, min(at, batch.MarkerBytes))
	_, err := g.file.ReadAt(buf, at-int64(len(buf)))
	if errors.Is(err, io.EOF) {
		err = &laterError{soon: true} // it was cut since it was measured
	}
	return at, buf, err
}

// lastBefore does the same for what is read from its beginning.
func lastBefore(r io.Reader, at int64) (int64, []byte, error) {
	buf := make([]byte, pipeline.BufferSize)
	var last []byte
	pos := int64(0)
	for pos < at {
		n, err := r.Read(buf[:min(int64(len(buf)), at-pos)])
		last = lastBytes(last, buf[:n])
		pos += int64(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, nil, err
		}
	}
	return pos, last, nil
}

// markers returns the marker at each of the positions, which are sorted, as far as the content reaches.
func (g *generation) markers(at []int64) (map[int64]string, error) {
	if g.packed {
		c, err := g.content()
		if err != nil {
			return nil, err
		}
		defer c.Close()
		return content.MarkersOf(c, at)
	}
	out := map[int64]string{}
	for _, p := range at {
		reached, last, err := g.last(p)
		if err != nil {
			return nil, err
		}
		if reached < p {
			break
		}
		out[p] = batch.Marker(last)
	}
	return out, nil
}

// measure notes the file's length, and whether a content is gone from it: then the length stays the last that was seen of
// it, unless it had no name yet.
func (g *generation) measure() {
	st, err := g.file.Stat()
	if err == nil && nameless(st) {
		g.unfreed = 512 * st.Sys().(*syscall.Stat_t).Blocks // stat(2)
	}
	if err != nil || g.gone || g.stream != nil && stampOf(st) == (stamp{g.size, g.changed}) {
		return
	}
	g.changed = st.ModTime()
	if st.Size() == g.size && g.ours() {
		return
	}
	g.damaged = false
	if st.Size() < g.size || !g.ours() {
		if g.gone = g.stream != nil && !g.packed; g.gone {
			return
		}
		g.cut, g.cutHead, g.head = g.size, g.head, nil
	} else if !g.retired.IsZero() {
		g.quiet = time.Now()
	}
	g.size = st.Size()
	if g.stream == nil && len(g.head) < batch.MarkerBytes {
		head := make([]byte, min(g.size, batch.MarkerBytes))
		if n, _ := g.file.ReadAt(head, 0); n == len(head) {
			g.head = head
		}
	}
}

// read sends what there is to read of the file, a turn at the most.
func (f *Follower) read(ctx context.Context, g *generation, out chan<- pipeline.Chunk) (more bool, err error) {
	g.measure()
	switch {
	case g.gone:
		f.anew(g)
		return false, nil
	case !g.packed && g.size == g.lines.Offset()+g.lines.Pending():
		return false, f.settle(ctx, g, out)
	}
	for begun := g.lines.Offset(); !g.gone && g.lines.Offset()-begun < turn; { // it may be cut while we wait
		c, err := g.lines.Next()
		if err != nil && !g.gone {
			if errors.Is(err, io.EOF) {
				return false, f.settle(ctx, g, out)
			}
			return false, f.broken(ctx, g, err, out)
		}
		if g.gone || !g.ours() {
			f.Buffers.Give(c.Buffer)
			f.anew(g)
			return false, nil
		}
		if !g.retired.IsZero() {
			g.quiet = time.Now()
		}
		if err := f.pass(ctx, g, c, out); err != nil {
			return false, err
		}
	}
	return true, nil
}

// pass sends a chunk and remembers how far the stream has come.
func (f *Follower) pass(ctx context.Context, g *generation, c pipeline.Chunk, out chan<- pipeline.Chunk) error {
	tail := c.Data
	if len(c.Tail) > 0 {
		tail = c.Tail
	}
	before := lastBytes(g.before, tail) // a copy: the receiver owns the buffer once it is sent
	if err := f.send(ctx, out, c); err != nil {
		return err
	}
	g.at, g.before = c.Next, before
	e := f.streams[g.stream.Name]
	e.offset, e.before = c.Next, before
	return nil
}

func lastBytes(before, data []byte) []byte {
	if len(data) < batch.MarkerBytes {
		data = append(append([]byte(nil), before...), data...)
	}
	return bytes.Clone(data[max(0, len(data)-batch.MarkerBytes):])
}

// ours reports whether the file still begins as it did, and still has the same bytes before the position: if not it was
// truncated and filled again. It is asked after reading, so that what was read is the content's if it says so.
func (g *generation) ours() bool {
	if g.packed && g.stream != nil {
		return true
	}
	var buf [batch.MarkerBytes]byte
	now := buf[:len(g.head)]
	if _, err := g.file.ReadAt(now, 0); err != nil || !bytes.Equal(now, g.head) {
		return false
	}
	now = buf[:len(g.before)]
	_, err := g.file.ReadAt(now, g.at-int64(len(now)))
	return err == nil && bytes.Equal(now, g.before)
}

// settle leaves a rotated file when it has been quiet long enough; a compressed one is finished.
func (f *Follower) settle(ctx context.Context, g *generation, out chan<- pipeline.Chunk) error {
	if g.retired.IsZero() || !g.packed && time.Since(g.quiet) < f.RotateWait {
		return nil
	}
	at := g.lines.Offset()
	c, ok := g.lines.Rest()
	if !ok {
		c = pipeline.Chunk{Stream: g.stream, Offset: at, Next: at}
	}
	c.Last = true
	if err := f.pass(ctx, g, c, out); err != nil {
		return err
	}
	f.Log.Info("a rotated file is done", "path", g.path, "stream", g.stream.Name, "bytes", c.Next)
	e := f.streams[g.stream.Name]
	if known := max(c.Next, e.lost); e.peak > known { // a copy, shorter than the file had been when it was truncated
		if err := f.lose(e.path, &f.Lost.Truncated, checkpoint.Loss{Stream: e.name, From: known, To: e.peak, Reason: wasCut}); err != nil {
			return err
		}
	}
	return f.leave(g, e)
}

// leave drops a generation whose stream is done, and notes in the checkpoint how long the content was.
func (f *Follower) leave(g *generation, e *followed) error {
	e.done = true
	if err := fault.At(fault.FileDone); err != nil {
		return err
	}
	if st, err := g.file.Stat(); err == nil {
		if len(f.done) == maxDone {
			clear(f.done) // what is forgotten is read again, and not stored again
		}
		f.done[g.id] = stampOf(st)
	}
	f.part(g)
	f.drop(g)
	return f.Store.Update(func(st *checkpoint.State) {
		for i := range st.Streams {
			if st.Streams[i].Name == e.name {
				st.Streams[i].End = e.offset
			}
		}
	})
}

// drop closes the generation. Its stream is kept until it is committed.
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
	if g.stream != nil {
		if e := f.streams[g.stream.Name]; e.gen == g {
			e.gen, e.deadline = nil, time.Now().Add(f.RotateWait)
		}
	}
}

// anew leaves a content that is gone from its file. What is in the file now is opened as another content at the next look;
// a copy of the old one, as logrotate's copytruncate leaves it, is read on.
func (f *Follower) anew(g *generation) {
	f.Truncations.Add(1)
	f.failed = cmp.Or(f.failed, fault.At(fault.FileTruncated))
	f.Log.Warn("the file was truncated while it was followed; rename it and signal the writer instead, to lose nothing",
		"path", g.path, "read_to", g.at)
	e := f.streams[g.stream.Name]
	e.peak = max(e.peak, g.size, g.at)
	f.drop(g)
	f.startScan(g.target, g.found)
}

// broken notes that a file cannot be read on. A failing disk may recover, and a compressed file at its path may still be
// written; of one that was rotated the rest is lost.
func (f *Follower) broken(ctx context.Context, g *generation, err error, out chan<- pipeline.Chunk) error {
	f.wait(g.known(), err)
	if !g.packed {
		return nil
	}
	if g.retired.IsZero() {
		g.damaged = true
		return nil
	}
	f.Vanished.Add(1)
	f.Log.Error("a compressed file is damaged; the rest of it is lost", "path", g.path, "read_to", g.at, "error", err)
	if err := f.pass(ctx, g, pipeline.Chunk{Stream: g.stream, Offset: g.at, Next: g.at, Last: true}, out); err != nil {
		return err
	}
	return f.leave(g, f.streams[g.stream.Name])
}
