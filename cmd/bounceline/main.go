// Bounceline reads the delivery logs of mail servers, says why each message that was not delivered bounced, and keeps one
// row for each recipient and attempt in ClickHouse.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // without it a small container has no zones, and stamps would silently be read as UTC
)

// Exit codes.
const (
	exitOK      = 0
	exitRuntime = 1
	exitUsage   = 2
)

// memoryLimit is what the garbage collector keeps to, unless GOMEMLIMIT says otherwise: batches and buffers are of fixed
// number, and without a limit the collector would let twice as much stand. With less than about 140 MiB it runs all the time,
// for the lines of two batches stand too.
const memoryLimit = 144 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run runs one command line and returns the exit code. The first SIGINT or SIGTERM asks the command to end in order, the
// second one ends the process.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the signals' default action is back for the second one
	root := newRootCommand(stdin, stdout, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "bounceline: interrupted")
		return exitRuntime
	}
	fmt.Fprintf(stderr, "bounceline: %s\n", escapeLines(err.Error()))
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitRuntime
}
