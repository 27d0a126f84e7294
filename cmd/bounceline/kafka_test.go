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

// startMember starts a run that reads topics.
func startMember(t testing.TB, s *store, b *broker.Broker, args ...string) *process {
	t.Helper()
	return launch(t, command(append([]string{"run", "--state-dir", s.dir, "--kafka-brokers", b.Addr, "--kafka-session-timeout", "6s"}, args...)...))
}

func TestRunReadsTopics(t *testing.T) {
	s, b := newStore(t), broker.Start(t)
	b.CreateTopic(t, "maillog", 4)
	produce(t, b, "maillog", 4, 0, 1000)
	first := startMember(t, s, b, "--kafka-topics", "maillog")
	eventually(t, "the lines that were there", s.has(t, 1000))
	produce(t, b, "maillog", 4, 1000, 1500)
	eventually(t, "lines written while it reads", s.has(t, 1500))

	first.kill()
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

func TestRunReadsTopicsSecurely(t *testing.T) {
	s, b := newStore(t), broker.Start(t)
	b.CreateTopic(t, "maillog", 2)
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
		t.Setenv("BOUNCELINE_KAFKA_PASSWORD", broker.PlainPassword)
		produce(t, b, "maillog", 2, total, total+50)
		total += 50
		m := startMember(t, s, b, append(how, "--kafka-topics", "maillog")...)
		eventually(t, name, s.has(t, total))
		m.stop(t)
		if log := m.log.String(); strings.Contains(log, broker.ScramPassword) || strings.Contains(log, broker.PlainPassword) {
			t.Errorf("%s: the log has the password: %s", name, log)
		}
	}
	t.Setenv("BOUNCELINE_KAFKA_PASSWORD", "hunter2")
	config := write(t, filepath.Join(dir, "run.yaml"), []byte("kafka:\n  brokers: ["+b.SASLAddr+"]\n  topics: [maillog]\n  tls_ca: "+b.CA+"\n  sasl: plain\n  user: alice\n"))
	typo := write(t, filepath.Join(dir, "typo.yaml"), []byte("kafka:\n  broker: [a:1]\n"))
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--config", config}, 1, "user or password is wrong"},
		{[]string{"--kafka-brokers", b.TLSAddr, "--kafka-topics", "maillog", "--kafka-tls-ca", b.CA}, 1, "wants one"},
		{[]string{"--kafka-brokers", b.TLSAddr, "--kafka-topics", "maillog", "--kafka-tls"}, 1, "nobody vouches"},
		{[]string{"--config", typo}, 2, `line 2: unknown key "broker"; did you mean "brokers"?`},
		{[]string{"--kafka-brokers", "kafka1", "--kafka-topics", "maillog"}, 2, `"kafka1" is not HOST:PORT`},
		{[]string{"--kafka-brokers", b.Addr}, 2, "topics: name at least one"},
		{[]string{"--kafka-topics", "maillog"}, 2, "brokers: name at least one"},
		{[]string{"--kafka-brokers", b.Addr, "--kafka-topics", "/mail(/"}, 2, "missing closing"},
		{[]string{"--kafka-brokers", b.Addr, "--kafka-topics", "a", "--kafka-out-of-range", "newest"}, 2, "none of earliest, latest, fail"},
		{[]string{"--kafka-brokers", b.Addr, "--kafka-topics", "a", "--kafka-sasl", "gssapi", "--kafka-user", "u"}, 2, "none of plain, scram"},
	} {
		out, err := command(append([]string{"run", "--state-dir", s.dir}, c.args...)...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != c.code || !strings.Contains(string(out), c.want) || strings.Contains(string(out), "hunter2") {
			t.Errorf("%q: %v, %s", c.args, err, out)
		}
	}
	if n := s.rows(t); n != uint64(total) {
		t.Errorf("%d rows of %d lines", n, total)
	}
}
