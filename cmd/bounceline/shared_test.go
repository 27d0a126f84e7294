package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"bounceline/pipeline/e2e/broker"
)

// What all tests share, made when it is first needed.
var shared struct {
	dir    string
	broker *broker.Broker
	topics atomic.Int64
}

// withShared runs the tests and takes away what they shared.
func withShared(m *testing.M) (code int) {
	var err error
	if shared.dir, err = os.MkdirTemp("", "bounceline-test-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(shared.dir)
	defer func() {
		if shared.broker != nil {
			shared.broker.Kill()
		}
	}()
	return m.Run()
}

var faultyProgram = sync.OnceValues(func() (string, error) {
	program := filepath.Join(shared.dir, "bounceline")
	out, err := exec.Command("go", "build", "-tags", "faults", "-o", program, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return program, nil
})

// buildWithFaults returns the program in which faults can be made to happen.
func buildWithFaults(t testing.TB) string {
	t.Helper()
	program, err := faultyProgram()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

var runningBroker = sync.OnceValues(func() (*broker.Broker, error) {
	dir := filepath.Join(shared.dir, "broker")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	shared.broker, err = broker.Run(dir)
	return shared.broker, err
})

// newTopic returns the broker, and the name of a topic of the test's own with so many partitions; with none it is not made yet.
func newTopic(t testing.TB, partitions int, settings ...string) (b *broker.Broker, topic string) {
	t.Helper()
	b, err := runningBroker()
	if err != nil {
		t.Fatal(err)
	}
	topic = fmt.Sprintf("maillog-%03d", shared.topics.Add(1))
	if partitions > 0 {
		b.CreateTopic(t, topic, partitions, settings...)
	}
	return b, topic
}
