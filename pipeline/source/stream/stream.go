// Package stream reads finished files and standard input once, from beginning to end.
package stream

import (
	"bufio"
	"context"
	"errors"
	"io"

	"bounceline/pipeline"
	"bounceline/pipeline/source/content"
)

// Send reads r, whose first byte is the stream's first, and sends its lines as chunks, the last of them marked. What
// stands after the last newline is a line if finished says so and left for another time otherwise. Send blocks while the
// receiver is busy and returns early with the cause when ctx is done.
func Send(ctx context.Context, r io.Reader, s *pipeline.Stream, pool *pipeline.Buffers, out chan<- pipeline.Chunk, finished bool) error {
	lines := content.NewLines(r, s, 0, pool)
	send := func(c pipeline.Chunk) error {
		select {
		case out <- c:
			return nil
		case <-ctx.Done():
			pool.Give(c.Buffer)
			return context.Cause(ctx)
		}
	}
	for {
		c, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := send(c); err != nil {
			return err
		}
	}
	at := lines.Offset()
	last, ok := pipeline.Chunk{}, false
	if finished {
		last, ok = lines.Rest()
	}
	if !ok {
		last = pipeline.Chunk{Stream: s, Offset: at, Next: at}
	}
	last.Last = true
	return send(last)
}

// Each calls f with each line of r, its newline included, and its place, until f returns false. A line longer than
// pipeline.MaxLine is given in part.
func Each(r io.Reader, f func(line []byte, at, next int64) bool) error {
	b := bufio.NewReaderSize(r, pipeline.MaxLine)
	for at := int64(0); ; {
		line, err := b.ReadSlice('\n')
		next := at + int64(len(line))
		for errors.Is(err, bufio.ErrBufferFull) {
			var more []byte
			head := append([]byte(nil), line...)
			more, err = b.ReadSlice('\n')
			next += int64(len(more))
			line = head
		}
		if len(line) > 0 && !f(line, at, next) {
			return nil
		}
		at = next
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
