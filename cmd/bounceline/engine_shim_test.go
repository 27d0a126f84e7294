package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"bounceline/pipeline/e2e/shim"
)

// shimVariable, if it is set, makes the tests of the engine's file operations go through all of them.
const shimVariable = "BOUNCELINE_SHIM_ALL"

// A shimmed store is one whose engine's file operations are watched.
type shimmed struct {
	*store
	shim    *shim.Shim
	program string
	holder  *exec.Cmd // keeps the engine running
	lines   int       // that were to be stored
}

func newShimmed(t *testing.T) *shimmed {
	t.Helper()
	s := &shimmed{store: &store{dir: t.TempDir()}, program: buildWithFaults(t)}
	awaitEngine(t, s.dir)
	files := filepath.Join(s.dir, "engine", "user_files") // the engine may read and write there
	if err := os.MkdirAll(files, 0o700); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.shim, err = shim.New(files, filepath.Join(s.dir, "engine", "data")+"/"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.release()
		s.shim.Close()
	})
	s.hold(t)
	return s
}

func (s *shimmed) command(args ...string) *exec.Cmd {
	cmd := program(s.program, append(args, "--state-dir", s.dir)...)
	cmd.Env = append(cmd.Env, s.shim.Environment()...)
	return cmd
}

// hold starts the engine if it is not running, keeps it running and connects to it.
func (s *shimmed) hold(t *testing.T) {
	t.Helper()
	holder := s.command("engine")
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	holder.Stderr = os.Stderr
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	s.letGo()
	s.holder = holder
	if err != nil {
		t.Fatalf("engine: %q, %v", line, err)
	}
	s.hangUp()
	if s.db, err = (&databaseFlags{stateDir: s.dir}).open(t.Context(), true); err != nil {
		t.Fatal(err)
	}
}

func (s *shimmed) release() {
	s.hangUp()
	s.letGo()
}

func (s *shimmed) hangUp() {
	if s.db != nil {
		s.db.Close()
	}
}

// letGo ends who holds the engine, if anybody does.
func (s *shimmed) letGo() {
	if s.holder != nil {
		_ = s.holder.Process.Kill()
		_ = s.holder.Wait()
	}
}

// exact checks that all lines are stored, once.
func (s *shimmed) exact(t *testing.T, after string) {
	t.Helper()
	s.hold(t)
	if n := s.rows(t); n != uint64(s.lines) {
		t.Fatalf("%s: %d rows of %d lines", after, n, s.lines)
	}
	found, _, err := s.db.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(found) > 0 {
		t.Fatalf("%s: verify finds %v", after, found)
	}
}

// insert imports a new file with lines in two months, and again if it must be told. It returns what import said.
func (s *shimmed) insert(t *testing.T) string {
	t.Helper()
	log := write(t, filepath.Join(t.TempDir(), "mail.log"), twoMonths(s.lines, s.lines+20))
	s.lines += 20
	var out bytes.Buffer
	for try := 0; ; try++ {
		cmd := s.command("import", log)
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err == nil {
			return out.String()
		}
		if try == 1 {
			t.Fatalf("import: %s", out.String())
		}
	}
}

// sampled are some of the numbers 1 to n, other ones each time, or all of them if shimVariable is set.
func sampled(n, some int) []int {
	step := max(1, n/some)
	if os.Getenv(shimVariable) != "" {
		step = 1
	}
	var out []int
	for k := 1 + rand.IntN(step); k <= n; k += step {
		out = append(out, k)
	}
	return out
}

// TestEngineKilledAtFileOperations kills the engine before and behind the file operations of one insert over two months, views
// and ledger included, and then lets each of those that need room fail: the rows are there, once, and verify finds nothing.
func TestEngineKilledAtFileOperations(t *testing.T) {
	t.Parallel()
	s := newShimmed(t)
	s.insert(t) // makes what is made once
	s.shim.Arm(shim.Nothing, 0)
	s.insert(t)
	all := s.shim.Disarm()
	t.Logf("one insert has %d file operations, of which %d need room", all.Operations, all.NeedingRoom)
	if all.Operations < 50 || all.NeedingRoom < 20 {
		t.Fatal("they are too few: the shim does not see them")
	}
	for _, c := range []struct {
		what shim.What
		name string
		n    int
	}{{shim.KillBefore, "killed before", all.Operations}, {shim.KillAfter, "killed behind", all.Operations}, {shim.Full, "no room for", all.NeedingRoom}} {
		t.Run(c.name, func(t *testing.T) {
			happened := map[string]int{}
			numbers := sampled(c.n, 3)
			for i, k := range numbers {
				s.shim.Arm(c.what, k)
				said := s.insert(t)
				a := s.shim.Disarm()
				happened[a.Happened]++
				s.exact(t, fmt.Sprintf("operation %d (%s)\n%s", k, a.Happened, said))
				if i%50 == 49 {
					t.Logf("%d of %d operations", i+1, len(numbers))
				}
			}
			t.Logf("%d operations: %v", len(numbers), happened)
			if happened[""] > 1+len(numbers)/10 {
				t.Errorf("in %d cases nothing happened", happened[""])
			}
		})
	}
}

// TestEngineKilledWhileItIsMended kills it at the file operations of mending a rollup.
func TestEngineKilledWhileItIsMended(t *testing.T) {
	t.Parallel()
	s := newShimmed(t)
	s.insert(t)
	mend := func(what shim.What, at int) (string, shim.Account) {
		var out bytes.Buffer
		s.exec(t, "ALTER TABLE rollup_sender_hourly DELETE WHERE toYYYYMM(hour) = 202612 SETTINGS mutations_sync = 2")
		s.shim.Arm(what, at)
		for try := 0; ; try++ {
			cmd := s.command("verify", "--repair")
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Run(); err == nil {
				return out.String(), s.shim.Disarm()
			}
			if try == 2 {
				t.Fatalf("at %d: verify --repair: %s", at, out.String())
			}
		}
	}
	_, all := mend(shim.Nothing, 0)
	t.Logf("mending has %d file operations", all.Operations)
	for _, k := range sampled(all.Operations, 3) {
		said, a := mend(shim.KillBefore, k)
		s.exact(t, fmt.Sprintf("killed before operation %d (%s)\n%s", k, a.Happened, said))
	}
}
