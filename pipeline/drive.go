package pipeline

import (
	"context"
	"errors"
)

// Drive runs a source into a runner until the source ends, the runner fails, or ctx is done and what was read is written.
// The source sends to the channel until its context is done; all of its chunks' buffers go back.
func Drive(ctx context.Context, source func(context.Context, chan<- Chunk) error, runner *Runner) error {
	return Pump(ctx, source, runner.Run, runner.Buffers)
}

// Pump does for any consumer of chunks what Drive does for a Runner. Like it, run returns nil when the channel is closed and
// what came is done with, and earlier only with an error.
func Pump(ctx context.Context, source func(context.Context, chan<- Chunk) error, run func(context.Context, <-chan Chunk) error, buffers *Buffers) error {
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	chunks := make(chan Chunk, 2)
	ended := make(chan error, 1)
	go func() {
		defer close(chunks)
		ended <- source(reading, chunks)
	}()
	err := run(ctx, chunks)
	cancel()
	for c := range chunks {
		buffers.Give(c.Buffer)
	}
	return errors.Join(err, <-ended)
}
