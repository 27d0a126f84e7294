package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"bounceline/pipeline"
	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/kafkaconn"
)

// A codec is a way to compress batches.
type codec struct {
	name        string
	compression kafka.Compression
}

var codecs = []codec{{"zstd", kafka.Zstd}, {"lz4", kafka.Lz4}, {"snappy", kafka.Snappy}, {"gzip", kafka.Gzip}, {"none", 0}}

// Compressions are the names of the ways to compress, the default first.
func Compressions() []string {
	var out []string
	for _, c := range codecs {
		out = append(out, c.name)
	}
	return out
}

// Open asks the brokers about the topic and returns a shipper to it. It waits for brokers that do not answer and for a topic
// that is not there yet; what no waiting cures is its error, as is ctx.
func Open(ctx context.Context, c Config) (*Shipper, error) {
	s := &Shipper{Config: c, ledger: Ledger{c.Store}, streams: map[*pipeline.Stream]*stream{}}
	s.MaxDelay, s.DrainFor = cmp.Or(c.MaxDelay, 500*time.Millisecond), cmp.Or(c.DrainFor, 20*time.Second)
	name := cmp.Or(c.Compression, codecs[0].name)
	for _, known := range codecs {
		if known.name == name {
			s.codec = known
		}
	}
	if s.codec.name == "" {
		return nil, fmt.Errorf("compression: %q is none of %s", name, strings.Join(Compressions(), ", "))
	}
	if err := ValidTopic(c.Topic); err != nil {
		return nil, err
	}
	d := delivery{Shipper: s}
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		err := s.look(ctx)
		switch {
		case err == nil:
			return s, nil
		case errors.As(err, new(refusal)):
			return nil, err
		case kafkaconn.Permanent(err):
			return nil, kafkaconn.Explain(err)
		}
		if err := d.retry(ctx, wait, "waiting for the topic", err); err != nil {
			return nil, err
		}
	}
}

var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// ValidTopic reports what is wrong with a topic's name, by the rules of Kafka's class Topic.
func ValidTopic(name string) error {
	if !topicName.MatchString(name) || name == "." || name == ".." {
		return fmt.Errorf("topic: %q can be no topic's name: that has letters, digits, dots, underscores and hyphens, 249 at the most", name)
	}
	return nil
}

// A refusal is a reason not to ship to a topic.
type refusal struct{ error }

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

// look asks the brokers about the topic and chooses the partition.
func (s *Shipper) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	meta, err := s.Conn.Client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{s.Topic}})
	if err != nil {
		return err
	}
	if len(meta.Topics) != 1 {
		return fmt.Errorf("%s: %w", s.Topic, kafka.UnknownTopicOrPartition)
	}
	if err := meta.Topics[0].Error; err != nil {
		return fmt.Errorf("%s: %w", s.Topic, err)
	}
	if err := s.suits(ctx); err != nil {
		return err
	}
	partitions := make([]int, len(meta.Topics[0].Partitions))
	for i := range partitions {
		partitions[i] = i
	}
	return s.choose(meta.ClusterID+"/"+s.Topic, partitions)
}

// suits refuses a topic that deletes all but the last line of each host. Where the brokers do not say, it is taken as it is.
func (s *Shipper) suits(ctx context.Context) error {
	const policy = "cleanup.policy"
	r, err := s.Conn.Client.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{
		{ResourceType: kafka.ResourceTypeTopic, ResourceName: s.Topic, ConfigNames: []string{policy}}}})
	if err != nil {
		return err
	}
	for _, resource := range r.Resources {
		if resource.Error != nil {
			s.Log.Warn("the brokers do not tell the topic's cleanup.policy; it must not be compact", "topic", s.Topic, "error", resource.Error)
		}
		for _, e := range resource.ConfigEntries {
			if e.ConfigName == policy && strings.Contains(e.ConfigValue, "compact") {
				return refuse("topic %s has cleanup.policy=%s, which keeps one line for each host and deletes the others: choose another topic, or set it to delete",
					s.Topic, e.ConfigValue)
			}
		}
	}
	return nil
}

// choose takes the partition where this state directory's lines have been going, else the one that the default partitioner of
// Kafka's own clients (murmur2) gives the host's lines.
func (s *Shipper) choose(topic string, partitions []int) error {
	if len(partitions) == 0 {
		return fmt.Errorf("%s: %w", s.Topic, kafka.LeaderNotAvailable)
	}
	hashed := kafka.Murmur2Balancer{}.Balance(kafka.Message{Key: []byte(s.Host)}, partitions...)
	ship := s.Store.State().Ship
	switch {
	case ship == nil:
		ship = &checkpoint.Ship{Topic: topic, Partition: hashed}
	case ship.Topic != topic:
		return refuse("the state directory belongs to the shipping to %s, and this is %s (CLUSTER/TOPIC): ship there with a --state-dir of its own", ship.Topic, topic)
	case ship.Partition >= len(partitions):
		s.Log.Warn("the topic has fewer partitions than before; another one is taken", "topic", s.Topic, "before", ship.Partition, "now", hashed)
		again := *ship
		again.Partition, ship = hashed, &again
	}
	s.part = ship.Partition
	return s.Store.Update(func(st *checkpoint.State) { st.Ship = ship })
}
