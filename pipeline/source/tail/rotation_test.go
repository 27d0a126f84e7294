package tail_test

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"bounceline/pipeline/e2e/rig"
)

// TestLogrotate lets logrotate work in every way that people configure, while the process follows, is behind, and is stopped.
func TestLogrotate(t *testing.T) {
	for name, config := range map[string]string{
		"create":                "create",
		"compress":              "create\ncompress",
		"delaycompress":         "create\ncompress\ndelaycompress",
		"copytruncate":          "copytruncate",
		"copied and compressed": "copytruncate\ncompress\ndelaycompress",
		"dates":                 "create\ndateext\ndateformat -%Y%m%d-%s",
		"extension":             "create\nextension .log\ncompress\ndelaycompress",
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				rotate := func() {
					if name == "dates" { // it takes the second, of the wall clock, for the name
						w.rename("mail.log", "mail.log-20261122-"+rig.Recipient(w.next)[4:8])
						return
					}
					w.rotate(config)
				}
				for range 3 { // following
					w.write("mail.log", w.lines(700))
					w.settle()
					w.write("mail.log", w.lines(40))
					rotate()
					w.write("mail.log", w.lines(300))
					w.pass(300 * time.Millisecond)
				}
				for range 3 { // several rotations between two looks
					w.write("mail.log", w.lines(300))
					rotate()
				}
				w.settle()
				w.db.SetDown(true) // behind: the database is down
				for range 3 {
					w.write("mail.log", w.lines(2500))
					w.pass(time.Minute)
					rotate()
				}
				w.write("mail.log", w.lines(10))
				w.db.SetDown(false)
				w.pass(5 * time.Minute)
				w.write("mail.log", w.lines(10))
				w.stop()
				w.write("mail.log", w.lines(10)) // stopped
				for range 3 {
					rotate()
					w.write("mail.log", w.lines(200))
				}
				w.start()
				w.pass(2 * time.Minute)
				if w.counted+w.p.Lost() != 0 {
					t.Errorf("%d bytes are counted as lost", w.counted+w.p.Lost())
				}
			})
		})
	}
}

// TestWriterKeepsTheOldFile has writers that go on in the renamed file, as Exim's deliveries do, and then in none.
func TestWriterKeepsTheOldFile(t *testing.T) {
	inWorld(t, func(w *world) {
		old := w.open("mail.log")
		defer old.Close()
		old.WriteString(w.lines(100))
		w.settle()
		w.rename("mail.log", "mail.log.1")
		for range 20 {
			old.WriteString(w.lines(10))
			w.write("mail.log", w.lines(10))
			w.pass(10 * time.Second)
		}
		w.must(os.Remove(w.path("mail.log.1")))
		old.WriteString(w.lines(10)) // to a file that has no name any more
		w.settle()
		w.pass(2 * time.Minute)
		w.write("mail.log", w.lines(1))
	})
}

// TestLastLineWithoutNewline: it waits for its newline as long as somebody may write it, and counts as a line afterwards.
func TestLastLineWithoutNewline(t *testing.T) {
	inWorld(t, func(w *world) {
		line := w.lines(1)
		w.write("mail.log", line[:40])
		w.pass(time.Hour)
		w.write("mail.log", line[40:]+w.lines(3))
		w.settle()
		if n := w.db.Rows(); n != 4 {
			t.Errorf("%d rows of 4 lines", n)
		}
		last := w.lines(1)
		w.write("mail.log", last[:len(last)-1])
		w.settle()
		if n := w.db.Rows(); n != 4 {
			t.Errorf("%d rows before the last line was complete", n)
		}
		w.rename("mail.log", "mail.log.1")
		w.write("mail.log", w.lines(1))
		w.settle()
		if n := w.db.Rows(); n != 5 {
			t.Errorf("%d rows while the old file may still be written", n)
		}
		w.pass(2 * time.Minute)
	})
}

// TestTruncation cuts the file while it is behind, without a copy and with one, and lets it grow beyond where it was.
func TestTruncation(t *testing.T) {
	inWorld(t, func(w *world) {
		w.write("mail.log", w.lines(1000))
		w.settle()
		w.must(os.Truncate(w.path("mail.log"), 0))
		w.write("mail.log", w.lines(3000)) // longer than before, at once
		w.settle()
		w.db.SetDown(true)
		w.settle()
		first := w.next
		w.write("mail.log", w.lines(10_000))
		w.settle()
		w.must(os.Truncate(w.path("mail.log"), 0)) // with some of it unread, and no copy
		last := w.next
		w.write("mail.log", w.lines(12_000))
		w.settle()
		w.db.SetDown(false)
		w.pass(5 * time.Minute)
		bytes := int64(0)
		for n := first; n < last; n++ {
			if w.db.Has(rig.Recipient(n)) == 0 {
				w.times[n] = 0
				bytes += int64(len(rig.Line(n)))
			}
		}
		if bytes == 0 || w.p.Lost() != bytes {
			t.Errorf("%d bytes are counted as lost, and %d are", w.p.Lost(), bytes)
		}
		if n := w.p.Follower.Truncations.Load(); n != 2 {
			t.Errorf("%d truncations of 2", n)
		}
	})
}

// TestCutWhileHeldUp cuts files and fills them with more while their reader waits for the database, somewhere in them or at their
// end: what was not read counts, and nothing of what came later.
func TestCutWhileHeldUp(t *testing.T) {
	for lines := 500; lines <= 5500; lines += 1000 {
		inWorld(t, func(w *world) {
			w.write("mail.log", w.lines(1))
			w.settle()
			w.db.SetDown(true)
			w.write("mail.log", w.lines(lines))
			w.settle()
			w.must(os.Truncate(w.path("mail.log"), 0))
			first := w.next
			w.write("mail.log", w.lines(9000))
			w.settle()
			w.db.SetDown(false)
			w.pass(5 * time.Minute)
			bytes := int64(0)
			for n := range first {
				if w.db.Has(rig.Recipient(n)) == 0 {
					w.times[n] = 0
					bytes += int64(len(rig.Line(n)))
				}
			}
			if w.p.Lost() != bytes {
				t.Errorf("of %d lines %d bytes are counted as lost, and %d are", lines, w.p.Lost(), bytes)
			}
		})
	}
}

// TestTruncatedWithACopy has more in the copy than was read when the file was cut, and a copy that is shorter.
func TestTruncatedWithACopy(t *testing.T) {
	inWorld(t, func(w *world) {
		w.write("mail.log", w.lines(1000))
		w.settle()
		w.db.SetDown(true)
		w.write("mail.log", w.lines(10_000))
		w.settle()
		w.rotate("copytruncate")
		w.write("mail.log", w.lines(12_000))
		w.settle()
		w.rotate("copytruncate")
		w.write("mail.log", w.lines(10))
		w.settle()
		w.db.SetDown(false)
		w.pass(5 * time.Minute)
		if w.p.Lost() != 0 {
			t.Errorf("%d bytes are counted as lost", w.p.Lost())
		}
		data, err := os.ReadFile(w.path("mail.log"))
		w.must(err)
		w.write("mail.log", w.lines(10)) // after the copy was made and before the file is cut, and read
		w.settle()
		w.must(os.WriteFile(w.path("mail.log.1"), data, 0o600))
		w.must(os.Truncate(w.path("mail.log"), 0))
		w.write("mail.log", w.lines(1))
		w.pass(2 * time.Minute)
		if w.p.Lost() != 0 {
			t.Errorf("%d bytes that were read are counted as lost", w.p.Lost())
		}
	})
}

// TestHole has a writer that does not append: after a truncation its next line stands behind a hole.
func TestHole(t *testing.T) {
	inWorld(t, func(w *world) {
		f, err := os.Create(w.path("mail.log"))
		w.must(err)
		defer f.Close()
		f.WriteString(w.lines(1000))
		w.settle()
		w.must(os.Truncate(w.path("mail.log"), 0))
		f.WriteString(w.lines(500))
		w.settle()
		if n := w.db.Rows(); n != 1500 {
			t.Errorf("%d rows of 1500 lines", n)
		}
	})
}

// TestWriterComesBack has a writer that goes on in the rotated file hours after it was read to its end, and one that ends a line
// then.
func TestWriterComesBack(t *testing.T) {
	inWorld(t, func(w *world) {
		old := w.open("mail.log")
		defer old.Close()
		old.WriteString(w.lines(10))
		w.settle()
		w.rename("mail.log", "mail.log.1")
		w.write("mail.log", w.lines(10))
		for range 3 {
			w.pass(time.Hour)
			old.WriteString(w.lines(10))
			w.settle()
			if n := w.db.Rows(); n != w.next {
				t.Errorf("%d rows of %d lines", n, w.next)
			}
		}
		w.pass(time.Hour)
		w.must(os.Remove(w.path("mail.log.1")))
		w.settle()
		if n := len(w.held("mail.log.1 (deleted)")); n != 1 {
			t.Errorf("the deleted file is held %d times, not by its writer alone", n)
		}
	})
}

// TestDeletedFilesTakeSpace: what deleted files take until they are read is known, and said when it is much.
func TestDeletedFilesTakeSpace(t *testing.T) {
	inWorld(t, func(w *world) {
		w.stop()
		var said strings.Builder
		w.options.Log, w.options.MuchUnfreed = slog.New(slog.NewTextHandler(&said, nil)), 500_000
		w.start()
		for round := range 2 {
			w.db.SetDown(true)
			size := 0
			for range 3 {
				size += len(w.log(1500))
				w.rename("mail.log", "mail.log.1")
				w.must(os.Remove(w.path("mail.log.1")))
				w.settle()
			}
			if n := w.p.Follower.Unfreed.Load(); n < int64(size) || n > int64(size)+3<<20 {
				t.Errorf("%d deleted bytes take %d", size, n)
			}
			w.db.SetDown(false)
			w.pass(3 * time.Minute)
			if n := w.p.Follower.Unfreed.Load(); n != 0 {
				t.Errorf("%d bytes are not freed", n)
			}
			if n := strings.Count(said.String(), "deleted log files take disk space"); n != round+1 {
				t.Errorf("it is said %d times in %d rounds: %s", n, round+1, &said)
			}
		}
	})
}

// TestRefilledToTheSameSize has files that were cut and filled again between two looks, and are as long as before.
func TestRefilledToTheSameSize(t *testing.T) {
	inWorld(t, func(w *world) {
		later := time.Now().Add(24 * 365 * 100 * time.Hour)
		refill := func(text string) {
			t.Helper()
			w.must(os.WriteFile(w.path("mail.log"), []byte(text), 0o600))
			later = later.Add(time.Second)
			w.must(os.Chtimes(w.path("mail.log"), later, later)) // two writes may fall on one tick of the kernel's clock
			w.settle()
		}
		first, second := w.lines(1), w.lines(1)
		refill(first[:40])
		refill(second[:40])
		w.pass(2 * time.Minute) // a copy may be found
		if n := w.p.Lost(); n != 40 {
			t.Errorf("%d bytes are counted as lost, not 40", n)
		}
		w.times[0] = 0
		refill(second + w.lines(8))
		refill(w.lines(9))
		refill(w.lines(9))
		if n := w.p.Lost(); n != 40 {
			t.Errorf("%d bytes are counted as lost, not 40", n)
		}
	})
}
