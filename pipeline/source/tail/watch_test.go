package tail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"bounceline/pipeline/checkpoint"
)

// watching returns a watcher of the directories and what it logs.
func watching(t *testing.T, dirs ...string) (*watcher, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	w := newWatcher(slog.New(slog.NewTextHandler(&log, nil)))
	w.watchNow(dirs)
	return w, &log
}

func (w *watcher) watchNow(dirs []string) {
	w.next = time.Time{}
	w.watch(func() []string { return dirs })
}

// hinted waits for a hint. It fails where none comes.
func (w *watcher) hinted(t *testing.T, what string) {
	t.Helper()
	select {
	case <-w.hints:
	case <-time.After(30 * time.Second):
		t.Fatalf("no hint: %s", what)
	}
}

// touch makes or writes a file.
func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestWatchedDirectoryIsReplaced: it is watched again when it was removed and made anew, and when another took its place.
func TestWatchedDirectoryIsReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	make := func() {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	make()
	w, _ := watching(t, dir)
	defer w.close()
	for i, replace := range []func(){
		func() {},
		func() { _ = os.RemoveAll(dir); make() },
		func() { _ = os.Rename(dir, dir+".old"); make() },
		func() { _ = os.RemoveAll(dir); w.watchNow([]string{dir}); make() },
	} {
		replace()
		w.watchNow([]string{dir})
		w.named.Store(false)
		name := filepath.Join(dir, fmt.Sprint(i))
		touch(t, name)
		for !w.named.Load() { // events of the replacing come first
			w.hinted(t, name)
		}
	}
	w.watchNow(nil)
	if left := w.notify.WatchList(); len(left) != 0 {
		t.Errorf("%q are still watched", left)
	}
}

// TestLostEvents: where events were lost, names may have come.
func TestLostEvents(t *testing.T) {
	w, log := watching(t)
	defer w.close()
	w.notify.Errors <- fsnotify.ErrEventOverflow
	w.hinted(t, "events were lost")
	if !w.named.Load() || log.Len() > 0 {
		t.Errorf("names may have come: %v; %s", w.named.Load(), log)
	}
}

// TestNotAllCanBeWatched: too many directories are said once, and no descriptor for watching at all is too.
func TestNotAllCanBeWatched(t *testing.T) {
	base := t.TempDir()
	var dirs []string
	for i := range maxWatched + 5 {
		dirs = append(dirs, filepath.Join(base, fmt.Sprint(i)))
		if err := os.Mkdir(dirs[i], 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w, log := watching(t, dirs...)
	w.watchNow(dirs)
	if n := len(w.notify.WatchList()); n != maxWatched {
		t.Errorf("%d directories are watched", n)
	}
	w.close()
	if n := strings.Count(log.String(), "level=INFO"); n != 1 || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("it is said %d times: %s", n, log)
	}

	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	w, log = watching(t, dirs...)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	w.watchNow(dirs)
	w.close()
	if n := strings.Count(log.String(), "level=INFO"); n != 1 || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("it is said %d times: %s", n, log)
	}
}

// TestNoWatcherIsLeft: when it is closed nothing of it runs, whatever it was doing.
func TestNoWatcherIsLeft(t *testing.T) {
	dir := t.TempDir()
	for range 10 {
		w, _ := watching(t, dir)
		w.rest.Store(int64(time.Hour))
		touch(t, filepath.Join(dir, "a"))
		w.hinted(t, "a file came") // it rests now
		touch(t, filepath.Join(dir, "b"))
		w.close()
	}
	noneLeft(t)
}

// noneLeft waits until no goroutine of a watcher runs.
func noneLeft(t *testing.T) {
	t.Helper()
	var stacks bytes.Buffer
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		stacks.Reset()
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(stacks.String(), "fsnotify") && !strings.Contains(stacks.String(), "watcher).forward") {
			return
		}
	}
	t.Errorf("left running:\n%s", &stacks)
}

// TestFollowerLetsGo: a follower that only held files, and never ran, leaves neither goroutines nor open files when it is closed.
func TestFollowerLetsGo(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mail.log")
	touch(t, path)
	store, _, err := checkpoint.Open(filepath.Join(t.TempDir(), "run.checkpoint"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	f := New(Config{Inputs: []Input{{Name: "mail", Paths: []string{path}}}, Store: store, Watch: true, Log: slog.New(slog.DiscardHandler)})
	holding, stop := context.WithCancel(t.Context())
	stop() // it looks once all the same
	for range 2 {
		f.Hold(holding)
	}
	if n := len(f.live); n != 1 {
		t.Fatalf("%d files are held", n)
	}
	file := f.live[0].file
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := file.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the file is still open: %v", err)
	}
	noneLeft(t)
}
