package main

import (
	"fmt"
	"os"
	"path/filepath"
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
		eventually(t, name+" holds the file", p.has(log))
		if err := os.Mkdir(filepath.Join(state, name+".checkpoint.new"), 0o700); err != nil { // where the checkpoint is written first
			t.Fatal(err)
		}
		if err := os.Remove(log); err != nil {
			t.Fatal(err)
		}
		eventually(t, name+" holds what was deleted", p.has(log+" (deleted)"))
		p.stop(t)
		if said := p.log.String(); !strings.Contains(said, "the checkpoint is not up to date") || !strings.Contains(said, "is a directory") {
			t.Errorf("%s says %s", name, said)
		}
	}
}

// has reports whether the process has the file open.
func (p *process) has(path string) func() bool {
	return func() bool {
		open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.Process.Pid))
		for _, fd := range open {
			if at, err := os.Readlink(fd); err == nil && at == path {
				return true
			}
		}
		return false
	}
}
