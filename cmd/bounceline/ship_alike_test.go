package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// deliveries are the lines [from, to) of a log.
func deliveries(from, to int) string {
	var b strings.Builder
	for n := from; n < to; n++ {
		b.WriteString(delivery(n))
	}
	return b.String()
}

// TestLogsThatBeginAlike ships the logs of two hosts that begin with the same lines, one of which was imported before. Each line of
// both is stored once, however often it is imported, shipped, stored anew or mended afterwards.
func TestLogsThatBeginAlike(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	b, topic := newTopic(t, 4)
	logs := t.TempDir()
	first := write(t, filepath.Join(logs, "mx1.log"), []byte(deliveries(0, 300)))
	begun := write(t, filepath.Join(logs, "mx1.copy"), []byte(deliveries(0, 200)))
	second := write(t, filepath.Join(logs, "mx2.log"), []byte(deliveries(0, 20)+deliveries(1000, 1280)))
	both := func(what string) {
		t.Helper()
		if n := s.rows(t); n != 600 {
			t.Errorf("%s: %d rows of 600 lines", what, n)
		}
		if out := bounceline(t, "verify", "--state-dir", s.dir); !strings.Contains(out, "all is well") {
			t.Errorf("%s: %s", what, out)
		}
	}
	sent := 0
	ship := func(host, path string) {
		t.Helper()
		bounceline(t, "ship", "--once", "--state-dir", t.TempDir(), "--kafka-brokers", b.Addr, "--kafka-topic", topic, "--host", host, path)
		sent += 300
	}
	read := func() bool {
		return s.number(t, "SELECT toUInt64(sum(to_pos - from_pos)) FROM ingest_batches FINAL WHERE position(stream, '/"+topic+"/') > 0") == uint64(sent)
	}

	bounceline(t, "import", "--state-dir", s.dir, begun)
	ship("mx1", first)
	ship("mx2", second)
	m := startMember(t, s, b, "--kafka-topics", topic)
	eventually(t, "what was shipped", read)
	both("shipped after an import")
	ship("mx1", first) // with another state directory
	ship("mx2", second)
	eventually(t, "what was shipped again", read)
	m.stop(t)
	both("shipped again")

	out := bounceline(t, "import", "--state-dir", s.dir, begun, first, second)
	if strings.Count(out, "already stored") != 3 || strings.Contains(out, "added") {
		t.Errorf("imported after: %s", out)
	}
	both("imported after")

	s.exec(t, "ALTER TABLE delivery_events DELETE WHERE recipient IN ('user50@example.org', 'user250@example.org', 'user1100@example.org') SETTINGS mutations_sync = 2")
	for range 2 { // the first file is stored under two names, which are mended one after the other
		_ = command("verify", "--repair", "--state-dir", s.dir, first, second).Run() // it fails as long as something is wrong
	}
	both("mended")

	bounceline(t, "import", "--state-dir", s.dir, "--again", first)
	both("stored anew")
	m = startMember(t, s, b, "--kafka-topics", topic)
	ship("mx1", first)
	eventually(t, "what was shipped at last", read)
	m.stop(t)
	both("shipped after all")
}
