package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bounceline/pipeline/e2e/smalldisk"
	"bounceline/sinks/clickhouse/local"
)

// TestRunOnAFullDisk fills the disk of the state directory while run follows a log, which is rotated meanwhile: run says what
// is full, waits, and goes on when there is room.
func TestRunOnAFullDisk(t *testing.T) {
	t.Setenv(local.MinFreeVariable, "4")
	disk := smalldisk.Mount(t, 160)
	s := newStoreIn(t, filepath.Join(disk.Dir, "state"))
	path := filepath.Join(t.TempDir(), "mail.log")
	p := startRun(t, s, path)
	appendTo(t, path, 0, 100)
	eventually(t, "the first lines", s.has(t, 100))
	disk.Fill(t)
	appendTo(t, path, 100, 200)
	eventually(t, "run says which disk is full", func() bool {
		return strings.Contains(p.log.String(), "the disk that holds "+s.dir+" is full: free some space there")
	})
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, path, 200, 300)
	eventually(t, "run finds the next file", func() bool { return strings.Contains(p.log.String(), "the checkpoint cannot be written") })
	disk.Free(t)
	eventually(t, "all lines, when there is room", s.has(t, 300))
	p.stop(t)
	if n := s.rows(t); n != 300 {
		t.Errorf("%d rows of 300 lines", n)
	}
	bounceline(t, "verify", "--state-dir", s.dir)
}

// TestImportOnAFullDisk: an import that finds the disk full says so and ends; the next one stores all.
func TestImportOnAFullDisk(t *testing.T) {
	t.Setenv(local.MinFreeVariable, "4")
	disk := smalldisk.Mount(t, 160)
	s := newStoreIn(t, filepath.Join(disk.Dir, "state"))
	log := write(t, filepath.Join(t.TempDir(), "mail.log"), twoMonths(0, 500))
	disk.Fill(t)
	out, err := command("import", "--state-dir", s.dir, log).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "full") || !strings.Contains(string(out), s.dir) || !strings.Contains(string(out), "free some space") {
		t.Errorf("%v: %s", err, out)
	}
	disk.Free(t)
	bounceline(t, "import", "--state-dir", s.dir, log)
	if n := s.rows(t); n != 500 {
		t.Errorf("%d rows of 500 lines", n)
	}
	bounceline(t, "verify", "--state-dir", s.dir)
}

// TestDiskIsFullAgainAndAgain lets a neighbour fill the disk and free it, at random, while imports write: what one of them
// could not store the next one does, and what was acknowledged stays.
func TestDiskIsFullAgainAndAgain(t *testing.T) {
	t.Setenv(local.MinFreeVariable, "0") // the engine does not look: writes fail
	disk := smalldisk.Mount(t, 160)
	s := newStoreIn(t, filepath.Join(disk.Dir, "state"))
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	const fills = 12 // for each file at the most: on a slow machine an engine needs longer to start than until it is ended again
	lines, refused, filled := 0, 0, 0
	for file := range 3 {
		const each = 100
		log := write(t, filepath.Join(dir, fmt.Sprintf("mail.log.%d", file)), twoMonths(lines, lines+each))
		lines += each
		for {
			cmd := command("import", "--state-dir", s.dir, "--batch-rows", "10", log)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			var err error
			for running := true; running; {
				var next <-chan time.Time
				if filled < fills*(file+1) {
					next = time.After(time.Duration(random.IntN(1000)) * time.Millisecond)
				}
				select {
				case err = <-ended:
					running = false
				case <-next:
					disk.Fill(t)
					filled++
					<-time.After(time.Duration(random.IntN(100)) * time.Millisecond)
					disk.Free(t)
				}
			}
			if err == nil {
				break
			}
			refused++
			if refused > 100 {
				t.Fatalf("%d imports were refused: %s", refused, out.String())
			}
		}
	}
	t.Logf("%d lines, the disk was filled %d times, %d imports were refused", lines, filled, refused)
	if n := s.rows(t); n != uint64(lines) {
		t.Errorf("%d rows of %d lines", n, lines)
	}
	bounceline(t, "verify", "--state-dir", s.dir)
}
