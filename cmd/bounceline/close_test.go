package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTellsWhatIsNotNoted: where a file was deleted while nobody took its lines, and the checkpoint cannot be written at the end, that
// is said.
func TestTellsWhatIsNotNoted(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"run":  {"run", "--clickhouse", "clickhouse://127.0.0.1:1/bounceline"},
		"ship": {"ship", "--kafka-brokers", "127.0.0.1:1", "--kafka-topic", "maillog", "--log-zone", "UTC"},
	} {
		dir := t.TempDir()
		log := write(t, filepath.Join(dir, "mail.log"), []byte(delivery(1)))
		state := filepath.Join(dir, "state")
		p := launch(t, command(append(args, "--state-dir", state, log)...))
		holds := func(path string) func() bool {
			return func() bool { return slices.Contains(openFiles(t, p.Process.Pid, log), path) }
		}
		eventually(t, name+" holds the file", holds(log))
		if err := os.Mkdir(filepath.Join(state, name+".checkpoint.new"), 0o700); err != nil { // where the checkpoint is written first
			t.Fatal(err)
		}
		if err := os.Remove(log); err != nil {
			t.Fatal(err)
		}
		eventually(t, name+" holds what was deleted", holds(log+" (deleted)"))
		p.stop(t)
		if said := p.log.String(); !strings.Contains(said, "the checkpoint is not up to date") || !strings.Contains(said, "is a directory") {
			t.Errorf("%s says %s", name, said)
		}
	}
}
