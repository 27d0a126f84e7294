package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bounceline/pipeline/source/content"
	"bounceline/sinks/clickhouse/local"
	"bounceline/sinks/clickhouse/local/localtest"
)

// asProgram makes the test binary behave as bounceline itself: the tests run, stop and kill real processes.
const asProgram = "BOUNCELINE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" || len(os.Args) > 1 && os.Args[1] == local.ChildCommand { // the engine has no such variable
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Setenv("BOUNCELINE_ENGINE_LIBRARY", localtest.Library())
	os.Exit(withShared(m))
}

// command prepares a bounceline process.
func command(args ...string) *exec.Cmd {
	cmd := program(os.Args[0], args...)
	cmd.Env = append(cmd.Env, asProgram+"=1")
	return cmd
}

// bounceline runs a command to its end and returns what it printed.
func bounceline(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("bounceline %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// demoLog returns one of the demo's logs, unpacked.
func demoLog(t *testing.T, name string) []byte {
	t.Helper()
	f, err := content.Open(filepath.Join("../../testdata/demo", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour) // a file that nobody writes any more
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	return path
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(data)
	_ = z.Close()
	return b.Bytes()
}

func TestSameBytesAreStoredOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	log := demoLog(t, "postfix.log.zst")
	half := bytes.LastIndexByte(log[:len(log)/2], '\n') + 1
	dir := t.TempDir()
	grown := write(t, filepath.Join(dir, "mail.log"), log[:half])
	bounceline(t, "import", "--state-dir", s.dir, grown)
	first := s.rows(t)
	if first == 0 {
		t.Fatal("nothing was stored")
	}
	write(t, grown, log)
	bounceline(t, "import", "--state-dir", s.dir, grown)
	all := s.rows(t)
	if all <= first {
		t.Fatalf("the tail of a grown file was not added: %d rows, then %d", first, all)
	}
	lines := bytes.Count(log, []byte("\n"))
	for name, data := range map[string][]byte{"renamed.log": log, "packed": gzipped(log), "older.log": log[:half]} {
		out := bounceline(t, "import", "--state-dir", s.dir, write(t, filepath.Join(dir, name), data))
		if n := s.rows(t); n != all {
			t.Errorf("%s added %d rows", name, n-all)
		}
		if name != "older.log" && !strings.Contains(out, fmt.Sprintf("already stored: %d lines", lines)) {
			t.Errorf("%s: it printed %q", name, out)
		}
	}
	cmd := command("import", "--state-dir", s.dir, "-")
	cmd.Stdin = bytes.NewReader(gzipped(log))
	if out, err := cmd.CombinedOutput(); err != nil || s.rows(t) != all {
		t.Errorf("standard input: %v, %s", err, out)
	}
}

func TestOneImportIsTheSumOfItsParts(t *testing.T) {
	t.Parallel()
	whole, parts := newStore(t), newStore(t)
	log := write(t, filepath.Join(t.TempDir(), "mail.log"), demoLog(t, "postfix.log.zst"))
	bounceline(t, "import", "--state-dir", whole.dir, log)
	bounceline(t, "import", "--state-dir", parts.dir, "--batch-rows", "97", log)
	if a, b := whole.number(t, wholeContents), parts.number(t, wholeContents); a != b {
		t.Errorf("the rows depend on how they were batched: %d and %d", a, b)
	}
	if parts.rows(t) != whole.rows(t) || parts.number(t, "SELECT count() FROM ingest_batches FINAL") < 10 {
		t.Error("the parts are not the whole, or there are too few of them")
	}
}

func TestImportKilled(t *testing.T) {
	t.Parallel()
	want := newStore(t)
	log := write(t, filepath.Join(t.TempDir(), "mail.log"), demoLog(t, "postfix.log.zst"))
	bounceline(t, "import", "--state-dir", want.dir, log)
	s := newStore(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	kills := 0
	var output bytes.Buffer
	for try := 0; ; try++ {
		cmd := command("import", "--state-dir", s.dir, "--batch-rows", "50", log)
		output.Reset()
		cmd.Stdout, cmd.Stderr = &output, &output
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if try < 12 { // somewhere between the first and a late batch
			kill := time.AfterFunc(time.Duration(random.IntN(400))*time.Millisecond, func() { cmd.Process.Kill() })
			err := cmd.Wait()
			kill.Stop()
			if err != nil {
				kills++
				continue
			}
		} else if err := cmd.Wait(); err != nil {
			t.Fatalf("the last import failed: %v\n%s", err, output.String())
		}
		break
	}
	if kills == 0 {
		t.Error("no import was killed")
	}
	if s.rows(t) != want.rows(t) || s.number(t, wholeContents) != want.number(t, wholeContents) {
		t.Errorf("after %d kills there are %d rows, not %d", kills, s.rows(t), want.rows(t))
	}
}

// TestImportWithoutItsMemory kills imports and takes their checkpoints away, then the ledger's rows too, and cuts the file into
// other batches each time: what is stored already is found by asking for it.
func TestImportWithoutItsMemory(t *testing.T) {
	t.Parallel()
	want := newStore(t)
	log := write(t, filepath.Join(t.TempDir(), "mail.log"), demoLog(t, "postfix.log.zst"))
	bounceline(t, "import", "--state-dir", want.dir, log)
	s := newStore(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	kills := 0
	for try := range 6 {
		cmd := command("import", "--state-dir", s.dir, "--batch-rows", fmt.Sprint(31+7*try), log)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Duration(100+random.IntN(400))*time.Millisecond, func() { cmd.Process.Kill() })
		if cmd.Wait() != nil {
			kills++
		}
		kill.Stop()
		if err := os.RemoveAll(filepath.Join(s.dir, "import")); err != nil {
			t.Fatal(err)
		}
		if try%2 == 0 { // a ledger row that was never written
			s.exec(t, "ALTER TABLE ingest_batches DELETE WHERE from_pos = (SELECT max(from_pos) FROM ingest_batches) SETTINGS mutations_sync = 2")
		}
	}
	if kills == 0 {
		t.Error("no import was killed")
	}
	bounceline(t, "import", "--state-dir", s.dir, log)
	if s.rows(t) != want.rows(t) || s.number(t, wholeContents) != want.number(t, wholeContents) {
		t.Errorf("after %d kills there are %d rows, not %d", kills, s.rows(t), want.rows(t))
	}
	s.exec(t, "TRUNCATE TABLE ingest_batches")
	bounceline(t, "import", "--state-dir", s.dir, "--batch-rows", "111", log)
	if s.rows(t) != want.rows(t) || s.number(t, wholeContents) != want.number(t, wholeContents) {
		t.Errorf("without a ledger there are %d rows, not %d", s.rows(t), want.rows(t))
	}
}

// eventually waits until the condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// delivery is a line of a made-up delivery, told apart by its number.
func delivery(n int) string {
	return fmt.Sprintf("2026-11-22T05:13:%02d.%06d+00:00 mx1 postfix/smtp[417]: %010X: to=<user%d@example.org>, relay=mx1.example.org[192.0.2.25]:25, "+
		"delay=2.4, delays=0.11/0.01/1.9/0.38, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 6D01F22A)\n", n/1000%60, n%1000, 0x4F2A000000+n, n)
}

// appendTo appends deliveries [from, to) to a file.
func appendTo(t *testing.T, path string, from, to int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for n := from; n < to; n++ {
		_, _ = w.WriteString(delivery(n))
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// startRun starts run, on a file or otherwise.
func startRun(t *testing.T, s *store, args ...string) *process {
	t.Helper()
	return launch(t, command(append([]string{"run", "--state-dir", s.dir}, args...)...))
}

// has reports whether n rows are stored for good: the ledger, which is written last, has them.
func (s *store) has(t testing.TB, n int) func() bool {
	return func() bool { return s.number(t, "SELECT sum(rows) FROM ingest_batches FINAL") >= uint64(n) }
}

func TestRunFollowsThroughStopsAndRotation(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	path := filepath.Join(t.TempDir(), "mail.log")
	cmd := startRun(t, s, path) // before the file is there
	appendTo(t, path, 0, 100)
	eventually(t, "the first lines", s.has(t, 100))
	appendTo(t, path, 100, 150)
	eventually(t, "more lines", s.has(t, 150))

	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("TERM: %v", err)
	}
	appendTo(t, path, 150, 300)
	cmd = startRun(t, s, path)
	eventually(t, "lines written while it was stopped", s.has(t, 300))

	appendTo(t, path, 300, 400)
	cmd.Process.Kill()
	cmd.Wait()
	appendTo(t, path, 400, 500)
	if err := os.Rename(path, path+".1"); err != nil { // rotated while it is dead
		t.Fatal(err)
	}
	appendTo(t, path, 500, 600)
	cmd = startRun(t, s, path)
	eventually(t, "both files after a kill and a rotation", s.has(t, 600))

	if err := os.Rename(path, path+".2"); err != nil { // rotated while it follows, the writer keeps the old file for a while
		t.Fatal(err)
	}
	appendTo(t, path+".2", 600, 700)
	appendTo(t, path, 700, 800)
	eventually(t, "both files after a rotation", s.has(t, 800))
	if n := s.rows(t); n != 800 {
		t.Errorf("%d rows of 800 lines", n)
	}
	if n := s.number(t, "SELECT uniqExact(recipient) FROM delivery_events"); n != 800 {
		t.Errorf("%d recipients of 800", n)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("TERM: %v", err)
	}
	// The rotated copy adds nothing to what run has stored.
	data, err := os.ReadFile(path + ".1")
	if err != nil {
		t.Fatal(err)
	}
	bounceline(t, "import", "--state-dir", s.dir, write(t, filepath.Join(t.TempDir(), "copy.gz"), gzipped(data)))
	if n := s.rows(t); n != 800 {
		t.Errorf("importing what run had stored made %d rows of 800", n)
	}
}

func TestRunOutlivesTheEngine(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	path := filepath.Join(t.TempDir(), "mail.log")
	appendTo(t, path, 0, 50)
	cmd := startRun(t, s, path)
	eventually(t, "the first lines", s.has(t, 50))
	for round := range 3 {
		dead := enginePID(t, s)
		if err := syscall.Kill(dead, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		appendTo(t, path, 50+100*round, 150+100*round)
		eventually(t, "the engine that run starts again", func() bool { return enginePID(t, s) != dead })
		eventually(t, "lines written while the engine was dead", s.has(t, 150+100*round))
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("TERM: %v", err)
	}
	if n := s.rows(t); n != 350 {
		t.Errorf("%d rows of 350 lines", n)
	}
}

// enginePID is the process that serves the store.
func enginePID(t testing.TB, s *store) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, "engine", "engine.json"))
	if err != nil {
		t.Fatal(err)
	}
	var engine struct{ PID int }
	if err := json.Unmarshal(data, &engine); err != nil {
		t.Fatal(err)
	}
	return engine.PID
}

// TestRunReadsANamedPipe writes through a pipe from several writers, with a line in two parts, and stops run with data in
// the pipe.
func TestRunReadsANamedPipe(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	path := filepath.Join(t.TempDir(), "pipe")
	cmd := startRun(t, s, path) // before the pipe is there
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	open := func() *os.File {
		w, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	put := func(w *os.File, text string) {
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 2 { // a writer goes and another one comes
		w := open()
		for n := range 100 {
			put(w, delivery(round*100+n))
		}
		w.Close()
		eventually(t, "lines through the pipe", s.has(t, (round+1)*100))
	}
	w := open()
	line := delivery(200)
	put(w, line[:40])
	w.Close()
	w = open()
	put(w, line[40:])
	for n := 201; n < 300; n++ {
		put(w, delivery(n))
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("TERM: %v", err)
	}
	w.Close()
	if n := s.rows(t); n != 300 {
		t.Errorf("%d rows of 300 lines", n)
	}
}
