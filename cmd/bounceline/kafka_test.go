package main

import (
	"bytes"
	"context"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"bounceline/pipeline/e2e/broker"
)

// produce writes deliveries [from, to) to the topic, each into the partition that its number gives.
func produce(t *testing.T, b *broker.Broker, topic string, partitions, from, to int) {
	t.Helper()
	w := &kafka.Writer{Addr: kafka.TCP(b.Addr), Topic: topic, Balancer: kafka.BalancerFunc(func(m kafka.Message, all ...int) int {
		return all[int(m.Key[0])%len(all)]
	}), BatchTimeout: 5 * time.Millisecond, BatchSize: 1000, RequiredAcks: kafka.RequireAll, AllowAutoTopicCreation: false}
	defer w.Close()
	var messages []kafka.Message
	for n := from; n < to; n++ {
		line := delivery(n)
		messages = append(messages, kafka.Message{Key: []byte{byte(n % partitions)}, Value: []byte(line[:len(line)-1])})
	}
	if err := w.WriteMessages(context.Background(), messages...); err != nil {
		t.Fatal(err)
	}
}

// A member is a run that reads topics.
type member struct {
	*exec.Cmd
	log *logBuffer
}

// A logBuffer is what a process has logged so far.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func startMember(t *testing.T, s *store, b *broker.Broker, args ...string) *member {
	t.Helper()
	m := &member{command(append([]string{"run", "--state-dir", s.dir, "--kafka-brokers", b.Addr, "--kafka-session-timeout", "6s"}, args...)...), &logBuffer{}}
	m.Stderr = m.log
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Process.Kill()
		m.Wait()
		if t.Failed() {
			t.Logf("run:\n%s", m.log)
		}
	})
	return m
}

// stop ends the member in order.
func (m *member) stop(t *testing.T) {
	t.Helper()
	m.Process.Signal(syscall.SIGTERM)
	if err := m.Wait(); err != nil {
		t.Errorf("TERM: %v", err)
	}
}

func TestRunReadsTopics(t *testing.T) {
	s, b := newStore(t), broker.Start(t)
	b.CreateTopic(t, "maillog", 4)
	produce(t, b, "maillog", 4, 0, 1000)
	first := startMember(t, s, b, "--kafka-topics", "maillog")
	eventually(t, "the lines that were there", s.has(t, 1000))
	produce(t, b, "maillog", 4, 1000, 1500)
	eventually(t, "lines written while it reads", s.has(t, 1500))

	first.Process.Kill()
	first.Wait()
	produce(t, b, "maillog", 4, 1500, 2000)
	second := startMember(t, s, b, "--kafka-topics", "/mail.*/")
	eventually(t, "lines written after a kill", s.has(t, 2000))
	second.stop(t)
	produce(t, b, "maillog", 4, 2000, 2100)
	third := startMember(t, s, b, "--kafka-topics", "maillog")
	eventually(t, "lines written while nobody read", s.has(t, 2100))
	third.stop(t)
	if n := s.rows(t); n != 2100 {
		t.Errorf("%d rows of 2100 lines", n)
	}
	if n := s.number(t, "SELECT uniqExact(recipient) FROM delivery_events"); n != 2100 {
		t.Errorf("%d recipients of 2100", n)
	}
}
