package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// twoMonths is a log of made-up deliveries [from, to), every other one a month later.
func twoMonths(from, to int) []byte {
	var b bytes.Buffer
	for n := from; n < to; n++ {
		line := delivery(n)
		if n%2 == 1 {
			line = strings.Replace(line, "2026-11-", "2026-12-", 1)
		}
		b.WriteString(line)
	}
	return b.Bytes()
}

// serves reports whether the store's engine has come up.
func (s *store) serves() bool {
	data, err := os.ReadFile(filepath.Join(s.dir, "engine", "engine.json"))
	var engine struct{ Port int }
	if err != nil || json.Unmarshal(data, &engine) != nil {
		return false
	}
	c, err := net.Dial("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(engine.Port)))
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// TestEngineKilled kills the engine at random while imports insert over two months: each row is there, once.
//
// BOUNCELINE_TEST_KILLS says how often it is killed.
func TestEngineKilled(t *testing.T) {
	t.Parallel()
	inPieces(t, "BOUNCELINE_TEST_KILLS", 8, 100, killEngine)
}

func killEngine(t *testing.T, wanted int) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := newStore(t)
	dir := t.TempDir()
	kills, lines := 0, 0
	for file := 0; kills < wanted; file++ {
		const each = 400
		log := write(t, filepath.Join(dir, fmt.Sprintf("mail.log.%d", file)), twoMonths(lines, lines+each))
		lines += each
		cmd := command("import", "--state-dir", s.dir, "--batch-rows", "10", log)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for running := true; running; {
			select {
			case err := <-ended:
				if err != nil {
					t.Fatalf("import: %v\n%s", err, out.String())
				}
				running = false
			case <-time.After(time.Duration(random.IntN(600)) * time.Millisecond):
				if kills < wanted && s.serves() && syscall.Kill(enginePID(t, s), syscall.SIGKILL) == nil {
					kills++
				}
			}
		}
	}
	t.Logf("%d lines in %d imports, %d kills", lines, lines/400, kills)
	s.reopen(t)
	if n := s.rows(t); n != uint64(lines) {
		t.Errorf("%d rows of %d lines after %d kills", n, lines, kills)
	}
	s.db.Close()
	bounceline(t, "verify", "--state-dir", s.dir)
}

// TestLossBehindAnAcknowledgedRetry makes what a crash leaves between two of the engine's steps: a token that is known, and its
// rows nowhere. A retry is acknowledged; the rows must come back all the same.
func TestLossBehindAnAcknowledgedRetry(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	log := write(t, filepath.Join(t.TempDir(), "mail.log"), twoMonths(0, 100))
	bounceline(t, "import", "--state-dir", s.dir, log)
	sum := s.number(t, wholeContents)
	rows, err := s.db.Query(t.Context(), "SELECT path FROM system.parts WHERE table = 'delivery_events' AND active AND partition = '202612'", nil)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for rows.Next() {
		var path string
		if err := rows.Scan(&path); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, path)
	}
	rows.Close()
	s.exec(t, "ALTER TABLE ingest_batches DELETE WHERE 1 SETTINGS mutations_sync = 2")
	pid := enginePID(t, s)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the engine's end", func() bool { return ended(pid) })
	for _, p := range parts {
		if err := os.RemoveAll(p); err != nil {
			t.Fatal(err)
		}
	}
	s.reopen(t)
	if n := s.number(t, "SELECT count() FROM delivery_events"); n != 50 || len(parts) == 0 {
		t.Fatalf("%d rows are left of 100, %d parts were removed", n, len(parts))
	}
	out, err := command("import", "--state-dir", s.dir, log).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "rows that the sink had acknowledged are not there") {
		t.Errorf("%v: %s", err, out)
	}
	if n := s.rows(t); n != 100 || s.number(t, wholeContents) != sum {
		t.Errorf("%d rows of 100 are there, or others", n)
	}
}

// TestEngineStartsOverHalfATable leaves what a full disk leaves of a table that mending was making: the next engine starts all the same.
func TestEngineStartsOverHalfATable(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	log := write(t, filepath.Join(t.TempDir(), "mail.log"), twoMonths(0, 20))
	bounceline(t, "import", "--state-dir", s.dir, log)
	for i, what := range []string{"metadata_path", "data_paths[1] || 'format_version.txt'"} {
		table := fmt.Sprintf("rollup_sender_hourly_difference_%d", i)
		s.exec(t, "CREATE TABLE "+table+" AS rollup_sender_hourly")
		rows, err := s.db.Query(t.Context(), "SELECT "+what+" FROM system.tables WHERE name = '"+table+"'", nil)
		if err != nil {
			t.Fatal(err)
		}
		var path string
		for rows.Next() {
			if err := rows.Scan(&path); err != nil {
				t.Fatal(err)
			}
		}
		rows.Close()
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.dir, "engine", "data", path)
		}
		pid := enginePID(t, s)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the engine's end", func() bool { return ended(pid) })
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		s.reopen(t)
		if n := s.rows(t); n != 20 {
			t.Errorf("%s: %d rows of 20", what, n)
		}
	}
}

// TestEngineCrashes makes a fault of the engine's own end it: while it writes down where that was it answers nobody, and commands wait for the
// next engine.
func TestEngineCrashes(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	log := write(t, filepath.Join(t.TempDir(), "mail.log"), twoMonths(0, 20))
	if err := syscall.Kill(enginePID(t, s), syscall.SIGSEGV); err != nil {
		t.Fatal(err)
	}
	bounceline(t, "import", "--state-dir", s.dir, log)
	if n := s.rows(t); n != 20 {
		t.Errorf("%d rows of 20", n)
	}
}

// TestEngineComesBackElsewhere takes the port of an engine that died: what was connected finds the next one.
func TestEngineComesBackElsewhere(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	bounceline(t, "import", "--state-dir", s.dir, write(t, filepath.Join(t.TempDir(), "mail.log"), twoMonths(0, 20)))
	address, pid := s.db.lease.Address(), enginePID(t, s)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the engine's end", func() bool { return ended(pid) })
	l, err := net.Listen("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if n := s.rows(t); n != 20 {
		t.Errorf("%d rows of 20", n)
	}
}
