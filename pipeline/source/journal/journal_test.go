package journal

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"bounceline/pipeline"
	"bounceline/pipeline/checkpoint"
	qctx "bounceline/pipeline/context"
	"bounceline/pipeline/e2e/rig"
	"bounceline/pipeline/record"
	"bounceline/pipeline/source/content"
)

// mailLines returns the first lines of a log that Postfix 3.7.11 wrote.
func mailLines(t *testing.T, n int) []string {
	t.Helper()
	f, err := content.Open("../../../testdata/demo/postfix.log.zst")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	var out []string
	for len(out) < n && in.Scan() {
		out = append(out, in.Text())
	}
	return out
}

var syslogLine = regexp.MustCompile(`^\S+ (\S+) ([^\[:]+)\[(\d+)\]: (.*)$`)

// write puts the lines into the journal, as the journal's own tool does with what other hosts send (Journal Export Format).
func write(t *testing.T, dir string, lines []string) {
	t.Helper()
	var export bytes.Buffer
	for i, l := range lines {
		m := syslogLine.FindStringSubmatch(l)
		if m == nil {
			t.Fatalf("no syslog line: %q", l)
		}
		fmt.Fprintf(&export, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%032x\n_HOSTNAME=%s\n_TRANSPORT=syslog\nPRIORITY=6\n"+
			"SYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=%s\nSYSLOG_PID=%s\nMESSAGE=%s\n\n", 1_795_000_000_000_000+int64(i), 1000+i, 7, m[1], m[2], m[3], m[4])
	}
	cmd := exec.Command("/lib/systemd/systemd-journal-remote", "--output="+filepath.Join(dir, "remote-mail.journal"), "-")
	cmd.Stdin = &export
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("systemd-journal-remote: %v\n%s", err, out)
	}
}

type verdict struct{}

func (verdict) Classify(*record.Row) record.Class { return record.Class{} }

// follow runs a reader and a runner until the test ends it.
func follow(t *testing.T, dir, state string, db *rig.DB) (r *Reader, end func()) {
	t.Helper()
	store, _, err := checkpoint.Open(filepath.Join(state, "journal.checkpoint"), false)
	if err != nil {
		t.Fatal(err)
	}
	buffers := pipeline.NewBuffers(4)
	log := slog.New(slog.DiscardHandler)
	retryable := func(error) bool { return false }
	r = New(Config{Directory: dir, Source: "journal", Ledger: db, Store: store, Buffers: buffers, Retryable: retryable, Log: log, Horizon: 10})
	runner := pipeline.NewRunner(pipeline.Config{Classifier: verdict{}, Context: qctx.New(1 << 20), Sink: db, Audit: db, Journal: store, Buffers: buffers,
		Retryable: retryable, Log: log, MaxRows: 50, MaxDelay: 50 * time.Millisecond, IdleDelay: 50 * time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- pipeline.Drive(ctx, r.Run, runner) }()
	return r, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		store.Close()
	}
}

// rows is how many rows the lines give.
func rows(lines []string) (n int) {
	for _, l := range lines {
		if strings.Contains(l, " status=") && strings.Contains(l, " to=<") {
			n++
		}
	}
	return n
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// TestJournal follows a journal that grows, through a stop and the loss of the checkpoint.
func TestJournal(t *testing.T) {
	dir, state, db := t.TempDir(), t.TempDir(), rig.NewDB()
	lines := mailLines(t, 3000)
	if rows(lines) < 300 {
		t.Fatalf("only %d rows", rows(lines))
	}
	write(t, dir, lines[:1000])
	_, end := follow(t, dir, state, db)
	has := func(n int) func() bool { return func() bool { return db.Rows() >= rows(lines[:n]) } }
	eventually(t, "what is there at the start", has(1000))
	write(t, dir, lines[1000:1500])
	eventually(t, "what is added while it follows", has(1500))
	end()
	write(t, dir, lines[1500:2000])
	r, end := follow(t, dir, state, db)
	eventually(t, "what was added while it was stopped", has(2000))
	if n := r.Entries.Load(); n != 510 {
		t.Errorf("%d entries were read again or anew, not 500 and the 10 before them", n)
	}
	end()
	for _, copy := range []string{"", ".previous"} {
		if err := os.Remove(filepath.Join(state, "journal.checkpoint"+copy)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, lines[2000:])
	r, end = follow(t, dir, state, db)
	eventually(t, "what was added before the checkpoint was lost", has(3000))
	eventually(t, fmt.Sprintf("all entries, of which there are %d", r.Entries.Load()), func() bool { return r.Entries.Load() >= 3000 })
	end()
	if n := db.Rows(); n != rows(lines) {
		t.Errorf("%d rows of %d", n, rows(lines))
	}
	if r.Gaps.Load() != 0 {
		t.Errorf("%d entries are missing", r.Gaps.Load())
	}
	if err := db.Check(true); err != nil {
		t.Error(err)
	}
}

// TestVacuumed reads a journal from which entries between the last run and this one are gone.
func TestVacuumed(t *testing.T) {
	store, _, err := checkpoint.Open(filepath.Join(t.TempDir(), "c"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r := New(Config{Ledger: rig.NewDB(), Store: store, Buffers: pipeline.NewBuffers(8), Log: slog.New(slog.DiscardHandler)})
	var text strings.Builder
	for _, seq := range []int{7, 8, 20, 21} {
		fmt.Fprintf(&text, `{"__CURSOR":"s=00ff;i=%x;b=1;m=2;t=3;x=4","MESSAGE":"\"__CURSOR\":\"s=1;i=1\""}`+"\n", seq)
	}
	out := make(chan pipeline.Chunk, 8)
	if err := r.read(t.Context(), strings.NewReader(text.String()), out); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if n := r.Gaps.Load(); n != 11 {
		t.Errorf("%d entries are missing, not 11", n)
	}
	c := <-out
	if c.Stream.Name != "journal-00ff" || c.Offset != 7 || c.Next != 22 || len(c.Records) != 4 {
		t.Errorf("%+v", c)
	}
}

// TestOutputThatIsNone: journalctl's output is not believed to be what it should be.
func TestOutputThatIsNone(t *testing.T) {
	for _, text := range []string{"\n", "{}\n", `{"__CURSOR":"s=;i=1"}` + "\n", `{"__CURSOR":"s=1;i=0"}` + "\n", `{"__CURSOR":"s=1;i=ffffffffffffffffff"}` + "\n", "\x00\xff\n"} {
		r := New(Config{Log: slog.New(slog.DiscardHandler)})
		if err := r.read(t.Context(), strings.NewReader(text), nil); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%q: %v", text, err)
		}
	}
	in := bufio.NewReaderSize(strings.NewReader(strings.Repeat("x", 1<<20)+"\nrest\n"), pipeline.BufferSize)
	if text, err := line(in); err != nil || len(text) != pipeline.MaxLine {
		t.Errorf("a long line: %d bytes, %v", len(text), err)
	}
	if text, err := line(in); err != nil || string(text) != "rest" {
		t.Errorf("the line after it: %q, %v", text, err)
	}
}
