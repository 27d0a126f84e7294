package kafka

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"bounceline/pipeline/kafkaconn"
)

// A topic is a name, or an expression that whole names match.
type topic struct {
	name    string
	pattern *regexp.Regexp
}

func parseTopics(texts []string) ([]topic, error) {
	var out []topic
	for _, t := range texts {
		inner, ok := strings.CutPrefix(t, "/")
		if !ok {
			out = append(out, topic{name: t})
			continue
		}
		inner, ok = strings.CutSuffix(inner, "/")
		if !ok {
			return nil, fmt.Errorf("topic %q: an expression ends with a slash, and no name begins with one", t)
		}
		re, err := regexp.Compile("^(?:" + inner + ")$")
		if err != nil {
			return nil, fmt.Errorf("topic %q: %w", t, err)
		}
		out = append(out, topic{pattern: re})
	}
	if len(out) == 0 {
		return nil, errors.New("topics: name at least one")
	}
	return out, nil
}

// ValidTopics reports what is wrong with names and expressions of topics.
func ValidTopics(texts []string) error {
	_, err := parseTopics(texts)
	return err
}

// resolve returns the topics that are there and are to be read, sorted, and the cluster's ID.
func (s *Source) resolve(ctx context.Context) (cluster string, names []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	meta, err := s.Conn.Client.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return "", nil, err
	}
	if meta.ClusterID == "" {
		return "", nil, errors.New("the cluster has no ID: Kafka 0.10.1 or newer is needed")
	}
	there := map[string]bool{}
	for _, t := range meta.Topics {
		if t.Error == nil && len(t.Partitions) > 0 && !t.Internal && !strings.HasPrefix(t.Name, "__") {
			there[t.Name] = true
		}
	}
	for _, t := range s.topics {
		switch {
		case t.pattern != nil:
			for name := range there {
				if t.pattern.MatchString(name) {
					names = append(names, name)
				}
			}
		case there[t.name]:
			names = append(names, t.name)
			delete(s.missing, t.name)
		case !s.missing[t.name]:
			s.missing[t.name] = true
			s.Log.Warn("waiting for a topic that is not there, or that the user may not read", "topic", t.name)
		}
	}
	slices.Sort(names)
	return meta.ClusterID, slices.Compact(names), nil
}

// await waits until the cluster answers and at least one topic is there.
func (s *Source) await(ctx context.Context) (cluster string, topics []string, err error) {
	for said := ""; ; {
		cluster, topics, err = s.resolve(ctx)
		switch {
		case ctx.Err() != nil:
			return "", nil, nil
		case kafkaconn.Permanent(err):
			return "", nil, fmt.Errorf("Kafka at %s: %w", strings.Join(s.Conn.Brokers, ", "), kafkaconn.Explain(err))
		case err == nil && len(topics) > 0:
			return cluster, topics, nil
		case err == nil:
			err = errors.New("no topic that is there is to be read")
		}
		if said != err.Error() {
			said = err.Error()
			s.Log.Warn("waiting for Kafka", "brokers", s.Conn.Brokers, "why", kafkaconn.Explain(err))
		}
		select {
		case <-time.After(min(2*time.Second, s.Discover)):
		case <-ctx.Done():
			return "", nil, nil
		}
	}
}

// watch calls changed when other topics are to be read than before.
func (s *Source) watch(ctx context.Context, before []string, changed func()) {
	tick := time.NewTicker(s.Discover)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_, now, err := s.resolve(ctx)
		if err == nil && !slices.Equal(now, before) {
			s.Log.Info("topics have come or gone", "before", before, "now", now)
			changed()
			return
		}
	}
}

// grown ends the generation when topics have other numbers of partitions than those that were assigned: only the member
// that assigned them knows. The client's own watcher takes the numbers of a moment later for those, and misses what happened
// between.
func (s *Source) grown(ctx context.Context, assigned map[string]int, end func(error)) {
	tick := time.NewTicker(min(5*time.Second, s.Discover))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		meta, err := s.Conn.Client.Metadata(ctx, &kafka.MetadataRequest{})
		if err != nil {
			continue
		}
		for _, t := range meta.Topics {
			if before, ok := assigned[t.Name]; ok && t.Error == nil && len(t.Partitions) != before {
				end(fmt.Errorf("topic %s had %d partitions and has %d", t.Name, before, len(t.Partitions)))
				return
			}
		}
	}
}

// spread assigns partitions so that each member gets as many as the others, over all topics together. The member that
// assigns keeps how many each topic had.
type spread struct {
	mu       sync.Mutex
	assigned map[string]int
}

// take returns how many partitions of each topic were assigned, if this member did it since the last call.
func (b *spread) take() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.assigned
	b.assigned = nil
	return a
}

// ProtocolName implements kafka.GroupBalancer.
func (b *spread) ProtocolName() string { return "bounceline-spread" }

// UserData implements kafka.GroupBalancer.
func (b *spread) UserData() ([]byte, error) { return nil, nil }

// AssignGroups implements kafka.GroupBalancer.
func (b *spread) AssignGroups(members []kafka.GroupMember, partitions []kafka.Partition) kafka.GroupMemberAssignments {
	out := kafka.GroupMemberAssignments{}
	load := map[string]int{}
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b kafka.GroupMember) int { return strings.Compare(a.ID, b.ID) })
	assigned := map[string]int{}
	for _, m := range members {
		out[m.ID] = map[string][]int{}
		for _, t := range m.Topics {
			assigned[t] = 0
		}
	}
	for _, p := range partitions {
		assigned[p.Topic]++
	}
	b.mu.Lock()
	b.assigned = assigned
	b.mu.Unlock()
	partitions = slices.Clone(partitions)
	slices.SortFunc(partitions, func(a, b kafka.Partition) int {
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		return a.ID - b.ID
	})
	for _, p := range partitions {
		least := ""
		for _, m := range members {
			if slices.Contains(m.Topics, p.Topic) && (least == "" || load[m.ID] < load[least]) {
				least = m.ID
			}
		}
		if least != "" {
			out[least][p.Topic] = append(out[least][p.Topic], p.ID)
			load[least]++
		}
	}
	return out
}
