package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// stdinBuffer is how much of standard input is read at once.
const stdinBuffer = 256 << 10

// standardInput is a command's standard input. An interrupt ends it, even while nothing comes. Whoever forgot to name a file is
// told that the command waits for a terminal.
func standardInput(cmd *cobra.Command) io.Reader {
	s := &stdin{ctx: cmd.Context(), r: cmd.InOrStdin(), errs: cmd.ErrOrStderr(), done: make(chan readResult, 1)}
	if f, ok := s.r.(*os.File); ok {
		s.terminal = term.IsTerminal(int(f.Fd()))
	}
	return s
}

// stdin reads in a goroutine of its own, for a read cannot be interrupted.
type stdin struct {
	ctx      context.Context
	r        io.Reader
	errs     io.Writer
	terminal bool // nobody was told yet that this one is read
	buf      []byte
	left     []byte // what was read and not yet asked for
	err      error
	done     chan readResult
}

type readResult struct {
	n   int
	err error
}

func (s *stdin) Read(p []byte) (int, error) {
	if s.terminal {
		s.terminal = false
		fmt.Fprintln(s.errs, "reading standard input; Ctrl-D ends it")
	}
	if len(s.left) == 0 && s.err == nil {
		if s.buf == nil {
			s.buf = make([]byte, stdinBuffer)
		}
		go func() {
			n, err := s.r.Read(s.buf)
			s.done <- readResult{n, err}
		}()
		select {
		case got := <-s.done:
			s.left, s.err = s.buf[:got.n], got.err
		case <-s.ctx.Done():
			s.err = s.ctx.Err() // the goroutine may still write into buf
		}
	}
	n := copy(p, s.left)
	if s.left = s.left[n:]; n > 0 || s.err == nil {
		return n, nil
	}
	return 0, s.err
}
