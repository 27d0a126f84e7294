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
		w.log(10)
		w.db.SetDown(true)
		text := w.log(10)
		w.missing(10, w.next)
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
		w.loses(int64(len(text)))
		w.start()
	})
}

// TestKilledWhileALossIsCounted kills each process when it says that lines are lost, for each way to lose them.
func TestKilledWhileALossIsCounted(t *testing.T) {
	for name, lose := range map[string]func(w *world){
		"deleted":        func(w *world) { w.must(os.Remove(w.path("mail.log.1"))) },
		"a shorter copy": func(w *world) { w.must(os.Truncate(w.path("mail.log.1"), 10*int64(len(rig.Line(0))))) },
		"deleted later": func(w *world) {
			w.db.SetDown(true)
			w.start()
			w.pass(time.Minute)
			w.stop()
			w.db.SetDown(false)
			w.must(os.Remove(w.path("mail.log.1")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.log(10)
				w.db.SetDown(true)
				text := w.log(10)
				w.missing(10, w.next)
				w.rename("mail.log", "mail.log.1")
				w.log(1)
				w.stop()
				w.db.SetDown(false)
				lose(w)
				killed := false
				w.options.KillAtError = true
				for range 3 {
					w.start()
					w.pass(3 * time.Minute)
					killed = killed || w.p.Dead()
					w.stop()
				}
				if !killed {
					t.Error("nothing was said to be lost")
				}
				if n, files := w.losses(); n != int64(len(text)) || w.db.Noted() != n || files > 1 {
					t.Errorf("%d bytes are counted as lost, and %d noted, not %d; %d files have vanished", n, w.db.Noted(), len(text), files)
				}
				w.options.KillAtError = false
				w.start()
			})
		})
	}
}

// TestCutBeforeItWasKnownAgain cuts a file, of which a part is stored, before the process that was started again can look it up.
func TestCutBeforeItWasKnownAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.log(10)
		w.stop()
		w.db.SetDown(true)
		w.start()
		text := w.log(5)
		w.missing(10, w.next)
		w.must(os.Truncate(w.path("mail.log"), 0))
		w.settle()
		w.db.SetDown(false)
		w.pass(2 * time.Minute)
		w.loses(int64(len(text)))
		if n := w.p.Follower.Lost.Truncated.Load(); n != int64(len(text)) {
			t.Errorf("%d bytes are counted as cut", n)
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
		w.missing(1, 2)
		w.write("mail.log", half)
		w.settle()
		w.must(os.Truncate(w.path("mail.log"), 0))
		w.settle()
		w.db.SetDown(false)
		w.pass(2 * time.Minute)
		w.loses(int64(len(half)))
	})
}

// TestLossesAreNotedLater: what is lost while the database is away is noted in it when it is back, also by the next process.
func TestLossesAreNotedLater(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.log(10)
				w.db.SetDown(true)
				w.rename("mail.log", "mail.log.1")
				first := w.log(10) // of a content that cannot be looked up
				w.must(os.Truncate(w.path("mail.log"), 0))
				w.pass(2 * time.Minute)
				second := w.log(5)
				w.must(os.Truncate(w.path("mail.log"), 0))
				w.pass(2 * time.Minute)
				w.missing(10, w.next)
				if n := w.db.Noted(); n != 0 {
					t.Fatalf("%d bytes are noted by a database that is away", n)
				}
				if restart {
					w.stop()
					w.start()
				}
				w.db.SetDown(false)
				w.settle()
				w.loses(int64(len(first) + len(second)))
			})
		})
	}
}

// TestDeletedBeforeTheDatabaseAnswers has files deleted, or rotated out of reach, while a process that was just started waits for the
// database, with and without a batch that was being sent: it holds them.
func TestDeletedBeforeTheDatabaseAnswers(t *testing.T) {
	for _, intent := range []bool{false, true} {
		t.Run(fmt.Sprint("intent ", intent), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.log(10)
				if intent {
					w.db.SetDown(true)
					w.log(10)
				}
				w.stop()
				w.db.SetDown(true)
				w.write("mail.log", w.lines(10))
				w.start()
				w.settle()
				for range 3 {
					w.log(10)
					w.rename("mail.log", "mail.log.1")
					w.log(10)
					w.must(os.Remove(w.path("mail.log.1")))
					w.pass(10 * time.Minute)
				}
				w.must(os.Remove(w.path("mail.log")))
				w.pass(10 * time.Minute)
				w.db.SetDown(false)
				w.settle()
				w.log(1)
				w.pass(2 * time.Minute)
				w.loses(0)
			})
		})
	}
}

// TestDeletedFileIsMeasured stops a process that has the only handle of a file that was not stored to its end, or that had been known
// by its content before: what is lost is known to the byte.
func TestDeletedFileIsMeasured(t *testing.T) {
	for _, known := range []bool{false, true} {
		t.Run(fmt.Sprint("known again ", known), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.log(10)
				if known {
					w.db.SetDown(true)
				} else {
					w.stop()
					w.db.SetDown(true)
					w.start()
				}
				text := w.log(10)
				w.missing(10, w.next)
				w.must(os.Remove(w.path("mail.log")))
				w.settle()
				w.stop()
				w.db.SetDown(false)
				w.start()
				w.pass(2 * time.Minute)
				w.loses(int64(len(text)))
			})
		})
	}
}

// TestCutAndStopped cuts a file of which all was read, or more is there than can be, and stops the process: the next one knows how long
// the content was.
func TestCutAndStopped(t *testing.T) {
	for _, lines := range []int{10, 4000} {
		inWorld(t, func(w *world) {
			w.log(10)
			w.db.SetDown(true)
			text := w.log(lines)
			w.missing(10, w.next)
			w.must(os.Truncate(w.path("mail.log"), 0))
			w.settle()
			w.stop()
			w.db.SetDown(false)
			w.start()
			w.pass(2 * time.Minute)
			w.loses(int64(len(text)))
		})
	}
}

// TestBatchIsTakenFromItsOwnFile has another file, that begins alike, where the lines of a batch were that was being sent.
func TestBatchIsTakenFromItsOwnFile(t *testing.T) {
	inWorld(t, func(w *world) {
		w.log(10)
		w.db.SetDown(true)
		text := w.log(10)
		w.missing(10, w.next)
		w.stop()
		w.must(os.Remove(w.path("mail.log")))
		w.db.SetDown(false)
		w.write("mail.log", rig.Line(0)+w.lines(60))
		w.times[0] = 2
		w.start()
		w.pass(2 * time.Minute)
		if n, _ := w.losses(); n != int64(len(text)) {
			t.Errorf("%d bytes are counted as lost, not %d", n, len(text))
		}
	})
}

// TestBatchOfAnInputThatIsAway takes the input of a batch that was being sent out of the configuration for a while: nothing is lost.
func TestBatchOfAnInputThatIsAway(t *testing.T) {
	inWorld(t, func(w *world) {
		w.log(10)
		w.db.SetDown(true)
		w.log(10)
		w.stop()
		w.db.SetDown(false)
		paths := w.options.Paths
		w.options.Paths = []string{w.path("other.log")}
		w.start()
		w.pass(2 * time.Minute)
		w.stop()
		w.options.Paths = paths
		w.start()
		w.settle()
		w.loses(0)
	})
}

// TestWaitingIsSaidOnce has a rotated file that cannot be looked up for hours while none is at its path.
func TestWaitingIsSaidOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.log(1)
		w.must(os.Remove(w.path("mail.log")))
		w.pass(2 * time.Minute)
		w.stop()
		var said strings.Builder
		w.options.Log = slog.New(slog.NewTextHandler(&said, nil))
		w.start()
		w.settle()
		w.db.SetDown(true)
		w.log(1)
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
		w.log(10)
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

// TestCutWhileItsBatchIsSentAgain copies a file away and fills it anew, more or less, when it was chosen to make an interrupted batch
// again from, and not read yet.
func TestCutWhileItsBatchIsSentAgain(t *testing.T) {
	for _, fresh := range []int{0, 1, 2, 3, 4, 5} {
		t.Run(fmt.Sprint(fresh), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.log(1)
				w.db.SetDown(true)
				w.log(3)
				w.must(w.p.Kill())
				w.stop()
				w.write("mail.log", w.lines(3))
				w.db.SetDown(false)
				asked := 0
				w.db.Asked = func(prefix string) {
					if prefix == "" {
						return
					}
					if asked++; asked == 2 { // first whether the batch is there, then what is before it
						text, err := os.ReadFile(w.path("mail.log"))
						w.must(err)
						w.write("mail.log.1", string(text))
						w.must(os.Truncate(w.path("mail.log"), 0))
						w.write("mail.log", w.lines(fresh))
					}
				}
				w.start()
				w.settle()
				if asked < 2 {
					t.Fatal("the batch was not sent again")
				}
			})
		})
	}
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
		w.log(10)
		w.write("mail.log", w.lines(10))
		w.pass(300 * time.Millisecond)
		w.db.LoseAcks(1)
		w.pass(time.Second)
		w.db.SetDown(true)
		w.pass(5 * time.Second)
		first := w.next
		text := w.log(10)
		w.missing(first, w.next)
		w.rename("mail.log", "mail.log.1")
		w.pass(2 * time.Minute)
		w.stop()
		w.must(os.Remove(w.path("mail.log.1")))
		w.db.SetDown(false)
		w.start()
		w.pass(2 * time.Minute)
		w.partial = true
		w.loses(int64(len(text)))
	})
}

// TestLedgerKnowsTheLastBatch deletes a file all of which is stored, which was never acknowledged: nothing is lost.
func TestLedgerKnowsTheLastBatch(t *testing.T) {
	inWorld(t, func(w *world) {
		w.log(10)
		w.db.LoseAcks(1000)
		w.log(10)
		w.must(os.Remove(w.path("mail.log")))
		w.settle()
		w.stop()
		w.db.LoseAcks(0)
		w.start()
		w.pass(2 * time.Minute)
		w.loses(0)
	})
}

// TestGoneBeforeItWasKnown ends the process while it alone has the lines of a file that could not be looked up yet: as a signal does,
// and with a kill when it says so.
func TestGoneBeforeItWasKnown(t *testing.T) {
	for name, lose := range map[string]func(w *world){
		"deleted": func(w *world) {
			w.must(os.Remove(w.path("mail.log")))
			w.settle()
		},
		"cut just before the end": func(w *world) { w.must(os.Truncate(w.path("mail.log"), 0)) },
	} {
		for _, killed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, killed %t", name, killed), func(t *testing.T) {
				inWorld(t, func(w *world) {
					w.log(10)
					w.stop()
					w.options.KillAtError = killed
					w.start()
					w.settle()
					w.db.SetDown(true)
					w.rename("mail.log", "mail.log.1")
					text := w.log(10)
					w.missing(10, w.next)
					lose(w)
					w.stop()
					if w.p.Dead() != killed {
						t.Errorf("killed: %t", w.p.Dead())
					}
					w.options.KillAtError = false
					w.db.SetDown(false)
					w.start()
					w.settle()
					w.vanishes(int64(len(text)))
				})
			})
		}
	}
}
