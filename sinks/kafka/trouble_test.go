package kafka

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"bounceline/pipeline/dlq"
	"bounceline/pipeline/e2e/broker"
	"bounceline/pipeline/shipped"
)

// values are the texts of a partition's records, as a file would hold them.
func values(messages []kafka.Message) string {
	var b strings.Builder
	for _, m := range messages {
		b.Write(m.Value)
		b.WriteByte('\n')
	}
	return b.String()
}

// TestRefusedLines ships lines that are too long for the topic among others: they are dead letters, and nothing else is.
func TestRefusedLines(t *testing.T) {
	r := newRig(t, theBroker(t), "refused", 1, "max.message.bytes", "20000", "compression.type", "uncompressed")
	random := make([]byte, 0, 60_000) // does not compress to less than is allowed
	for x := uint32(1); len(random) < 50_000; x = x*1664525 + 1013904223 {
		random = append(random, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-"[x>>26])
	}
	long := string(random)
	text := lines(0, 500) + long + "\n" + lines(500, 3) + "\xff" + long + "\n" + lines(503, 500)
	want := lines(0, 1003)
	r.write("a.log", text)
	s := r.ship(committed(len(text)))
	if got := values(r.read()[0]); got != want {
		t.Errorf("the topic has %d bytes of lines, want %d", len(got), len(want))
	}
	letters, err := dlq.File{Path: filepath.Join(r.state, "dead.ndjson")}.List()
	if err != nil || len(letters) != 2 || s.Counts.Dead.Load() != 2 {
		t.Fatalf("%d dead letters, %d counted: %v", len(letters), s.Counts.Dead.Load(), err)
	}
	for i := range letters {
		d := &letters[i]
		o, err := shipped.Parse(d.Record.Header)
		if err != nil || string(d.Line())+"\n" != text[o.From:o.To] || d.Pos != o.From || !strings.Contains(d.Reason, "[10]") || d.Source != "mail" ||
			d.Record.Topic != "refused" || d.Record.Offset >= 0 || d.Record.KeyText != r.host || d.Unread {
			t.Errorf("dead letter %d: %v, %.200s, %+v", i, err, d.Line(), d.Record)
		}
	}
}

func TestTopicsThatDoNotSuit(t *testing.T) {
	b := theBroker(t)
	r := newRig(t, b, "compacted", 1, "cleanup.policy", "compact,delete")
	if _, _, err := r.open(context.Background()); err == nil || !strings.Contains(err.Error(), "cleanup.policy=compact,delete") {
		t.Errorf("a compacted topic: %v", err)
	}
	r = newRig(t, b, "first", 1)
	r.write("a.log", lines(0, 1))
	r.ship(committed(1))
	b.CreateTopic(t, "second", 1)
	r.topic = "second"
	if _, _, err := r.open(context.Background()); err == nil || !strings.Contains(err.Error(), "belongs to the shipping to") {
		t.Errorf("another topic: %v", err)
	}
	r = newRig(t, b, "not/a topic", 0)
	if _, _, err := r.open(context.Background()); err == nil || !strings.Contains(err.Error(), "can be no topic's name") {
		t.Errorf("a name that is none: %v", err)
	}
	r = newRig(t, b, "missing", 0)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if _, _, err := r.open(ctx); err == nil || !strings.Contains(err.Error(), "deadline") {
		t.Errorf("a topic that is not there: %v", err)
	}
}

// TestPartition checks that the key chooses the partition as other clients do, and that it is kept when the topic grows.
func TestPartition(t *testing.T) {
	b := theBroker(t)
	r := newRig(t, b, "grown", 4)
	r.write("a.log", lines(0, 10))
	r.ship(committed(len(lines(0, 10))))
	want := kafka.Murmur2Balancer{}.Balance(kafka.Message{Key: []byte(r.host)}, 0, 1, 2, 3)
	if got := r.read(); len(got) != 1 || len(got[want]) != 10 {
		t.Fatalf("%d records in partition %d", len(got[want]), want)
	}
	for n := 5; ; n++ { // until the hash would choose another one
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		if (kafka.Murmur2Balancer{}).Balance(kafka.Message{Key: []byte(r.host)}, all...) == want {
			continue
		}
		grown, err := b.Client().CreatePartitions(context.Background(), &kafka.CreatePartitionsRequest{
			Topics: []kafka.TopicPartitionsConfig{{Name: "grown", Count: int32(n)}}})
		if err != nil || grown.Errors["grown"] != nil {
			t.Fatal(err, grown)
		}
		break
	}
	r.write("a.log", lines(10, 10))
	r.write("new.log", "another\n")
	r.ship(committed(len(lines(0, 20)) + len("another\n")))
	if got := r.read(); len(got) != 1 || len(got[want]) != 21 {
		t.Errorf("after the topic has grown: %d records in partition %d", len(got[want]), want)
	}
}

// TestOutage kills the broker while lines are shipped, and starts it again: all lines arrive in order, and repeated ones
// only behind those that they repeat.
func TestOutage(t *testing.T) {
	b := broker.Start(t)
	r := newRig(t, b, "mail", 1)
	text := lines(0, 3000)
	half := lines(0, 1500)
	r.write("a.log", half)
	killed, back := false, make(chan error, 1)
	all := committed(len(text))
	s := r.ship(func(s *Shipper) bool {
		if !killed && committed(len(half))(s) {
			killed = true
			b.Kill()
			r.write("a.log", text[len(half):])
			go func() {
				for s.Counts.Retries.Load() < 2 {
					<-time.After(time.Millisecond)
				}
				back <- b.Restart()
			}()
		}
		return killed && all(s)
	})
	if err := <-back; err != nil {
		t.Fatal(err)
	}
	if s.Counts.Refused() != 0 || s.Counts.LastError() != "" {
		t.Errorf("the shipper still says that the brokers refuse: %s", s.Counts.LastError())
	}
	next := int64(0)
	for _, m := range r.read()[0] {
		if o := origin(t, m); o.From > next {
			t.Fatalf("a gap from %d to %d", next, o.From)
		} else if o.From == next {
			next = o.To
		}
	}
	if next != int64(len(text)) {
		t.Errorf("shipped to %d of %d", next, len(text))
	}
}

// TestFoundAgain ships a file, then finds it renamed, a shorter copy of it, and another file that begins like it.
func TestFoundAgain(t *testing.T) {
	r := newRig(t, theBroker(t), "found", 1)
	text := lines(0, 400)
	r.write("a.log", text)
	r.ship(committed(len(text)))
	if err := os.Rename(filepath.Join(r.dir, "a.log"), filepath.Join(r.dir, "renamed.log")); err != nil {
		t.Fatal(err)
	}
	r.write("copy.log", text[:strings.Index(text[:20_000], "\n")+1]+text[strings.Index(text[:20_000], "\n")+1:20_000])
	other := lines(0, 60) + lines(1000, 60)
	r.write("other.log", other)
	r.ship(committed(len(text) + len(other)))
	got := values(r.read()[0])
	if got != text+other {
		t.Errorf("the topic has %d bytes of lines, want %d and %d", len(got), len(text), len(other))
	}
}
