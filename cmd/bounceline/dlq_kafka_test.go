package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"bounceline/pipeline/shipped"
)

// TestUnreadableRecords: what cannot be read in a topic holds up nothing, is listed with its place and its reason, and is stored
// by a replay where it is a line after all.
func TestUnreadableRecords(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	b, topic := newTopic(t, 1)
	text := func(n int) []byte { return []byte(strings.TrimSuffix(delivery(n), "\n")) }
	const file = "file-0123456789abcdef0123456789abcdef-0"
	shippedAs := func(from, to int64, value []byte, damage int) kafka.Message {
		o := shipped.Origin{Stream: file, From: from, To: to, Marker: "0123456789abcdef", Source: "mail.log", Host: "mx1"}
		header := shipped.Append(nil, &o)
		return kafka.Message{Value: value, Headers: []kafka.Header{{Key: shipped.Header, Value: header[:len(header)-damage]}}}
	}
	messages := []kafka.Message{{Value: text(0)}, {Value: nil}, {Value: []byte("\xff no log \x1b[2J")}, shippedAs(0, 400, text(1), 3),
		shippedAs(400, 410, text(2), 0), shippedAs(1000, 1400, []byte("no log either"), 0), {Value: text(3)}}
	for i := range messages {
		messages[i].Key = []byte("mx1")
	}
	w, end := newWriter(b, topic)
	defer end()
	w.BatchSize = len(messages)
	if err := w.WriteMessages(context.Background(), messages...); err != nil {
		t.Fatal(err)
	}
	m := startMember(t, s, b, "--kafka-topics", topic)
	eventually(t, "the lines behind", s.has(t, 2))
	m.stop(t)
	letters := func() map[string][]string {
		t.Helper()
		rows, err := csv.NewReader(strings.NewReader(bounceline(t, "dlq", "list", "--state-dir", s.dir, "--output", "csv"))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		out := map[string][]string{}
		for _, r := range rows[1:] {
			out[r[5]] = r
		}
		return out
	}
	got := letters()
	for record, reason := range map[string]string{topic + "/0@1": "no value", topic + "/0@2": "malformed: no known envelope", topic + "/0@3": "header", topic + "/0@4": "not what its header says",
		topic + "/0@5": "malformed"} {
		if r := got[record]; r == nil || !strings.Contains(r[4], reason) {
			t.Errorf("%s: %q, want %s", record, r, reason)
		}
	}
	if len(got) != 5 || !strings.HasPrefix(got[topic+"/0@5"][0], file+":1000") {
		t.Errorf("letters: %q", got)
	}
	if out := bounceline(t, "dlq", "show", "--state-dir", s.dir, got[topic+"/0@2"][0]); !strings.Contains(out, "key      mx1") || strings.Contains(out, "\x1b") {
		t.Errorf("show: %s", out)
	}
	bounceline(t, "verify", "--state-dir", s.dir)
	out, _ := command("dlq", "replay", "--state-dir", s.dir, "--all").CombinedOutput()
	for _, want := range []string{"1 of 5 dead letters stored", "there is no line in it", "it cannot be read: no known envelope", "its header does not belong to it"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("replay: %s, want %s", out, want)
		}
	}
	if n := s.rows(t); n != 3 {
		t.Errorf("%d rows after the replay", n)
	}
	bounceline(t, "verify", "--state-dir", s.dir)
	if out := bounceline(t, "dlq", "remove", "--state-dir", s.dir, got[topic+"/0@2"][0]); !strings.Contains(out, "1 dead letter removed") || len(letters()) != 3 {
		t.Errorf("remove: %s", out)
	}
}

// TestRefusedLinesReplayed: a line that the brokers refuse lies on the mail host; carried to the database it is stored as the line
// of its file, so that an import of the file adds nothing.
func TestRefusedLinesReplayed(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	b, topic := newTopic(t, 1, "max.message.bytes", "3000", "compression.type", "uncompressed")
	long := strings.Replace(delivery(2), "queued as", strings.Repeat("queued ", 700)+"as", 1)
	log := write(t, filepath.Join(t.TempDir(), "mail.log"), []byte(delivery(0)+delivery(1)+long+delivery(3)))
	host := t.TempDir()
	args := []string{"ship", "--once", "--state-dir", host, "--kafka-brokers", b.Addr, "--kafka-topic", topic, "--host", "mx1", "--kafka-compression", "none", log}
	if out := bounceline(t, args...); !strings.Contains(out, "4 lines sent, 1 of them refused") {
		t.Errorf("ship: %s", out)
	}
	m := startMember(t, s, b, "--kafka-topics", topic)
	eventually(t, "the other lines", s.has(t, 3))
	m.stop(t)
	if out := bounceline(t, "dlq", "list", "--state-dir", host); !strings.Contains(out, topic+"/0, not taken") {
		t.Errorf("list: %s", out)
	}
	if out, err := command("dlq", "replay", "--state-dir", host, "--all").CombinedOutput(); err == nil || !strings.Contains(string(out), "carry") {
		t.Errorf("replay without a database: %v, %s", err, out)
	}
	carried := filepath.Join(t.TempDir(), "carried.ndjson")
	data, err := os.ReadFile(filepath.Join(host, "dead-letters.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, carried, data)
	if out := bounceline(t, "dlq", "replay", "--state-dir", s.dir, "--file", carried, "--all"); !strings.Contains(out, "1 of 1 dead letter stored") {
		t.Errorf("replay: %s", out)
	}
	if n := s.rows(t); n != 4 {
		t.Errorf("%d rows of 4 lines", n)
	}
	bounceline(t, "verify", "--state-dir", s.dir)
	if out := bounceline(t, "import", "--state-dir", s.dir, log); !strings.Contains(out, fmt.Sprintf("already stored: %d lines", 4)) || s.rows(t) != 4 {
		t.Errorf("import: %s", out)
	}
	imported := newStore(t)
	bounceline(t, "import", "--state-dir", imported.dir, log)
	write(t, carried, data)
	out := bounceline(t, "dlq", "replay", "--state-dir", imported.dir, "--file", carried, "--all")
	if n := imported.rows(t); n != 4 || !strings.Contains(out, "1 of 1 dead letter stored") {
		t.Errorf("replayed where the file was imported: %d rows of 4 lines: %s", n, out)
	}
	bounceline(t, "verify", "--state-dir", imported.dir)
}

// TestRefusedRowsOfTopics: lines from a topic whose rows the database refuses are kept with their records, and a replay reads a
// shipped one as its mail host said.
func TestRefusedRowsOfTopics(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	b, topic := newTopic(t, 1)
	s.exec(t, "ALTER TABLE delivery_events ADD CONSTRAINT good CHECK NOT startsWith(recipient, 'refused')")
	line := func(n int) string {
		return fmt.Sprintf("Nov 22 05:13:%02d mx1 postfix/smtp[417]: 4jXHTQ%06d: to=<refused%d@example.com>, relay=none, delay=1, delays=0/0/1/0, dsn=5.1.1, status=bounced (no such user)\n",
			n, n, n)
	}
	log := filepath.Join(t.TempDir(), "mail.log")
	if err := os.WriteFile(log, []byte(delivery(0)+line(1)+line(2)), 0o600); err != nil {
		t.Fatal(err)
	}
	stamp := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(log, stamp, stamp); err != nil {
		t.Fatal(err)
	}
	bounceline(t, "ship", "--once", "--state-dir", t.TempDir(), "--kafka-brokers", b.Addr, "--kafka-topic", topic, "--host", "mx1", "--log-zone", "Asia/Tokyo", log)
	m := startMember(t, s, b, "--kafka-topics", topic)
	eventually(t, "the line that is right", s.has(t, 1))
	m.stop(t)
	list := bounceline(t, "dlq", "list", "--state-dir", s.dir)
	for offset := 1; offset <= 2; offset++ {
		if !strings.Contains(list, fmt.Sprintf("%s/0@%d", topic, offset)) {
			t.Errorf("offset %d: %s", offset, list)
		}
	}
	s.exec(t, "ALTER TABLE delivery_events DROP CONSTRAINT good")
	if out := bounceline(t, "dlq", "replay", "--state-dir", s.dir, "--all"); !strings.Contains(out, "2 of 2 dead letters stored") {
		t.Errorf("replay: %s", out)
	}
	if n := s.number(t, "SELECT count() FROM delivery_events WHERE startsWith(recipient, 'refused') AND toHour(event_time, 'UTC') = 20 AND toDate(event_time, 'UTC') = '2026-11-21'"); n != 2 {
		t.Errorf("%d rows have the time of Tokyo", n)
	}
	bounceline(t, "verify", "--state-dir", s.dir)
}

// TestTopicsNeedNoStateDirectory: a run that reads topics into a server keeps what it cannot read although its state directory cannot
// be made, and says where.
func TestTopicsNeedNoStateDirectory(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	b, topic := newTopic(t, 1)
	produce(t, b, topic, 1, 0, 10)
	w, end := newWriter(b, topic)
	defer end()
	w.BatchSize = 1
	if err := w.WriteMessages(context.Background(), kafka.Message{Value: []byte("no log line")}); err != nil {
		t.Fatal(err)
	}
	produce(t, b, topic, 1, 10, 20)
	dsn := strings.TrimSpace(bounceline(t, "engine", "--dsn", "--state-dir", s.dir))
	nowhere := filepath.Join(write(t, filepath.Join(t.TempDir(), "file"), nil), "state")
	args := []string{"run", "--state-dir", nowhere, "--clickhouse", dsn, "--kafka-brokers", b.Addr, "--kafka-topics", topic}
	m := launch(t, command(args...))
	eventually(t, "the lines", s.has(t, 20))
	m.stop(t)
	_, file, found := strings.Cut(m.log.String(), " file=")
	file, _, _ = strings.Cut(file, " ")
	if !found {
		t.Fatal("the log does not say where dead letters go")
	}
	if out := bounceline(t, "dlq", "list", "--file", file); !strings.Contains(out, topic+"/0@10") {
		t.Errorf("list: %s", out)
	}
	cmd := command(args...)
	cmd.Env = append(cmd.Env, "TMPDIR="+nowhere)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "dead letters have no place: name a directory") {
		t.Errorf("with nowhere to write: %v, %s", err, out)
	}
}
