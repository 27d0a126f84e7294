package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// errFenced says that the partitions belong to another generation of the group: nothing may be done for them any more.
var errFenced = errors.New("the partition has been given to another member")

// A membership is this member's part in one generation of the group. Its commits are refused once the generation is over:
// whatever is to be done for a partition is announced by a commit, so what is refused is not done.
type membership struct {
	client     *kafka.Client
	group      string
	generation int
	member     string
	ctx        context.Context // done when commits are of no use any more
	log        *slog.Logger

	mu sync.Mutex // one request at a time: the broker must see them in order
}

// committed returns what the group keeps for the partitions: offset -1 where there is nothing. It tries until it gets an
// answer or the membership ends.
func (m *membership) committed(topics map[string][]int) (map[string]map[int]kafka.OffsetFetchPartition, error) {
	var out map[string]map[int]kafka.OffsetFetchPartition
	err := m.retry("read committed offsets", func(ctx context.Context) error {
		r, err := m.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: m.group, Topics: topics})
		if err != nil {
			return err
		}
		out = map[string]map[int]kafka.OffsetFetchPartition{}
		errs := []error{r.Error}
		for topic, partitions := range r.Topics {
			out[topic] = map[int]kafka.OffsetFetchPartition{}
			for _, p := range partitions {
				errs = append(errs, p.Error)
				out[topic][p.Partition] = p
			}
		}
		return errors.Join(errs...)
	})
	return out, err
}

// commit makes the group keep the offset and metadata of a partition. It tries until the broker has taken it; errFenced
// says that it never will.
func (m *membership) commit(topic string, partition int, offset int64, meta metadata) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.retry("commit", func(ctx context.Context) error {
		r, err := m.client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{GroupID: m.group, GenerationID: m.generation, MemberID: m.member,
			Topics: map[string][]kafka.OffsetCommit{topic: {{Partition: partition, Offset: offset, Metadata: meta.encode()}}}})
		if err != nil {
			return err
		}
		for _, p := range r.Topics[topic] {
			if p.Partition == partition {
				return p.Error
			}
		}
		return errors.New("the broker's answer lacks the partition")
	})
}

// retry calls f until it succeeds, the generation is over, or the membership's time.
func (m *membership) retry(what string, f func(context.Context) error) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		if m.ctx.Err() != nil {
			return errFenced
		}
		ctx, cancel := context.WithTimeout(m.ctx, 10*time.Second)
		err := f(ctx)
		cancel()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, kafka.IllegalGeneration), errors.Is(err, kafka.UnknownMemberId):
			return errFenced
		case errors.Is(err, kafka.OffsetMetadataTooLarge):
			return fmt.Errorf("%s: %w (set offset.metadata.max.bytes of the brokers to %d or more)", what, err, maxMetadata)
		}
		m.log.Warn("the Kafka cluster does not answer; it is tried again", "step", what, "again_in", wait, "error", err)
		select {
		case <-time.After(wait):
		case <-m.ctx.Done():
		}
	}
}
