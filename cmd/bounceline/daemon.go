package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"bounceline/parsers"
	"bounceline/pipeline"
	"bounceline/pipeline/admin"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/classify"
	"bounceline/pipeline/config"
	qctx "bounceline/pipeline/context"
	"bounceline/pipeline/source/pipe"
	"bounceline/pipeline/source/tail"
	"bounceline/sinks/clickhouse"
)

// A daemon is what the sources of one run share.
type daemon struct {
	config  config.Config
	loaded  config.Config // as the file says, without flags
	reloads admin.Reloads
	db      *database
	engine  *classify.Engine
	buffers *pipeline.Buffers
	opened  []interface{ Close() error } // closed when all flows have ended
}

// close closes what was opened. It is the last to know of files that were deleted while nothing could be stored.
func (d *daemon) close() {
	for _, c := range d.opened { // a follower before its checkpoint
		if err := c.Close(); err != nil {
			slog.Error("the checkpoint is not up to date: what is known of deleted files may not be counted as lost", "error", err)
		}
	}
}

// A flow is a source and its runners: what is in one batch belongs to one journal. A flow that has nothing to run is none.
type flow struct {
	name     string
	run      func(context.Context) error
	counts   *pipeline.Counts
	unread   *pipeline.Unread
	counters func() []admin.Counter
	streams  func() []admin.Stream
}

// driven is a source that fills one runner.
func driven(source func(context.Context, chan<- pipeline.Chunk) error, runner *pipeline.Runner) func(context.Context) error {
	return func(ctx context.Context) error { return pipeline.Drive(ctx, source, runner) }
}

// run runs the flows side by side until they have ended, and shows them at the listener if there is one. When one fails the
// others end in order.
func (d *daemon) run(ctx context.Context, listener net.Listener, flows ...flow) error {
	g, ctx := errgroup.WithContext(ctx)
	var shown []admin.Flow
	for _, f := range flows {
		if f.run == nil {
			continue
		}
		shown = append(shown, admin.Flow{Name: f.name, Counts: f.counts, Unread: f.unread, Counters: f.counters, Streams: f.streams})
		g.Go(func() error { return f.run(ctx) })
	}
	if listener != nil {
		slog.Info("status and metrics", "address", "http://"+listener.Addr().String()+"/status")
		go func() {
			if err := admin.New(versionName(), shown, &d.reloads).Serve(ctx, listener); err != nil {
				slog.Error("status and metrics are no longer shown", "error", err)
			}
		}()
	}
	stop := context.AfterFunc(ctx, func() { slog.Info("stopping: what has been read is stored first; a second signal ends at once") })
	defer stop()
	tellSystemd(ctx)
	return g.Wait()
}

// listen opens the port for status and metrics, if there is to be one.
func listen(address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("status and metrics: %w; choose another address with --listen", err)
	}
	return l, nil
}

// tellSystemd says that the service is ready, later that it stops, and between that it is alive as often as the watchdog
// wants it (sd_notify(3)). Without systemd it does nothing.
func tellSystemd(ctx context.Context) {
	_, _ = systemd.SdNotify(false, systemd.SdNotifyReady)
	every, err := systemd.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		every = time.Hour
	}
	go func() {
		tick := time.NewTicker(every / 2)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_, _ = systemd.SdNotify(false, systemd.SdNotifyWatchdog)
			case <-ctx.Done():
				_, _ = systemd.SdNotify(false, systemd.SdNotifyStopping)
				return
			}
		}
	}()
}

// runner is what a flow's runner is made of, with the flow's journal.
func (d *daemon) runner(journal pipeline.Journal) pipeline.Config {
	return pipeline.Config{Classifier: d.engine, Context: qctx.New(contextMemory), Sink: d.db, Audit: d.db, Compare: d.db, Isolate: d.db.Isolate,
		Dead: deadLetters(d.db.StateDir), Journal: journal, Buffers: d.buffers,
		Retryable: clickhouse.Retryable, Log: slog.Default(), MaxRows: d.config.Batch.MaxRows,
		MaxDelay: time.Duration(d.config.Batch.MaxDelay), StoreRaw: d.config.StoreRaw}
}

// files follows files, once the batch that was being sent when the last run ended is settled.
func (d *daemon) files(ctx context.Context, f *tail.Follower) (flow, error) {
	if f == nil {
		return flow{}, nil
	}
	f.Ledger = d.db
	if err := f.Recover(ctx, d.runner(f.Store)); err != nil {
		return flow{}, err
	}
	runner := pipeline.NewRunner(d.runner(f.Store))
	run := func(ctx context.Context) error {
		defer d.tellLosses(f.Store)()
		return pipeline.Drive(ctx, f.Run, runner)
	}
	return flow{name: "files", run: run, counts: runner.Counts, unread: runner.Unread,
		counters: func() []admin.Counter { return tailCounters(f) }, streams: func() []admin.Stream { return followed(f.Store) }}, nil
}

// follower returns what follows the inputs, with its checkpoint, or nil if there are none. It needs the database to read them, and not
// to hold them.
func (d *daemon) follower(ctx context.Context, inputs []tail.Input, stateDir string) (*tail.Follower, error) {
	if len(inputs) == 0 {
		return nil, nil
	}
	locks := filepath.Join(stateDir, "import")
	for _, dir := range []string{stateDir, locks} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("state directory: %w", err)
		}
	}
	store, err := openCheckpoint(filepath.Join(stateDir, runCheckpoint), "another bounceline run uses "+stateDir)
	if err != nil {
		return nil, err
	}
	store.WhenFull(waitForRoom(ctx))
	f := tail.New(tail.Config{Inputs: inputs, Store: store, Buffers: d.buffers, Watch: true, Log: slog.Default(),
		Lock:       func(stream string) (func(), error) { return lockStream(locks, stream) },
		KeepLosses: true,
		Same: func(ctx context.Context, r io.Reader, options parsers.Options, stream string) (bool, error) {
			return d.db.sameRows(ctx, r, options, time.Now(), stream)
		},
		Retryable: clickhouse.Retryable,
		Poll:      time.Duration(d.config.Poll), RotateWait: time.Duration(d.config.RotateWait)})
	d.opened = append(d.opened, f, store)
	return f, nil
}

// openCheckpoint opens the checkpoint at path, and logs what there is to say of it. If another process has it the error says so in the
// words of taken.
func openCheckpoint(path, taken string) (*checkpoint.Store, error) {
	store, notes, err := checkpoint.Open(path, false)
	if errors.Is(err, checkpoint.ErrLocked) {
		return nil, fmt.Errorf("%s: stop it, or give this one its own --state-dir", taken)
	}
	for _, n := range notes {
		slog.Warn("checkpoint", "note", n)
	}
	return store, err
}

// hold lets the follower hold its files until the function that it returns is called.
func hold(ctx context.Context, f *tail.Follower) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var holding sync.WaitGroup
	holding.Go(func() { f.Hold(ctx) })
	return func() {
		cancel()
		holding.Wait()
	}
}

// roomEvery is how often a full disk is tried again.
const roomEvery = 2 * time.Second

// waitForRoom is what a checkpoint does while its disk is full: it waits, and says so, until ctx is done.
func waitForRoom(ctx context.Context) func(error) error {
	return func(err error) error {
		slog.Error("the checkpoint cannot be written; reading goes on when it can", "error", err)
		select {
		case <-time.After(roomEvery):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// loseWithin is how long noting losses may hold up anything.
const loseWithin = 5 * time.Second

// lose notes a loss in the database. Where that cannot be, it has been counted and logged.
func (d *daemon) lose(stream string, from, to int64, reason string) {
	if err := d.note(checkpoint.Loss{Stream: stream, From: from, To: to, Reason: reason}); err != nil {
		slog.Warn("a loss is not noted in the database: verify will not know of it", "stream", stream, "from", from, "to", to, "error", err)
	}
}

func (d *daemon) note(losses ...checkpoint.Loss) error {
	ctx, cancel := context.WithTimeout(context.Background(), loseWithin)
	defer cancel()
	return d.db.Lose(ctx, losses...)
}

// tellEvery is how often the checkpoint is looked at for losses.
const tellEvery = 5 * time.Second

// tellLosses brings the losses that the checkpoint keeps into the database, as soon as it takes them, until the function that it
// returns is called: that tries once more, and leaves the rest to the next run.
func (d *daemon) tellLosses(store *checkpoint.Store) (end func()) {
	ending, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(tellEvery)
		defer tick.Stop()
		said := false
		for last := false; ; {
			if losses := store.State().Losses; len(losses) > 0 {
				err := d.note(losses...)
				if err == nil {
					err = store.Update(func(st *checkpoint.State) { st.Told(losses) })
				}
				if err != nil && !said {
					slog.Warn("losses are not noted in the database yet; they are kept in the checkpoint", "losses", len(losses), "error", err)
				}
				said = err != nil
			}
			if last {
				return
			}
			select {
			case <-tick.C:
			case <-ending:
				last = true
			}
		}
	}()
	return func() {
		close(ending)
		<-ended
	}
}

// tailCounters are what a follower counts.
func tailCounters(f *tail.Follower) []admin.Counter {
	out := []admin.Counter{
		{Name: "rotations_total", Value: f.Rotations.Load()},
		{Name: "truncations_total", Value: f.Truncations.Load()},
		{Name: "vanished_files_total", Value: f.Vanished.Load()},
		{Name: "deleted_files_bytes", Value: f.Unfreed.Load()},
	}
	f.Lost.Each(func(reason string, n int64) {
		out = append(out, admin.Counter{Name: "lost_bytes_total", Reason: reason, Value: n})
	})
	return out
}

// followed are the contents that the checkpoint says are followed, with the sizes of those that are still at their path.
func followed(store *checkpoint.Store) []admin.Stream {
	var out []admin.Stream
	for _, s := range store.State().Streams {
		shown := admin.Stream{Name: s.Name, Path: s.Path, Position: s.Next, Size: -1, Seen: s.Seen}
		if st, err := os.Stat(s.Path); err == nil {
			if sys, ok := st.Sys().(*syscall.Stat_t); ok && sys.Ino == s.Inode {
				shown.Size = st.Size()
			}
		}
		out = append(out, shown)
	}
	return out
}

// pipeReader reads those of the inputs' paths that are named pipes, now or later.
func (d *daemon) pipeReader(inputs []tail.Input) *pipe.Reader {
	r := &pipe.Reader{Buffers: d.buffers, Log: slog.Default(), Poll: time.Duration(d.config.Poll)}
	for _, in := range inputs {
		for _, path := range in.Paths {
			r.Pipes = append(r.Pipes, pipe.Pipe{Path: path, Source: in.Name, Parser: in.Parser})
		}
	}
	return r
}

// pipes stores what comes through named pipes.
func (d *daemon) pipes(inputs []tail.Input) flow {
	if len(inputs) == 0 {
		return flow{}
	}
	r := d.pipeReader(inputs)
	runner := pipeline.NewRunner(d.runner(noReplay{}))
	return flow{name: "pipes", run: driven(r.Run, runner), counts: runner.Counts, unread: runner.Unread}
}

// noReplay is the journal of what cannot be read again: there is nothing to note for a restart.
type noReplay struct{}

func (noReplay) Intend(*batch.Batch) error { return nil }
func (noReplay) Commit(*batch.Batch) error { return nil }

// lockStream keeps other processes of this state directory from writing the stream. Where one does the error is
// checkpoint.ErrLocked.
func lockStream(dir, stream string) (func(), error) {
	store, _, err := checkpoint.Open(filepath.Join(dir, stream), false)
	if errors.Is(err, checkpoint.ErrLocked) {
		return nil, fmt.Errorf("its lines are being stored by another process: %w", err)
	}
	if err != nil {
		return nil, err
	}
	return func() { _ = store.Release() }, nil
}
