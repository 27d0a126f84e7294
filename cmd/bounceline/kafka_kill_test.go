package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"bounceline/pipeline/e2e/broker"
	"bounceline/pipeline/fault"
)

// intents is how many of a topic's partitions have a batch on its way, as the group's committed metadata say.
func intents(t *testing.T, b *broker.Broker, group, topic string, partitions int) (n int) {
	t.Helper()
	all := make([]int, partitions)
	for i := range all {
		all[i] = i
	}
	r, err := b.Client().OffsetFetch(context.Background(), &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: all}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Topics[topic] {
		if strings.Contains(p.Metadata, `"t":{`) {
			n++
		}
	}
	return n
}

// TestMemberKilledAnywhere kills a member of a consumer group at every point of storing a batch. Another one takes its partitions
// over and finds the batch that was on its way: in the end each line is stored once, and the committed offset never moved back.
//
// BOUNCELINE_MEMBER_KILLS says how often members are killed.
func TestMemberKilledAnywhere(t *testing.T) {
	t.Parallel()
	program := buildWithFaults(t)
	inPieces(t, "BOUNCELINE_MEMBER_KILLS", len(fault.Storing), 40, func(t *testing.T, kills int) { killMembers(t, program, kills) })
}

func killMembers(t *testing.T, program string, kills int) {
	const partitions, lines = 2, 400
	s := newStore(t)
	b, topic := newTopic(t, partitions)
	args := []string{"run", "--state-dir", s.dir, "--kafka-brokers", b.Addr, "--kafka-topics", topic, "--kafka-group", topic, "--kafka-session-timeout", "3s"}
	watching, watched := context.WithCancel(t.Context())
	regressed := make(chan error, 1)
	go func() { regressed <- watchOffsets(watching, b, topic, topic, partitions) }()
	total := 0
	for i := range kills {
		point, nth := fault.Storing[i%len(fault.Storing)], 1+i/len(fault.Storing)%3
		produce(t, b, topic, partitions, total, total+lines)
		total += lines
		victim := startFaulty(t, program, fmt.Sprintf("%s=kill@%d", point, nth), args...)
		ended := make(chan error, 1)
		go func() { ended <- victim.Wait() }()
		eventually(t, "the kill at "+point, func() bool { // which may take more batches than it has made of what there was
			select {
			case err := <-ended:
				if victim.ProcessState.Exited() {
					t.Fatalf("%s: it ended by itself: %v", point, err)
				}
				return true
			case <-time.After(time.Second):
				produce(t, b, topic, partitions, total, total+lines)
				total += lines
				return false
			}
		})
		open := intents(t, b, topic, topic, partitions)
		if open == 0 && point != fault.BeforeIntent && point != fault.AfterCommit {
			t.Errorf("%s: no partition has a batch on its way", point)
		}
		heir := startFaulty(t, program, "", args...)
		s.await(t, total)
		eventually(t, "the heir's first word", func() bool { return heir.log.String() != "" }) // before that a signal ends it at once
		found := strings.Count(heir.log.String(), "interrupted_batch=true")
		ledger := slices.Index(fault.Storing, point) >= slices.Index(fault.Storing, fault.AfterLedger) // says that it is stored
		if found > open || found == 0 && open > 0 && !ledger {
			t.Errorf("%s: %d batches were on their way, and %d were made again", point, open, found)
		}
		heir.stop(t)
		s.holds(t, total)
	}
	watched()
	if err := <-regressed; err != nil {
		t.Error(err)
	}
}

// TestShipperKilledAnywhere kills a shipper at every point, while its logs are written and rotated and a member of a group stores
// what it sends: each line is stored once.
//
// BOUNCELINE_SHIPPER_KILLS says how often it is killed.
func TestShipperKilledAnywhere(t *testing.T) {
	t.Parallel()
	program, points := buildWithFaults(t), slices.Concat(fault.Shipping, fault.Following)
	inPieces(t, "BOUNCELINE_SHIPPER_KILLS", len(points)+6, 50, func(t *testing.T, kills int) { killShipper(t, program, points, kills) })
}

func killShipper(t *testing.T, program string, points []string, kills int) {
	s := newStore(t)
	b, topic := newTopic(t, 1)
	dir, state := t.TempDir(), t.TempDir()
	config := write(t, filepath.Join(t.TempDir(), "ship.yaml"), fmt.Appendf(nil,
		"inputs:\n  - name: mail\n    paths: [%s/*.log]\nstate_dir: %s\npoll: 50ms\nrotate_wait: 2s\nship: {brokers: [%s], topic: %s, host: mx1}\n", dir, state, b.Addr, topic))
	member := startMember(t, s, b, "--kafka-topics", topic)
	a := &assault{t: t, points: points, program: program, args: []string{"run", "--config", config}}
	a.log(filepath.Join(dir, "a.log"), "create")
	a.log(filepath.Join(dir, "b.log"), "copytruncate")
	lines := a.run(kills)
	s.await(t, lines)
	a.last.stop(t)
	member.stop(t)
	s.holds(t, lines)
}
