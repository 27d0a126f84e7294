package pipeline

import (
	"context"
	"errors"
)

// Drive runs a source into a runner until the source ends, the runner fails, or ctx is done and what was read is written.
// The source sends to the channel until its context is done; all of its chunks' buffers go back.
func Drive(ctx context.Context, source func(context.Context, chan<- Chunk) error, runner *Runner) error {
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	chunks := make(chan Chunk, 2)
	ended := make(chan error, 1)
	go func() {
		defer close(chunks)
		ended <- source(reading, chunks)
	}()
	err := runner.Run(ctx, chunks)
	cancel()
	for c := range chunks {
		runner.Buffers.Give(c.Buffer)
	}
	return errors.Join(err, <-ended)
}
