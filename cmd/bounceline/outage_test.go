package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"bounceline/sinks/clickhouse/local"
)

// A gate stands before the engine as a server of its own and can be shut: connections are cut and new ones refused.
type gate struct {
	dsn, address, behind string

	mu    sync.Mutex
	l     net.Listener
	conns []net.Conn
}

func newGate(t *testing.T, s *store) *gate {
	t.Helper()
	lease, err := local.Acquire(t.Context(), s.dir, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lease.Close() })
	u, err := url.Parse(lease.DSN())
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{behind: u.Host, address: "127.0.0.1:0"}
	g.open(t)
	u.Host = g.address
	g.dsn = u.String()
	t.Cleanup(g.shut)
	return g
}

func (g *gate) open(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.l, g.address = l, l.Addr().String()
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go g.pass(in)
		}
	}()
}

func (g *gate) pass(in net.Conn) {
	out, err := net.Dial("tcp", g.behind)
	if err != nil {
		in.Close()
		return
	}
	g.mu.Lock()
	g.conns = append(g.conns, in, out)
	g.mu.Unlock()
	go func() {
		_, _ = io.Copy(out, in)
		out.Close()
	}()
	_, _ = io.Copy(in, out)
	in.Close()
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.l.Close()
	for _, c := range g.conns {
		c.Close()
	}
	g.conns = nil
}

// startServerRun starts a run that stores in the server behind the gate, and returns what reads its log.
func startServerRun(t *testing.T, g *gate, state, path string) (*exec.Cmd, func() string) {
	t.Helper()
	cmd := command("run", "--state-dir", state, "--clickhouse", g.dsn, "--listen", "127.0.0.1:0", path)
	log := &lockedBuffer{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("run:\n%s", log.String())
		}
	})
	return cmd, log.String
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestServerGoesAndComes takes the server away from a run: reading goes on when it is back, and nothing is lost or doubled. A
// run that cannot store what it has read ends at the second TERM.
func TestServerGoesAndComes(t *testing.T) {
	s := newStore(t)
	g := newGate(t, s)
	g.shut()
	path, state := filepath.Join(t.TempDir(), "mail.log"), t.TempDir()
	appendTo(t, path, 0, 100)
	cmd, log := startServerRun(t, g, state, path) // before the server is there
	eventually(t, "run says that it waits", func() bool { return strings.Contains(log(), "waiting for it") })
	g.open(t)
	eventually(t, "the first lines", s.has(t, 100))
	g.shut()
	appendTo(t, path, 100, 200)
	eventually(t, "run says that the sink refuses", func() bool { return strings.Contains(log(), "it is tried again") })
	eventually(t, "the status says so too", func() bool {
		res, err := http.Get(regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(log()) + "/status")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return strings.Contains(string(body), `"refusing": "`) && strings.Contains(string(body), `"last_error": "`)
	})
	g.open(t)
	eventually(t, "the lines of the outage", s.has(t, 200))
	g.shut()
	appendTo(t, path, 200, 300)
	eventually(t, "the next lines are refused", func() bool { return strings.Count(log(), "it is tried again") > 1 })
	_ = cmd.Process.Signal(syscall.SIGTERM)
	eventually(t, "run says that it drains", func() bool { return strings.Contains(log(), "stopping") })
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	eventually(t, "the end at the second TERM", func() bool {
		_ = cmd.Process.Signal(syscall.SIGTERM) // again and again: it counts from when the first was taken
		return len(ended) > 0
	})
	err := <-ended
	if s := cmd.ProcessState.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != syscall.SIGTERM {
		t.Errorf("it ended by itself: %v", err)
	}
	g.open(t)
	cmd, _ = startServerRun(t, g, state, path)
	eventually(t, "what was not stored at the end", s.has(t, 300))
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("TERM: %v", err)
	}
	if n := s.rows(t); n != 300 {
		t.Errorf("%d rows of 300 lines", n)
	}
	if n := s.number(t, "SELECT toUInt64(count() - uniqExact(event_id)) FROM delivery_events"); n != 0 {
		t.Errorf("%d rows are there twice", n)
	}
}
