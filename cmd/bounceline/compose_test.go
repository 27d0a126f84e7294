package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/segmentio/kafka-go"
)

// composeProject reads docker-compose.yml as the reference implementation does.
func composeProject(t *testing.T) *types.Project {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{WorkingDir: root, Environment: types.Mapping{},
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(root, "docker-compose.yml")}}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestComposeFile holds docker-compose.yml against the specification, and against what is promised of it.
func TestComposeFile(t *testing.T) {
	p := composeProject(t)
	pinned := regexp.MustCompile(`^[a-z0-9./-]+:(\d+\.\d+\.\d+\S*|local)$`)
	for name, s := range p.Services {
		if !pinned.MatchString(s.Image) {
			t.Errorf("%s: image %s is of no fixed version", name, s.Image)
		}
		if name != "topic" && (s.HealthCheck == nil || len(s.HealthCheck.Test) < 2 || s.Restart != types.RestartPolicyUnlessStopped) {
			t.Errorf("%s: has no health check, or does not start again", name)
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeVolume && v.Source == "" {
				t.Errorf("%s: the volume at %s has no name", name, v.Target)
			}
			if v.Type == types.VolumeTypeBind && !v.ReadOnly {
				t.Errorf("%s: %s is mounted to be written", name, v.Source)
			}
		}
		for k, v := range s.Environment {
			if v != nil && strings.Contains(k, "PASSWORD") && !strings.HasPrefix(*v, "/run/secrets/") {
				t.Errorf("%s: %s is no secret's file", name, k)
			}
		}
		for _, c := range s.Configs {
			if _, err := os.Stat(p.Configs[c.Source].File); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, name := range []string{"central", "shipper"} {
		s := p.Services[name]
		if s.Build == nil || len(s.CapDrop) != 1 || !s.ReadOnly {
			t.Errorf("%s: is not built here, or may do too much", name)
		}
	}
	docker := document(t, "Dockerfile")
	for _, want := range []string{"\nFROM scratch\n", "\nUSER 65532:65532\n", "CGO_ENABLED=0", "-tags noengine", "\nHEALTHCHECK "} {
		if !strings.Contains(docker, want) {
			t.Errorf("Dockerfile lacks %q", strings.TrimSpace(want))
		}
	}
	if _, version, _ := strings.Cut(document(t, "go.mod"), "\ngo "); !strings.Contains(docker, "FROM golang:"+version[:4]) {
		t.Errorf("Dockerfile does not build with the Go %s of go.mod", version[:4])
	}
}

// TestStaticBuild: the container's program needs no libraries, since the image has none. Only loading the engine's needs one.
func TestStaticBuild(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-deps", "-tags", "noengine", ".")
	list.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := list.Output()
	if err != nil || !bytes.Contains(out, []byte("bounceline/sinks/clickhouse/local\n")) || bytes.Contains(out, []byte("purego")) {
		t.Errorf("%v: it can load libraries:\n%s", err, out)
	}
	if out, err := exec.Command("go", "vet", "-tags", "noengine", "../../sinks/clickhouse/local").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// freeAddresses are addresses of the loopback that nobody listens at.
func freeAddresses(t *testing.T, n int) (out []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out
}

// composeKafka starts the broker of docker-compose.yml, with its own configuration file but for addresses and folders.
func composeKafka(t *testing.T, p *types.Project, secrets string) (clients string) {
	t.Helper()
	dir := t.TempDir()
	ports := freeAddresses(t, 3)
	text, err := os.ReadFile(p.Configs["kafka_properties"].File)
	if err != nil {
		t.Fatal(err)
	}
	here := strings.NewReplacer("CLIENTS://:9092", "CLIENTS://"+ports[0], "CLIENTS://kafka:9092", "CLIENTS://"+ports[0], "127.0.0.1:9093", ports[1],
		"127.0.0.1:9094", ports[2], "/var/lib/kafka/data", dir, "/run/secrets", secrets).Replace(string(text))
	properties := filepath.Join(dir, "kafka.properties")
	if err := os.WriteFile(properties, []byte(here), 0o600); err != nil {
		t.Fatal(err)
	}
	libs, err := filepath.Abs("../../.build/kafka/libs")
	if err != nil {
		t.Fatal(err)
	}
	java := func(args ...string) *exec.Cmd {
		return program("java", append([]string{"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
			"-cp", filepath.Join(libs, "*")}, args...)...)
	}
	script := strings.Join(p.Services["kafka"].Command, " ") // the tools are the classes that the image's scripts start
	_, id, ok := strings.Cut(script, "--cluster-id ")
	if !ok || !strings.Contains(script, "kafka-storage.sh format --standalone --ignore-formatted ") || !strings.Contains(script, "&& exec /opt/kafka/bin/kafka-server-start.sh ") {
		t.Fatalf("the broker's command is another one: %s", script)
	}
	id, _, _ = strings.Cut(id, " ")
	if out, err := java("kafka.tools.StorageTool", "format", "--standalone", "--ignore-formatted", "--cluster-id", id, "--config", properties).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	launch(t, java("kafka.Kafka", properties))
	topic := kafka.TopicConfig{Topic: "maillog", NumPartitions: 12, ReplicationFactor: 1, ConfigEntries: []kafka.ConfigEntry{
		{ConfigName: "retention.ms", ConfigValue: "604800000"}, {ConfigName: "cleanup.policy", ConfigValue: "delete"}}}
	const command = "--bootstrap-server 127.0.0.1:9094 --create --if-not-exists --topic maillog --partitions 12 --config retention.ms=604800000 --config cleanup.policy=delete"
	if got := strings.Join(p.Services["topic"].Command, " "); got != command {
		t.Fatalf("the topic's command is another one: %s", got)
	}
	client := &kafka.Client{Addr: kafka.TCP(ports[2]), Timeout: 5 * time.Second}
	eventually(t, "the broker", func() bool {
		r, err := client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{topic}})
		return err == nil && (r.Errors["maillog"] == nil || errors.Is(r.Errors["maillog"], kafka.TopicAlreadyExists))
	})
	return ports[0]
}

// TestComposeServices runs the commands of docker-compose.yml with their configuration files against a real broker and the
// local engine. A shipper that is killed doubles nothing, and importing the log adds nothing.
func TestComposeServices(t *testing.T) {
	t.Parallel()
	p, s := composeProject(t), newStore(t)
	secrets, logs := t.TempDir(), t.TempDir()
	dsn, err := url.Parse(strings.TrimSpace(bounceline(t, "engine", "--dsn", "--state-dir", s.dir)))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := dsn.User.Password()
	for name, text := range map[string]string{"clickhouse_password": password + "\n", "kafka_password": "correct-horse"} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dsn.User = url.User(dsn.User.Username())
	clients := composeKafka(t, p, secrets)
	start := func(name, listen string) *process {
		t.Helper()
		service := p.Services[name]
		args := append([]string(nil), service.Command...)
		for i := range args {
			for _, c := range service.Configs {
				if args[i] == c.Target {
					args[i] = p.Configs[c.Source].File
				}
			}
		}
		cmd := command(args...)
		for k, v := range service.Environment {
			cmd.Env = append(cmd.Env, k+"="+*v)
		}
		cmd.Env = append(cmd.Env, "KAFKA_BROKER="+clients, "SECRETS="+secrets, "CLICKHOUSE_DSN="+dsn.String(), "LOGS="+logs,
			"BOUNCELINE_STATE_DIR="+filepath.Join(logs, name), "BOUNCELINE_LISTEN="+listen)
		return launch(t, cmd)
	}
	listen := freeAddresses(t, 1)[0]
	central, shipper := start("central", "127.0.0.1:0"), start("shipper", listen)
	log := filepath.Join(logs, "mail.log")
	const total, step = 4000, 500
	for n := 0; n < total; n += step {
		var text strings.Builder
		for i := n; i < n+step; i++ {
			text.WriteString(delivery(i))
		}
		if err := appendFile(log, text.String()); err != nil {
			t.Fatal(err)
		}
		if n == step || n == 4*step { // whatever it is doing
			eventually(t, "some of the lines", s.has(t, n/2))
			shipper.kill()
			shipper = start("shipper", listen)
		}
	}
	eventually(t, "all lines", s.has(t, total))
	eventually(t, "the shipper is well", func() bool { return command("health", listen).Run() == nil })
	if out, err := command("health", "127.0.0.1:1").CombinedOutput(); err == nil {
		t.Errorf("health of nobody: %s", out)
	}
	shipper.stop(t)
	central.stop(t)
	if n := s.number(t, "SELECT uniqExact(recipient) FROM delivery_events"); n != total {
		t.Errorf("%d recipients of %d", n, total)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(log, old, old); err != nil {
		t.Fatal(err)
	}
	out := bounceline(t, "import", "--state-dir", s.dir, log)
	if n := s.rows(t); n != total || !strings.Contains(out, fmt.Sprintf("already stored: %d lines", total)) {
		t.Errorf("an import of the log after it was shipped: %d rows: %s", n, out)
	}
}
