package main

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"bounceline/pipeline/e2e/broker"
)

// newWriter returns a writer to the topic and what ends it. It has connections of its own: those that writers share would learn of
// the topic later.
func newWriter(b *broker.Broker, topic string) (w *kafka.Writer, end func()) {
	own := &kafka.Transport{MetadataTTL: 500 * time.Millisecond} // a broker on a busy machine loses its partitions for moments
	w = &kafka.Writer{Addr: kafka.TCP(b.Addr), Topic: topic, Transport: own, BatchTimeout: 5 * time.Millisecond, RequiredAcks: kafka.RequireAll}
	return w, func() {
		w.Close()
		own.CloseIdleConnections()
	}
}

// produce writes deliveries [from, to) to the topic, each into the partition that its number gives.
func produce(t *testing.T, b *broker.Broker, topic string, partitions, from, to int) {
	t.Helper()
	w, end := newWriter(b, topic)
	defer end()
	w.Balancer = kafka.BalancerFunc(func(m kafka.Message, all ...int) int { return all[int(m.Key[0])%len(all)] })
	w.BatchSize = 1000
	var messages []kafka.Message
	for n := from; n < to; n++ {
		line := delivery(n)
		messages = append(messages, kafka.Message{Key: []byte{byte(n % partitions)}, Value: []byte(line[:len(line)-1])})
	}
	if err := w.WriteMessages(context.Background(), messages...); err != nil {
		t.Fatal(err)
	}
}

// startMember starts a run that reads topics.
func startMember(t testing.TB, s *store, b *broker.Broker, args ...string) *process {
	t.Helper()
	return launch(t, memberCommand(t, s, b, args...))
}

// memberCommand is a run that reads topics, in a group of the test's own.
func memberCommand(t testing.TB, s *store, b *broker.Broker, args ...string) *exec.Cmd {
	return command(append([]string{"run", "--state-dir", s.dir, "--kafka-brokers", b.Addr, "--kafka-group", t.Name(), "--kafka-session-timeout", "6s"}, args...)...)
}

func TestRunReadsTopics(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	b, topic := newTopic(t, 4)
	produce(t, b, topic, 4, 0, 1000)
	first := startMember(t, s, b, "--kafka-topics", topic)
	eventually(t, "the lines that were there", s.has(t, 1000))
	produce(t, b, topic, 4, 1000, 1500)
	eventually(t, "lines written while it reads", s.has(t, 1500))

	first.kill()
	produce(t, b, topic, 4, 1500, 2000)
	second := startMember(t, s, b, "--kafka-topics", "/"+topic+".*/")
	eventually(t, "lines written after a kill", s.has(t, 2000))
	second.stop(t)
	produce(t, b, topic, 4, 2000, 2100)
	third := startMember(t, s, b, "--kafka-topics", topic)
	eventually(t, "lines written while nobody read", s.has(t, 2100))
	third.stop(t)
	if n := s.rows(t); n != 2100 {
		t.Errorf("%d rows of 2100 lines", n)
	}
	if n := s.number(t, "SELECT uniqExact(recipient) FROM delivery_events"); n != 2100 {
		t.Errorf("%d recipients of 2100", n)
	}
}

func TestRunReadsTopicsSecurely(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	b, topic := newTopic(t, 2)
	dir := t.TempDir()
	secret := write(t, filepath.Join(dir, "password"), []byte(broker.ScramPassword+"\n"))
	total := 0
	for name, how := range map[string][]string{
		"client certificate": {"--kafka-brokers", b.TLSAddr, "--kafka-tls-ca", b.CA, "--kafka-tls-cert", b.Cert, "--kafka-tls-key", b.Key},
		"plain":              {"--kafka-brokers", b.SASLAddr, "--kafka-tls-ca", b.CA, "--kafka-sasl", "plain", "--kafka-user", broker.PlainUser},
		"scram-sha-256": {"--kafka-brokers", b.SASLAddr, "--kafka-tls-ca", b.CA, "--kafka-sasl", "scram-sha-256", "--kafka-user", broker.ScramUser,
			"--kafka-password-file", secret},
		"scram-sha-512": {"--kafka-brokers", b.SASLAddr, "--kafka-tls-ca", b.CA, "--kafka-sasl", "scram-sha-512", "--kafka-user", broker.ScramUser,
			"--kafka-password-file", secret},
	} {
		produce(t, b, topic, 2, total, total+50)
		total += 50
		cmd := memberCommand(t, s, b, append(how, "--kafka-topics", topic)...)
		cmd.Env = append(cmd.Env, "BOUNCELINE_KAFKA_PASSWORD="+broker.PlainPassword)
		m := launch(t, cmd)
		eventually(t, name, s.has(t, total))
		m.stop(t)
		if log := m.log.String(); strings.Contains(log, broker.ScramPassword) || strings.Contains(log, broker.PlainPassword) {
			t.Errorf("%s: the log has the password: %s", name, log)
		}
	}
	config := write(t, filepath.Join(dir, "run.yaml"), []byte("kafka:\n  brokers: ["+b.SASLAddr+"]\n  topics: ["+topic+"]\n  tls_ca: "+b.CA+"\n  sasl: plain\n  user: alice\n"))
	typo := write(t, filepath.Join(dir, "typo.yaml"), []byte("kafka:\n  broker: [a:1]\n"))
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--config", config}, 1, "user or password is wrong"},
		{[]string{"--kafka-brokers", b.TLSAddr, "--kafka-topics", topic, "--kafka-tls-ca", b.CA}, 1, "wants one"},
		{[]string{"--kafka-brokers", b.TLSAddr, "--kafka-topics", topic, "--kafka-tls"}, 1, "nobody vouches"},
		{[]string{"--config", typo}, 2, `line 2: unknown key "broker"; did you mean "brokers"?`},
		{[]string{"--kafka-brokers", "kafka1", "--kafka-topics", topic}, 2, `"kafka1" is not HOST:PORT`},
		{[]string{"--kafka-brokers", b.Addr}, 2, "topics: name at least one"},
		{[]string{"--kafka-topics", topic}, 2, "brokers: name at least one"},
		{[]string{"--kafka-brokers", b.Addr, "--kafka-topics", "/mail(/"}, 2, "missing closing"},
		{[]string{"--kafka-brokers", b.Addr, "--kafka-topics", "a", "--kafka-out-of-range", "newest"}, 2, "none of earliest, latest, fail"},
		{[]string{"--kafka-brokers", b.Addr, "--kafka-topics", "a", "--kafka-sasl", "gssapi", "--kafka-user", "u"}, 2, "none of plain, scram"},
	} {
		cmd := command(append([]string{"run", "--state-dir", s.dir}, c.args...)...)
		cmd.Env = append(cmd.Env, "BOUNCELINE_KAFKA_PASSWORD=hunter2")
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != c.code || !strings.Contains(string(out), c.want) || strings.Contains(string(out), "hunter2") {
			t.Errorf("%q: %v, %s", c.args, err, out)
		}
	}
	if n := s.rows(t); n != uint64(total) {
		t.Errorf("%d rows of %d lines", n, total)
	}
}
