package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"bounceline/pipeline/e2e/broker"
	"bounceline/pipeline/shipped"
)

// A shippedLine is a record of a topic.
type shippedLine struct {
	shipped.Origin
	value string
}

// shippedLines reads partition 0 of a topic, from the offset on.
func shippedLines(t *testing.T, b *broker.Broker, topic string, from int64) []shippedLine {
	t.Helper()
	conn, err := kafka.DialLeader(context.Background(), "tcp", b.Addr, topic, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	last, err := conn.ReadLastOffset()
	if err != nil {
		t.Fatal(err)
	}
	if from >= last {
		return nil
	}
	var out []shippedLine
	for at := from; at < last; {
		if _, err := conn.Seek(at, kafka.SeekAbsolute); err != nil {
			t.Fatal(err)
		}
		batch := conn.ReadBatch(1, 4<<20)
		for at < last {
			m, err := batch.ReadMessage()
			if err != nil {
				break
			}
			o, err := shipped.Parse(m.Headers[0].Value)
			if err != nil {
				t.Fatal(err)
			}
			out, at = append(out, shippedLine{o, string(m.Value)}), m.Offset+1
		}
		_ = batch.Close() // its error is the end of what was fetched
	}
	return out
}

// startShip starts a shipper of the file, with its state in dir.
func startShip(t *testing.T, b *broker.Broker, topic, dir, path string) *process {
	t.Helper()
	return launch(t, command("ship", "--state-dir", dir, "--kafka-brokers", b.Addr, "--kafka-topic", topic, "--host", "mx1", path))
}

// TestShipKilled kills shippers at random while a log is written and rotated: each line is in the topic at least once, in its
// order, and where it says that it comes from.
func TestShipKilled(t *testing.T) {
	t.Parallel()
	b, topic := newTopic(t, 1)
	dir, logs := t.TempDir(), t.TempDir()
	path := filepath.Join(logs, "mail.log")
	const total, perFile = 6000, 2000
	var contents []string
	written := make(chan error, 1)
	for i := 0; i < total; i += perFile {
		var text strings.Builder
		for n := i; n < i+perFile; n++ {
			text.WriteString(delivery(n))
		}
		contents = append(contents, text.String())
	}
	go func() { // a few lines at a time; the file is renamed between
		for i, text := range contents {
			if i > 0 {
				if err := os.Rename(path, fmt.Sprintf("%s.%d", path, i)); err != nil {
					written <- err
					return
				}
			}
			for len(text) > 0 {
				n := min(len(text), 2000+rand.IntN(6000)) // writes end within lines
				if err := appendFile(path, text[:n]); err != nil {
					written <- err
					return
				}
				text = text[n:]
				<-time.After(20 * time.Millisecond)
			}
		}
		written <- nil
	}()
	var lines []shippedLine
	complete := func() bool {
		lines = append(lines, shippedLines(t, b, topic, int64(len(lines)))...)
		return len(reached(lines)) == len(contents) && sum(reached(lines)) == len(strings.Join(contents, ""))
	}
	kills := 0
	for done := false; !done; {
		m := startShip(t, b, topic, dir, path)
		enough := len(lines) + rand.IntN(total/12)
		if kills == 8 {
			enough = 1 << 30
		}
		eventually(t, "lines in the topic", func() bool {
			done = complete()
			return done || len(lines) > enough
		})
		if done {
			m.stop(t)
			break
		}
		kills++
		m.kill()
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if kills < 3 {
		t.Errorf("only %d were killed", kills)
	}
	texts := map[string]string{} // by stream: the lines where they say they are from
	next := map[string]int64{}
	for _, l := range lines {
		switch {
		case l.From > next[l.Stream]:
			t.Fatalf("%s: a gap from %d to %d", l.Stream, next[l.Stream], l.From)
		case l.From == next[l.Stream]:
			next[l.Stream] = l.To
			texts[l.Stream] += l.value + "\n"
		case texts[l.Stream][l.From:l.To] != l.value+"\n":
			t.Fatalf("%s at %d was %q and is %q", l.Stream, l.From, texts[l.Stream][l.From:l.To], l.value)
		}
	}
	for i, want := range contents {
		found := false
		for _, got := range texts {
			found = found || got == want
		}
		if !found {
			t.Errorf("file %d is not in the topic as it was", i)
		}
	}
	t.Logf("%d kills; %d records for %d lines", kills, len(lines), total)
}

// reached is how far each stream's lines go.
func reached(lines []shippedLine) map[string]int64 {
	out := map[string]int64{}
	for _, l := range lines {
		out[l.Stream] = max(out[l.Stream], l.To)
	}
	return out
}

func sum(m map[string]int64) (n int) {
	for _, v := range m {
		n += int(v)
	}
	return n
}

func appendFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

// TestShipHoldsFiles: a log that is deleted while ship waits for its topic is sent when that is there.
func TestShipHoldsFiles(t *testing.T) {
	t.Parallel()
	b, topic := newTopic(t, 0)
	path := filepath.Join(t.TempDir(), "mail.log")
	appendTo(t, path, 0, 10)
	p := startShip(t, b, topic, t.TempDir(), path)
	eventually(t, "ship waits", func() bool { return strings.Contains(p.log.String(), "waiting for the topic") })
	eventually(t, "ship holds the file", func() bool { return len(openFiles(t, p.Process.Pid, path)) == 1 })
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	appendTo(t, path, 10, 20)
	b.CreateTopic(t, topic, 1)
	eventually(t, "the lines of both files", func() bool { return len(shippedLines(t, b, topic, 0)) == 20 })
	p.stop(t)
}

// TestShipOnce sends finished files, plain and compressed, and sends only what is new the second time; run --config ships too.
func TestShipOnce(t *testing.T) {
	t.Parallel()
	b, topic := newTopic(t, 1)
	dir, logs := t.TempDir(), t.TempDir()
	postfix := demoLog(t, "postfix.log.zst")
	plain := filepath.Join(logs, "mail.log")
	if err := os.WriteFile(plain, postfix, 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(plain, old, old); err != nil {
		t.Fatal(err)
	}
	args := []string{"ship", "--once", "--state-dir", dir, "--kafka-brokers", b.Addr, "--kafka-topic", topic, "--host", "mx1"}
	n := bytes.Count(postfix, []byte("\n"))
	if out := bounceline(t, append(args, plain)...); !strings.Contains(out, fmt.Sprintf("%d lines sent", n)) {
		t.Errorf("first: %s", out)
	}
	if out := bounceline(t, append(args, "../../testdata/demo/postfix.log.zst")...); !strings.Contains(out, ": 0 lines sent") {
		t.Errorf("the compressed copy: %s", out)
	}
	if lines := shippedLines(t, b, topic, 0); len(lines) != n || lines[n-1].To != int64(len(postfix)) {
		t.Errorf("%d records for %d lines", len(lines), n)
	}

	file := filepath.Join(dir, "bounceline.yaml")
	exim := demoLog(t, "exim.log.zst")
	if err := os.WriteFile(filepath.Join(logs, "mainlog"), exim, 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("state_dir: %s\ninputs:\n  - {name: exim, paths: [%s/mainlog]}\nship:\n  brokers: [%s]\n  topic: %s\n  host: mx1\n", dir, logs, b.Addr, topic)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m := launch(t, command("run", "--config", file))
	want := n + bytes.Count(exim, []byte("\n"))
	eventually(t, "the configured file's lines", func() bool { return len(shippedLines(t, b, topic, int64(want-1))) == 1 })
	m.Process.Signal(syscall.SIGHUP)
	m.stop(t)
	last := shippedLines(t, b, topic, int64(want-1))[0]
	if last.Source != "exim" || last.Host != "mx1" || last.To != int64(len(exim)) || !strings.HasSuffix(last.Anchor, " UTC") {
		t.Errorf("the last line's origin: %+v", last.Origin)
	}
}

// TestShipReadsANamedPipe ships what two writers put into a named pipe.
func TestShipReadsANamedPipe(t *testing.T) {
	t.Parallel()
	b, topic := newTopic(t, 1)
	path := filepath.Join(t.TempDir(), "maillog")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	m := startShip(t, b, topic, t.TempDir(), path)
	want := ""
	for n := range 2 {
		text := delivery(2*n) + delivery(2*n+1)
		want += text
		f, err := os.OpenFile(path, os.O_WRONLY, 0) // waits for the reader
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	var lines []shippedLine
	eventually(t, "the lines in the topic", func() bool {
		lines = shippedLines(t, b, topic, 0)
		return len(lines) == 4
	})
	m.stop(t)
	got, at := "", int64(0)
	for _, l := range lines {
		if l.From != at || l.Stream != lines[0].Stream {
			t.Errorf("origin %+v, want one at %d", l.Origin, at)
		}
		got, at = got+l.value+"\n", l.To
	}
	if got != want {
		t.Errorf("the topic has %q", got)
	}
}

func TestShipUsage(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"name the files":               {},
		"name the topic":               {"f"},
		"ship: brokers: name at least": {"f", "--kafka-topic", "x"},
		`ship: compression: "lzma"`:    {"f", "--kafka-topic", "x", "--kafka-brokers", "k:1", "--kafka-compression", "lzma"},
		`ship: topic: "a b" can be no`: {"f", "--kafka-topic", "a b", "--kafka-brokers", "k:1"},
		"ship: user: is missing":       {"f", "--kafka-topic", "x", "--kafka-brokers", "k:1", "--kafka-sasl", "plain"},
	} {
		out, err := command(append([]string{"ship"}, args...)...).CombinedOutput()
		if exit := new(exec.ExitError); err == nil || !asExit(err, &exit) || exit.ExitCode() != exitUsage || !strings.Contains(string(out), want) {
			t.Errorf("ship %v: %v, %s, want %s", args, err, out, want)
		}
	}
}

func asExit(err error, to **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError)
	*to = e
	return ok
}

// TestShippedRows: what is shipped is stored as an import stores it but for the stream's name, and whichever comes first, the other
// adds nothing.
func TestShippedRows(t *testing.T) {
	t.Parallel()
	b, topic := newTopic(t, 1)
	logs := t.TempDir()
	old := time.Now().Add(-time.Hour)
	var files []string
	for _, name := range []string{"postfix.log", "exim.log"} {
		path := filepath.Join(logs, name)
		if err := os.WriteFile(path, demoLog(t, name+".zst"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	last := filepath.Join(logs, "last.log")
	if err := os.WriteFile(last, []byte(delivery(1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(last, old.Add(time.Minute), old.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	bounceline(t, append([]string{"ship", "--once", "--state-dir", t.TempDir(), "--kafka-brokers", b.Addr, "--kafka-topic", topic, "--host", "mx1", last}, files...)...)
	const (
		all   = "SELECT sum(cityHash64(toString(tuple(* EXCEPT (ingest_time, stream))))) FROM delivery_events WHERE source != 'last.log'"
		ended = "SELECT count() FROM delivery_events WHERE source = 'last.log'"
	)
	imported, shipped := newStore(t), newStore(t)
	bounceline(t, append([]string{"import", "--state-dir", imported.dir, "--log-host", "mx1"}, files...)...)
	n, sum := imported.rows(t), imported.number(t, all)
	for name, s := range map[string]*store{"imported before": imported, "shipped": shipped} {
		m := startMember(t, s, b, "--kafka-topics", topic, "--kafka-group", strings.ReplaceAll(name, " ", "-"))
		eventually(t, name+": the last line", func() bool { return s.number(t, ended) == 1 })
		m.stop(t)
		if got := s.rows(t); got != n+1 || s.number(t, all) != sum {
			t.Errorf("%s: %d rows and not %d, or other ones", name, got, n+1)
		}
	}
	out := bounceline(t, append([]string{"import", "--state-dir", shipped.dir, "--log-host", "mx1"}, files...)...)
	if got := shipped.rows(t); got != n+1 || strings.Count(out, "already stored") != 2 {
		t.Errorf("an import of what was shipped: %d rows and not %d: %s", got, n+1, out)
	}
}
