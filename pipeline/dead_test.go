package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"bounceline/pipeline/batch"
	qctx "bounceline/pipeline/context"
)

// A picky sink is a memory that takes no rows for recipients whose name says so, and keeps dead letters.
type picky struct {
	memory
	dead []string
}

func (p *picky) Write(ctx context.Context, b *batch.Batch, token string) error {
	if bad, _ := p.isolate(ctx, b); len(bad) > 0 {
		return ErrPoison
	}
	return p.memory.Write(ctx, b, token)
}

func (p *picky) isolate(_ context.Context, b *batch.Batch) (bad []int, err error) {
	for i := range b.Rows {
		line, _ := b.Text(b.LineOf(i))
		if bytes.Contains(line, []byte("refused")) {
			bad = append(bad, i)
		}
	}
	return bad, nil
}

func (p *picky) Bury(lines []batch.Dead) (int, error) {
	for _, d := range lines {
		p.dead = append(p.dead, fmt.Sprintf("%s:%d:%d %s", d.Stream, d.Pos, d.Index, d.Line))
	}
	return 0, nil
}

// TestDeadLettersHaveTheirLines: of records of several lines those that the sink refuses go to the dead letters as they were
// read, and no others, although their source cannot be read again.
func TestDeadLettersHaveTheirLines(t *testing.T) {
	for _, raw := range []bool{false, true} {
		p := &picky{}
		refused := func(n int) string { return strings.Replace(sent(n), "user", "refused", 1) }
		s := &Stream{Name: "c/t/0/0", Source: "mail"}
		r := NewRunner(Config{Classifier: noClass{}, Context: qctx.New(1 << 20), Sink: p, Journal: p, Isolate: p.isolate, Dead: p, Buffers: NewBuffers(1),
			Retryable: func(error) bool { return false }, Log: slog.New(slog.DiscardHandler), MaxDelay: time.Hour, IdleDelay: time.Hour, StoreRaw: raw})
		in := make(chan Chunk, 1)
		in <- records(s, 0, map[int64]string{
			0: sent(0),
			1: refused(1) + "\n" + sent(2) + "\nno log line\n" + refused(3) + "\n",
			2: sent(4),
			3: refused(5),
		})
		close(in)
		if err := r.Run(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		want := []string{"c/t/0/0:1:0 " + refused(1), "c/t/0/0:1:3 " + refused(3), "c/t/0/0:3:0 " + refused(5)}
		if !slices.Equal(p.dead, want) {
			t.Errorf("dead letters %q, not %q", p.dead, want)
		}
		rows := []string{"0/0 user0@example.org", fmt.Sprint("1/", 1<<32, " user2@example.org"), "2/0 user4@example.org"}
		if !slices.Equal(p.rows, rows) {
			t.Errorf("rows %q, not %q", p.rows, rows)
		}
		if rg := p.ranges[0]; rg.Lines != 7 || rg.EventLines != 6 || rg.DeadLines != 3 || rg.Rows != 3 {
			t.Errorf("the ledger says %+v", rg)
		}
	}
}
