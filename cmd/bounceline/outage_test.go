package main

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

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
	p := launch(t, command("run", "--state-dir", state, "--clickhouse", g.dsn, "--listen", "127.0.0.1:0", path))
	return p.Cmd, p.log.String
}

// TestServerGoesAndComes takes the server away from a run: reading goes on when it is back, and nothing is lost or doubled. A
// run that cannot store what it has read ends at the second TERM.
func TestServerGoesAndComes(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	g := newGate(t, s)
	g.shut()
	path, state := filepath.Join(t.TempDir(), "mail.log"), t.TempDir()
	appendTo(t, path, 0, 50)
	cmd, log := startServerRun(t, g, state, path) // before the server is there
	eventually(t, "run says that it waits", func() bool { return strings.Contains(log(), "waiting for it") })
	eventually(t, "run holds the file", func() bool { return len(openFiles(t, cmd.Process.Pid, path)) == 1 })
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	appendTo(t, path, 50, 100)
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

// openFiles are the process's open files whose names begin so.
func openFiles(t *testing.T, pid int, prefix string) (names []string) {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if name, err := os.Readlink(l); err == nil && strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names
}

// TestLossOfAnOutage cuts a log while the server is away, and stops run: the next run brings the loss into the database.
func TestLossOfAnOutage(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	g := newGate(t, s)
	path, state := filepath.Join(t.TempDir(), "mail.log"), t.TempDir()
	appendTo(t, path, 0, 10)
	config := write(t, filepath.Join(state, "c.yaml"), fmt.Appendf(nil, "inputs: [{name: mail, paths: [%s]}]\npoll: 50ms\nrotate_wait: 1s\n", path))
	args := []string{"run", "--state-dir", state, "--clickhouse", g.dsn, "--config", config}
	p := launch(t, command(args...))
	eventually(t, "the first lines", s.has(t, 10))
	g.shut()
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, path, 10, 20)
	eventually(t, "run has seen the lines, and cannot look them up", func() bool { return strings.Contains(p.log.String(), "ask what is stored") })
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	lost := 10 * len(delivery(10))
	eventually(t, "run says what is lost", func() bool { return strings.Contains(p.log.String(), fmt.Sprintf("bytes=%d", lost)) })
	if n := s.number(t, "SELECT count() FROM ingest_losses"); n != 0 {
		t.Errorf("%d losses are noted through a gate that is shut", n)
	}
	p.stop(t)
	g.open(t)
	p = launch(t, command(args...))
	eventually(t, "the loss is noted", func() bool {
		return s.number(t, "SELECT sum(toUInt64(to_pos - from_pos)) FROM ingest_losses FINAL") == uint64(lost)
	})
	p.stop(t)
	if out := bounceline(t, "checkpoint", "show", "--state-dir", state); strings.Contains(out, "losses") {
		t.Errorf("the checkpoint still holds it: %s", out)
	}
	if out := bounceline(t, "verify", "--state-dir", s.dir); !strings.Contains(out, fmt.Sprintf("%d positions were lost", lost)) {
		t.Errorf("verify says %s", out)
	}
}

// outageLines is how many lines a second are written during an outage that the variable makes long.
const outageLines = 10_000

// TestOutageAtFullInput takes the server away from a run while its log grows by more than it could hold: memory stays flat,
// and all lines are stored when the server is back.
//
// BOUNCELINE_OUTAGE says how long the outage lasts at the least.
func TestOutageAtFullInput(t *testing.T) {
	least, err := time.ParseDuration(cmp.Or(os.Getenv("BOUNCELINE_OUTAGE"), "0s"))
	if err != nil {
		t.Fatalf("BOUNCELINE_OUTAGE: %v", err)
	}
	s := newStore(t)
	g := newGate(t, s)
	path := filepath.Join(t.TempDir(), "mail.log")
	appendTo(t, path, 0, 1000)
	cmd := program(buildWithFaults(t), "run", "--state-dir", t.TempDir(), "--clickhouse", g.dsn, path) // without the race detector's memory
	p := launch(t, cmd)
	eventually(t, "the first lines", s.has(t, 1000))
	g.shut()
	lines := 1000
	var resident []int // MiB, after each step
	begun := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for step := 0; step < 40 || time.Since(begun) < least; step++ {
		if least > 0 {
			<-tick.C
		}
		appendTo(t, path, lines, lines+outageLines)
		lines += outageLines
		if step == 10 {
			eventually(t, "run says that the sink refuses", func() bool { return strings.Contains(p.log.String(), "it is tried again") })
		}
		resident = append(resident, residentMiB(t, cmd.Process.Pid))
		if step%60 == 59 {
			t.Logf("after %s: %d lines written, %d MiB resident", time.Since(begun).Round(time.Second), lines, resident[step])
		}
	}
	outage := time.Since(begun)
	early, late := slices.Max(resident[:len(resident)/2]), slices.Max(resident[len(resident)/2:])
	t.Logf("%d lines in an outage of %s: at most %d MiB resident in its first half, %d in the second", lines, outage.Round(time.Second), early, late)
	if late > 256 || least > 0 && late > early+early/10 {
		t.Errorf("memory grows: %d MiB, then %d", early, late)
	}
	g.open(t)
	begun = time.Now()
	stored := s.number(t, "SELECT sum(rows) FROM ingest_batches FINAL")
	for stored < uint64(lines) { // as long as it gets on
		before := stored
		eventually(t, fmt.Sprintf("more than %d rows of %d lines", before, lines), s.has(t, int(before)+1))
		stored = s.number(t, "SELECT sum(rows) FROM ingest_batches FINAL")
	}
	t.Logf("all of it stored %s after the outage, %d MiB resident", time.Since(begun).Round(time.Second), residentMiB(t, cmd.Process.Pid))
	p.stop(t)
	if n := s.rows(t); n != uint64(lines) {
		t.Errorf("%d rows of %d lines", n, lines)
	}
}

// residentMiB is how much memory a process has (proc(5)).
func residentMiB(t *testing.T, pid int) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(data), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize() >> 20
}
