package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"bounceline/sinks/clickhouse/local"
)

// A store is a state directory whose engine is kept running by the test, and a connection to it.
type store struct {
	dir string
	db  *database
}

func newStore(t testing.TB) *store {
	t.Helper()
	return newStoreIn(t, t.TempDir())
}

// storeOfTwo is a store into which a log of Postfix and one of Exim were imported, and these logs.
func storeOfTwo(t *testing.T) (s *store, postfix, exim string) {
	t.Helper()
	s = newStore(t)
	dir := t.TempDir()
	postfix = write(t, filepath.Join(dir, "mail.log"), demoLog(t, "postfix.log.zst"))
	exim = write(t, filepath.Join(dir, "mainlog"), demoLog(t, "exim.log.zst"))
	bounceline(t, "import", "--state-dir", s.dir, postfix, exim)
	return s, postfix, exim
}

func newStoreIn(t testing.TB, dir string) *store {
	t.Helper()
	awaitEngine(t, dir)
	s := &store{dir: dir}
	s.reopen(t)
	return s
}

// reopen connects to the store's engine, which it starts if need be.
func (s *store) reopen(t testing.TB) {
	t.Helper()
	var err error
	if s.db, err = (&databaseFlags{stateDir: s.dir}).open(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.db.Close)
}

// awaitEngine lets the test wait, when all who use the engine of the state directory have left it, until no process is its engine
// or about to be: what still writes there would be in the way of removing it. An engine that only waits for the directory's lock
// is nowhere noted but among the processes; one that dies has no command line any more while its last threads still hold the lock.
// If the test failed, what the engine said is shown.
func awaitEngine(t testing.TB, dir string) {
	t.Cleanup(func() {
		eventually(t, "the engine's end", func() bool {
			commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
			if err != nil {
				t.Fatal(err)
			}
			engine := []byte("\x00" + local.ChildCommand + "\x00" + dir + "\x00")
			for _, command := range commands {
				line, _ := os.ReadFile(command) // empty for a process that is gone meanwhile
				if bytes.Contains(line, engine) {
					return false
				}
			}
			lock, err := os.Open(filepath.Join(dir, "engine", "engine.lock"))
			if errors.Is(err, fs.ErrNotExist) {
				return true
			}
			if err != nil {
				t.Fatal(err)
			}
			defer lock.Close()
			return unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
		})
		if t.Failed() {
			said, _ := os.ReadFile(filepath.Join(dir, "engine", "engine.log"))
			t.Logf("engine.log:\n%s", said)
		}
	})
}

// ended reports whether the process is no more; a zombie is not, once all of its threads have ended (proc(5)).
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return err != nil || bytes.Contains(stat, []byte(") Z ")) && len(threads) <= 1
}

func (s *store) number(t testing.TB, sql string) uint64 {
	t.Helper()
	var n uint64
	err := s.db.ask(t.Context(), func() (err error) { n, err = s.db.Number(t.Context(), sql); return err })
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// exec changes the store behind the program's back.
func (s *store) exec(t testing.TB, sql string) {
	t.Helper()
	s.number(t, "SELECT count() FROM system.one") // an engine that died with a client is started again
	if err := s.db.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// rows checks that raw table and rollups agree, that no row is there twice, and returns how many there are.
func (s *store) rows(t testing.TB) uint64 {
	t.Helper()
	n := s.number(t, "SELECT count() FROM delivery_events")
	for _, sql := range []string{
		"SELECT uniqExact(event_id) FROM delivery_events",
		"SELECT sum(events) FROM rollup_domain_hourly",
		"SELECT sum(events) FROM rollup_sender_hourly",
		"SELECT sum(rows) FROM ingest_batches FINAL",
	} {
		if got := s.number(t, sql); got != n {
			t.Errorf("%s: %d, but there are %d rows", sql, got, n)
		}
	}
	return n
}
