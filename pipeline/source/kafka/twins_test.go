package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"bounceline/pipeline/batch"
	"bounceline/pipeline/e2e/broker"
	"bounceline/pipeline/shipped"
	"bounceline/pipeline/source/content"
)

// other is the line of a file that begins as one of the lines line makes does, and goes on otherwise behind so many.
func other(common int) func(int) string {
	return func(n int) string {
		if n < common {
			return line(n)
		}
		return line(n + 5000)
	}
}

// prefix is what the names of all these files begin with.
func prefix() string { return content.Prefix([]byte(line(0) + "\n")) }

// nameAt is what a host calls the file.
func nameAt(host string) string { return content.Name(prefix()+content.Tag(host), 0) }

// imported is what the file is called where it is read directly.
func imported() string { return content.Name(prefix(), 0) }

// read stores lines [from, to) as reading the file directly does.
func (s *store) read(stream string, from, to int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := from; n < to; n++ {
		id := fmt.Sprintf("%s %d/0", stream, n*1000)
		s.rows[id], s.texts[id], s.queue[id] = 1, fmt.Sprintf("user%d@example.org", n), fmt.Sprintf("%010X", 0x4F2A000000+n)
	}
	s.ledger[fmt.Sprint(stream, from)] = batch.Range{Stream: stream, From: int64(from) * 1000, To: int64(to) * 1000, Marker: fmt.Sprintf("%016x", to)}
}

// of is how many rows the stream has, and how many event lines of it the ledger counts.
func (s *store) of(stream string) (rows int, events uint64) {
	places, _ := s.QueueIDs(context.Background(), stream, 0, 1<<62, 1<<30)
	ranges, _ := s.Ledger(context.Background(), stream)
	for _, r := range ranges {
		events += r.EventLines
	}
	return len(places), events
}

// testHostsThatBeginAlike ships the logs of two hosts that begin with the same lines, through one partition and through two: each
// line of both is stored.
func testHostsThatBeginAlike(t *testing.T, b *broker.Broker) {
	for partitions := 1; partitions <= 2; partitions++ {
		topic := fmt.Sprint("alike", partitions)
		b.CreateTopic(t, topic, partitions)
		s := newStore()
		first, second := shipmentOf(nameAt("mx1"), 0, 40), shipmentOfLines(nameAt("mx2"), 0, 40, other(3))
		var all []kafka.Message
		for i := range first {
			all = append(all, first[i], second[i])
		}
		var members []*running
		for range partitions {
			members = append(members, start(t, b, s, topic, func(c *Config) { c.Group, c.Pipeline.MaxRows = topic+t.Name(), 7 }))
		}
		write(t, b, topic, 0, all...)
		eventually(t, "all records", func() bool { return s.covered() == 80 })
		for _, m := range members {
			m.stop(t)
		}
		if n := s.stored(t); n != 80 {
			t.Errorf("%d partitions: %d rows of 80 lines", partitions, n)
		}
	}
}

// testReadDirectlyBefore ships files when one that begins so was read directly.
func testReadDirectlyBefore(t *testing.T, b *broker.Broker) {
	mx1 := nameAt("mx1")
	once := func(m []kafka.Message) [][]kafka.Message { return [][]kafka.Message{m} }
	var single [][]kafka.Message
	for _, m := range shipmentOfLines(mx1, 0, 6, other(1)) {
		single = append(single, []kafka.Message{m})
	}
	for i, c := range []struct {
		what     string
		read     int // lines that were read directly
		shipped  [][]kafka.Message
		stored   int // rows of the shipped stream
		fail     bool
		rowsOnly bool // the ledger does not know of what was read
	}{
		{"the same file", 40, once(shipmentOf(mx1, 0, 40)), 0, false, false},
		{"the same, when it has grown", 25, once(shipmentOf(mx1, 0, 40)), 15, false, false},
		{"the same, of one line", 1, once(shipmentOf(mx1, 0, 1)), 0, false, false},
		{"the same, in pieces", 40, [][]kafka.Message{shipmentOf(mx1, 0, 11), shipmentOf(mx1, 11, 12), shipmentOf(mx1, 12, 45)}, 5, false, false},
		{"the same, whose shipper lost its state", 30, [][]kafka.Message{shipmentOf(mx1, 0, 35), shipmentOf(mx1, 0, 40)}, 10, false, false},
		{"the same, which an import that was killed has begun", 20, once(shipmentOf(mx1, 0, 40)), 20, false, true},
		{"the same, when its batch is interrupted", 25, once(shipmentOf(mx1, 0, 40)), 15, true, false},
		{"another that begins so", 40, once(shipmentOfLines(mx1, 0, 30, other(4))), 30, false, false},
		{"another, when its batch is interrupted", 40, once(shipmentOfLines(mx1, 0, 30, other(4))), 30, true, false},
		{"another, line by line", 40, single, 6, false, false},
		{"another, whose shipper lost its state", 40, [][]kafka.Message{shipmentOfLines(mx1, 0, 9, other(1)), shipmentOfLines(mx1, 0, 12, other(1))}, 12, false, false},
		{"one that was shipped before hosts had names of their own", 40, once(shipmentOf(imported(), 0, 45)), 5, false, false},
	} {
		topic := fmt.Sprint("read", i)
		b.CreateTopic(t, topic, 1)
		s := newStore()
		s.read(imported(), 0, c.read)
		if c.rowsOnly {
			clear(s.ledger)
		}
		records := 0
		for _, m := range c.shipped {
			if c.fail {
				s.failLedger = func(*batch.Batch) error { return errPassing }
			}
			write(t, b, topic, 0, m...)
			records += len(m)
			r := start(t, b, s, topic)
			if c.fail {
				eventually(t, "rows without ledger", func() bool { n, _ := s.of(mx1); return n > 0 })
				r.interrupt(t, s)
				r = start(t, b, s, topic)
			}
			eventually(t, c.what, func() bool { o, _ := group(t, b, t.Name(), topic, 0); return o == int64(records) })
			r.stop(t)
		}
		s.stored(t)
		last := c.shipped[len(c.shipped)-1]
		stream := shippedStream(t, last[0])
		rows, events := s.of(stream)
		if stream == imported() {
			rows -= c.read
		}
		if rows != c.stored || events != uint64(c.stored) {
			t.Errorf("%s: %d rows and %d events of the shipped stream, not %d: %s", c.what, rows, events, c.stored, s.ranges(stream))
		}
		want := map[string]bool{}
		for _, m := range slices.Concat(c.shipped...) {
			want[recipientOf(m)] = true
		}
		for r := range s.recipients() {
			delete(want, r)
		}
		if len(want) > 0 {
			t.Errorf("%s: no rows for %v", c.what, want)
		}
	}
}

// testReadDirectlyMeanwhile reads a file on directly while its shipper cannot send, and then lets the shipper go on.
func testReadDirectlyMeanwhile(t *testing.T, b *broker.Broker) {
	b.CreateTopic(t, "meanwhile", 1)
	s, stream := newStore(), nameAt("mx1")
	r := start(t, b, s, "meanwhile", func(c *Config) { c.Idle = time.Nanosecond })
	write(t, b, "meanwhile", 0, shipmentOf(stream, 0, 20)...)
	eventually(t, "the first lines", func() bool { return s.covered() == 20 })
	s.read(stream, 20, 35)
	write(t, b, "meanwhile", 0, shipmentOf(stream, 20, 40)...)
	eventually(t, "the rest", func() bool { o, _ := group(t, b, t.Name(), "meanwhile", 0); return o == 40 })
	r.stop(t)
	if n := s.stored(t); n != 40 {
		t.Errorf("%d rows of 40 lines", n)
	}
}

// shippedStream is the stream that a shipped line names.
func shippedStream(t *testing.T, m kafka.Message) string {
	t.Helper()
	o, err := shipped.Parse(m.Headers[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	return o.Stream
}

// recipientOf is the recipient of a delivery.
func recipientOf(m kafka.Message) string {
	_, rest, _ := strings.Cut(string(m.Value), "to=<")
	to, _, _ := strings.Cut(rest, ">")
	return to
}
