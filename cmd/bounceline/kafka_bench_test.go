package main

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"bounceline/pipeline/e2e/loggen"
)

// BenchmarkRunTopics stores generated Postfix logs, one in each of twelve partitions, from a real broker into the local
// engine: everything on this machine, from the start of run to the last row.
func BenchmarkRunTopics(b *testing.B) {
	const partitions, lines = 12, 100_000
	k, topic := newTopic(b, partitions)
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Addr), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	for p := range partitions {
		var log bytes.Buffer
		if err := loggen.Write(&log, lines, uint64(p)); err != nil {
			b.Fatal(err)
		}
		for line := range bytes.Lines(log.Bytes()) {
			client.Produce(context.Background(), &kgo.Record{Partition: int32(p), Value: bytes.TrimSuffix(line, []byte("\n"))}, func(_ *kgo.Record, err error) {
				if err != nil {
					b.Error(err)
				}
			})
		}
		if err := client.Flush(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	var cpu time.Duration
	for b.Loop() {
		b.StopTimer()
		s := newStore(b)
		b.StartTimer()
		m := startMember(b, s, k, "--kafka-topics", topic, "--kafka-group", time.Now().String())
		waitFor(b, 5*time.Minute, "all lines", func() bool {
			return s.number(b, "SELECT toUInt64(sum(to_pos - from_pos)) FROM ingest_batches FINAL") == partitions*lines
		})
		b.StopTimer()
		m.stop(b)
		cpu += m.ProcessState.UserTime() + m.ProcessState.SystemTime()
		b.StartTimer()
	}
	b.ReportMetric(float64(partitions*lines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(partitions*lines)/float64(b.N), "cpu-ns/line")
}
