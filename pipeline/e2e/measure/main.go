// Measure makes a log and compares bounceline with a bare line splitter, with pflogsumm and with grep on it, in alternating
// runs. It prints the best of each and the ratios, and the peak memory of the command's own process, the local engine apart.
// Follow is run from its start until the log is stored. What following exactly once costs is the difference between "beside" and
// "plain", which both run beside an engine that runs already: plain reads and inserts the same lines, and promises nothing. Of
// follow's wall time the last second is spent waiting for more lines (batch.max_delay).
//
//	go run ./pipeline/e2e/measure -lines 4000000 -runs 7
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	naive := flag.Int64("plain", 0, "used by measure itself: store the log, of so many bytes, and promise nothing")
	flag.Parse()
	if *naive > 0 {
		if err := plain(flag.Arg(0), *naive, flag.Arg(1)); err != nil {
			fmt.Fprintln(os.Stderr, "plain:", err)
			os.Exit(1)
		}
		return
	}
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
	state := filepath.Join(dir, "state")
	self, err := os.Executable()
	if err != nil {
		return err
	}
	run := []string{program, "run", "--log-zone", "UTC", "--listen", "127.0.0.1:0", "--state-dir", state, log}
	commands := []struct {
		name string
		args []string
		once func(args []string) (figure, error)
	}{
		{"lines", []string{program, "parse", "--output", "lines", log}, once},
		{"parse", []string{program, "parse", "--output", "none", log}, once},
		{"import", []string{program, "import", "--log-zone", "UTC", "--state-dir", state, log}, once},
		{"follow", run, follow},
		{"beside", run, beside(program, state, follow)},
		{"plain", []string{self, fmt.Sprintf("-plain=%d", st.Size()), log, state}, beside(program, state, once)},
		{"pflogsumm", []string{"pflogsumm", log}, once},
		{"grep", []string{"sh", "-c", "LC_ALL=C grep -c status= " + log + " | cat"}, once},
	}
	best := map[string]figure{}
	for range runs {
		for _, c := range commands {
			os.RemoveAll(state)
			got, err := c.once(c.args)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			b, ok := best[c.name]
			if !ok {
				b = got
			}
			best[c.name] = figure{min(b.wall, got.wall), min(b.cpu, got.cpu), max(b.rss, got.rss)}
		}
	}
	for _, c := range commands {
		b := best[c.name]
		fmt.Printf("%-10s wall %8s  cpu %8s  peak memory %4d MiB  %9.0f lines/s\n", c.name, b.wall.Round(time.Millisecond), b.cpu.Round(time.Millisecond),
			b.rss/1024, float64(lines)/b.wall.Seconds())
	}
	fmt.Printf("parse / lines, CPU: %.2f\n", best["parse"].cpu.Seconds()/best["lines"].cpu.Seconds())
	fmt.Printf("pflogsumm / import, wall: %.2f\n", best["pflogsumm"].wall.Seconds()/best["import"].wall.Seconds())
	fmt.Printf("follow / import, wall: %.2f, CPU: %.2f\n", best["follow"].wall.Seconds()/best["import"].wall.Seconds(), best["follow"].cpu.Seconds()/best["import"].cpu.Seconds())
	fmt.Printf("beside / plain, wall: %.2f, CPU: %.2f\n", best["beside"].wall.Seconds()/best["plain"].wall.Seconds(), best["beside"].cpu.Seconds()/best["plain"].cpu.Seconds())
	return nil
}

func once(args []string) (figure, error) {
	cmd := exec.Command(args[0], args[1:]...)
	var out bytes.Buffer
	cmd.Stdout = &out
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return figure{}, err
	}
	peak := watchMemory(cmd.Process.Pid)
	if err := cmd.Wait(); err != nil {
		return figure{}, fmt.Errorf("%w: %s", err, out.Bytes())
	}
	return cost(cmd, begun, peak), nil
}

func cost(cmd *exec.Cmd, begun time.Time, peak <-chan int64) figure {
	wall := time.Since(begun)
	return figure{wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), <-peak}
}

// watchMemory gives the peak resident set of a process in KiB, as last seen before its end. The rusage that the kernel keeps
// is no use for it: a child's begins with the size of the process that forked it (getrusage(2), ru_maxrss; exec keeps it).
func watchMemory(pid int) <-chan int64 {
	peak := make(chan int64, 1)
	go func() {
		name, last := fmt.Sprintf("/proc/%d/status", pid), int64(0)
		for {
			status, err := os.ReadFile(name)
			at := bytes.Index(status, []byte("VmHWM:"))
			if err != nil || at < 0 {
				break
			}
			fmt.Sscan(string(status[at+len("VmHWM:"):]), &last)
			time.Sleep(5 * time.Millisecond)
		}
		peak <- last
	}()
	return peak
}

// follow runs the daemon until its status says that nothing is left to be stored.
func follow(args []string) (figure, error) {
	cmd := exec.Command(args[0], args[1:]...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return figure{}, err
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return figure{}, err
	}
	defer cmd.Process.Kill()
	peak := watchMemory(cmd.Process.Pid)
	address := regexp.MustCompile(`http://[\d.:]+`)
	lines, base := bufio.NewScanner(stderr), ""
	for base == "" && lines.Scan() {
		base = address.FindString(lines.Text())
	}
	go io.Copy(io.Discard, stderr)
	for {
		res, err := http.Get(base + "/metrics")
		if err != nil {
			return figure{}, err
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			return figure{}, err
		}
		if bytes.Contains(text, []byte(`bounceline_streams{flow="files"} 1`)) && bytes.Contains(text, []byte(`bounceline_source_lag_bytes{flow="files"} 0`)) {
			break
		}
		time.Sleep(100 * time.Millisecond) // each question costs the program a millisecond of its own time
	}
	stored := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return figure{}, err
	}
	if err := cmd.Wait(); err != nil {
		return figure{}, err
	}
	c := cost(cmd, begun, peak)
	c.wall = stored.Sub(begun)
	return c, nil
}
