package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// journalEntries puts deliveries [from, to) into a journal with the tool by which systemd stores what other hosts send.
func journalEntries(t *testing.T, dir string, from, to int) {
	t.Helper()
	var export strings.Builder // Journal Export Format
	for n := from; n < to; n++ {
		_, message, ok := strings.Cut(strings.TrimSuffix(delivery(n), "\n"), "]: ")
		if !ok {
			t.Fatal("no delivery")
		}
		fmt.Fprintf(&export, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%032x\n_HOSTNAME=mx1\n_TRANSPORT=syslog\nPRIORITY=6\n"+
			"SYSLOG_IDENTIFIER=postfix/smtp\nSYSLOG_PID=417\nMESSAGE=%s\n\n", 1_795_000_000_000_000+int64(n), 1000+n, 7, message)
	}
	cmd := exec.Command("/lib/systemd/systemd-journal-remote", "--output="+filepath.Join(dir, "remote-mx1.journal"), "-")
	cmd.Stdin = strings.NewReader(export.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("systemd-journal-remote (Debian: apt-get install systemd-journal-remote): %v\n%s", err, out)
	}
}

// TestRunFollowsTheJournal kills and stops a run that follows a journal.
func TestRunFollowsTheJournal(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	dir := t.TempDir()
	journalEntries(t, dir, 0, 100)
	start := func() *process {
		return startRun(t, s, "--journal", "--journal-directory", dir)
	}
	cmd := start()
	eventually(t, "the first entries", s.has(t, 100))
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	journalEntries(t, dir, 100, 200)
	cmd = start()
	eventually(t, "entries written while it was dead", s.has(t, 200))
	journalEntries(t, dir, 200, 250)
	eventually(t, "entries written while it runs", s.has(t, 250))
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("TERM: %v", err)
	}
	if n := s.rows(t); n != 250 {
		t.Errorf("%d rows of 250 entries", n)
	}
	if n := s.number(t, "SELECT count() FROM delivery_events WHERE source = 'journal' AND host = 'mx1' AND outcome = 'delivered'"); n != 250 {
		t.Errorf("%d rows are as the entries say", n)
	}
}
