package kafka

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"bounceline/pipeline/e2e/broker"
)

// TestBrokerRestarts stops the broker in order, and kills it, while it is read.
func TestBrokerRestarts(t *testing.T) {
	t.Parallel()
	b := broker.Start(t)
	b.CreateTopic(t, "restarts", 3)
	s := newStore()
	write(t, b, "restarts", 0, lines(0, 300)...)
	r := start(t, b, s, "restarts")
	eventually(t, "the first lines", func() bool { return s.stored(t) == 300 })
	for round, end := range []func(){b.Stop, b.Kill} {
		end()
		if err := b.Restart(); err != nil {
			t.Fatal(err)
		}
		from := 300 * (round + 1)
		write(t, b, "restarts", kafka.Lz4, lines(from, from+300)...)
		eventually(t, fmt.Sprint("lines after restart ", round), func() bool { return s.stored(t) == from+300 })
	}
	r.stop(t)
	if n := len(s.recipients()); n != 900 {
		t.Errorf("%d recipients of 900", n)
	}
}

// TestTransactions reads what a transactional producer writes. The client hands out what was aborted too.
func TestTransactions(t *testing.T) {
	t.Parallel()
	shared().CreateTopic(t, "transactions", 1)
	client, err := kgo.NewClient(kgo.SeedBrokers(shared().Addr), kgo.DefaultProduceTopic("transactions"), kgo.TransactionalID("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for n, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit} {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := client.ProduceSync(t.Context(), &kgo.Record{Value: []byte(line(n))}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := client.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	s := newStore()
	r := start(t, shared(), s, "transactions")
	eventually(t, "records and markers to be committed", func() bool { o, _ := group(t, shared(), t.Name(), "transactions", 0); return o == 6 })
	r.stop(t)
	if n := s.stored(t); n != 3 || r.Counts.Control.Load() != 3 {
		t.Errorf("%d rows, %d markers", n, r.Counts.Control.Load())
	}
	// A marker is what was read last: that another one stands there would mean another topic.
	r = start(t, shared(), s, "transactions")
	eventually(t, "the partition to be read again", func() bool { return strings.Contains(r.log.String(), "transactions/0/0 from=6") })
	r.stop(t)
}

// TestCompactedTopic reads a topic of which nearly everything is gone.
func TestCompactedTopic(t *testing.T) {
	t.Parallel()
	shared().CreateTopic(t, "compacted", 1, "cleanup.policy", "compact", "segment.ms", "100", "min.cleanable.dirty.ratio", "0.01", "min.compaction.lag.ms", "0",
		"max.compaction.lag.ms", "100")
	s := newStore()
	var messages []kafka.Message
	for n := range 400 {
		messages = append(messages, kafka.Message{Key: []byte{byte(n % 4)}, Value: []byte(line(n))})
	}
	write(t, shared(), "compacted", 0, messages...)
	waitForTopic := func() bool { // the last segment is never compacted: give it something to do
		write(t, shared(), "compacted", 0, kafka.Message{Key: []byte("last"), Value: []byte(line(1000))})
		return offsetsOf(t, "compacted") <= 60
	}
	deadline := time.Now().Add(60 * time.Second)
	for !waitForTopic() {
		if time.Now().After(deadline) {
			t.Fatalf("the broker does not compact: %d records", offsetsOf(t, "compacted"))
		}
		<-time.After(300 * time.Millisecond)
	}
	end := lastOffset(t, "compacted")
	r := start(t, shared(), s, "compacted")
	eventually(t, "the end of the topic", func() bool { o, _ := group(t, shared(), t.Name(), "compacted", 0); return o >= end })
	r.stop(t)
	got := s.recipients()
	for n := 396; n < 400; n++ {
		if !got[fmt.Sprintf("user%d@example.org", n)] {
			t.Errorf("line %d is missing", n)
		}
	}
	s.stored(t)
}

// offsetsOf counts the records that a topic's only partition still has.
func offsetsOf(t *testing.T, topic string) int {
	t.Helper()
	end := lastOffset(t, topic)
	client, err := kgo.NewClient(kgo.SeedBrokers(shared().Addr), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for n := 0; ; {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		last := int64(-1)
		fetches.EachRecord(func(r *kgo.Record) { n++; last = r.Offset })
		if last >= end-1 {
			return n
		}
	}
}

func lastOffset(t *testing.T, topic string) int64 {
	t.Helper()
	conn, err := kafka.DialLeader(context.Background(), "tcp", shared().Addr, topic, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	end, err := conn.ReadLastOffset()
	if err != nil {
		t.Fatal(err)
	}
	return end
}

// testContextIsReadAgain splits a message over two members: what the first one read of it, the second one reads again.
func testContextIsReadAgain(t *testing.T, b *broker.Broker) {
	b.CreateTopic(t, "context", 1)
	s := newStore()
	const head = "2026-11-22T05:13:01.000000+00:00 mx1 postfix/"
	write(t, b, "context", 0,
		kafka.Message{Value: []byte(head + "qmgr[9]: 4F2A000001: from=<alice@example.net>, size=1234, nrcpt=1 (queue active)")},
		kafka.Message{Value: []byte(line(0))})
	r := start(t, b, s, "context")
	eventually(t, "the first lines", func() bool { return s.covered() == 2 })
	r.stop(t)
	write(t, b, "context", 0, lines(1, 2)...)
	r = start(t, b, s, "context")
	eventually(t, "the delivery", func() bool { return s.covered() == 3 })
	r.stop(t)
	if got := s.senders["alice@example.net"]; got != 1 {
		t.Errorf("%d deliveries from alice: %v", got, s.senders)
	}
	if read := r.Pipeline.Counts.Quiet.Load(); read == 0 {
		t.Error("nothing was read again")
	}
}
