// Package tail follows log files while they are written, rotated and truncated.
//
// A file is known by its content (see package content); device and inode only tell apart the files that live at the same
// time. Where reading begins is what the ledger says is stored; the checkpoint says which contents were being followed, so
// that a file that was rotated while nobody followed is read to its end.
//
// Finding files needs neither ledger nor receiver: a file is opened as soon as it is seen at its path, and keeps its handle
// while the database is down, the receiver is busy, or its first line is not complete.
package tail

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"bounceline/parsers"
	"bounceline/pipeline"
	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/source/content"
)

// An Input is a set of files that are read alike.
type Input struct {
	Name    string   // source name of the rows
	Paths   []string // files or globs
	Exclude []string // globs of files that are not followed
	Parser  parsers.Options
}

// Config is what a Follower needs. Fields with a default say so.
type Config struct {
	Inputs  []Input
	Ledger  content.Ledger
	Store   *checkpoint.Store
	Buffers *pipeline.Buffers
	// Lock keeps other processes from writing the stream. It does not block: checkpoint.ErrLocked makes the follower come
	// back later.
	Lock func(stream string) (release func(), err error)
	Same func(ctx context.Context, r io.Reader, o parsers.Options, stream string) (bool, error) // see content.Resolve
	Tag  string                                                                                 // in the names of new streams, see content.Tag; optional
	// KeepLosses notes in Store what is lost, for who brings it to where the lines would be.
	KeepLosses bool
	// Retryable says which errors of Ledger and Same may pass; what is not retryable ends Run. Default: none.
	Retryable  func(error) bool
	Watch      bool            // let the system say when something may have changed, so that it is seen at once
	Hints      <-chan struct{} // says so instead; optional as Watch is: looking every Poll alone is right
	Log        *slog.Logger
	Poll       time.Duration // how often files are looked at; 250 ms
	RotateWait time.Duration // how long a rotated file must be quiet before it is left; 1 minute
	// MuchUnfreed is how much disk space deleted files may take, before they are read, without a warning; 1 GiB.
	MuchUnfreed int64
	Horizon     int64 // how many bytes before the position are re-read for context; 32 MiB, less with many files
}

// A Follower follows files. Run is called once.
type Follower struct {
	Config
	Truncations atomic.Int64 // files that were cut while they were followed
	Rotations   atomic.Int64
	Vanished    atomic.Int64 // files that were gone before they were read to their end; what was lost of them is not known
	Unfreed     atomic.Int64 // disk space of deleted files that are held open until they are read
	Lost        pipeline.Lost

	live    []*generation          // one for each file that is open, of one target the older first
	paths   map[string]*generation // the generation that is at the path now
	streams map[string]*followed   // every stream of which something may not be committed yet
	since   map[string]time.Time   // last change of the newest file that was seen at a path, when it was
	scans   map[string]*scan       // targets beside whose path older files are looked for
	done    map[fileID]stamp       // rotated files that were read to their end
	left    []*leftFile            // some of them, which may yet grow
	cuts    []cutContent           // that are looked for
	waiting map[string]string      // paths that cannot be read, and why: said once
	watcher *watcher               // nil if there is none
	warned  bool                   // of the disk space that deleted files take
	failed  error                  // a fault that a test made happen where no error can be returned
	unsaved []*generation          // named, but not in the checkpoint yet
	tick    *time.Ticker
	every   time.Duration // what tick is set to
	globbed time.Time
	listed  map[string][]os.DirEntry // directories that were read during this look at all paths; nil between looks
	found   []target
}

// A target is a path to follow and how.
type target struct {
	path  string
	input *Input
}

// New returns a follower that is ready to Run.
func New(c Config) *Follower {
	if c.Poll == 0 {
		c.Poll = 250 * time.Millisecond
	}
	if c.RotateWait == 0 {
		c.RotateWait = time.Minute
	}
	if c.MuchUnfreed == 0 {
		c.MuchUnfreed = 1 << 30
	}
	if c.Horizon == 0 {
		c.Horizon = 32 << 20
	}
	if c.Retryable == nil {
		c.Retryable = func(error) bool { return false }
	}
	return &Follower{Config: c, paths: map[string]*generation{}, streams: map[string]*followed{}, scans: map[string]*scan{}, since: map[string]time.Time{},
		done:    map[fileID]stamp{},
		waiting: map[string]string{}}
}

// Hold looks for files and opens them, as Run does, but reads none, until ctx is done. It is for the time in which nothing can be
// stored yet: what is deleted meanwhile is not lost. It may be called again and again before Run; who then does not call Run calls
// Close.
func (f *Follower) Hold(ctx context.Context) {
	f.open()
	f.search()
	for {
		f.see()
		if !f.rest(ctx) {
			return
		}
	}
}

// Run sends the lines of all files until ctx is done. It blocks while the receiver is busy. Files that are missing or
// cannot be read are waited for. Its error is the checkpoint's, a lock's, or one of the ledger's that is not retryable.
func (f *Follower) Run(ctx context.Context, out chan<- pipeline.Chunk) error {
	f.open()
	defer func() {
		if err := f.Close(); err != nil {
			f.Log.Error("what only this process knows of deleted files is not noted; it may not be counted as lost", "error", err)
		}
	}()
	f.search()
	for {
		busy, err := f.round(ctx, out)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if !busy && !f.rest(ctx) {
			return nil
		}
	}
}

// open begins to look at files.
func (f *Follower) open() {
	if f.tick != nil {
		return
	}
	if f.Watch {
		f.watcher = newWatcher(f.Log)
		f.Hints = f.watcher.hints
	}
	f.tick, f.every = time.NewTicker(f.Poll), f.Poll
}

// Close lets go of all files. What only the follower knows of them goes into the checkpoint. Run closes by itself.
func (f *Follower) Close() error {
	if f.tick == nil {
		return nil
	}
	f.tick.Stop()
	f.tick = nil
	if f.watcher != nil {
		f.watcher.close()
	}
	f.measure() // what was cut since the last look is known to nobody else
	failed := f.save()
	for _, g := range f.live {
		failed = errors.Join(failed, f.abandon(g))
	}
	for _, e := range f.streams {
		if e.gen == nil && !e.done && e.peak > 0 {
			failed = errors.Join(failed, f.end(e.name, e.peak))
		}
	}
	for _, l := range f.left {
		l.file.Close()
	}
	for _, c := range f.cuts {
		failed = errors.Join(failed, f.vanish("a file was cut before it could be read, and no copy of it has been found yet", c.target.path, c.size, wasCut))
	}
	f.live, f.left, f.cuts = nil, nil, nil
	return failed
}

// rest waits until something may have changed. It returns false if ctx is done first.
func (f *Follower) rest(ctx context.Context) bool {
	select {
	case <-f.tick.C:
	case <-f.Hints:
	case <-ctx.Done():
		return false
	}
	return true
}

// see looks at all paths and at all open files.
func (f *Follower) see() {
	f.discover()
	f.measure()
}

// round looks at each path and reads each open file once. It reports whether there may be more to read at once.
func (f *Follower) round(ctx context.Context, out chan<- pipeline.Chunk) (busy bool, err error) {
	f.see()
	if f.failed != nil {
		return false, f.failed
	}
	for _, g := range slices.Clone(f.live) {
		if g.gone {
			f.anew(g)
		}
	}
	for _, g := range slices.Clone(f.live) {
		if g.stream == nil {
			if err := f.identify(ctx, g); err != nil {
				return false, err
			}
		}
	}
	if err := f.save(); err != nil {
		return false, err
	}
	behind := map[string]bool{} // targets of which an older file has more to read at once
	for _, g := range slices.Clone(f.live) {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if g.damaged {
			if g.measure(); !g.damaged { // it has changed: begin again
				f.drop(g)
			}
			continue
		}
		if g.stream == nil || behind[g.target.path] {
			continue
		}
		more, err := f.read(ctx, g, out)
		if err != nil {
			return false, err
		}
		if more {
			behind[g.target.path], busy = true, true
		}
	}
	return busy, f.sweep(ctx, out)
}

// send hands a chunk to the receiver. While the receiver is busy it goes on looking for rotated files, so that none
// vanishes unseen.
func (f *Follower) send(ctx context.Context, out chan<- pipeline.Chunk, c pipeline.Chunk) error {
	for {
		select {
		case out <- c:
			return nil
		case <-f.tick.C:
			f.see()
		case <-ctx.Done():
			f.Buffers.Give(c.Buffer)
			return ctx.Err()
		}
	}
}
