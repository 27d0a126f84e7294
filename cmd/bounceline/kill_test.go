package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bounceline/pipeline/fault"
	"bounceline/pipeline/source/content"
)

// A rotatedLog is a log that one goroutine writes and logrotate rotates, always in the same manner: it loses files when that
// changes.
type rotatedLog struct {
	t      *testing.T
	path   string
	conf   string
	manner string
	next   *atomic.Int64 // number of the next delivery of all logs

	mu    sync.Mutex
	held  *os.File // the writer's handle: it is opened anew some writes after a rotation, as a signalled daemon does
	stale int
	left  time.Time // when it was rotated last
}

// heldFor is how long a file is written at the most after it was rotated: when it has been quiet for rotate_wait, 2 s, it is no
// longer read.
const heldFor = time.Second

// write appends n numbered deliveries.
func (l *rotatedLog) write(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil || l.stale == 1 || l.stale > 0 && time.Since(l.left) > heldFor {
		f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			l.t.Error(err)
			return
		}
		if l.held != nil {
			l.held.Close()
		}
		l.held, l.stale = f, 0
	}
	l.stale = max(0, l.stale-1)
	var text bytes.Buffer
	for range n {
		text.WriteString(delivery(int(l.next.Add(1) - 1)))
	}
	half := text.Len() / 2 // most lines are seen incomplete by somebody
	for _, part := range [][]byte{text.Bytes()[:half], text.Bytes()[half:]} {
		if _, err := l.held.Write(part); err != nil {
			l.t.Error(err)
		}
	}
}

// rotate runs logrotate. Nobody writes meanwhile: what is written between copy and truncation is
// in no file.
func (l *rotatedLog) rotate() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := os.WriteFile(l.conf, fmt.Appendf(nil, "%s {\nrotate 1000\nmissingok\nnotifempty\n%s\n}\n", l.path, l.manner), 0o600); err != nil {
		l.t.Error(err)
	}
	if l.manner == "compress" && l.held != nil { // what is written to a file after it was compressed is in no file
		l.held.Close()
		l.held = nil
	}
	if out, err := exec.Command("/usr/sbin/logrotate", "--force", "--state", l.conf+".state", l.conf).CombinedOutput(); err != nil {
		l.t.Errorf("logrotate: %v: %s", err, out)
	}
	l.stale, l.left = 5, time.Now()
}

// inPieces runs a test of so many kills, or as many as the variable says. Each piece of it begins anew, so that it ends in
// bounded time and its end shows how far the whole is.
func inPieces(t *testing.T, variable string, kills, each int, piece func(t *testing.T, kills int)) {
	t.Helper()
	if v := os.Getenv(variable); v != "" {
		var err error
		if kills, err = strconv.Atoi(v); err != nil {
			t.Fatalf("%s: %v", variable, err)
		}
	}
	for done := 0; done < kills; done += each {
		n := min(each, kills-done)
		t.Run(fmt.Sprintf("%d-%d", done+1, done+n), func(t *testing.T) { piece(t, n) })
	}
}

// startFaulty starts a program that was built with faults.
func startFaulty(t *testing.T, path, faults string, args ...string) *process {
	t.Helper()
	cmd := program(path, args...)
	cmd.Env = append(cmd.Env, "BOUNCELINE_FAULTS="+faults)
	return launch(t, cmd)
}

// An assault kills a program at every one of the points, and at random moments, while logs are written and rotated.
type assault struct {
	t      *testing.T
	points []string
	logs   []*rotatedLog
	next   atomic.Int64 // number of the next delivery of all logs
	last   *process

	program string // built with faults
	args    []string
}

// log adds a log that is rotated in the manner.
func (a *assault) log(path, manner string) {
	a.logs = append(a.logs, &rotatedLog{t: a.t, path: path, conf: filepath.Join(a.t.TempDir(), "logrotate.conf"), manner: manner, next: &a.next})
}

// run returns when the program has been killed so often and runs undisturbed.
func (a *assault) run(kills int) (lines int) {
	t := a.t
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(30 * time.Millisecond):
				for _, l := range a.logs {
					l.write(1 + int(time.Now().UnixNano()%4))
				}
			}
		}
	})
	first := startFaulty(t, a.program, "", a.args...)
	for _, l := range a.logs { // what is rotated away before a path is known is history, which nobody reads
		eventually(t, l.path+" is followed", func() bool { return strings.Contains(first.log.String(), "msg=following path="+l.path+" ") })
	}
	first.stop(t)
	killed := map[string]int{}
	for i := range kills {
		point, faults := "any time", ""
		if i%2 == 0 || i < len(a.points) {
			point = a.points[i%len(a.points)]
			faults = fmt.Sprintf("%s=kill@%d", point, 1+random.IntN(1+i/len(a.points)))
		}
		cmd := startFaulty(t, a.program, faults, a.args...)
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		life := time.After(time.Duration(random.IntN(800)) * time.Millisecond)
		if faults != "" {
			life = time.After(20 * time.Second)
		}
		for n := 0; ; n++ {
			rotation := time.After(time.Duration(300+random.IntN(700)) * time.Millisecond)
			select {
			case err := <-ended:
				if cmd.ProcessState.Exited() {
					t.Fatalf("it ended by itself (%s): %v\n%s", point, err, cmd.log)
				}
				killed[point]++
			case <-life:
				cmd.Process.Kill()
				<-ended
				killed["any time"]++
			case <-rotation:
				if n < 4 || point == fault.FileTruncated || point == fault.RotationSeen {
					i := random.IntN(len(a.logs))
					if point == fault.FileTruncated {
						i = slices.IndexFunc(a.logs, func(l *rotatedLog) bool { return l.manner == "copytruncate" })
					}
					a.logs[i].rotate()
				}
				continue
			}
			break
		}
		if random.IntN(3) == 0 {
			a.logs[random.IntN(len(a.logs))].rotate() // while it is dead
		}
	}
	close(stop)
	writer.Wait()
	a.last = startFaulty(t, a.program, "", a.args...)
	lines = int(a.next.Load())
	t.Logf("%d lines, killed: %v", lines, killed)
	for i, point := range a.points {
		if i < kills && killed[point] == 0 {
			t.Errorf("it was never killed at %s", point)
		}
	}
	return lines
}

// await waits for n rows, as long as the store gets on.
func (s *store) await(t *testing.T, n int) {
	t.Helper()
	for stored := s.number(t, "SELECT sum(rows) FROM ingest_batches FINAL"); stored < uint64(n); {
		before := stored
		eventually(t, fmt.Sprintf("more than %d rows of %d lines", before, n), s.has(t, int(before)+1))
		stored = s.number(t, "SELECT sum(rows) FROM ingest_batches FINAL")
	}
}

// holds checks that the store has each of n deliveries once.
func (s *store) holds(t *testing.T, n int) {
	t.Helper()
	if got := s.rows(t); got != uint64(n) {
		t.Errorf("%d rows of %d lines", got, n)
	}
	if got := s.number(t, "SELECT uniqExact(recipient) FROM delivery_events"); got != uint64(n) {
		t.Errorf("%d recipients of %d", got, n)
	}
}

// tellMissing says at the end, if the test failed, in which files of the directory the lines are that have no row.
func (s *store) tellMissing(t *testing.T, dir string) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		have := map[string]bool{}
		db, err := (&databaseFlags{stateDir: s.dir}).open(context.Background(), true)
		if err != nil {
			t.Log(err)
			return
		}
		defer db.Close()
		rows, err := db.Query(context.Background(), "SELECT DISTINCT recipient FROM delivery_events", nil)
		if err != nil {
			t.Logf("what is missing is not known: %v", err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var recipient string
			if err := rows.Scan(&recipient); err != nil {
				t.Log(err)
			}
			have[recipient] = true
		}
		files, _ := filepath.Glob(filepath.Join(dir, "*.log*"))
		for _, path := range files {
			f, err := content.Open(path)
			if err != nil {
				t.Log(err)
				continue
			}
			text, err := io.ReadAll(f)
			f.Close()
			missing, first, size := 0, 0, 0
			for _, m := range deliveryTo.FindAllSubmatchIndex(text, -1) {
				if !have[string(text[m[2]:m[3]])] {
					if missing == 0 {
						first = m[2]
					}
					missing, size = missing+1, m[3]
				}
			}
			if missing > 0 || err != nil {
				t.Logf("%s: %d lines between bytes %d and %d of %d have no row (%v)", path, missing, first, size, len(text), err)
			}
		}
	})
}

// deliveryTo finds the recipient in a line of delivery.
var deliveryTo = regexp.MustCompile(`to=<([^>]+)>`)

// TestKilledAnywhere kills run at every point where something has just become durable or is about to, and at random moments,
// while a log is written and rotated: each line is stored once, in the rows and in the rollups.
//
// BOUNCELINE_KILLS says how often it is killed.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	program, points := buildWithFaults(t), slices.Concat(fault.Storing, fault.Following)
	inPieces(t, "BOUNCELINE_KILLS", len(points)+6, 50, func(t *testing.T, kills int) {
		s := newStore(t)
		dir := t.TempDir()
		config := write(t, filepath.Join(dir, "c.yaml"), fmt.Appendf(nil,
			"inputs:\n  - name: mail\n    paths: [%s/*.log]\nstate_dir: %s\npoll: 50ms\nrotate_wait: 2s\nbatch: {max_delay: 50ms, max_rows: 500}\n", dir, s.dir))
		a := &assault{t: t, points: points, program: program, args: []string{"run", "--config", config}}
		for name, manner := range map[string]string{"a": "create", "b": "copytruncate", "c": "compress", "d": "compress\ndelaycompress"} {
			a.log(filepath.Join(dir, name+".log"), manner)
		}
		s.tellMissing(t, dir)
		lines := a.run(kills)
		s.await(t, lines)
		a.last.stop(t)
		s.holds(t, lines)
	})
}

// TestRemovalsAreFinished kills an import that stores anew at each point of taking out what is stored: whoever opens the database
// next finishes that, and the same import run again stores the file.
func TestRemovalsAreFinished(t *testing.T) {
	t.Parallel()
	program := buildWithFaults(t)
	s, log, other := storeOfTwo(t)
	rows, sum := s.rows(t), s.number(t, wholeContents)
	finishers := [][]string{{"import", log}, {"import", other}, {"verify", "--repair"}}
	for i, point := range fault.Removing {
		for _, next := range [][]string{{"import", "--again", log}, finishers[i%len(finishers)]} {
			p := startFaulty(t, program, point+"=kill@1", "import", "--state-dir", s.dir, "--again", log)
			if err := p.Wait(); err == nil || p.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("%s: it was not killed: %v", point, err)
			}
			bounceline(t, append(next, "--state-dir", s.dir)...)
			bounceline(t, "verify", "--state-dir", s.dir)
			if n := s.number(t, "SELECT count() FROM ingest_removals"); n != 0 {
				t.Errorf("%s, %v: %d removals are left", point, next, n)
			}
			bounceline(t, "import", "--state-dir", s.dir, log)
			if n := s.rows(t); n != rows || s.number(t, wholeContents) != sum {
				t.Errorf("%s, %v: there are %d rows of %d, or others", point, next, n, rows)
			}
		}
	}
}
