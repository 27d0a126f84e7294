package tail_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bounceline/pipeline/e2e/rig"
)

// A world is a folder of logs, and a process that follows them. It lives in a synctest bubble: pass waits are instant, and
// after them the process has nothing left to do.
type world struct {
	*testing.T
	dir     string
	db      *rig.DB
	options rig.Options
	p       *rig.Process
	next    int         // number of the next line
	times   map[int]int // how often a line is to be stored, where that is not once
	counted int64       // bytes that processes before have counted as lost
	gone    int64       // and files that they have counted as vanished
	running bool
	partial bool // rows are stored of which nobody could tell the ledger
}

// inWorld runs a test in a world whose process follows path, or what paths say, in the world's folder.
func inWorld(t *testing.T, test func(w *world), paths ...string) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, dir: t.TempDir(), db: rig.NewDB(), times: map[int]int{}}
		if len(paths) == 0 {
			paths = []string{"mail.log"}
		}
		w.options = rig.Options{State: t.TempDir(), DB: w.db, MaxRows: 500}
		for _, p := range paths {
			w.options.Paths = append(w.options.Paths, w.path(p))
		}
		w.start()
		test(w)
		w.settle()
		w.stop()
		w.check()
	})
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) start() {
	w.Helper()
	p, err := rig.Start(w.options)
	if err != nil {
		w.Fatal(err)
	}
	w.p, w.running = p, true
}

func (w *world) stop() {
	w.Helper()
	w.must(w.p.Stop())
	w.counted += w.p.Lost()
	w.gone += w.p.Follower.Vanished.Load()
	w.running = false
}

// pass lets so much time pass.
func (w *world) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// settle lets the process do all that it can do soon.
func (w *world) settle() { w.pass(5 * time.Second) }

// lines returns the next n lines.
func (w *world) lines(n int) string {
	var out []byte
	for range n {
		out = append(out, rig.Line(w.next)...)
		w.next++
	}
	return string(out)
}

// write appends text to a file.
func (w *world) write(name, text string) {
	w.Helper()
	f := w.open(name)
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		w.Fatal(err)
	}
}

// log appends the next n lines to mail.log, lets the process see them, and returns them.
func (w *world) log(n int) string {
	w.Helper()
	text := w.lines(n)
	w.write("mail.log", text)
	w.settle()
	return text
}

// missing says that lines [from, to) are not to be stored.
func (w *world) missing(from, to int) {
	for n := from; n < to; n++ {
		w.times[n] = 0
	}
}

// losses are how many bytes all processes together have counted as lost, and how many files as vanished.
func (w *world) losses() (bytes, files int64) {
	if w.running {
		return w.counted + w.p.Lost(), w.gone + w.p.Follower.Vanished.Load()
	}
	return w.counted, w.gone
}

// loses checks that so many bytes are counted as lost, and noted in the database.
func (w *world) loses(bytes int64) {
	w.Helper()
	if n, files := w.losses(); n != bytes || w.db.Noted() != bytes || files != 0 {
		w.Errorf("%d bytes are counted as lost, and %d noted, not %d; %d files have vanished", n, w.db.Noted(), bytes, files)
	}
}

// vanishes checks that one file has vanished, and that so many bytes are noted in the database: whether they are lost is not sure.
func (w *world) vanishes(bytes int64) {
	w.Helper()
	if n, files := w.losses(); n != 0 || w.db.Noted() != bytes || files != 1 {
		w.Errorf("%d files have vanished, and %d bytes are noted, not %d; %d are counted as lost", files, w.db.Noted(), bytes, n)
	}
}

// open opens a file as a log writer does.
func (w *world) open(name string) *os.File {
	w.Helper()
	f, err := os.OpenFile(w.path(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		w.Fatal(err)
	}
	return f
}

// held are this process's open files whose paths end so.
func (w *world) held(suffix string) (paths []string) {
	w.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	w.must(err)
	for _, l := range links {
		if p, err := os.Readlink(l); err == nil && strings.HasPrefix(p, w.dir) && strings.HasSuffix(p, suffix) {
			paths = append(paths, p)
		}
	}
	return paths
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) rename(from, to string) { w.must(os.Rename(w.path(from), w.path(to))) }

// rotate runs logrotate on mail.log.
func (w *world) rotate(config string) {
	w.Helper()
	conf := filepath.Join(w.options.State, "logrotate.conf")
	w.must(os.WriteFile(conf, fmt.Appendf(nil, "%s {\nrotate 20\n%s\n}\n", w.path("mail.log"), config), 0o600))
	out, err := exec.Command("/usr/sbin/logrotate", "--force", "--state", filepath.Join(w.options.State, "logrotate.state"), conf).CombinedOutput()
	if err != nil {
		w.Fatalf("logrotate: %v\n%s", err, out)
	}
}

// check compares what is stored with what was written.
func (w *world) check() {
	w.Helper()
	var missing, doubled []int
	for n := range w.next {
		want, ok := w.times[n]
		if !ok {
			want = 1
		}
		switch has := w.db.Has(rig.Recipient(n)); {
		case has > want:
			doubled = append(doubled, n)
		case has < want:
			missing = append(missing, n)
		}
	}
	if len(missing)+len(doubled) > 0 {
		w.Errorf("of %d lines %d are missing (%s) and %d doubled (%s)", w.next, len(missing), some(missing), len(doubled), some(doubled))
	}
	if err := w.db.Check(!w.partial); err != nil {
		w.Error(err)
	}
}

func some(n []int) string { return fmt.Sprint(n[:min(len(n), 5)]) }
