package tail_test

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"bounceline/pipeline/e2e/rig"
)

// TestLostBatchIsCountedOnce deletes the file of a batch that was being sent when the process ended.
func TestLostBatchIsCountedOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.write("mail.log", w.lines(10))
		w.settle()
		w.db.SetDown(true)
		first := w.next
		text := w.lines(10)
		w.write("mail.log", text)
		w.settle()
		w.rename("mail.log", "mail.log.1")
		w.pass(2 * time.Minute)
		w.stop()
		w.must(os.Remove(w.path("mail.log.1")))
		w.db.SetDown(false)
		w.start()
		w.stop() // in the middle of looking for the file
		for range 2 {
			w.start()
			w.pass(2 * time.Minute)
			w.stop()
		}
		if w.counted != int64(len(text)) {
			t.Errorf("%d bytes are counted as lost, not %d", w.counted, len(text))
		}
		if n := w.db.Noted(); n != int64(len(text)) {
			t.Errorf("%d bytes are noted as lost in the database, not %d", n, len(text))
		}
		for n := first; n < w.next; n++ {
			w.times[n] = 0
		}
		w.start()
	})
}

// TestCutBeforeItWasKnownAgain cuts a file, of which a part is stored, before the process that was started again can look it up.
func TestCutBeforeItWasKnownAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.write("mail.log", w.lines(10))
		w.settle()
		w.stop()
		first := w.next
		text := w.lines(5)
		w.write("mail.log", text)
		w.db.SetDown(true)
		w.start()
		w.settle()
		w.must(os.Truncate(w.path("mail.log"), 0))
		w.settle()
		w.db.SetDown(false)
		w.pass(2 * time.Minute)
		if n := w.p.Follower.Lost.Truncated.Load(); n != int64(len(text)) || n != w.p.Lost() || w.p.Follower.Vanished.Load() != 0 {
			t.Errorf("%d bytes are counted as cut and %d as lost, not %d", n, w.p.Lost(), len(text))
		}
		if n := w.db.Noted(); n != int64(len(text)) {
			t.Errorf("%d bytes are noted as lost in the database, not %d", n, len(text))
		}
		for n := first; n < w.next; n++ {
			w.times[n] = 0
		}
	})
}

// TestCutTwice cuts a file while its database is down, and again when it holds half a line: each loss counts.
func TestCutTwice(t *testing.T) {
	inWorld(t, func(w *world) {
		w.write("mail.log", w.lines(1))
		w.pass(300 * time.Millisecond) // read, and not stored yet
		w.db.SetDown(true)
		w.settle()
		w.must(os.Truncate(w.path("mail.log"), 0))
		w.settle()
		half := w.lines(1)[:40]
		w.write("mail.log", half)
		w.settle()
		w.must(os.Truncate(w.path("mail.log"), 0))
		w.settle()
		w.db.SetDown(false)
		w.pass(2 * time.Minute)
		if n := w.p.Lost(); n != 40 {
			t.Errorf("%d bytes are counted as lost, not 40", n)
		}
		w.times[1] = 0
	})
}

// TestWaitingIsSaidOnce has a rotated file that cannot be looked up for hours while none is at its path.
func TestWaitingIsSaidOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.write("mail.log", w.lines(1))
		w.settle()
		w.must(os.Remove(w.path("mail.log")))
		w.pass(2 * time.Minute)
		w.stop()
		var said strings.Builder
		w.options.Log = slog.New(slog.NewTextHandler(&said, nil))
		w.start()
		w.settle()
		w.db.SetDown(true)
		w.write("mail.log", w.lines(1))
		w.settle()
		w.rename("mail.log", "mail.log.1")
		w.pass(3 * time.Hour)
		w.stop()
		if n := strings.Count(said.String(), "waiting for a log file"); n != 4 {
			t.Errorf("waiting is said %d times, not once for each file and reason:\n%s", n, &said)
		}
		w.db.SetDown(false)
		w.start()
	})
}

// TestKilledBeforeOlderFilesWereKnown kills the process when it has looked up the newest of three files, and not the others.
func TestKilledBeforeOlderFilesWereKnown(t *testing.T) {
	inWorld(t, func(w *world) {
		w.write("mail.log", w.lines(10))
		w.settle()
		w.rename("mail.log", "mail.log.1")
		w.pass(2 * time.Minute) // until it is forgotten
		w.db.SetDown(true)
		later := time.Now().Add(24 * 365 * 100 * time.Hour)
		for range 2 {
			w.write("mail.log", w.lines(10))
			later = later.Add(time.Hour)
			w.must(os.Chtimes(w.path("mail.log"), later, later)) // all of this falls on one tick of the kernel's clock
			w.pass(100 * time.Second)
			w.rename("mail.log", fmt.Sprintf("mail.log.%d", w.next))
		}
		newest := w.next
		w.write("mail.log", w.lines(10))
		w.must(os.Chtimes(w.path("mail.log"), later.Add(time.Hour), later.Add(time.Hour)))
		w.pass(300 * time.Millisecond)
		w.db.SetDown(false)
		w.pass(3 * time.Second)
		w.must(w.p.Kill())
		if w.db.Has(rig.Recipient(newest)) == 0 || w.db.Has(rig.Recipient(newest-1)) > 0 {
			t.Fatal("it is not the newest file alone that is stored")
		}
		w.stop()
		w.start()
		w.pass(2 * time.Minute)
	})
}

// TestCopiedAndCutBetweenTwoLooks fills an empty file, copies it away and empties it again before anybody looks.
func TestCopiedAndCutBetweenTwoLooks(t *testing.T) {
	inWorld(t, func(w *world) {
		w.write("mail.log", "")
		w.settle()
		for n := range 3 {
			w.write(fmt.Sprintf("mail.log.%d", n), w.lines(10))
			w.pass(time.Hour)
		}
	})
}

// TestStoredBatchOfALostFile deletes a file whose last batch was stored, but not acknowledged: what came behind it is lost.
func TestStoredBatchOfALostFile(t *testing.T) {
	inWorld(t, func(w *world) {
		w.write("mail.log", w.lines(10))
		w.settle()
		w.write("mail.log", w.lines(10))
		w.pass(300 * time.Millisecond)
		w.db.LoseAcks(1)
		w.pass(time.Second)
		w.db.SetDown(true)
		w.pass(5 * time.Second)
		first := w.next
		text := w.lines(10)
		w.write("mail.log", text)
		w.settle()
		w.rename("mail.log", "mail.log.1")
		w.pass(2 * time.Minute)
		w.stop()
		w.must(os.Remove(w.path("mail.log.1")))
		w.db.SetDown(false)
		w.start()
		w.pass(2 * time.Minute)
		w.partial = true
		if w.db.Has(rig.Recipient(first-1)) != 1 || w.p.Lost() != int64(len(text)) {
			t.Errorf("%d bytes are counted as lost, not %d", w.p.Lost(), len(text))
		}
		for n := first; n < w.next; n++ {
			w.times[n] = 0
		}
	})
}

// TestDeletedBeforeItWasKnown ends the process while it has the only handle of a file that could not be looked up yet.
func TestDeletedBeforeItWasKnown(t *testing.T) {
	inWorld(t, func(w *world) {
		w.write("mail.log", w.lines(10))
		w.settle()
		w.db.SetDown(true)
		w.rename("mail.log", "mail.log.1")
		w.write("mail.log", w.lines(10))
		w.settle()
		w.must(os.Remove(w.path("mail.log")))
		w.settle()
		w.stop()
		if n := w.p.Follower.Vanished.Load(); n != 1 {
			t.Errorf("%d files have vanished, not 1", n)
		}
		for n := 10; n < w.next; n++ {
			w.times[n] = 0
		}
		w.db.SetDown(false)
		w.start()
	})
}

// TestCutJustBeforeTheEnd cuts a file that could not be looked up yet, and stops before anybody looks again.
func TestCutJustBeforeTheEnd(t *testing.T) {
	inWorld(t, func(w *world) {
		w.db.SetDown(true)
		w.write("mail.log", w.lines(10))
		w.settle()
		w.must(os.Truncate(w.path("mail.log"), 0))
		w.stop()
		if n := w.p.Follower.Vanished.Load(); n != 1 {
			t.Errorf("%d files have vanished, not 1", n)
		}
		for n := range w.next {
			w.times[n] = 0
		}
		w.db.SetDown(false)
		w.start()
	})
}
