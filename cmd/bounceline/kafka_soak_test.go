package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"bounceline/pipeline/e2e/broker"
)

// soakFor is how long members are killed: make soak-kafka sets a longer time.
func soakFor(t *testing.T) time.Duration {
	text := os.Getenv("BOUNCELINE_SOAK")
	if text == "" {
		return 20 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("BOUNCELINE_SOAK: %v", err)
	}
	return d
}

// TestMembersComeAndGo lets three members join, leave and be killed at random while numbered lines are written to twelve
// partitions and the engine is killed twice. In the end each line is stored once, and at no moment did the group's offset
// move back.
func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	const partitions = 12
	s := newStore(t)
	b, topic := newTopic(t, partitions)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	lasts := soakFor(t)
	end := time.Now().Add(lasts)

	written := make(chan int, 1)
	go func() {
		n := 0
		defer func() { written <- n }() // also where producing fails the test
		for time.Now().Before(end) {
			produce(t, b, topic, partitions, n, n+500)
			n += 500
			<-time.After(200 * time.Millisecond)
		}
	}()
	watching, watched := context.WithCancel(t.Context())
	regressed := make(chan error, 1)
	go func() { regressed <- watchOffsets(watching, b, topic, topic, partitions) }()

	var members [3]*process
	for i := range members {
		members[i] = startMember(t, s, b, "--kafka-topics", topic, "--kafka-group", topic)
	}
	engineAt := []time.Time{time.Now().Add(lasts / 3), time.Now().Add(2 * lasts / 3)}
	kills, stops := 0, 0
	for time.Now().Before(end) {
		<-time.After(time.Duration(random.Int64N(int64(4*time.Second)) + int64(500*time.Millisecond)))
		if len(engineAt) > 0 && time.Now().After(engineAt[0]) {
			engineAt = engineAt[1:]
			if err := syscall.Kill(enginePID(t, s), syscall.SIGKILL); err != nil {
				t.Errorf("kill the engine: %v", err)
			}
			continue
		}
		i := random.IntN(len(members))
		if random.IntN(3) == 0 {
			members[i].stop(t)
			stops++
		} else {
			members[i].kill()
			kills++
		}
		members[i] = startMember(t, s, b, "--kafka-topics", topic, "--kafka-group", topic)
	}
	total := <-written
	t.Logf("%d lines, %d kills, %d orderly ends", total, kills, stops)
	waitFor(t, 2*time.Minute, "all lines", func() bool { return s.number(t, "SELECT sum(rows) FROM ingest_batches FINAL") >= uint64(total) })
	for _, m := range members {
		m.stop(t)
	}
	watched()
	if err := <-regressed; err != nil {
		t.Error(err)
	}
	if n := s.rows(t); n != uint64(total) {
		t.Errorf("%d rows of %d lines", n, total)
	}
	if n := s.number(t, "SELECT uniqExact(recipient) FROM delivery_events"); n != uint64(total) {
		t.Errorf("%d recipients of %d", n, total)
	}
}

// watchOffsets asks for the group's offsets until ctx is done, and says when one has moved back.
func watchOffsets(ctx context.Context, b *broker.Broker, group, topic string, partitions int) error {
	all := make([]int, partitions)
	for i := range all {
		all[i] = i
	}
	highest := make([]int64, partitions)
	client := b.Client()
	for ctx.Err() == nil {
		r, err := client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: all}})
		if err == nil {
			for _, p := range r.Topics[topic] {
				if p.Error == nil && p.CommittedOffset >= 0 && p.CommittedOffset < highest[p.Partition] {
					return fmt.Errorf("the committed offset of partition %d moved from %d back to %d", p.Partition, highest[p.Partition], p.CommittedOffset)
				}
				highest[p.Partition] = max(highest[p.Partition], p.CommittedOffset)
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return nil
}

func waitFor(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		<-time.After(50 * time.Millisecond)
	}
}
