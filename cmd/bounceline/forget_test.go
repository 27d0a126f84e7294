package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/fault"
)

// forgetful runs forget on the store with an answer on standard input.
func (s *store) forgetful(answer string, args ...string) (out string, err error) {
	cmd := command(append([]string{"forget", "--state-dir", s.dir}, args...)...)
	cmd.Stdin = strings.NewReader(answer)
	b, err := cmd.CombinedOutput()
	return string(b), err
}

// TestForget takes one of two logs with the same mail out again, in each way, and imports it again.
func TestForget(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	dir := t.TempDir()
	demo := demoLog(t, "postfix.log.zst")
	log := write(t, filepath.Join(dir, "mail.log"), demo)
	twin := write(t, filepath.Join(dir, "syslog"), append([]byte("2026-11-22T05:13:00+00:00 mx1 CRON[7]: (root) CMD (true)\n"), demo...))
	half := write(t, filepath.Join(dir, "half"), demo[:50_000])
	copied := write(t, filepath.Join(dir, "copy"), gzipped(append([]byte("2026-11-22T05:13:00+00:00 mx1 CRON[7]: (root) CMD (true)\n"), demo...)))
	bounceline(t, "import", "--state-dir", s.dir, log)
	one, sum := s.rows(t), s.number(t, wholeContents)
	if out := bounceline(t, "import", "--state-dir", s.dir, twin); !strings.Contains(out, "take one out with bounceline forget") {
		t.Errorf("import says %s", out)
	}
	both, sumOfBoth := s.rows(t), s.number(t, wholeContents)
	name := strings.Fields(bounceline(t, "query", "--state-dir", s.dir, "--output", "csv", "SELECT any(stream) FROM ingest_batches WHERE source = 'syslog'"))[1]
	other := strings.TrimSuffix(name, "0") + "7"

	for what, c := range map[string]struct {
		answer string
		args   []string
		fails  bool
		want   string
	}{
		"a dry run":            {"yes\n", []string{"--dry-run", twin}, false, "nothing was removed: this was a dry run"},
		"no":                   {"n\n", []string{twin}, true, "nothing was removed; --yes removes without asking"},
		"no answer":            {"", []string{twin}, true, "nothing was removed; --yes removes without asking"},
		"a shorter copy":       {"", []string{"--yes", half}, true, "half: this is an earlier, shorter copy of what is stored"},
		"a mistyped source":    {"", []string{"--yes", "--source", "sylog"}, true, "nothing is stored from an input called sylog (did you mean syslog?)"},
		"what is no file":      {"", []string{"--yes", "--stream", "journal-x"}, true, "journal-x is no file's"},
		"no stream":            {"", []string{"--yes", "--stream", other}, false, other + ": nothing of it is stored"},
		"what is not there":    {"", []string{"--yes", filepath.Join(dir, "none")}, true, "there is no such file"},
		"all or nothing of it": {"", []string{"--yes", twin, "--source", "sylog"}, true, "nothing is stored from an input called sylog"},
	} {
		out, err := s.forgetful(c.answer, c.args...)
		if (err != nil) != c.fails || !strings.Contains(out, c.want) || s.number(t, wholeContents) != sumOfBoth {
			t.Errorf("%s: %v, %s", what, err, out)
		}
		if len(c.args) < 3 && !c.fails && !strings.Contains(out, fmt.Sprintf("│ %d │", both-one)) {
			t.Errorf("%s does not say how many rows would go: %s", what, out)
		}
	}
	for what, c := range map[string]struct {
		answer string
		args   []string
	}{
		"the file": {"y\n", []string{twin}}, "a copy": {"", []string{"--yes", copied}}, "its name": {"", []string{"--yes", "--source", "syslog"}},
		"its stream": {"", []string{"--yes", "--stream", name}},
	} {
		out, err := s.forgetful(c.answer, c.args...)
		if err != nil || !strings.Contains(out, fmt.Sprintf("removed: %d rows of ", both-one)) || s.rows(t) != one || s.number(t, wholeContents) != sum {
			t.Errorf("%s: %v, %s", what, err, out)
		}
		if out := bounceline(t, "verify", "--state-dir", s.dir); strings.Contains(out, "two_logs") {
			t.Errorf("%s: verify says %s", what, out)
		}
		if out := bounceline(t, "import", "--state-dir", s.dir, twin); s.rows(t) != both || s.number(t, wholeContents) != sumOfBoth {
			t.Errorf("%s: imported again there are %d rows, not %d: %s", what, s.rows(t), both, out)
		}
	}
}

// TestForgetIsFinished kills forget at each point: the same command run again leaves nothing, and the file can be imported again.
func TestForgetIsFinished(t *testing.T) {
	t.Parallel()
	program := buildWithFaults(t)
	s := newStore(t)
	dir := t.TempDir()
	var logs []string
	for n := range 2 {
		logs = append(logs, filepath.Join(dir, fmt.Sprintf("%d.log", n)))
		appendTo(t, logs[n], 100*n, 100*n+100)
	}
	kept := write(t, filepath.Join(dir, "mainlog"), demoLog(t, "exim.log.zst"))
	bounceline(t, "import", "--state-dir", s.dir, kept)
	rest := s.number(t, wholeContents)
	bounceline(t, append([]string{"import", "--state-dir", s.dir}, logs...)...)
	all := s.number(t, wholeContents)
	for i, point := range fault.Removing {
		nth := i%len(logs) + 1
		p := startFaulty(t, program, fmt.Sprintf("%s=kill@%d", point, nth), append([]string{"forget", "--yes", "--state-dir", s.dir}, logs...)...)
		if err := p.Wait(); err == nil || p.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("%s: it was not killed: %v", point, err)
		}
		out := bounceline(t, append([]string{"forget", "--yes", "--state-dir", s.dir}, logs...)...)
		if n := s.number(t, wholeContents); n != rest || s.number(t, "SELECT count() FROM ingest_removals") != 0 {
			t.Errorf("%s, %d: more or less than the files is gone: %s", point, nth, out)
		}
		bounceline(t, "verify", "--state-dir", s.dir)
		if out := bounceline(t, append([]string{"import", "--state-dir", s.dir}, logs...)...); s.number(t, wholeContents) != all {
			t.Errorf("%s, %d: imported again there are %d rows, or others: %s", point, nth, s.rows(t), out)
		}
	}
}

// TestForgetWhatIsFollowed: what run follows cannot be taken from under it. When it has ended it can, run goes on without the file,
// and with it stores it anew.
func TestForgetWhatIsFollowed(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	dir := t.TempDir()
	log, wrong := filepath.Join(dir, "mail.log"), filepath.Join(dir, "syslog")
	appendTo(t, log, 0, 10)
	appendTo(t, wrong, 10, 30)
	p := launch(t, command("run", "--state-dir", s.dir, log, wrong))
	eventually(t, "both are stored", s.has(t, 30))
	if out, err := s.forgetful("", "--yes", wrong); err == nil || !strings.Contains(out, "stop it first") {
		t.Errorf("beside run: %v, %s", err, out)
	}
	p.stop(t)
	path := filepath.Join(s.dir, runCheckpoint)
	before, err := checkpoint.Read(path)
	if err != nil || len(before.Streams) != 2 {
		t.Fatalf("%v, %+v", err, before)
	}
	if out, err := s.forgetful("", "--yes", wrong); err != nil || s.rows(t) != 10 {
		t.Fatalf("%v, %d rows: %s", err, s.rows(t), out)
	}
	if after, err := checkpoint.Read(path); err != nil || len(after.Streams) != 1 || after.Streams[0].Path != log {
		t.Errorf("%v, %+v", err, after)
	}
	if left, _ := os.ReadDir(filepath.Join(s.dir, "import")); len(left) != 0 {
		t.Errorf("%v are left", left)
	}
	p = launch(t, command("run", "--state-dir", s.dir, log))
	appendTo(t, log, 30, 35)
	eventually(t, "run goes on with the other file", s.has(t, 15))
	p.stop(t)
	p = launch(t, command("run", "--state-dir", s.dir, log, wrong))
	eventually(t, "the file is stored anew", s.has(t, 35))
	p.stop(t)
	bounceline(t, "verify", "--state-dir", s.dir)
}

// TestForgetWhatWasShipped: of a file that was imported and shipped one name alone cannot be forgotten, the file can.
func TestForgetWhatWasShipped(t *testing.T) {
	t.Parallel()
	b, topic := newTopic(t, 1)
	s := newStore(t)
	log := filepath.Join(t.TempDir(), "mail.log")
	appendTo(t, log, 0, 20)
	bounceline(t, "import", "--state-dir", s.dir, log)
	bounceline(t, "ship", "--once", "--state-dir", t.TempDir(), "--kafka-brokers", b.Addr, "--kafka-topic", topic, "--log-zone", "UTC", log)
	p := launch(t, command("run", "--state-dir", s.dir, "--kafka-brokers", b.Addr, "--kafka-topics", topic))
	eventually(t, "the shipped lines have passed", func() bool {
		return s.number(t, "SELECT count() FROM ingest_batches WHERE via != ''") > 0
	})
	p.stop(t)
	if out, err := s.forgetful("", "--yes", "--source", "mail.log"); err == nil || !strings.Contains(out, "was shipped too") {
		t.Errorf("%v, %s", err, out)
	}
	if out, err := s.forgetful("", "--yes", log); err != nil || s.rows(t) != 0 {
		t.Errorf("%v, %d rows are left: %s", err, s.rows(t), out)
	}
	if out := bounceline(t, "import", "--state-dir", s.dir, log); s.rows(t) != 20 {
		t.Errorf("imported again there are %d rows: %s", s.rows(t), out)
	}
	bounceline(t, "verify", "--state-dir", s.dir)
}
