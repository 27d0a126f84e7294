package tail_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bounceline/parsers"
	"bounceline/pipeline"
	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/e2e/rig"
	"bounceline/pipeline/source/tail"
)

// TestHints follows files that are looked at once an hour: what is seen before was hinted at.
func TestHints(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, text string) {
		t.Helper()
		f, err := os.OpenFile(path(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		must(err)
		_, err = f.WriteString(text)
		must(err)
		must(f.Close())
	}
	must(os.Mkdir(path("elsewhere"), 0o700))
	must(os.Symlink("elsewhere/real", path("link.log")))
	write("elsewhere/real", rig.Line(1))
	write("mail.log", rig.Line(2))
	db := rig.NewDB()
	store, _, err := checkpoint.Open(filepath.Join(t.TempDir(), "run.checkpoint"), false)
	must(err)
	defer store.Close()
	buffers := pipeline.NewBuffers(4)
	f := tail.New(tail.Config{Inputs: []tail.Input{{Name: "mail", Paths: []string{path("*.log")}}}, Ledger: db, Store: store, Buffers: buffers,
		Lock: func(string) (func(), error) { return func() {}, nil },
		Same: func(context.Context, io.Reader, parsers.Options, string) (bool, error) { return false, nil },
		Log:  slog.New(slog.DiscardHandler), Watch: true, Poll: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	out, ended := make(chan pipeline.Chunk), make(chan error, 1)
	go func() { ended <- f.Run(ctx, out) }()
	arrives := func(lines ...int) {
		t.Helper()
		want := map[string]bool{}
		for _, n := range lines {
			want[rig.Line(n)] = true
		}
		for len(want) > 0 {
			select {
			case c := <-out:
				if !want[string(c.Data)] {
					t.Fatalf("%q arrives", c.Data)
				}
				delete(want, string(c.Data))
				buffers.Give(c.Buffer)
			case <-time.After(time.Minute):
				t.Fatalf("%v do not arrive", lines)
			}
		}
	}
	arrives(1, 2)
	for n := 10; n < 100; n += 10 {
		write("mail.log", rig.Line(n))
		arrives(n)
		write("elsewhere/real", rig.Line(n+1))
		arrives(n + 1)
		write(fmt.Sprintf("new%d.log", n), rig.Line(n+2))
		arrives(n + 2)
		must(os.Rename(path("mail.log"), path("mail.log.1")))
		write("mail.log", rig.Line(n+3))
		arrives(n + 3)
	}
	cancel()
	must(<-ended)
}

// TestBuffersAreAway has files rotated and deleted while other sources have all buffers: they are opened in time.
func TestBuffersAreAway(t *testing.T) {
	inWorld(t, func(w *world) {
		w.write("mail.log", w.lines(1))
		w.settle()
		free := w.p.HoldBuffers()
		w.write("mail.log", w.lines(1))
		w.settle()
		for n := range 3 {
			w.rename("mail.log", fmt.Sprintf("mail.log.%d", n))
			w.write("mail.log", w.lines(1))
			w.settle()
			w.must(os.Remove(w.path(fmt.Sprintf("mail.log.%d", n))))
		}
		free()
		w.pass(2 * time.Minute)
	})
}
