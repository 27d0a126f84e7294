package main

import (
	"bufio"
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/spf13/cobra"
)

func TestStandardInput(t *testing.T) {
	text := strings.Repeat("a line of some length\n", 2*stdinBuffer/20)
	for name, r := range map[string]io.Reader{"whole": strings.NewReader(text), "bytes": iotest.OneByteReader(strings.NewReader(text[:5000])), "error at the end": iotest.DataErrReader(strings.NewReader(text))} {
		cmd := &cobra.Command{}
		cmd.SetContext(t.Context())
		cmd.SetIn(r)
		want := text
		if name == "bytes" {
			want = text[:5000]
		}
		if got, err := io.ReadAll(standardInput(cmd)); err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// TestInterruptedStandardInput: commands that wait for more of standard input end at an interrupt.
func TestInterruptedStandardInput(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"import", "--state-dir", newStore(t).dir, "-"}, {"parse", "--output", "ndjson"}, {"classify", "--output", "ndjson"}} {
		cmd := command(args...)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		cmd.Stderr = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// So much is written only if it is read, which is when interrupts are looked after.
		if _, err := io.WriteString(in, strings.Repeat(delivery(1), 1<<20/len(delivery(1)))); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitRuntime || !strings.HasSuffix(out.String(), "bounceline: interrupted\n") {
			t.Errorf("%v: %v, %s", args, err, out.String())
		}
		if again := strings.Contains(out.String(), "the same import run again stores the rest"); again != (args[0] == "import") {
			t.Errorf("%v: %s", args, out.String())
		}
		in.Close()
	}
}

// TestAnswersWithoutWaiting: a program that writes a line and waits for what is said of it gets that.
func TestAnswersWithoutWaiting(t *testing.T) {
	t.Parallel()
	const reply = "550 5.1.1 <ann@example.org>: Recipient address rejected: User unknown\n"
	for _, c := range []struct {
		args, line string
		skip       int // lines before the answer
	}{
		{"classify --output ndjson", reply, 0},
		{"classify --output csv", reply, 1},
		{"classify", reply, 0},
		{"parse --output ndjson", delivery(1), 0},
		{"parse --malformed", "no log\n", 0},
		{"parse", delivery(1), 3}, // a header
	} {
		cmd := command(strings.Fields(c.args)...)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		answers := bufio.NewReader(out)
		for range 2 {
			if _, err := io.WriteString(in, c.line); err != nil {
				t.Fatal(err)
			}
			for range c.skip + 1 {
				if line, err := answers.ReadString('\n'); err != nil { // it would wait for ever
					t.Errorf("%s: %q, %v", c.args, line, err)
				}
			}
			if c.skip = 0; c.args == "classify" { // its answer has more lines: an empty one ends it
				for line := "-"; strings.TrimSpace(line) != ""; {
					if line, err = answers.ReadString('\n'); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", c.args, err)
		}
	}
}
