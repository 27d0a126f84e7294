package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"bounceline/parsers"
	"bounceline/pipeline"
	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/classify"
	"bounceline/pipeline/config"
	qctx "bounceline/pipeline/context"
	"bounceline/pipeline/source/content"
	"bounceline/pipeline/source/tail"
	"bounceline/sinks/clickhouse"
)

func newRunCommand() *cobra.Command {
	var db databaseFlags
	var reading readingFlags
	var file string
	cmd := &cobra.Command{
		Use:   "run [FILES...]",
		Short: "Follow logs and store each delivery event once",
		Long: `Run follows log files, through rotation and restarts, and stores the delivery events in them. It takes its inputs from a
configuration file, or follows the files and globs that are named, with the defaults. It runs until it is told to stop:
SIGTERM or SIGINT lets it store what it has read, a second one ends it at once.`,
		Example: `  bounceline run /var/log/mail.log
  bounceline run --config /etc/bounceline.yaml
  bounceline run --clickhouse clickhouse://writer@db.example.org:9000 '/var/log/exim4/mainlog'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := reading.options()
			if err != nil {
				return err
			}
			c := config.Default()
			switch {
			case file != "" && len(args) > 0:
				return usagef("name files or a configuration, not both: add the files to inputs in %s", file)
			case file != "":
				if c, err = config.Load(file); err != nil {
					return usagef("%v", err)
				}
			case len(args) == 0:
				return usagef("name the files to follow, or a configuration with --config")
			default:
				for _, a := range args {
					c.Inputs = append(c.Inputs, config.Input{Name: filepath.Base(a), Paths: []string{a}, Parser: options.Dialect, Zone: reading.zone, Host: options.Host})
				}
			}
			if err := c.Validate(); err != nil {
				return usagef("%v", err)
			}
			db.configure(c.StateDir, c.ClickHouse.DSN, c.ClickHouse.PasswordFile)
			return follow(cmd.Context(), c, &db)
		},
	}
	db.register(cmd)
	reading.register(cmd)
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration file (YAML)")
	return cmd
}

// follow runs the daemon until ctx is done.
func follow(ctx context.Context, c config.Config, flags *databaseFlags) error {
	engine, err := classify.New(classify.Options{})
	if err != nil {
		return err
	}
	db, err := openPatiently(ctx, flags)
	if err != nil || db == nil {
		return err
	}
	defer db.Close()
	store, notes, err := checkpoint.Open(filepath.Join(db.StateDir, "run.checkpoint"), false)
	if errors.Is(err, checkpoint.ErrLocked) {
		return fmt.Errorf("another bounceline run uses %s: stop it, or give this one its own --state-dir", db.StateDir)
	}
	if err != nil {
		return err
	}
	defer store.Close()
	for _, n := range notes {
		slog.Warn("checkpoint", "note", n)
	}
	locks := filepath.Join(db.StateDir, "import")
	if err := os.MkdirAll(locks, 0o700); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	buffers := pipeline.NewBuffers(8)
	inputs, err := c.TailInputs()
	if err != nil {
		return usagef("%v", err)
	}
	follower := tail.New(tail.Config{Inputs: inputs, Ledger: db, Store: store, Buffers: buffers, Log: slog.Default(),
		Lock: func(stream string) (func(), error) { return lockStream(locks, stream) },
		Same: func(ctx context.Context, path string, options parsers.Options, stream string) (bool, error) {
			in, err := content.Open(path)
			if err != nil {
				return false, err
			}
			defer in.Close()
			return db.sameRows(ctx, in, options, time.Now(), stream)
		},
		Poll: time.Duration(c.Poll), RotateWait: time.Duration(c.RotateWait)})
	runnerConfig := pipeline.Config{Classifier: engine, Context: qctx.New(contextMemory), Sink: db, Journal: store, Buffers: buffers,
		Retryable: clickhouse.Retryable, Log: slog.Default(), MaxRows: c.Batch.MaxRows, MaxDelay: time.Duration(c.Batch.MaxDelay), StoreRaw: c.StoreRaw}
	if err := recoverIntent(ctx, follower, store, db, runnerConfig); err != nil {
		return err
	}
	return drive(ctx, follower.Run, pipeline.NewRunner(runnerConfig))
}

// drive runs a source into a runner until the source ends or the runner fails.
func drive(ctx context.Context, source func(context.Context, chan<- pipeline.Chunk) error, runner *pipeline.Runner) error {
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	chunks := make(chan pipeline.Chunk, 2)
	ended := make(chan error, 1)
	go func() {
		defer close(chunks)
		ended <- source(reading, chunks)
	}()
	err := runner.Run(ctx, chunks)
	cancel()
	for range chunks {
	}
	return errors.Join(err, <-ended)
}

// recoverIntent settles the batch that was being sent when the last run ended: what the ledger has of it is done, else the
// very same batch is made again from the files and sent under its own token.
func recoverIntent(ctx context.Context, f *tail.Follower, store *checkpoint.Store, ledger content.Ledger, c pipeline.Config) error {
	intent := store.State().Intent
	if intent == nil {
		return nil
	}
	open, err := f.Unsettled(ctx, intent)
	if err != nil {
		return err
	}
	if open {
		slog.Info("a batch was being sent when the last run ended; it is sent again", "batch", intent.ID)
		c.MaxRows, c.MaxBytes = 1<<40, 1<<40
		c.MaxDelay, c.IdleDelay = 1000*time.Hour, 1000*time.Hour
		c.Context = qctx.New(contextMemory)
		again := func(ctx context.Context, out chan<- pipeline.Chunk) error { return f.Again(ctx, intent, out) }
		if err := drive(ctx, again, pipeline.NewRunner(c)); err != nil {
			return err
		}
	}
	return store.Update(func(s *checkpoint.State) { s.Intent = nil })
}

// openPatiently opens the database, and waits for a server that does not answer yet. It returns nil if ctx is done first.
func openPatiently(ctx context.Context, flags *databaseFlags) (*database, error) {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		db, err := flags.open(ctx, false)
		if err == nil || !clickhouse.Retryable(err) {
			return db, err
		}
		slog.Warn("the database does not answer yet; waiting for it", "error", err, "again_in", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// lockStream keeps other processes of this state directory from writing the stream.
func lockStream(dir, stream string) (func(), error) {
	path := filepath.Join(dir, stream)
	store, _, err := checkpoint.Open(path, false)
	if errors.Is(err, checkpoint.ErrLocked) {
		slog.Warn("the file is being stored by another process; waiting for it", "stream", stream)
		store, _, err = checkpoint.Open(path, true)
	}
	if err != nil {
		return nil, err
	}
	return func() { _ = store.Release() }, nil
}
