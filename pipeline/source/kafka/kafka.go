// Package kafka reads log lines from Kafka topics as a member of a consumer group and stores each delivery event once.
//
// A partition is a stream of its own with a runner of its own: partitions change owners one by one, so a batch is of one
// partition. Where the group stands, and which batch is on its way, is kept with the group's committed offset, where the
// next owner finds it; what is stored is decided by the ledger in the database. There is no other state.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"bounceline/parsers"
	"bounceline/pipeline"
	"bounceline/pipeline/kafkaconn"
	"bounceline/pipeline/source/content"
)

// Config is what a Source needs. Fields with a default say so.
type Config struct {
	Conn       *kafkaconn.Conn
	Topics     []string // names, or regular expressions between slashes
	Group      string
	OutOfRange OutOfRange      // Earliest
	Parser     parsers.Options // how lines are read
	Ledger     content.Ledger
	Lose       pipeline.Lose // optional
	Log        *slog.Logger

	// Pipeline is what the partitions' runners are made of. Journal, Context and limits of memory are set for each of them.
	Pipeline      pipeline.Config
	ContextMemory int // bytes for context, shared by the partitions

	SessionTimeout time.Duration // how long a member may be silent before its partitions go to others; 45 s
	Discover       time.Duration // how often topics are looked for; 10 s
	Idle           time.Duration // how long none of a shipped file's lines may have come for it to be known what is stored of it; 5 min
}

// A Source is a member of a consumer group. Run is called once.
type Source struct {
	Config
	Counts Counts

	mender  *mender
	pace    *pipeline.Pace
	topics  []topic
	missing map[string]bool // named topics that are not there, said once

	mu      sync.Mutex
	readers []*reader // of the current generation
}

// What a member of a group waits for.
const (
	heartbeat  = time.Second
	joinWithin = 3 * time.Minute // a join that takes longer is begun again with a new client
)

// New returns a source that is ready to Run. Its error names what is wrong with the topics.
func New(c Config) (*Source, error) {
	if c.OutOfRange == "" {
		c.OutOfRange = Earliest
	}
	if c.SessionTimeout == 0 {
		c.SessionTimeout = 45 * time.Second
	}
	if c.Discover == 0 {
		c.Discover = 10 * time.Second
	}
	if c.Idle == 0 {
		c.Idle = 5 * time.Minute
	}
	if c.Pipeline.Counts == nil {
		c.Pipeline.Counts = &pipeline.Counts{}
	}
	if c.Pipeline.Unread == nil {
		c.Pipeline.Unread = &pipeline.Unread{}
	}
	topics, err := parseTopics(c.Topics)
	if err != nil {
		return nil, err
	}
	return &Source{Config: c, mender: newMender(c.Pipeline.Audit), pace: pipeline.NewPace(every, burst), topics: topics, missing: map[string]bool{}}, nil
}

// drain is how long a member may go on writing what it has once its partitions are to go to others: the group waits for it,
// but takes it for dead after the session timeout.
func (s *Source) drain() time.Duration { return min(20*time.Second, s.SessionTimeout/2) }

// Run reads until ctx is done; then it stores what it has and leaves the group. Its error is one that no retry cures: the
// broker's, the sink's, or that of a policy.
func (s *Source) Run(ctx context.Context) error {
	defer s.Conn.Transport.CloseIdleConnections()
	for {
		cluster, topics, err := s.await(ctx)
		if err != nil || ctx.Err() != nil {
			return err
		}
		if err := s.member(ctx, cluster, topics); err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// member is a member of the group until the topics change, the client is to be built anew, or ctx is done.
func (s *Source) member(ctx context.Context, cluster string, topics []string) error {
	s.Log.Info("joining the consumer group", "group", s.Group, "topics", topics)
	balancer := &spread{}
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: s.Group, Brokers: s.Conn.Brokers, Dialer: s.Conn.Dialer, Topics: topics,
		GroupBalancers: []kafka.GroupBalancer{balancer}, HeartbeatInterval: min(heartbeat, s.SessionTimeout/3), SessionTimeout: s.SessionTimeout,
		RebalanceTimeout: max(time.Minute, s.SessionTimeout), JoinGroupBackoff: time.Second,
		StartOffset: kafka.FirstOffset, Timeout: 10 * time.Second})
	if err != nil {
		return err
	}
	defer s.leave(group)
	here, cancel := context.WithCancel(ctx)
	defer cancel()
	go s.watch(here, topics, cancel)
	for here.Err() == nil {
		generation, err := s.next(here, group)
		switch {
		case here.Err() != nil:
			return nil
		case errors.Is(err, context.DeadlineExceeded):
			s.Log.Warn("the consumer group could not be joined for long; it is tried with a new client", "group", s.Group)
			return nil
		case kafkaconn.Permanent(err):
			return fmt.Errorf("consumer group %s: %w", s.Group, kafkaconn.Explain(err))
		case err != nil:
			s.Log.Warn("the consumer group could not be joined; it is tried again", "group", s.Group, "error", kafkaconn.Explain(err))
			continue
		}
		done := make(chan error, 1)
		generation.Start(func(ended context.Context) { done <- s.generation(here, ended, cluster, generation, balancer.take()) })
		switch err := <-done; {
		case errors.Is(err, errStalled):
			s.Log.Warn("the client is built anew", "why", err)
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

func (s *Source) next(ctx context.Context, group *kafka.ConsumerGroup) (*kafka.Generation, error) {
	ctx, cancel := context.WithTimeout(ctx, joinWithin)
	defer cancel()
	return group.Next(ctx)
}

// leave leaves the group, but waits no longer for it than the broker needs to notice by itself.
func (s *Source) leave(group *kafka.ConsumerGroup) {
	closed := make(chan struct{})
	go func() {
		group.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(15 * time.Second):
		s.Log.Warn("leaving the consumer group takes long; its other members wait for the session timeout", "group", s.Group)
	}
}

// generation reads the partitions that are this member's until the generation ends, ctx is done, or one of them must be
// looked at anew. All that was read is then stored, or will be by the next owner. If it was this member that assigned the
// partitions, assigned says how many each topic had.
func (s *Source) generation(ctx, ended context.Context, cluster string, g *kafka.Generation, assigned map[string]int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ended, func() { cancel(kafka.ErrGenerationEnded) })
	defer stop()
	if ended.Err() != nil {
		return nil
	}
	committing, forget := context.WithCancel(context.WithoutCancel(ctx))
	defer forget()
	overdue := context.AfterFunc(ctx, func() { time.AfterFunc(s.drain()+2*time.Second, forget) })
	defer overdue()

	s.Counts.Rebalances.Add(1)
	ours := map[string][]int{}
	share := 0
	for topic, assigned := range g.Assignments {
		for _, a := range assigned {
			ours[topic] = append(ours[topic], a.ID)
			share++
		}
	}
	s.Log.Info("partitions assigned", "group", s.Group, "generation", g.ID, "partitions", ours)
	if assigned != nil {
		go s.grown(ctx, assigned, cancel)
	}
	if share == 0 {
		<-ctx.Done()
		return nil
	}
	members := &membership{client: s.Conn.Client, group: s.Group, generation: int(g.ID), member: g.MemberID, ctx: committing, log: s.Log}
	committed, err := members.committed(ours)
	if err != nil {
		return nil // the generation is over; if it is not, joining again says what is wrong
	}
	reach := once(func(ctx context.Context) (map[string]int64, error) { return s.Ledger.Reach(ctx, cluster+"/") })
	var parts []*partition
	for topic, ids := range ours {
		for _, id := range ids {
			at, ok := committed[topic][id]
			if !ok {
				at.CommittedOffset = -1
			}
			parts = append(parts, s.partition(members, reach, cluster, topic, id, share, at))
		}
	}
	s.show(parts)
	defer s.show(nil)
	var wg sync.WaitGroup
	for _, p := range parts {
		wg.Go(func() {
			if err := p.run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	switch err := context.Cause(ctx); {
	case errors.Is(err, errStalled), fatal(err):
		return err
	case err != nil && ctx.Err() != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, kafka.ErrGenerationEnded):
		s.Log.Warn("partitions are looked at anew", "why", err)
	}
	return nil
}

// once makes a question that is asked until it is answered, and then no more.
func once[T any](ask func(context.Context) (T, error)) func(context.Context) (T, error) {
	var mu sync.Mutex
	var answer T
	answered := false
	return func(ctx context.Context) (T, error) {
		mu.Lock()
		defer mu.Unlock()
		if answered {
			return answer, nil
		}
		a, err := ask(ctx)
		answer, answered = a, err == nil
		return a, err
	}
}

// show makes the partitions those that are asked about.
func (s *Source) show(parts []*partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers = nil
	for _, p := range parts {
		s.readers = append(s.readers, p.reader)
	}
}

// A Status is the state of a partition that is read.
type Status struct {
	Topic     string
	Partition int
	Position  int64 // offset of the record that is read next
	End       int64 // and of the one that is written next
}

// Status returns the state of the partitions that this member has now, sorted.
func (s *Source) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Status
	for _, r := range s.readers {
		out = append(out, Status{r.topic, r.partition, r.position.Load(), r.end.Load()})
	}
	slices.SortFunc(out, func(a, b Status) int {
		if a.Topic != b.Topic {
			if a.Topic < b.Topic {
				return -1
			}
			return 1
		}
		return a.Partition - b.Partition
	})
	return out
}

// A fatalError ends the whole source.
type fatalError struct{ error }

func (e fatalError) Unwrap() error { return e.error }

func fatal(err error) bool {
	var f fatalError
	return errors.As(err, &f)
}
