package kafka

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"

	"bounceline/parsers"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/e2e/broker"
	"bounceline/pipeline/shipped"
)

// shipmentOf makes the records of lines [from, to) of a file in which line n is at position 1000 n.
func shipmentOf(stream string, from, to int) []kafka.Message {
	return shipmentOfLines(stream, from, to, line)
}

// shipmentOfLines is shipmentOf for a file of other lines.
func shipmentOfLines(stream string, from, to int, line func(int) string) []kafka.Message {
	var out []kafka.Message
	p, err := parsers.NewStream(parsers.Options{})
	if err != nil {
		panic(err)
	}
	for n := from; n < to; n++ {
		o := shipped.Origin{Stream: stream, From: int64(n) * 1000, To: int64(n+1) * 1000, Marker: fmt.Sprintf("%016x", n+1), Source: "mail", Anchor: p.Anchor()}
		out = append(out, kafka.Message{Value: []byte(line(n)), Headers: []kafka.Header{{Key: shipped.Header, Value: shipped.Append(nil, &o)}}})
	}
	return out
}

// ranges lists what the ledger has of a stream.
func (s *store) ranges(stream string) string {
	all, _ := s.Ledger(context.Background(), stream)
	var out []string
	for _, r := range all {
		out = append(out, fmt.Sprintf("%d-%d %d rows", r.From, r.To, r.Rows))
	}
	return strings.Join(out, ", ")
}

func testShippedLines(t *testing.T, b *broker.Broker) {
	b.CreateTopic(t, "shipped", 1)
	s := newStore()
	// Lines 20 to 25 of file a are stored from the file itself; the ledger lacks line 30, whose row is there.
	via := batch.Range{Stream: "a", From: 20_000, To: 25_000}
	s.ledger["import"] = via
	s.rows["a 30000/0"] = 1
	var all []kafka.Message
	all = append(all, shipmentOf("a", 0, 10)...)
	all = append(all, lines(1000, 1003)...)       // somebody else's
	all = append(all, shipmentOf("a", 5, 15)...)  // five of them again
	all = append(all, shipmentOf("b", 0, 10)...)  // another file
	all = append(all, shipmentOf("a", 15, 40)...) // on
	all = append(all, shipmentOf("b", 12, 20)...) // two lines were refused
	all = append(all, shipmentOf("a", 0, 40)...)  // a shipper that lost its memory
	newer, damaged := shipmentOf("c", 0, 1), shipmentOf("c", 0, 1)
	newer[0].Headers[0].Value[0] = 99
	damaged[0].Headers[0].Value = damaged[0].Headers[0].Value[:20]
	all = append(append(all, newer...), damaged...)
	all = append(all, shipmentOf(clusterID(t, b)+"/shipped/0/0", 0, 1)...)
	write(t, b, "shipped", 0, all...)
	small := func(c *Config) { c.Pipeline.MaxRows = 7 }
	r := start(t, b, s, "shipped", small)
	eventually(t, "all records", func() bool { o, _ := group(t, b, t.Name(), "shipped", 0); return o == int64(len(all)) })
	r.stop(t)
	// file a without the five that were stored, of which one was there; file b; three and one of a newer version of the topic itself
	if n, want := s.stored(t), 40-5+18+3+1; n != want {
		t.Errorf("%d rows, not %d", n, want)
	}
	if got := r.Counts.Repeated.Load(); got != 45 || r.Counts.Newer.Load() != 1 || r.bad() != "origin 1, shipped_line 1" {
		t.Errorf("%d repeated lines, %d newer headers, %s", got, r.Counts.Newer.Load(), r.bad())
	}
	last := batch.Range{}
	ofB, _ := s.Ledger(t.Context(), "b")
	for _, r := range ofB {
		if r.From < last.To || r.Via != streamOfPartition(s) {
			t.Errorf("range %+v after %+v", r, last)
		}
		last = r
	}
	if last.To != 20_000 || last.Marker != fmt.Sprintf("%016x", 20) || strings.Contains(s.ranges("b"), "9000-13000") {
		t.Errorf("ledger of b: %s", s.ranges("b"))
	}
	// What has passed is known to the next member.
	write(t, b, "shipped", 0, append(shipmentOf("a", 38, 45), shipmentOf("b", 0, 3)...)...)
	r = start(t, b, s, "shipped", small)
	eventually(t, "more records", func() bool { o, _ := group(t, b, t.Name(), "shipped", 0); return o == int64(len(all))+10 })
	r.stop(t)
	if n, want := s.stored(t), 57+5; n != want {
		t.Errorf("%d rows, not %d", n, want)
	}
}

func clusterID(t *testing.T, b *broker.Broker) string {
	t.Helper()
	m, err := b.Client().Metadata(t.Context(), &kafka.MetadataRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return m.ClusterID
}

func streamOfPartition(s *store) string {
	for _, r := range s.ledger {
		if r.Via == "" && strings.Contains(r.Stream, "/") {
			return r.Stream
		}
	}
	return ""
}

// testShippedUnderAnothersName ships a file under the name of another one that is stored: it is told at the first place where markers
// are known, and the lines behind are stored.
func testShippedUnderAnothersName(t *testing.T, b *broker.Broker) {
	b.CreateTopic(t, "strange", 1)
	s := newStore()
	write(t, b, "strange", 0, shipmentOf("a", 0, 20)...)
	r := start(t, b, s, "strange")
	eventually(t, "the first file", func() bool { return s.covered() == 20 })
	r.stop(t)
	var other []kafka.Message
	for _, m := range shipmentOf("a", 0, 30) {
		o, err := shipped.Parse(m.Headers[0].Value)
		if err != nil {
			t.Fatal(err)
		}
		o.Marker = strings.Repeat("f", 16)
		m.Headers[0].Value = shipped.Append(nil, &o)
		other = append(other, m)
	}
	write(t, b, "strange", 0, other...)
	r = start(t, b, s, "strange")
	eventually(t, "the other file", func() bool { return s.covered() == 50 })
	r.stop(t)
	if n := s.stored(t); n != 30 || r.Counts.Strange.Load() == 0 || strings.Count(r.log.String(), "not the one that is stored under its name") != 1 {
		t.Errorf("%d rows, %d strange lines", n, r.Counts.Strange.Load())
	}
}

// testShippedLinesTakenOver interrupts a batch of shipped lines, of which some are repetitions, before its ledger is written.
func testShippedLinesTakenOver(t *testing.T, b *broker.Broker) {
	b.CreateTopic(t, "taken", 1)
	s := newStore()
	write(t, b, "taken", 0, shipmentOf("a", 0, 20)...)
	r := start(t, b, s, "taken")
	eventually(t, "the first lines", func() bool { return s.covered() == 20 })
	r.stop(t)
	s.failLedger = func(*batch.Batch) error { return errPassing }
	write(t, b, "taken", 0, append(shipmentOf("a", 10, 50), shipmentOf("a", 30, 60)...)...)
	r = start(t, b, s, "taken")
	eventually(t, "rows without ledger", func() bool { return s.stored(t) > 20 })
	r.interrupt(t, s)
	r = start(t, b, s, "taken")
	eventually(t, "all records", func() bool { return s.covered() == 90 })
	r.stop(t)
	if n := s.stored(t); n != 60 {
		t.Errorf("%d rows of 60 lines: %s", n, s.ranges("a"))
	}
}
