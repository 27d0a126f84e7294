package rig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bounceline/parsers"
	"bounceline/pipeline"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/checkpoint"
	qctx "bounceline/pipeline/context"
	"bounceline/pipeline/record"
	"bounceline/pipeline/source/tail"
)

// Options say how a process runs.
type Options struct {
	State       string // directory of its checkpoint
	DB          *DB
	Paths       []string
	Exclude     []string
	KillAt      int  // it dies at so many'th point where something becomes durable; 0 is never
	KillAtError bool // it dies when it has logged an error
	MaxRows     int
	Log         *slog.Logger
	Hints       <-chan struct{}
	Rules       *Rules // nil is rules that never change

	MuchUnfreed int64 // see tail.Config
}

// A Process is a bounceline that follows files, inside this process.
type Process struct {
	Follower *tail.Follower
	Runner   *pipeline.Runner

	options Options
	store   *checkpoint.Store
	buffers *pipeline.Buffers
	cancel  context.CancelFunc
	done    chan struct{}
	err     error

	mu     sync.Mutex
	points int
	dead   bool
	files  map[string][]byte // what the checkpoint's files held when it died
	lost   int64
}

// buffers is how many a process has.
const buffers = 4

var errDead = errors.New("this process is dead")

// Start starts a process.
func Start(o Options) (*Process, error) {
	store, _, err := checkpoint.Open(filepath.Join(o.State, "run.checkpoint"), false)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Process{options: o, store: store, done: make(chan struct{})}
	if o.KillAtError {
		o.Log = slog.New(lastWords{o.Log.Handler(), p})
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.buffers = pipeline.NewBuffers(buffers)
	retryable := func(err error) bool { return errors.Is(err, errDown) }
	p.Follower = tail.New(tail.Config{
		Inputs: []tail.Input{{Name: "mail", Paths: o.Paths, Exclude: o.Exclude, Parser: parsers.Options{Zone: time.UTC}}},
		Ledger: o.DB, Same: o.DB.Same, KeepLosses: true, MuchUnfreed: o.MuchUnfreed, Store: store, Buffers: p.buffers, Log: o.Log, Retryable: retryable, Hints: o.Hints,
		Lock: func(string) (func(), error) { return func() {}, nil },
	})
	config := pipeline.Config{Classifier: o.Rules, Context: qctx.New(1 << 20), Sink: (*sink)(p), Audit: o.DB, Journal: (*sink)(p), Buffers: p.buffers,
		Retryable: retryable, Log: o.Log, MaxRows: o.MaxRows, DrainFor: time.Second}
	p.Runner = pipeline.NewRunner(config)
	go func() {
		defer close(p.done)
		p.err = p.run(ctx, config)
	}()
	return p, nil
}

// run waits for the database, and for it holds files, as bounceline does.
func (p *Process) run(ctx context.Context, c pipeline.Config) error {
	err := p.await(ctx)
	if err == nil {
		err = p.Follower.Recover(ctx, c)
	}
	if err != nil || ctx.Err() != nil {
		return errors.Join(err, p.Follower.Close())
	}
	var telling sync.WaitGroup
	defer telling.Wait()
	telling.Go(func() { p.tell(ctx) })
	return pipeline.Drive(ctx, p.Follower.Run, p.Runner)
}

// await returns when the database answers.
func (p *Process) await(ctx context.Context) error {
	for {
		_, err := p.options.DB.Ledger(ctx, "")
		if !errors.Is(err, errDown) {
			return err
		}
		waiting, stop := context.WithTimeout(ctx, time.Second)
		p.Follower.Hold(waiting)
		stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// tell tells the database of losses, until ctx is done.
func (p *Process) tell(ctx context.Context) {
	for ctx.Err() == nil && !p.Dead() {
		losses := p.store.State().Losses
		if len(losses) > 0 && p.options.DB.Lose(losses) == nil {
			_ = p.store.Update(func(st *checkpoint.State) { st.Told(losses) })
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// Stop ends the process as a signal does and returns its error.
func (p *Process) Stop() error {
	p.cancel()
	<-p.done
	p.store.Close()
	return p.finish()
}

// HoldBuffers takes all buffers away from the process, as other sources that it has may, until the function that it returns is
// called.
func (p *Process) HoldBuffers() (free func()) {
	var held [buffers][]byte
	for i := range held {
		held[i] = p.buffers.Take()
	}
	return func() {
		for _, b := range held {
			p.buffers.Give(b)
		}
	}
}

// Kill ends the process at once: nothing that it does afterwards is seen by anybody.
func (p *Process) Kill() error {
	p.mu.Lock()
	p.die()
	p.mu.Unlock()
	return p.Stop()
}

// Dead reports whether the process has died at a point.
func (p *Process) Dead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// Lost is how many bytes the process has counted as lost, until it died.
func (p *Process) Lost() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return p.lost
	}
	return p.counted()
}

func (p *Process) counted() (sum int64) {
	p.Follower.Lost.Each(func(_ string, n int64) { sum += n })
	return sum
}

// lastWords kill the process that says them: an error.
type lastWords struct {
	slog.Handler
	p *Process
}

func (h lastWords) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

func (h lastWords) Handle(ctx context.Context, r slog.Record) error {
	h.p.mu.Lock()
	defer h.p.mu.Unlock()
	h.p.die()
	return h.Handler.Handle(ctx, r)
}

func (p *Process) die() {
	if p.dead {
		return
	}
	p.dead, p.lost = true, p.counted()
	p.files = map[string][]byte{}
	for _, name := range p.checkpointFiles() {
		p.files[name], _ = os.ReadFile(name)
	}
}

func (p *Process) checkpointFiles() []string {
	all, _ := filepath.Glob(filepath.Join(p.options.State, "run.checkpoint*"))
	var out []string
	for _, name := range all {
		if !strings.HasSuffix(name, ".lock") {
			out = append(out, name)
		}
	}
	return out
}

// finish puts the checkpoint back as it was when the process died.
func (p *Process) finish() error {
	if !p.dead {
		return p.failure()
	}
	for _, name := range p.checkpointFiles() {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for name, data := range p.files {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return err
		}
	}
	return p.failure()
}

// failure is the process's error, if it is none of those that a process may end with: what it had read could not be stored,
// and the next one reads it again.
func (p *Process) failure() error {
	if errors.Is(p.err, errDown) || errors.Is(p.err, errDead) || errors.Is(p.err, context.Canceled) {
		return nil
	}
	return p.err
}

// Rules give every row the same verdict, and tell their version. They may change while a process uses them, as run's do at
// SIGHUP.
type Rules struct{ version atomic.Int64 }

// Change makes them other rules.
func (r *Rules) Change() { r.version.Add(1) }

// Classify implements pipeline.Classifier.
func (r *Rules) Classify(*record.Row) record.Class {
	if r == nil {
		return record.Class{}
	}
	return record.Class{RuleSet: fmt.Sprint(r.version.Load())}
}

// sink is the process's way to the database and to its checkpoint, where it may die.
type sink Process

// do runs an operation between two points at which the process may die.
func (s *sink) do(operation func() error) error {
	if err := s.point(); err != nil {
		return err
	}
	if err := operation(); err != nil {
		return err
	}
	return s.point()
}

func (s *sink) point() error {
	p := (*Process)(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.points++
	if p.points == p.options.KillAt {
		p.die()
	}
	if p.dead {
		return errDead
	}
	return nil
}

func (s *sink) Write(ctx context.Context, b *batch.Batch, token string) error {
	return s.do(func() error { return s.options.DB.Write(ctx, b, token) })
}

func (s *sink) WriteLedger(ctx context.Context, b *batch.Batch) error {
	return s.do(func() error { return s.options.DB.WriteLedger(ctx, b) })
}

func (s *sink) Intend(b *batch.Batch) error { return s.do(func() error { return s.store.Intend(b) }) }
func (s *sink) Commit(b *batch.Batch) error { return s.do(func() error { return s.store.Commit(b) }) }
