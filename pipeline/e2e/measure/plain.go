package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"bounceline/parsers"
	"bounceline/pipeline"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/classify"
	qctx "bounceline/pipeline/context"
	"bounceline/sinks/clickhouse"
	"bounceline/sinks/clickhouse/local"
)

// beside runs what once runs beside an engine that runs already: the figure is the command's alone.
func beside(program, state string, once func(args []string) (figure, error)) func(args []string) (figure, error) {
	return func(args []string) (figure, error) {
		engine := exec.Command(program, "engine", "--state-dir", state)
		out, err := engine.StdoutPipe()
		if err != nil {
			return figure{}, err
		}
		if err := engine.Start(); err != nil {
			return figure{}, err
		}
		defer func() {
			_ = engine.Process.Signal(syscall.SIGTERM)
			_ = engine.Wait()
		}()
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.Contains(line, "is running") {
			return figure{}, fmt.Errorf("engine: %q: %w", line, err)
		}
		return once(args)
	}
}

// plain follows a log of so many bytes as one would who promises nothing: it reads line after line, parses, classifies and
// inserts the same batches, and keeps neither positions nor a ledger, asks nobody what is stored, and expects no rotation.
func plain(path string, size int64, state string) error {
	ctx := context.Background()
	lease, err := local.Acquire(ctx, state, "")
	if err != nil {
		return err
	}
	defer lease.Close()
	db, err := clickhouse.Open(ctx, clickhouse.Config{DSN: lease.DSN()})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Migrate(ctx, false, nil); err != nil {
		return err
	}
	rules, err := classify.New(classify.Options{})
	if err != nil {
		return err
	}
	buffers := pipeline.NewBuffers(8)
	runner := pipeline.NewRunner(pipeline.Config{Classifier: rules, Context: qctx.New(64 << 20), Sink: unledgered{db}, Journal: forgetful{}, Buffers: buffers,
		Retryable: clickhouse.Retryable, Log: slog.Default()})
	return pipeline.Drive(ctx, func(ctx context.Context, out chan<- pipeline.Chunk) error {
		return lines(ctx, path, size, buffers, out)
	}, runner)
}

// lines sends the log's lines, a buffer full at once, and waits at the end of the file until it has the size.
func lines(ctx context.Context, path string, size int64, buffers *pipeline.Buffers, out chan<- pipeline.Chunk) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	s := &pipeline.Stream{Name: "plain-0", Source: "mail.log", Path: path, Parser: parsers.Options{Zone: time.UTC}, Reference: time.Now()}
	r := bufio.NewReaderSize(f, pipeline.BufferSize)
	for at := int64(0); at < size; {
		c := pipeline.Chunk{Stream: s, Offset: at, Next: at, Buffer: buffers.Take()}
		for {
			line, err := r.ReadSlice('\n')
			c.Data = append(c.Buffer[:len(c.Data)], line...)
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			if err != nil || len(c.Data)+r.Size()/8 > pipeline.BufferSize {
				break
			}
		}
		at += int64(len(c.Data))
		c.Next, c.Last = at, at == size
		select {
		case out <- c:
		case <-ctx.Done():
			buffers.Give(c.Buffer)
			return nil
		}
	}
	return nil
}

// unledgered stores rows alone.
type unledgered struct{ *clickhouse.DB }

func (unledgered) WriteLedger(context.Context, *batch.Batch) error { return nil }

// forgetful keeps no positions.
type forgetful struct{}

func (forgetful) Intend(*batch.Batch) error { return nil }
func (forgetful) Commit(*batch.Batch) error { return nil }
