package tail

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Bounds on what is watched, and on what watching costs.
const (
	maxWatched   = 64                    // directories; files in others are found by looking, later
	watchEvery   = time.Second           // how often it is seen whether they are still the same
	eventBuffer  = 128                   // events that are taken between two hints
	leastRest    = 10 * time.Millisecond // between two hints: a busy log has an event a line
	restForLooks = 20                    // the rest is so many times as long as looking took
)

// A watcher gives a hint when something has happened in a directory that holds logs. Nothing depends on it: events may be
// lost, directories may be on file systems that tell nothing, and the kernel may have no watch left.
type watcher struct {
	hints chan struct{}
	named atomic.Bool  // names have come or gone
	rest  atomic.Int64 // the least time between two hints, in nanoseconds

	notify *fsnotify.Watcher      // nil where there is none
	dirs   map[string]os.FileInfo // those that are watched
	next   time.Time              // when they are looked at again
	said   bool
	log    *slog.Logger
	stop   chan struct{}
	ended  chan struct{}
}

func newWatcher(log *slog.Logger) *watcher {
	w := &watcher{hints: make(chan struct{}, 1), dirs: map[string]os.FileInfo{}, log: log, stop: make(chan struct{}), ended: make(chan struct{})}
	var err error
	if w.notify, err = fsnotify.NewBufferedWatcher(eventBuffer); err != nil {
		w.say("reason", err)
		close(w.ended)
		return w
	}
	go w.forward()
	return w
}

// close ends the watching. It returns when nothing of it is left running.
func (w *watcher) close() {
	close(w.stop)
	if w.notify != nil {
		_ = w.notify.Close()
	}
	<-w.ended
}

// say tells, once, that some changes are seen only when files are looked at.
func (w *watcher) say(what string, value any) {
	if !w.said {
		w.said = true
		w.log.Info("not all directories can be watched; changes there are seen a moment later", what, value)
	}
}

// forward turns events into hints. While it rests events queue up, in the kernel at last, which joins or drops them.
func (w *watcher) forward() {
	defer close(w.ended)
	for {
		select {
		case e, ok := <-w.notify.Events:
			if !ok {
				return
			}
			w.note(e)
		case _, ok := <-w.notify.Errors: // events were lost
			if !ok {
				return
			}
			w.named.Store(true)
		}
		for more := true; more; {
			select {
			case e, ok := <-w.notify.Events:
				if more = ok; ok {
					w.note(e)
				}
			default:
				more = false
			}
		}
		w.hint()
		select {
		case <-time.After(max(leastRest, time.Duration(w.rest.Load()))):
		case <-w.stop:
			return
		}
	}
}

// hint leaves one hint, whoever takes it.
func (w *watcher) hint() {
	select {
	case w.hints <- struct{}{}:
	default:
	}
}

func (w *watcher) note(e fsnotify.Event) {
	if e.Has(fsnotify.Create) || e.Has(fsnotify.Rename) || e.Has(fsnotify.Remove) {
		w.named.Store(true)
	}
}

// watch makes the directories those that are watched, once in a while. A directory that was removed and made again, or
// replaced, is another one.
func (w *watcher) watch(directories func() []string) {
	if w.notify == nil || time.Now().Before(w.next) {
		return
	}
	w.next = time.Now().Add(watchEvery)
	dirs := directories()
	if len(dirs) > maxWatched {
		w.say("directories", len(dirs))
		dirs = dirs[:maxWatched]
	}
	watched := w.notify.WatchList()
	for dir := range w.dirs {
		if !slices.Contains(dirs, dir) {
			w.forget(dir)
		}
	}
	for _, dir := range dirs {
		st, err := os.Stat(dir)
		if err != nil {
			w.forget(dir)
			continue
		}
		if was := w.dirs[dir]; was != nil && os.SameFile(was, st) && slices.Contains(watched, dir) {
			continue
		}
		w.forget(dir)
		if err := w.notify.Add(dir); err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				w.say("reason", err)
			}
			continue
		}
		w.dirs[dir] = st
		w.named.Store(true) // something may have come before it was watched
		w.hint()
	}
}

func (w *watcher) forget(dir string) {
	if w.dirs[dir] != nil {
		_ = w.notify.Remove(dir) // its error: it is gone already
		delete(w.dirs, dir)
	}
}

// directories are those in which the inputs' files are or may appear, and those that their links lead to.
func (f *Follower) directories() []string {
	var dirs []string
	add := func(dir string) {
		if dir = filepath.Clean(dir); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	for i := range f.Inputs {
		for _, pattern := range f.Inputs[i].Paths {
			dir := filepath.Dir(pattern)
			if !isGlob(dir) {
				add(dir)
				continue
			}
			matches, _ := filepath.Glob(dir)
			for _, m := range matches {
				add(m)
			}
		}
	}
	for _, t := range f.found {
		if st, err := os.Lstat(t.path); err == nil && st.Mode()&fs.ModeSymlink != 0 {
			if real, err := filepath.EvalSymlinks(t.path); err == nil {
				add(filepath.Dir(real))
			}
		}
	}
	return dirs
}
