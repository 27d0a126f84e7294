package kafka

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"bounceline/pipeline"
	"bounceline/pipeline/kafkaconn"
)

// fill writes n messages of 200 bytes to a new topic.
func fill(b *testing.B, topic string, partitions, n int) {
	b.Helper()
	shared().CreateTopic(b, topic, partitions)
	client, err := kgo.NewClient(kgo.SeedBrokers(shared().Addr), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(5*time.Millisecond))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	failed := make(chan error, 1)
	value := []byte(strings.Repeat("x", 200))
	for range n {
		client.Produce(context.Background(), &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	if err := client.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	select {
	case err := <-failed:
		b.Fatal(err)
	default:
	}
}

// BenchmarkSource reads 200-byte messages of twelve partitions from a real broker: the readers of this source, and franz-go
// on the same topic, one after the other.
func BenchmarkSource(b *testing.B) {
	const partitions, messages = 12, 1_200_000
	topic := fmt.Sprint("bench-", time.Now().UnixNano())
	fill(b, topic, partitions, messages)
	b.Run("readers", func(b *testing.B) {
		for range b.N {
			conn, err := kafkaconn.Config{Brokers: []string{shared().Addr}}.Open()
			if err != nil {
				b.Fatal(err)
			}
			readAll(b, conn, topic, partitions, messages)
		}
		b.ReportMetric(float64(messages)*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	})
	b.Run("franz-go", func(b *testing.B) {
		for range b.N {
			client, err := kgo.NewClient(kgo.SeedBrokers(shared().Addr), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			if err != nil {
				b.Fatal(err)
			}
			for n := 0; n < messages; {
				fetches := client.PollFetches(context.Background())
				fetches.EachRecord(func(*kgo.Record) { n++ })
			}
			client.Close()
		}
		b.ReportMetric(float64(messages)*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	})
	_, _ = shared().Client().DeleteTopics(context.Background(), &kafka.DeleteTopicsRequest{Topics: []string{topic}})
}

func readAll(b *testing.B, conn *kafkaconn.Conn, topic string, partitions, messages int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	buffers, counts := pipeline.NewBuffers(8), &Counts{}
	out := make(chan pipeline.Chunk, partitions)
	for id := range partitions {
		s := &pipeline.Stream{Name: fmt.Sprint("c/", topic, "/", id, "/0")}
		r := &reader{conn: conn, topic: topic, partition: id, maxBytes: maxFetched, buffers: buffers, counts: counts, log: (&syncedLog{}).logger(),
			stream: s, reread: s, shipments: &shipments{counts: counts, streams: map[string]*shipment{}}}
		go r.run(ctx, out)
	}
	for n := 0; n < messages; {
		c := <-out
		n += len(c.Records)
		buffers.Give(c.Buffer)
	}
	cancel()
	conn.Transport.CloseIdleConnections()
}
