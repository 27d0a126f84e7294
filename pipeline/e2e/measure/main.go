// Measure makes a log and compares bounceline with a bare line splitter, with pflogsumm and with grep on it, in alternating
// runs. It prints the best of each and the ratios. An import's peak memory may be that of the local engine, which is its child;
// GNU time's figure is the program's own.
//
//	go run ./pipeline/e2e/measure -lines 4000000 -runs 7
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"bounceline/pipeline/e2e/loggen"
)

// A figure is one run's cost.
type figure struct {
	wall, cpu time.Duration
	rss       int64 // KiB
}

func main() {
	lines := flag.Int("lines", 4_000_000, "lines of the log")
	runs := flag.Int("runs", 7, "alternating runs of each command")
	dir := flag.String("dir", os.TempDir(), "where log and state directories are made")
	program := flag.String("program", "bin/bounceline", "the program")
	flag.Parse()
	if err := measure(*lines, *runs, *dir, *program); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

func measure(lines, runs int, dir, program string) error {
	dir, err := os.MkdirTemp(dir, "bounceline-measure-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	log := filepath.Join(dir, "mail.log")
	f, err := os.Create(log)
	if err != nil {
		return err
	}
	if err := loggen.Write(f, lines, 1); err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	fmt.Printf("%d lines, %.0f bytes a line, %d reply templates\n", lines, float64(st.Size())/float64(lines), loggen.Templates)
	commands := []struct {
		name string
		args []string
	}{
		{"lines", []string{program, "parse", "--output", "lines", log}},
		{"parse", []string{program, "parse", "--output", "none", log}},
		{"import", []string{program, "import", "--log-zone", "UTC", "--state-dir", filepath.Join(dir, "state"), log}},
		{"pflogsumm", []string{"pflogsumm", log}},
		{"grep", []string{"sh", "-c", "LC_ALL=C grep -c status= " + log + " | cat"}},
	}
	best := map[string]figure{}
	for range runs {
		for _, c := range commands {
			os.RemoveAll(filepath.Join(dir, "state"))
			got, err := once(c.args)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if b, ok := best[c.name]; !ok || got.wall < b.wall {
				best[c.name] = got
			}
		}
	}
	for _, c := range commands {
		b := best[c.name]
		fmt.Printf("%-10s wall %8s  cpu %8s  peak memory %4d MiB  %9.0f lines/s\n", c.name, b.wall.Round(time.Millisecond), b.cpu.Round(time.Millisecond),
			b.rss/1024, float64(lines)/b.wall.Seconds())
	}
	fmt.Printf("parse / lines, CPU: %.2f\n", best["parse"].cpu.Seconds()/best["lines"].cpu.Seconds())
	fmt.Printf("pflogsumm / import, wall: %.2f\n", best["pflogsumm"].wall.Seconds()/best["import"].wall.Seconds())
	return nil
}

func once(args []string) (figure, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = nil
	begun := time.Now()
	if out, err := cmd.Output(); err != nil {
		return figure{}, fmt.Errorf("%w: %s", err, out)
	}
	u := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return figure{time.Since(begun), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), u.Maxrss}, nil
}
