package tail_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bounceline/pipeline"
	"bounceline/pipeline/checkpoint"
)

// TestSplitWrites writes lines in pieces of any size: no line is torn.
func TestSplitWrites(t *testing.T) {
	inWorld(t, func(w *world) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		text := w.lines(3000)
		for len(text) > 0 {
			n := min(len(text), 1+random.IntN(5000))
			w.write("mail.log", text[:n])
			text = text[n:]
			if random.IntN(3) == 0 {
				w.pass(time.Duration(random.IntN(1000)) * time.Millisecond)
			}
		}
		w.settle()
	})
}

// TestOverlongLine has a line of a megabyte, which comes in pieces, between others.
func TestOverlongLine(t *testing.T) {
	inWorld(t, func(w *world) {
		w.write("mail.log", w.lines(10)+strings.Repeat("x", pipeline.MaxLine+1)+"\n"+w.lines(1))
		for range 256 {
			w.write("mail.log", strings.Repeat("y", 4096))
			w.pass(time.Second)
		}
		w.write("mail.log", "\n"+w.lines(10))
		w.settle()
		if n := w.p.Runner.Counts.Cut.Load(); n != 2 {
			t.Errorf("%d lines were cut, not 2", n)
		}
	})
}

// TestInodeReuse gives a new file the inode of one that was followed and deleted while the process was stopped, and a file
// that begins alike.
func TestInodeReuse(t *testing.T) {
	inWorld(t, func(w *world) {
		head := w.lines(1)
		w.write("mail.log", head+w.lines(200))
		w.settle()
		for i, text := range []string{w.lines(300), head + w.lines(20), head + w.lines(900)} {
			w.stop()
			w.must(os.Remove(w.path("mail.log")))
			w.write("mail.log", text)
			store, _, err := checkpoint.Open(filepath.Join(w.options.State, "run.checkpoint"), false)
			w.must(err)
			st, err := os.Stat(w.path("mail.log"))
			w.must(err)
			w.must(store.Update(func(s *checkpoint.State) {
				for i := range s.Streams {
					s.Streams[i].Inode = st.Sys().(*syscall.Stat_t).Ino
				}
			}))
			w.must(store.Close())
			w.start()
			w.pass(5 * time.Minute)
			if want := i + 2; len(w.db.Streams()) != want {
				t.Errorf("%d contents are stored as %d", want, len(w.db.Streams()))
			}
		}
		w.times[0] = 3 // three contents begin with it
	})
}

// TestTwoFilesThatBeginAlike follows what Debian's mail.log and mail.info are: one holds some lines of the other.
func TestTwoFilesThatBeginAlike(t *testing.T) {
	inWorld(t, func(w *world) {
		same := "2026-11-22T05:13:00.000000+00:00 mx1 postfix/postfix-script[1]: starting the Postfix mail system\n"
		w.write("mail.log", same)
		w.write("mail.info", same)
		w.settle()
		w.write("mail.log", w.lines(10))
		w.settle()
		w.write("mail.info", w.lines(10))
		w.pass(2 * time.Minute)
		w.write("mail.log", w.lines(100))
		w.write("mail.info", w.lines(100))
		w.settle()
		w.stop()
		w.write("mail.log", w.lines(100))
		w.write("mail.info", w.lines(100))
		w.start()
		w.settle()
		if n := len(w.db.Streams()); n != 2 {
			t.Errorf("two files are stored as %d", n)
		}
	}, "mail.log", "mail.info")
}

// TestFilesComeAndGo has files that appear later, are no files for a while, are deleted, and are found by a glob.
func TestFilesComeAndGo(t *testing.T) {
	inWorld(t, func(w *world) {
		w.settle()
		w.write("a.log", w.lines(10))
		w.must(os.Mkdir(w.path("b.log"), 0o700))
		w.settle()
		w.must(os.Remove(w.path("b.log")))
		w.write("b.log", w.lines(10))
		w.settle()
		w.must(os.Remove(w.path("a.log")))
		w.write("b.log", w.lines(10))
		w.pass(2 * time.Minute)
		w.write("a.log", w.lines(10))
		w.settle()
		w.must(os.RemoveAll(w.dir))
		w.pass(2 * time.Minute)
		w.must(os.Mkdir(w.dir, 0o700))
		w.write("c.log", w.lines(10))
		w.settle()
		if lost := w.p.Lost() + w.p.Follower.Vanished.Load(); lost != 0 {
			t.Errorf("%d are counted as lost", lost)
		}
	}, "*.log")
}

// TestExclude leaves out what the configuration says.
func TestExclude(t *testing.T) {
	inWorld(t, func(w *world) {
		w.stop()
		w.options.Exclude = []string{"debug*"}
		w.start()
		w.write("mail.log", w.lines(10))
		first := w.next
		w.write("debug.log", w.lines(10))
		for n := first; n < w.next; n++ {
			w.times[n] = 0
		}
		w.settle()
		if n := w.db.Rows(); n != 10 {
			t.Errorf("%d rows of 10 lines", n)
		}
	}, "*.log")
}

// TestSymbolicLinks follows a link through a rotation of what it points to, and to another file. Links that somebody else
// could have made are refused.
func TestSymbolicLinks(t *testing.T) {
	inWorld(t, func(w *world) {
		w.must(os.Mkdir(w.path("real"), 0o700))
		w.must(os.Symlink("real/mail", w.path("mail.log")))
		w.write("real/mail", w.lines(10))
		w.settle()
		w.stop()
		w.write("real/mail", w.lines(10))
		w.rename("real/mail", "real/mail.1")
		w.write("real/mail", w.lines(10))
		w.start()
		w.settle()
		w.write("real/other", w.lines(10))
		w.must(os.Symlink("real/other", w.path("new")))
		w.rename("new", "mail.log")
		w.settle()
		if os.Geteuid() == 0 {
			w.must(os.Lchown(w.path("mail.log"), 65534, 65534))
			w.must(os.Remove(w.path("real/other")))
			first := w.next
			w.write("real/other", w.lines(10))
			w.settle()
			for n := first; n < w.next; n++ {
				w.times[n] = 0
			}
			if w.db.Rows() != first {
				t.Error("the link of another user was followed")
			}
		}
	})
}

// TestThousandFiles has many files that each get a line now and then: they share batches, also the one that is being sent when the
// process ends.
func TestThousandFiles(t *testing.T) {
	inWorld(t, func(w *world) {
		for range 3 {
			for i := range 1000 {
				w.write(fmt.Sprintf("%d.log", i), w.lines(1))
			}
			w.settle()
		}
		if n := w.p.Runner.Counts.Batches.Load(); n > 30 {
			t.Errorf("3000 lines of 1000 files took %d batches", n)
		}
		w.db.SetDown(true)
		for i := range 1000 {
			w.write(fmt.Sprintf("%d.log", i), w.lines(1))
		}
		w.settle()
		w.stop()
		for i := range 100 {
			w.rename(fmt.Sprintf("%d.log", i), fmt.Sprintf("%d.log.1", i))
		}
		w.start()
		w.settle()
		w.db.SetDown(false)
		w.settle()
		w.loses(0)
	}, "*.log")
}

// TestCheckpointLost deletes the checkpoint, and puts an old one back: the ledger knows better.
func TestCheckpointLost(t *testing.T) {
	inWorld(t, func(w *world) {
		file := filepath.Join(w.options.State, "run.checkpoint")
		w.write("mail.log", w.lines(100))
		w.settle()
		old, err := os.ReadFile(file)
		w.must(err)
		for i := range 4 {
			w.write("mail.log", w.lines(100))
			w.settle()
			w.stop()
			w.must(os.Remove(file + ".previous"))
			if w.must(os.Remove(file)); i%2 == 0 {
				w.must(os.WriteFile(file, old, 0o600))
			}
			w.write("mail.log", w.lines(100))
			w.start()
			w.settle()
		}
	})
}

// TestUnreadableFile takes the right to read away for a while. It runs as a user to whom that means something.
func TestUnreadableFile(t *testing.T) {
	if os.Geteuid() == 0 {
		asNobody(t)
		return
	}
	inWorld(t, func(w *world) {
		w.write("mail.log", w.lines(10))
		w.settle()
		w.rename("mail.log", "mail.log.1")
		w.write("mail.log", w.lines(10))
		w.must(os.Chmod(w.path("mail.log"), 0))
		w.settle()
		if n := w.db.Rows(); n != 10 {
			t.Errorf("%d rows while half of 20 lines cannot be read", n)
		}
		w.must(os.Chmod(w.path("mail.log"), 0o600))
		w.settle()
		w.write("mail.log", w.lines(10))
		w.must(os.Chmod(w.dir, 0))
		w.settle()
		w.must(os.Chmod(w.dir, 0o700))
		f := w.open("mail.log")
		defer f.Close()
		w.must(os.Chmod(w.path("mail.log"), 0))
		w.stop()
		w.start()
		f.WriteString(w.lines(10))
		w.settle()
		if n := w.db.Rows(); n != 30 {
			t.Errorf("%d rows while 10 of 40 lines cannot be read", n)
		}
		w.must(os.Chmod(w.path("mail.log"), 0o600))
		w.settle()
		f.WriteString(w.lines(10))
	})
}

// asNobody runs the test in a process without privileges.
func asNobody(t *testing.T) {
	dir, err := os.MkdirTemp("", "bounceline-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	program, err := os.OpenFile(filepath.Join(dir, "test"), os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(program, self); err != nil {
		t.Fatal(err)
	}
	if err := program.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program.Name(), "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}
