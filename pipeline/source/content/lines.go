package content

import (
	"bytes"
	"io"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
)

// A Pool has buffers of pipeline.BufferSize, see pipeline.Buffers.
type Pool interface {
	Take() []byte
	Give([]byte)
}

// Lines cuts a growing or finished stream of bytes into chunks of whole lines. It is used by one goroutine.
type Lines struct {
	src    io.Reader
	pool   Pool
	stream *pipeline.Stream
	offset int64  // position of the first byte of rest
	rest   []byte // read, but its newline has not come yet
	cut    *cutLine
	holes  int64 // NUL bytes read at the stream's beginning, see hole
}

// cutLine is a line longer than a buffer: its head is kept, the rest is counted.
type cutLine struct {
	size int64
	tail []byte // the last batch.MarkerBytes of it
}

// NewLines returns a reader of src, whose first byte is at offset in the stream.
func NewLines(src io.Reader, stream *pipeline.Stream, offset int64, pool Pool) *Lines {
	return &Lines{src: src, stream: stream, offset: offset, pool: pool}
}

// Offset is the position up to which lines have been handed out.
func (l *Lines) Offset() int64 { return l.offset }

// Pending is how many bytes have been read of a line that is not complete.
func (l *Lines) Pending() int64 {
	if l.cut != nil {
		return l.cut.size
	}
	return l.holes + int64(len(l.rest))
}

// Next returns the next chunk of whole lines. It blocks while no buffer is free. At the end of what there is now it
// returns io.EOF and may be called again when more has come; a line without its newline is kept until then, or until
// Rest. Any other error is the source's.
func (l *Lines) Next() (pipeline.Chunk, error) {
	buf := l.pool.Take()
	n := copy(buf, l.rest)
	if l.cut != nil {
		n = 0
	}
	for {
		m, err := l.src.Read(buf[n:])
		fresh := buf[n : n+m]
		n += m
		if l.cut != nil {
			if c, ok := l.skip(buf, fresh); ok {
				return c, nil
			}
			n = 0
		} else if l.offset == 0 && n > 0 && buf[0] == 0 {
			if c, ok := l.hole(buf, n); ok {
				return c, nil
			}
			n = 0
		} else if i := bytes.LastIndexByte(fresh, '\n'); i >= 0 {
			end := n - m + i + 1
			l.rest = append(l.rest[:0], buf[end:n]...)
			c := pipeline.Chunk{Stream: l.stream, Offset: l.offset, Next: l.offset + int64(end), Data: buf[:end], Buffer: buf}
			l.offset = c.Next
			return c, nil
		} else if n == len(buf) {
			l.cut = &cutLine{size: int64(n), tail: batch.AppendTail(nil, buf)}
			l.rest = append(l.rest[:0], buf[:pipeline.MaxLine+1]...) // one more than is parsed: it shows that there was more
			n = 0
		}
		if err != nil {
			if l.cut == nil {
				l.rest = append(l.rest[:0], buf[:n]...)
			}
			l.pool.Give(buf)
			return pipeline.Chunk{}, err
		}
	}
}

// skip looks for the end of the line being cut. The chunk that it returns holds the line's head.
func (l *Lines) skip(buf, fresh []byte) (pipeline.Chunk, bool) {
	i := bytes.IndexByte(fresh, '\n')
	if i < 0 {
		l.cut.size += int64(len(fresh))
		l.cut.tail = batch.AppendTail(l.cut.tail, fresh)
		return pipeline.Chunk{}, false
	}
	tail := batch.AppendTail(l.cut.tail, fresh[:i+1])
	c := pipeline.Chunk{Stream: l.stream, Offset: l.offset, Next: l.offset + l.cut.size + int64(i) + 1, Tail: tail}
	// What came after the line may hold whole lines: it is read again for the next chunk.
	l.src = &prefixed{head: append([]byte(nil), fresh[i+1:]...), r: unprefixed(l.src)}
	c.Data, c.Buffer = buf[:copy(buf, l.rest)], buf
	l.rest, l.cut, l.offset = l.rest[:0], nil, c.Next
	return c, true
}

// hole counts the NUL bytes that a stream may begin with: a file that was truncated under a writer that does not append
// goes on behind a hole, and its first real line follows without a newline. They are handed out as one line that was cut,
// so that what follows is whole.
func (l *Lines) hole(buf []byte, n int) (pipeline.Chunk, bool) {
	line := bytes.TrimLeft(buf[:n], "\x00")
	l.holes += int64(n - len(line))
	if len(line) == 0 {
		return pipeline.Chunk{}, false
	}
	l.src = &prefixed{head: append([]byte(nil), line...), r: unprefixed(l.src)}
	return l.nuls(buf), true
}

// nuls is the chunk that stands for the hole.
func (l *Lines) nuls(buf []byte) pipeline.Chunk {
	c := pipeline.Chunk{Stream: l.stream, Offset: 0, Next: l.holes, Tail: make([]byte, min(l.holes, batch.MarkerBytes)), Data: buf[:1], Buffer: buf}
	buf[0] = 0
	l.rest, l.holes, l.offset = l.rest[:0], 0, c.Next
	return c
}

// Rest returns what stands after the last newline, as the last chunk of a stream that is finished.
func (l *Lines) Rest() (pipeline.Chunk, bool) {
	if l.Pending() == 0 {
		return pipeline.Chunk{}, false
	}
	buf := l.pool.Take()
	if l.holes > 0 {
		return l.nuls(buf), true
	}
	c := pipeline.Chunk{Stream: l.stream, Offset: l.offset, Next: l.offset + l.Pending(), Data: buf[:copy(buf, l.rest)], Buffer: buf}
	if l.cut != nil {
		c.Tail = l.cut.tail
	}
	l.rest, l.cut, l.offset = l.rest[:0], nil, c.Next
	return c, true
}

// prefixed gives head first, then what r has, and is r again afterwards.
type prefixed struct {
	head []byte
	r    io.Reader
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.head) > 0 {
		n := copy(b, p.head)
		p.head = p.head[n:]
		return n, nil
	}
	return p.r.Read(b)
}

// unprefixed is what is left of r to read when all of its prefix has been.
func unprefixed(r io.Reader) io.Reader {
	if p, ok := r.(*prefixed); ok && len(p.head) == 0 {
		return p.r
	}
	return r
}
