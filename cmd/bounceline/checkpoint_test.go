package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bounceline/pipeline/checkpoint"
)

// TestCheckpointCommands: a database that was restored from a backup knows less than the checkpoint. Run stops the file, repair
// goes back to what the ledger has, and then all is stored, once.
func TestCheckpointCommands(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	path := filepath.Join(t.TempDir(), "mail.log")
	state := filepath.Join(s.dir, "run.checkpoint")
	appendTo(t, path, 0, 100)
	cmd := startRun(t, s, path)
	eventually(t, "the first lines", s.has(t, 100))
	if out, err := command("checkpoint", "repair", "--state-dir", s.dir).CombinedOutput(); err == nil || !strings.Contains(string(out), "stop it first") {
		t.Errorf("beside run: %v, %s", err, out)
	}
	appendTo(t, path, 100, 200)
	eventually(t, "more lines", s.has(t, 200))
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	list := bounceline(t, "checkpoint", "list", "--state-dir", s.dir, "--output", "csv")
	if !strings.Contains(list, "run.checkpoint,file-") || !strings.Contains(list, path) {
		t.Errorf("list: %s", list)
	}
	if out := bounceline(t, "checkpoint", "show", "--state-dir", s.dir); !strings.Contains(out, `"streams": [`) {
		t.Errorf("show: %s", out)
	}
	st, err := checkpoint.Read(state)
	if err != nil || len(st.Streams) != 1 {
		t.Fatalf("%+v, %v", st, err)
	}
	end := st.Streams[0].Next
	// The backup was made when half of it was there.
	s.exec(t, "ALTER TABLE ingest_batches DELETE WHERE from_pos > 0 SETTINGS mutations_sync = 2")
	last := s.number(t, "SELECT max(to_pos) FROM ingest_batches FINAL")
	s.exec(t, "ALTER TABLE delivery_events DELETE WHERE pos >= (SELECT max(to_pos) FROM ingest_batches) SETTINGS mutations_sync = 2")
	if last == 0 || int64(last) >= end {
		t.Fatalf("the ledger ends at %d of %d", last, end)
	}
	out := bounceline(t, "checkpoint", "repair", "--state-dir", s.dir)
	if st, err = checkpoint.Read(state); err != nil || st.Streams[0].Next != int64(last) || !strings.Contains(out, "was") {
		t.Errorf("repair: %s, %+v, %v", out, st, err)
	}
	bounceline(t, "checkpoint", "set", "--state-dir", s.dir, st.Streams[0].Name, "0")
	if st, err = checkpoint.Read(state); err != nil || st.Streams[0].Next != 0 {
		t.Errorf("set: %+v, %v", st, err)
	}
	startRun(t, s, path)
	eventually(t, "what the backup lacked", s.has(t, 200))
	bounceline(t, "verify", "--state-dir", s.dir, "--repair")
	if n := s.rows(t); n != 200 {
		t.Errorf("%d rows of 200", n)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "old.checkpoint"), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := command("checkpoint", "list", "--state-dir", s.dir).CombinedOutput(); err == nil || !strings.Contains(string(out), "is damaged") {
		t.Errorf("a damaged one: %v, %s", err, out)
	}
}
