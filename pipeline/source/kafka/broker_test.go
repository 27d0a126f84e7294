package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"bounceline/pipeline/batch"
	"bounceline/pipeline/e2e/broker"
)

func (l *syncedLog) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func testEveryCodecAndShape(t *testing.T, b *broker.Broker) {
	b.CreateTopic(t, "shapes", 1)
	s := newStore()
	number := 0
	next := func() string { number++; return line(number) }
	for _, codec := range []kafka.Compression{0, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd} {
		write(t, b, "shapes", codec, lines(number+1, number+101)...)
		number += 100
	}
	big := make([]string, 20_000) // three megabytes in one record
	for i := range big {
		big[i] = next()
	}
	w := &kafka.Writer{Addr: kafka.TCP(b.Addr), Topic: "shapes", BatchBytes: 8 << 20, Compression: kafka.Zstd, BatchTimeout: time.Millisecond}
	defer w.Close()
	if err := w.WriteMessages(t.Context(), kafka.Message{Value: []byte(strings.Join(big, "\n"))}); err != nil {
		t.Fatal(err)
	}
	write(t, b, "shapes", 0,
		kafka.Message{Key: []byte("mx1"), Value: nil},                         // a tombstone
		kafka.Message{Value: []byte{}},                                        // nothing
		kafka.Message{Value: []byte("\n\n")},                                  // nearly nothing
		kafka.Message{Value: []byte(next() + "\n" + next() + "\r\n")},         // two lines
		kafka.Message{Value: []byte(`{"message":"` + next() + `"}`)},          // Filebeat
		kafka.Message{Value: []byte("{\n  \"log\": \"" + next() + "\"\n}\n")}, // written for people
		kafka.Message{Value: []byte(`{"message":"` + next() + "\"}\n{\"message\":\"" + next() + `"}`)},
		kafka.Message{Value: []byte(`[{"message":"` + next() + `"},` + "\n" + `{"message":"` + next() + `"}]`)},
		kafka.Message{Value: []byte(`{"message":"` + line(0)[:40])},     // cut off
		kafka.Message{Value: []byte("\x00\x01\xff\xfe no log line [{")}, // poison
		kafka.Message{Value: []byte(strings.Repeat("x", 300<<10))},      // a line longer than any buffer
		kafka.Message{Value: []byte(next()), Headers: []kafka.Header{{Key: "a", Value: []byte("b")}}},
	)
	r := start(t, b, s, "shapes")
	eventually(t, "all records", func() bool { return s.covered() == 513 })
	r.stop(t)
	if n := s.stored(t); n != number {
		t.Errorf("%d rows of %d lines", n, number)
	}
	if got := s.recipients(); len(got) != number {
		t.Errorf("%d recipients of %d", len(got), number)
	}
	if got := r.bad(); got != "tombstone 1, empty 2" {
		t.Errorf("records that cannot be read: %s", got)
	}
	if offset, meta := group(t, b, t.Name(), "shapes", 0); offset != 513 || meta.Intent != nil || meta.Marker == "" {
		t.Errorf("committed %d, %+v", offset, meta)
	}
}

// testTakeOver lets a member fail at every point between announcing a batch and committing it. The next member makes the
// very same batch, however its own limits are.
func testTakeOver(t *testing.T, b *broker.Broker) {
	down := func(*batch.Batch) error { return errors.New("gone for good") }
	for name, fail := range map[string]func(*store){
		"before the insert":    func(s *store) { s.failWrite = down },
		"before the ledger":    func(s *store) { s.failLedger = down },
		"insert never answers": func(s *store) { s.failWrite = func(*batch.Batch) error { return errPassing } },
		"ledger never answers": func(s *store) { s.failLedger = func(*batch.Batch) error { return errPassing } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic := strings.ReplaceAll(name, " ", "-")
			b.CreateTopic(t, topic, 1)
			s := newStore()
			write(t, b, topic, 0, lines(0, 50)...)
			r := start(t, b, s, topic)
			eventually(t, "the first lines", func() bool { return s.covered() == 50 })
			r.stop(t)

			s.mu.Lock()
			fail(s)
			s.mu.Unlock()
			write(t, b, topic, 0, lines(50, 300)...)
			r = start(t, b, s, topic, func(c *Config) { c.Pipeline.MaxRows = 70 })
			eventually(t, "a batch on its way", func() bool {
				_, meta := group(t, b, t.Name(), topic, 0)
				return meta.Intent != nil
			})
			offset, meta := group(t, b, t.Name(), topic, 0)
			if offset != 50 || meta.Intent.From != 50 || meta.Intent.To <= 50 {
				t.Errorf("committed %d with intent %+v", offset, meta.Intent)
			}
			permanent := strings.HasPrefix(name, "before") // then it ends by itself
			if !permanent {
				r.cancel()
			}
			err := <-r.done
			r.done <- nil
			if permanent != (err != nil) {
				t.Errorf("the source ended with %v", err)
			}

			s.mu.Lock()
			s.failWrite, s.failLedger = nil, nil
			s.mu.Unlock()
			r = start(t, b, s, topic, func(c *Config) { c.Pipeline.MaxRows = 33 })
			eventually(t, "all lines", func() bool { return s.covered() == 300 })
			r.stop(t)
			if n := s.stored(t); n != 300 {
				t.Errorf("%d rows of 300 lines", n)
			}
			if !s.tokens[batch.ID([]batch.Range{{Stream: streamOf(s), From: meta.Intent.From, To: meta.Intent.To}})] {
				t.Error("the interrupted batch was not made again as it was")
			}
		})
	}
}

// streamOf is the only stream in the store.
func streamOf(s *store) string {
	for _, r := range s.ledger {
		return r.Stream
	}
	return ""
}

func testTopicIsCreatedAnew(t *testing.T, b *broker.Broker) {
	s := newStore()
	recreate := func() {
		t.Helper()
		if _, err := b.Client().DeleteTopics(t.Context(), &kafka.DeleteTopicsRequest{Topics: []string{"anew"}}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the topic to be gone", func() bool {
			m, err := b.Client().Metadata(t.Context(), &kafka.MetadataRequest{Topics: []string{"anew"}})
			return err == nil && m.Topics[0].Error != nil
		})
		b.CreateTopic(t, "anew", 1)
	}
	b.CreateTopic(t, "anew", 1)
	write(t, b, "anew", 0, lines(0, 100)...)
	r := start(t, b, s, "anew")
	eventually(t, "the first topic", func() bool { return s.stored(t) == 100 })
	recreate() // while it is read
	write(t, b, "anew", 0, lines(1000, 1010)...)
	eventually(t, "the second topic, shorter than the first", func() bool { return s.stored(t) == 110 })
	r.stop(t)
	recreate() // while it is not
	write(t, b, "anew", 0, lines(2000, 2500)...)
	r = start(t, b, s, "anew")
	eventually(t, "the third topic, longer than the second", func() bool { return s.stored(t) == 610 })
	r.stop(t)
	if n := len(s.recipients()); n != 610 {
		t.Errorf("%d recipients of 610", n)
	}
}

func testOffsetsOutOfRange(t *testing.T, b *broker.Broker) {
	for policy, want := range map[OutOfRange]int{Earliest: 150, Latest: 110, Fail: 100} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			topic := "gone-" + string(policy)
			b.CreateTopic(t, topic, 1)
			s := newStore()
			write(t, b, topic, 0, lines(0, 100)...)
			r := start(t, b, s, topic)
			eventually(t, "the first lines", func() bool { return s.covered() == 100 })
			r.stop(t)
			write(t, b, topic, 0, lines(100, 200)...)
			deleteBefore(t, b, topic, 160)
			with := func(c *Config) { c.OutOfRange = policy }
			r = start(t, b, s, topic, with)
			if policy == Fail {
				err := <-r.done
				r.done <- nil
				if !errors.Is(err, errOutOfRange) || !strings.Contains(err.Error(), "offset 100, the broker has 160 to 200") {
					t.Errorf("it ended with %v", err)
				}
			} else {
				eventually(t, "the gap to be counted", func() bool { return r.Counts.Skipped.Load() > 0 })
				eventually(t, "the new position to be committed", func() bool { o, _ := group(t, b, t.Name(), topic, 0); return o >= 160 })
				write(t, b, topic, 0, lines(200, 210)...)
				eventually(t, "lines after the gap", func() bool { return s.stored(t) == want })
				r.stop(t)
				if gap := map[OutOfRange]int64{Earliest: 60, Latest: 100}[policy]; r.Counts.Skipped.Load() != gap {
					t.Errorf("%d records skipped, not %d", r.Counts.Skipped.Load(), gap)
				}
			}
			if n := s.stored(t); n != want {
				t.Errorf("%d rows, not %d", n, want)
			}
		})
	}
}

// testSecondGroup reads the same topic under another group's name into the same database: nothing is stored twice.
func testSecondGroup(t *testing.T, b *broker.Broker) {
	b.CreateTopic(t, "again", 2)
	s := newStore()
	write(t, b, "again", 0, lines(0, 200)...)
	r := start(t, b, s, "again")
	eventually(t, "the lines", func() bool { return s.covered() == 200 })
	r.stop(t)
	tries := s.tries
	write(t, b, "again", 0, lines(200, 220)...)
	r = start(t, b, s, "again", func(c *Config) { c.Group = "another" })
	eventually(t, "the new lines", func() bool { return s.covered() == 220 })
	r.stop(t)
	if n := s.stored(t); n != 220 || s.tries-tries > 20 {
		t.Errorf("%d rows of 220 lines, %d inserts for 20 lines", n, s.tries-tries)
	}
	// A database that lacks what the group has committed is not written to.
	other := newStore()
	r = start(t, b, other, "again", func(c *Config) { c.Group = "another" })
	eventually(t, "the sentence", func() bool { return strings.Contains(r.log.String(), errBehind.Error()[:60]) })
	r.stop(t)
	if n := other.stored(t); n != 0 {
		t.Errorf("%d rows in a database that is not the group's", n)
	}
}

func testTopicsByPattern(t *testing.T, b *broker.Broker) {
	s := newStore()
	b.CreateTopic(t, "come-a", 4)
	write(t, b, "come-a", 0, lines(0, 100)...)
	r := start(t, b, s, "/come-.*/,named-later")
	eventually(t, "the first topic", func() bool { return s.stored(t) == 100 })
	if !strings.Contains(r.log.String(), "named-later") {
		t.Error("the missing topic is not mentioned")
	}
	b.CreateTopic(t, "come-b", 1)
	b.CreateTopic(t, "named-later", 1)
	write(t, b, "come-b", 0, lines(1000, 1100)...)
	write(t, b, "named-later", 0, lines(2000, 2100)...)
	eventually(t, "topics that came later", func() bool { return s.stored(t) == 300 })
	r.stop(t)
}

func testPartitionsGrow(t *testing.T, b *broker.Broker) {
	s := newStore()
	b.CreateTopic(t, "grow", 4)
	write(t, b, "grow", 0, lines(0, 100)...)
	r := start(t, b, s, "grow")
	eventually(t, "the lines that were there", func() bool { return s.stored(t) == 100 })
	if _, err := b.Client().CreatePartitions(t.Context(), &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: "grow", Count: 12}}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new partitions", func() bool { return len(r.Status()) == 12 })
	write(t, b, "grow", 0, lines(3000, 3120)...)
	eventually(t, "lines in new partitions", func() bool { return s.stored(t) == 220 })
	r.stop(t)
}

// testMembersShare lets members come and go while lines are written.
func testMembersShare(t *testing.T, b *broker.Broker) {
	b.CreateTopic(t, "members", 6)
	s := newStore()
	var members []*running
	total := 0
	add := func() { members = append(members, start(t, b, s, "members")) }
	for round := range 4 {
		add()
		write(t, b, "members", 0, lines(total, total+3000)...)
		total += 3000
		if round == 2 {
			members[0].stop(t)
		}
		eventually(t, fmt.Sprint("lines of round ", round), func() bool { return s.stored(t) == total })
	}
	eventually(t, "each of three members to have two partitions", func() bool {
		for _, m := range members[1:] {
			if len(m.Status()) != 2 {
				return false
			}
		}
		return true
	})
	for _, m := range members[1:] {
		m.stop(t)
	}
	if n := len(s.recipients()); n != total {
		t.Errorf("%d recipients of %d", n, total)
	}
}

// testSlowSink stops the sink for longer than the session: the member stays in the group and reads no further than its
// buffers go.
func testSlowSink(t *testing.T, b *broker.Broker) {
	b.CreateTopic(t, "slow", 2)
	s := newStore()
	s.failWrite = func(*batch.Batch) error { return errPassing }
	write(t, b, "slow", kafka.Zstd, lines(0, 20_000)...)
	r := start(t, b, s, "slow", func(c *Config) { c.Pipeline.MaxRows = 500; c.SessionTimeout = 3 * time.Second })
	begun := time.Now()
	eventually(t, "two sessions to pass", func() bool { return time.Since(begun) > 6*time.Second })
	if read := r.Counts.Records.Load(); read > 12_000 || r.Counts.Rebalances.Load() > 2 {
		t.Errorf("%d records were read, in %d generations", read, r.Counts.Rebalances.Load())
	}
	s.mu.Lock()
	s.failWrite = nil
	s.mu.Unlock()
	eventually(t, "all lines", func() bool { return s.covered() == 20_000 })
	r.stop(t)
	if n := s.stored(t); n != 20_000 {
		t.Errorf("%d rows of 20000 lines", n)
	}
}

// deleteBefore makes the broker delete a topic's records before the offset.
func deleteBefore(t *testing.T, b *broker.Broker, topic string, offset int64) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	request := kmsg.NewDeleteRecordsRequest()
	request.TimeoutMillis = 10_000
	request.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: offset}}}}
	if _, err := request.RequestWith(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	eventually(t, "records to be deleted", func() bool {
		conn, err := kafka.DialLeader(context.Background(), "tcp", b.Addr, topic, 0)
		if err != nil {
			return false
		}
		defer conn.Close()
		first, err := conn.ReadFirstOffset()
		return err == nil && first == offset
	})
}
