package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/e2e/broker"
	"bounceline/pipeline/kafkaconn"
	"bounceline/pipeline/record"
)

// shared is the broker of all tests that do not stop it. It is started when first needed.
var shared = sync.OnceValue(func() *broker.Broker {
	b, err := broker.Run(sharedDir)
	if err != nil {
		panic(err)
	}
	endShared = b.Kill
	return b
})

var (
	sharedDir string
	endShared = func() {}
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if sharedDir, err = os.MkdirTemp("", "broker"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(sharedDir)
		defer func() { endShared() }()
		return m.Run()
	}())
}

// scenarios are run with a broker in this process, which takes no time, and with a real one; the patient ones with that alone.
var (
	scenarios = map[string]func(*testing.T, *broker.Broker){
		"every codec and shape":    testEveryCodecAndShape,
		"take over":                testTakeOver,
		"topic is created anew":    testTopicIsCreatedAnew,
		"offsets out of range":     testOffsetsOutOfRange,
		"second group":             testSecondGroup,
		"context is read again":    testContextIsReadAgain,
		"shipped lines":            testShippedLines,
		"shipped lines taken over": testShippedLinesTakenOver,
		"another's name":           testShippedUnderAnothersName,
		"hosts that begin alike":   testHostsThatBeginAlike,
		"read directly before":     testReadDirectlyBefore,
		"read directly meanwhile":  testReadDirectlyMeanwhile,
		"partitions grow":          testPartitionsGrow,
	}
	patient = map[string]func(*testing.T, *broker.Broker){
		"topics by pattern": testTopicsByPattern,
		"members share":     testMembersShare,
		"slow sink":         testSlowSink,
	}
)

func TestInProcess(t *testing.T) {
	t.Parallel()
	for name, run := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, b := inProcess(t)
			run(t, b)
		})
	}
}

func TestRealBroker(t *testing.T) {
	t.Parallel()
	for _, all := range []map[string]func(*testing.T, *broker.Broker){scenarios, patient} {
		for name, run := range all {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				run(t, shared())
			})
		}
	}
}

// inProcess starts a broker in this process.
func inProcess(t *testing.T) (*kfake.Cluster, *broker.Broker) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, &broker.Broker{Addr: c.ListenAddrs()[0]}
}

// A store is a sink and a ledger that deduplicates as the database does: by token.
type store struct {
	mu      sync.Mutex
	tokens  map[string]bool
	rows    map[string]int // stream, position and row number: how often it was stored
	texts   map[string]string
	queue   map[string]string // queue IDs
	senders map[string]int
	ledger  map[string]batch.Range
	tries   int

	failWrite  func(*batch.Batch) error // asked before rows are stored
	failLedger func(*batch.Batch) error // asked before the ledger is, once the rows are
}

func newStore() *store {
	return &store{tokens: map[string]bool{}, rows: map[string]int{}, texts: map[string]string{}, queue: map[string]string{}, senders: map[string]int{}, ledger: map[string]batch.Range{}}
}

func (s *store) Write(_ context.Context, b *batch.Batch, token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries++
	if s.failWrite != nil {
		if err := s.failWrite(b); err != nil {
			return err
		}
	}
	if s.tokens[token] {
		return nil
	}
	s.tokens[token] = true
	column := map[string]*batch.Column{}
	for i := range b.Columns {
		column[b.Columns[i].Spec.Name] = &b.Columns[i]
	}
	for n := range b.Rows {
		id := fmt.Sprintf("%s %d/%d", column["stream"].Value(n), column["pos"].U64[n], column["row"].U64[n])
		s.rows[id]++
		s.senders[string(column["sender"].Value(n))]++
		s.texts[id] = string(column["recipient"].Value(n))
		s.queue[id] = string(column["queue_id"].Value(n))
	}
	return nil
}

func (s *store) WriteLedger(_ context.Context, b *batch.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failLedger != nil {
		if err := s.failLedger(b); err != nil {
			return err
		}
	}
	for _, r := range b.Ranges {
		s.ledger[fmt.Sprint(r.Stream, r.From, r.To, r.Via)] = r
	}
	return nil
}

func (s *store) Ledger(_ context.Context, prefix string) ([]batch.Range, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []batch.Range
	for _, r := range s.ledger {
		if strings.HasPrefix(r.Stream, prefix) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, batch.Range.Compare)
	return out, nil
}

func (s *store) Reach(_ context.Context, prefix string) (map[string]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int64{}
	return out, s.each(func(_, stream string, pos int64) {
		if strings.HasPrefix(stream, prefix) {
			out[stream] = max(out[stream], pos+1)
		}
	})
}

// each calls f with each row's name, stream and position. The caller holds the lock.
func (s *store) each(f func(id, stream string, pos int64)) error {
	for id := range s.rows {
		var stream string
		var pos, row int64
		if _, err := fmt.Sscanf(id, "%s %d/%d", &stream, &pos, &row); err != nil {
			return err
		}
		f(id, stream, pos)
	}
	return nil
}

// Present implements pipeline.Auditor.
func (s *store) Present(_ context.Context, stream string, from, to int64) (map[batch.Place]struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[batch.Place]struct{}{}
	return out, s.each(func(_, of string, pos int64) {
		if of == stream && from <= pos && pos < to {
			out[batch.Place{Pos: pos, Month: 202611}] = struct{}{}
		}
	})
}

// QueueIDs implements pipeline.Comparer.
func (s *store) QueueIDs(_ context.Context, stream string, from, to int64, limit int) (map[int64]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[int64]string{}
	if err := s.each(func(id, of string, pos int64) {
		if of == stream && from <= pos && pos < to {
			all[pos] = s.queue[id]
		}
	}); err != nil {
		return nil, err
	}
	places := slices.Sorted(maps.Keys(all))
	for _, at := range places[min(limit, len(places)):] {
		delete(all, at)
	}
	return all, nil
}

// Mend implements pipeline.Auditor. There is nothing that is derived from rows.
func (s *store) Mend(context.Context, int64, int64) error { return nil }

// stored is how many rows there are; it fails the test if one is there twice.
func (s *store) stored(t *testing.T) int {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, n := range s.rows {
		if n != 1 {
			t.Errorf("row %s was stored %d times", id, n)
		}
	}
	return len(s.rows)
}

// covered is how many positions the ledger knows.
func (s *store) covered() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.ledger {
		if r.Via == "" {
			n += r.To - r.From
		}
	}
	return n
}

func (s *store) recipients() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]bool{}
	for _, r := range s.texts {
		out[r] = true
	}
	return out
}

type noClass struct{}

func (noClass) Classify(*record.Row) record.Class { return record.Class{} }

var errPassing = errors.New("the sink is not there")

// A running source.
type running struct {
	*Source
	cancel context.CancelFunc
	done   chan error
	log    *syncedLog
}

// setup changes a source's configuration before it starts.
type setup func(*Config)

// interrupt ends a run whose ledger fails, and lets the ledger be written again.
func (r *running) interrupt(t *testing.T, s *store) {
	t.Helper()
	r.cancel()
	if err := <-r.done; errors.Is(err, errPassing) {
		t.Error(err)
	}
	r.done <- nil
	s.mu.Lock()
	s.failLedger = nil
	s.mu.Unlock()
}

func start(t *testing.T, b *broker.Broker, s *store, topics string, setups ...setup) *running {
	t.Helper()
	conn, err := kafkaconn.Config{Brokers: []string{b.Addr}}.Open()
	if err != nil {
		t.Fatal(err)
	}
	conn.Transport.MetadataTTL = sessionOf(b) / 10
	log := &syncedLog{}
	c := Config{Conn: conn, Topics: strings.Split(topics, ","), Group: t.Name(), Ledger: s, Log: log.logger(), SessionTimeout: sessionOf(b),
		Discover: sessionOf(b) / 6, ContextMemory: 1 << 20, Pipeline: pipeline.Config{Classifier: noClass{}, Sink: s, Audit: s, Compare: s, Buffers: pipeline.NewBuffers(4),
			Retryable: func(err error) bool { return errors.Is(err, errPassing) }, Log: log.logger(), MaxDelay: 50 * time.Millisecond}}
	for _, f := range setups {
		f(&c)
	}
	source, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{source, cancel, make(chan error, 1), log}
	go func() { r.done <- source.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-r.done
		if t.Failed() {
			t.Logf("log:\n%s", log)
		}
	})
	return r
}

// bad lists what could not be read, by reason.
func (r *running) bad() string {
	var out []string
	r.Counts.EachBad(func(reason string, n int64) {
		if n > 0 {
			out = append(out, fmt.Sprint(reason, " ", n))
		}
	})
	return strings.Join(out, ", ")
}

// sessionOf is how long a member may be silent: what is in this process needs no patience.
func sessionOf(b *broker.Broker) time.Duration {
	if b.TLSAddr == "" {
		return 3 * time.Second
	}
	return 6 * time.Second
}

// stop ends the source in order.
func (r *running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	select {
	case err := <-r.done:
		r.done <- err
		if err != nil {
			t.Errorf("stopping: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the source does not stop")
	}
}

// syncedLog is a log that may be read while it is written.
type syncedLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *syncedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *syncedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// line is a delivery, told apart by its number.
func line(n int) string {
	return fmt.Sprintf("2026-11-22T05:13:%02d.%06d+00:00 mx1 postfix/smtp[417]: %010X: to=<user%d@example.org>, relay=mx1.example.org[192.0.2.25]:25, "+
		"delay=2.4, delays=0.11/0.01/1.9/0.38, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 6D01F22A)", n/1000%60, n%1000, 0x4F2A000000+n, n)
}

// lines are records of the deliveries [from, to).
func lines(from, to int) []kafka.Message {
	var out []kafka.Message
	for n := from; n < to; n++ {
		out = append(out, kafka.Message{Partition: n, Value: []byte(line(n))})
	}
	return out
}

// write puts records into a topic, record n into partition n modulo the number of partitions.
func write(t *testing.T, b *broker.Broker, topic string, compression kafka.Compression, messages ...kafka.Message) {
	t.Helper()
	next := 0
	w := &kafka.Writer{Addr: kafka.TCP(b.Addr), Topic: topic, BatchTimeout: 2 * time.Millisecond, BatchSize: 500, RequiredAcks: kafka.RequireAll,
		Compression: compression, Transport: &kafka.Transport{},
		Balancer: kafka.BalancerFunc(func(_ kafka.Message, all ...int) int { next++; return all[(next-1)%len(all)] })}
	defer w.Close()
	for i := range messages {
		messages[i].Partition = 0
	}
	if err := w.WriteMessages(context.Background(), messages...); err != nil {
		t.Fatalf("produce: %v", err)
	}
}

// group is what the group keeps for a partition.
func group(t *testing.T, b *broker.Broker, name, topic string, partition int) (int64, metadata) {
	t.Helper()
	r, err := b.Client().OffsetFetch(context.Background(), &kafka.OffsetFetchRequest{GroupID: name, Topics: map[string][]int{topic: {partition}}})
	if err != nil {
		t.Fatalf("committed offset: %v", err)
	}
	if len(r.Topics[topic]) != 1 { // nobody has joined the group yet
		return -1, metadata{}
	}
	m, _ := decode(r.Topics[topic][0].Metadata)
	return r.Topics[topic][0].CommittedOffset, m
}
