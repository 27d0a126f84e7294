// Package tail follows log files while they are written, rotated and truncated.
//
// A file is known by its content (see package content); device and inode only tell apart the files that live at the same
// time. Where reading begins is what the ledger says is stored; the checkpoint says which contents were being followed, so
// that a file that was rotated while nobody followed is read to its end.
package tail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	Inputs     []Input
	Ledger     content.Ledger
	Store      *checkpoint.Store
	Buffers    *pipeline.Buffers
	Lock       func(stream string) (release func(), err error)                                        // blocks while another process writes the stream
	Same       func(ctx context.Context, path string, o parsers.Options, stream string) (bool, error) // see content.Resolve
	Log        *slog.Logger
	Poll       time.Duration // how often files are looked at; 250 ms
	RotateWait time.Duration // how long a rotated file must be quiet before it is left; 1 minute
	Horizon    int64         // how many bytes before the position are re-read for context; 32 MiB
}

// A Follower follows files. Run is called once.
type Follower struct {
	Config
	Truncations atomic.Int64 // files that were cut while they were followed
	Rotations   atomic.Int64
	Lost        atomic.Int64 // bytes that were cut away before they were read, as far as that can be known

	live    []*generation          // one for each file that is open
	paths   map[string]*generation // the generation that is at the path now
	waiting map[string]string      // paths that cannot be read, and why: said once
	globbed time.Time
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
	if c.Horizon == 0 {
		c.Horizon = 32 << 20
	}
	return &Follower{Config: c, paths: map[string]*generation{}, waiting: map[string]string{}}
}

// Run sends the lines of all files until ctx is done. It blocks while the receiver is busy. Files that are missing or
// cannot be read are waited for. Its error is the ledger's, the checkpoint's or a lock's.
func (f *Follower) Run(ctx context.Context, out chan<- pipeline.Chunk) error {
	defer func() {
		for _, g := range f.live {
			g.close()
		}
	}()
	if err := f.resume(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(f.Poll)
	defer tick.Stop()
	for {
		busy, err := f.round(ctx, out)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if busy {
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// round looks at each path and reads each open file once. It reports whether there may be more to read at once.
func (f *Follower) round(ctx context.Context, out chan<- pipeline.Chunk) (busy bool, err error) {
	for _, t := range f.targets() {
		if err := f.look(ctx, t); err != nil {
			return false, err
		}
	}
	for _, g := range slices.Clone(f.live) {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		more, err := f.read(ctx, g, out)
		if err != nil {
			return false, err
		}
		busy = busy || more
	}
	return busy, nil
}

// targets expands the globs, once a second at the most.
func (f *Follower) targets() []target {
	if time.Since(f.globbed) < time.Second && f.found != nil {
		return f.found
	}
	f.globbed = time.Now()
	f.found = f.found[:0]
	for i := range f.Inputs {
		in := &f.Inputs[i]
		for _, pattern := range in.Paths {
			paths := []string{pattern}
			if strings.ContainsAny(pattern, "*?[") {
				paths, _ = filepath.Glob(pattern) // its only error, a bad pattern, was found when the configuration was read
			}
			for _, p := range paths {
				if !excluded(p, in.Exclude) && !slices.ContainsFunc(f.found, func(t target) bool { return t.path == p }) {
					f.found = append(f.found, target{p, in})
				}
			}
		}
	}
	return f.found
}

func excluded(path string, globs []string) bool {
	for _, g := range globs {
		if ok, _ := filepath.Match(g, path); ok {
			return true
		}
		if ok, _ := filepath.Match(g, filepath.Base(path)); ok {
			return true
		}
	}
	return false
}

// look sees whether the file at the path is another one than before, and opens it if so.
func (f *Follower) look(ctx context.Context, t target) error {
	st, err := os.Stat(t.path)
	if err != nil {
		f.wait(t.path, err)
		return nil
	}
	if st.Mode()&fs.ModeNamedPipe != 0 {
		return nil // it is read by another source
	}
	if !st.Mode().IsRegular() {
		f.wait(t.path, errors.New("it is no regular file"))
		return nil
	}
	id := identify(st)
	current := f.paths[t.path]
	if current != nil && current.id == id {
		return nil
	}
	if g := f.byID(id); g != nil { // known under another name: renamed back, or two paths of one file
		if g.retired.IsZero() {
			f.paths[t.path] = g
		}
		return nil
	}
	g, err := f.open(ctx, t, t.path, "")
	if err != nil || g == nil {
		return err
	}
	if current != nil {
		f.Rotations.Add(1)
		f.retire(current)
		f.Log.Info("the file was rotated; the old one is read to its end", "path", t.path, "stream", current.stream.Name)
	}
	f.paths[t.path] = g
	return nil
}

func (f *Follower) retire(g *generation) {
	if g.retired.IsZero() {
		g.retired = time.Now()
		g.quiet = g.retired
	}
}

// wait says, once for each reason, that a path cannot be read now.
func (f *Follower) wait(path string, err error) {
	why := err.Error()
	if errors.Is(err, fs.ErrNotExist) {
		why = "it is not there yet"
	}
	if f.waiting[path] == why {
		return
	}
	f.waiting[path] = why
	f.Log.Warn("waiting for a log file", "path", path, "why", why)
}

func (f *Follower) byID(id fileID) *generation {
	for _, g := range f.live {
		if g.id == id {
			return g
		}
	}
	return nil
}

// resume opens the contents that were followed when the checkpoint was written and are no longer at their path: files that
// were rotated meanwhile.
func (f *Follower) resume(ctx context.Context) error {
	for _, s := range f.Store.State().Streams {
		t, ok := f.targetOf(s.Path)
		if !ok {
			continue
		}
		if st, err := os.Stat(s.Path); err == nil && identify(st) == (fileID{s.Device, s.Inode}) {
			if head, err := headOf(s.Path); err == nil && strings.HasPrefix(s.Name, content.Prefix(head)) {
				continue // look opens it
			}
		}
		if err := f.adopt(ctx, t, s.Name); err != nil {
			return err
		}
	}
	return nil
}

func (f *Follower) targetOf(path string) (target, bool) {
	for i := range f.Inputs {
		for _, p := range f.Inputs[i].Paths {
			if ok, _ := filepath.Match(p, path); ok || p == path {
				return target{path, &f.Inputs[i]}, true
			}
		}
	}
	return target{}, false
}

// adopt looks beside the target's path for the content of the stream, which was rotated away or copied before the file was
// truncated, and opens it to be read to its end.
func (f *Follower) adopt(ctx context.Context, t target, stream string) error {
	for _, p := range siblings(t.path) {
		st, err := os.Stat(p)
		if err != nil || !st.Mode().IsRegular() || f.byID(identify(st)) != nil {
			continue
		}
		head, err := headOf(p)
		if err != nil || !strings.HasPrefix(stream, content.Prefix(head)) {
			continue
		}
		g, err := f.open(ctx, t, p, stream)
		if err != nil {
			return err
		}
		if g != nil {
			f.retire(g)
			f.Log.Info("a rotated file is read to its end", "path", p, "stream", g.stream.Name)
			return nil
		}
	}
	f.Log.Warn("a file that was followed before is no longer there; what had not been read of it is lost", "path", t.path, "stream", stream)
	return f.forget(stream)
}

// siblings are the files whose names begin with the path: where rotation puts what was at it.
func siblings(path string) []string {
	all, _ := filepath.Glob(escapeGlob(path) + "?*")
	return all
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// headOf returns what names the file's content.
func headOf(path string) ([]byte, error) {
	c, err := content.Open(path)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	head, _, err := content.ReadHead(c)
	if err == nil && head == nil {
		err = fmt.Errorf("%s: empty", path)
	}
	return head, err
}

func (f *Follower) forget(stream string) error {
	return f.Store.Update(func(s *checkpoint.State) {
		s.Streams = slices.DeleteFunc(s.Streams, func(x checkpoint.Stream) bool { return x.Name == stream })
	})
}
