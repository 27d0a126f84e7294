// Package broker runs a real Apache Kafka broker for tests: one node that is its own controller, with listeners in
// plaintext, over TLS with client certificates, and over TLS with passwords. Its jars are fetched by make broker.
package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// The users that the password listener knows: the first by PLAIN, the second by both kinds of SCRAM.
const (
	PlainUser, PlainPassword = "alice", "alice-secret"
	ScramUser, ScramPassword = "bob", "bob-secret"
)

// A Broker is a broker process and where it listens. Its addresses stay the same through restarts.
type Broker struct {
	Addr     string // plaintext
	TLSAddr  string // demands a client certificate
	SASLAddr string // TLS, demands a user's password

	CA, Cert, Key string // PEM files: who signed the broker's certificate; a client's certificate and key

	dir     string
	libs    string
	process *exec.Cmd
	exited  chan struct{}
}

// ready is how long a broker may take to answer after its start; it takes two seconds on an idle machine.
const ready = 90 * time.Second

// Start runs a broker until the test ends. It fails the test, with a sentence, where Java or the jars are missing.
func Start(t testing.TB) *Broker {
	t.Helper()
	b, err := Run(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Kill)
	return b
}

// Run starts a broker with its data in dir, which is empty, and waits until it answers. Stop or Kill it.
func Run(dir string) (*Broker, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return nil, errors.New("the tests run a real Kafka broker and there is no java: install a Java runtime, 17 or newer (Debian: apt-get install default-jre-headless)")
	}
	libs, err := libraries()
	if err != nil {
		return nil, err
	}
	b := &Broker{dir: dir, libs: libs}
	if err := b.certificates(); err != nil {
		return nil, fmt.Errorf("broker: certificates: %w", err)
	}
	ports, err := freePorts(4)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	b.Addr, b.TLSAddr, b.SASLAddr = ports[0], ports[1], ports[2]
	if err := os.WriteFile(b.properties(), []byte(b.configuration(ports[3])), 0o600); err != nil {
		return nil, err
	}
	format := b.java("kafka.tools.StorageTool", "format", "--standalone", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", b.properties(),
		"--add-scram", "SCRAM-SHA-256=[name="+ScramUser+",password="+ScramPassword+"]",
		"--add-scram", "SCRAM-SHA-512=[name="+ScramUser+",password="+ScramPassword+"]")
	if out, err := format.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("broker: format its storage: %w: %s", err, out)
	}
	if err := b.Restart(); err != nil {
		b.Kill()
		return nil, err
	}
	return b, nil
}

// libraries is the folder with the broker's jars, of the module in which the test runs.
func libraries() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("broker: the test does not run inside the repository")
		}
	}
	libs := filepath.Join(dir, ".build", "kafka", "libs")
	if jars, _ := filepath.Glob(filepath.Join(libs, "kafka_*.jar")); len(jars) == 0 {
		return "", fmt.Errorf("the tests run a real Kafka broker and its jars are not in %s: run make broker (it needs Maven)", libs)
	}
	return libs, nil
}

// freePorts returns addresses on the loopback that nobody listens at.
func freePorts(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out, nil
}

func (b *Broker) properties() string { return filepath.Join(b.dir, "server.properties") }

// configuration is the broker's. Times are short, so that tests of restarts are.
func (b *Broker) configuration(controller string) string {
	listeners := "PLAINTEXT://" + b.Addr + ",SSL://" + b.TLSAddr + ",SASL_SSL://" + b.SASLAddr
	const jaas = "org.apache.kafka.common.security."
	return strings.Join([]string{
		"process.roles=broker,controller",
		"node.id=1",
		"listeners=" + listeners + ",CONTROLLER://" + controller,
		"advertised.listeners=" + listeners,
		"controller.listener.names=CONTROLLER",
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
		"controller.quorum.bootstrap.servers=" + controller,
		"log.dirs=" + filepath.Join(b.dir, "data"),
		"auto.create.topics.enable=false",
		"broker.session.timeout.ms=2000", // how long a broker that was killed takes to be let in again
		"broker.heartbeat.interval.ms=500",
		"offsets.topic.replication.factor=1",
		"offsets.topic.num.partitions=1",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"group.initial.rebalance.delay.ms=0",
		"group.min.session.timeout.ms=1000",
		"log.retention.check.interval.ms=1000",
		"ssl.keystore.type=PEM",
		"ssl.keystore.location=" + filepath.Join(b.dir, "server.pem"),
		"ssl.truststore.type=PEM",
		"ssl.truststore.location=" + b.CA,
		"listener.name.ssl.ssl.client.auth=required",
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		"listener.name.sasl_ssl.plain.sasl.jaas.config=" + jaas + `plain.PlainLoginModule required user_` + PlainUser + `="` + PlainPassword + `";`,
		"listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=" + jaas + "scram.ScramLoginModule required;",
		"listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=" + jaas + "scram.ScramLoginModule required;",
	}, "\n") + "\n"
}

func (b *Broker) java(args ...string) *exec.Cmd {
	return exec.Command("java", append([]string{"-Xmx512m", "-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", filepath.Join(b.libs, "*")}, args...)...)
}

// Restart starts a broker that was stopped or killed, with the data that it had, and waits until it answers.
func (b *Broker) Restart() error {
	log, err := os.OpenFile(filepath.Join(b.dir, "broker.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	b.process = b.java("kafka.Kafka", b.properties())
	b.process.Stdout, b.process.Stderr = log, log
	b.process.SysProcAttr = endWithParent()
	if err := b.process.Start(); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	process, exited := b.process, make(chan struct{})
	b.exited = exited
	go func() {
		_ = process.Wait()
		close(exited)
	}()
	return b.await()
}

// await waits until the broker leads what it holds, the topics at least, and coordinates groups.
func (b *Broker) await(topics ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), ready)
	defer cancel()
	var last error
	for {
		if last = b.answers(ctx, topics); last == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-b.exited:
			return fmt.Errorf("the Kafka broker ended at once: %s", b.Log())
		case <-ctx.Done():
			return fmt.Errorf("the Kafka broker does not answer after %s: %w: %s", ready, last, b.Log())
		}
	}
}

func (b *Broker) answers(ctx context.Context, topics []string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c := b.Client()
	defer c.Transport.(*kafka.Transport).CloseIdleConnections()
	found, err := c.FindCoordinator(ctx, &kafka.FindCoordinatorRequest{Key: "probe", KeyType: kafka.CoordinatorKeyTypeConsumer})
	switch {
	case err != nil:
		return err
	case found.Error != nil:
		return found.Error
	}
	meta, err := c.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return err
	}
	for _, name := range topics {
		if !slices.ContainsFunc(meta.Topics, func(t kafka.Topic) bool { return t.Name == name && len(t.Partitions) > 0 }) {
			return fmt.Errorf("topic %s is not there yet", name)
		}
	}
	for _, topic := range meta.Topics {
		for _, p := range topic.Partitions {
			if p.Error != nil || p.Leader.Port == 0 {
				return fmt.Errorf("partition %d of %s has no leader: %w", p.ID, topic.Name, p.Error)
			}
		}
	}
	return nil
}

// Client returns a client of the plaintext listener.
func (b *Broker) Client() *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(b.Addr), Timeout: 10 * time.Second, Transport: &kafka.Transport{}}
}

// CreateTopic makes a topic. Settings are pairs such as "retention.ms", "1000".
func (b *Broker) CreateTopic(t testing.TB, name string, partitions int, settings ...string) {
	t.Helper()
	topic := kafka.TopicConfig{Topic: name, NumPartitions: partitions, ReplicationFactor: 1}
	for i := 0; i+1 < len(settings); i += 2 {
		topic.ConfigEntries = append(topic.ConfigEntries, kafka.ConfigEntry{ConfigName: settings[i], ConfigValue: settings[i+1]})
	}
	r, err := b.Client().CreateTopics(context.Background(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{topic}})
	if err = errors.Join(err, errorOf(r, name)); err != nil {
		t.Fatalf("create topic %s: %v", name, err)
	}
	if err := b.await(name); err != nil {
		t.Fatal(err)
	}
}

func errorOf(r *kafka.CreateTopicsResponse, topic string) error {
	if r == nil {
		return nil
	}
	return r.Errors[topic]
}

// Kill ends the broker as a crash would.
func (b *Broker) Kill() { b.end(syscall.SIGKILL) }

// Stop lets the broker shut down in order.
func (b *Broker) Stop() { b.end(syscall.SIGTERM) }

func (b *Broker) end(signal syscall.Signal) {
	if b.process == nil || b.process.Process == nil {
		return
	}
	_ = b.process.Process.Signal(signal)
	<-b.exited
}

// Log is the end of what the broker has printed.
func (b *Broker) Log() string {
	data, _ := os.ReadFile(filepath.Join(b.dir, "broker.log"))
	return string(data[max(0, len(data)-2000):])
}
