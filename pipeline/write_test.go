package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bounceline/parsers"
	"bounceline/pipeline/batch"
	qctx "bounceline/pipeline/context"
	"bounceline/pipeline/record"
)

var (
	errDown    = errors.New("connection refused")
	errSchema  = errors.New("no such column")
	errUnknown = errors.New("connection reset after the send")
)

// A script is a sink that does what it is told: one outcome for each insert, then success. It keeps rows as a server would,
// with a token for each part.
type script struct {
	outcomes []outcome
	rows     map[string]int // how often each row is there, by stream and position
	tokens   map[string]bool
	sums     int // what the rollups say
	ledger   map[string]batch.Range
	sent     []string // tokens, in order
	ids      []string
	asked    int
	mended   int
	at       []time.Time
}

// An outcome is what an insert answers and what it does.
type outcome struct {
	err    error
	stores bool // the rows are there in the end
	views  bool // and in the rollups
	forget bool // the token is kept although the rows are not
}

func (s *script) Write(_ context.Context, b *batch.Batch, token string) error {
	o := outcome{nil, true, true, false}
	if len(s.outcomes) > 0 {
		o, s.outcomes = s.outcomes[0], s.outcomes[1:]
	}
	s.sent, s.at = append(s.sent, token), append(s.at, time.Now())
	if s.rows == nil {
		s.rows, s.tokens = map[string]int{}, map[string]bool{}
	}
	if o.stores && !s.tokens[token] {
		for i := range b.Rows {
			stream, at := b.Place(i)
			s.rows[fmt.Sprintf("%s %d", stream, at.Pos)]++
		}
		if o.views {
			s.sums += b.Rows
		}
	}
	if o.err == nil && s.tokens[token] {
		o.err = ErrKnown
	}
	if o.stores || o.forget {
		s.tokens[token] = true
	}
	return o.err
}

func (s *script) WriteLedger(_ context.Context, b *batch.Batch) error {
	if s.ledger == nil {
		s.ledger = map[string]batch.Range{}
	}
	for _, r := range b.Ranges {
		s.ledger[fmt.Sprintf("%s [%d, %d)", r.Stream, r.From, r.To)] = r
	}
	s.ids = append(s.ids, b.ID)
	return nil
}

func (s *script) Present(_ context.Context, stream string, from, to int64) (map[batch.Place]struct{}, error) {
	s.asked++
	out := map[batch.Place]struct{}{}
	for key := range s.rows {
		var name string
		var pos int64
		if _, err := fmt.Sscan(key, &name, &pos); err != nil {
			return nil, err
		}
		if name == stream && from <= pos && pos < to {
			out[batch.Place{Pos: pos, Month: 202611}] = struct{}{}
		}
	}
	return out, nil
}

func (s *script) Mend(context.Context, int64, int64) error {
	s.mended++
	s.sums = len(s.rows)
	return nil
}

// nothing is a journal and a classifier that do nothing.
type nothing struct{}

func (nothing) Intend(*batch.Batch) error             { return nil }
func (nothing) Commit(*batch.Batch) error             { return nil }
func (nothing) Classify(*record.Row) (c record.Class) { return c }
func (nothing) retryable(err error) bool              { return err != errSchema }

func event(n int) string {
	return fmt.Sprintf("2026-11-22T05:13:%02d+00:00 mx1 postfix/smtp[417]: %010X: to=<user%d@example.org>, relay=mx1.example.org[192.0.2.25]:25, "+
		"delay=2.4, delays=0.11/0.01/1.9/0.38, dsn=2.0.0, status=sent (250 2.0.0 Ok)\n", n%60, 0x4F2A000000+n, n)
}

func events(from, to int) string {
	var b strings.Builder
	for n := from; n < to; n++ {
		b.WriteString(event(n))
	}
	return b.String()
}

// feed runs the text through a runner in chunks of so many lines.
func feed(t *testing.T, s *script, st Stream, text string, lines int, change func(*Config)) error {
	t.Helper()
	pool := NewBuffers(2)
	c := Config{Classifier: nothing{}, Context: qctx.New(1 << 20), Sink: s, Audit: s, Journal: nothing{}, Buffers: pool,
		Retryable: nothing{}.retryable, Log: slog.New(slog.DiscardHandler), MaxRows: 10, MaxDelay: time.Hour, IdleDelay: time.Hour}
	if change != nil {
		change(&c)
	}
	st.Parser = parsers.Options{Dialect: "auto", AssumedZone: time.UTC}
	if st.Name == "" {
		st.Name = "file-a-0"
	}
	return Drive(t.Context(), func(ctx context.Context, out chan<- Chunk) error {
		at := int64(0)
		for rest := text; rest != ""; {
			end := 0
			for range lines {
				if i := strings.IndexByte(rest[end:], '\n'); i >= 0 {
					end += i + 1
				}
			}
			buf := pool.Take()
			n := copy(buf, rest[:end])
			select {
			case out <- Chunk{Stream: &st, Offset: at, Next: at + int64(end), Data: buf[:n], Buffer: buf, Last: end == len(rest)}:
			case <-ctx.Done():
				pool.Give(buf)
				return nil
			}
			at, rest = at+int64(end), rest[end:]
		}
		return nil
	}, NewRunner(c))
}

// exact checks that each of n lines has its row, once, and that rollups and ledger say so.
func (s *script) exact(t *testing.T, what string, n int) {
	t.Helper()
	inLedger := 0
	for _, r := range s.ledger {
		inLedger += int(r.Rows)
	}
	for row, times := range s.rows {
		if times != 1 {
			t.Errorf("%s: row %s is there %d times", what, row, times)
		}
	}
	if len(s.rows) != n || s.sums != n || inLedger != n {
		t.Errorf("%s: %d rows, %d in the rollups, %d in the ledger; there were %d lines", what, len(s.rows), s.sums, inLedger, n)
	}
}

// TestWriteOutcomes lets an insert fail in each way and checks what follows.
func TestWriteOutcomes(t *testing.T) {
	for _, c := range []struct {
		what     string
		outcomes []outcome
		sends    int
		asked    bool
		fails    error
	}{
		{"it is taken", nil, 1, false, nil},
		{"the server is not there", []outcome{{err: fmt.Errorf("%w: %w", errDown, ErrNotStored)}, {err: fmt.Errorf("%w: %w", errDown, ErrNotStored)}}, 3, false, nil},
		{"no answer, nothing stored", []outcome{{err: errUnknown}}, 2, true, nil},
		{"no answer, all stored", []outcome{{errUnknown, true, true, false}}, 1, true, nil},
		{"no answer, stored but not in the rollups", []outcome{{errUnknown, true, false, false}}, 1, true, nil},
		{"the token is kept and the rows are lost", []outcome{{errUnknown, false, false, true}}, 3, true, nil},
		{"it is wrong for good", []outcome{{err: errSchema}}, 1, false, errSchema},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{outcomes: c.outcomes}
			err := feed(t, s, Stream{}, events(0, 7), 7, nil)
			if !errors.Is(err, c.fails) || (err == nil) != (c.fails == nil) {
				t.Errorf("%s: %v", c.what, err)
			}
			if len(s.sent) != c.sends || (s.asked > 0) != c.asked || c.asked != (s.mended > 0) {
				t.Errorf("%s: sent %q, asked %d times, mended %d times", c.what, s.sent, s.asked, s.mended)
			}
			if c.fails != nil {
				if len(s.ledger) != 0 {
					t.Errorf("%s: the ledger says that it is stored", c.what)
				}
				return
			}
			s.exact(t, c.what, 7)
		})
	}
}

// TestDoubtSendsWhatIsMissing: of lines in doubt those that have rows are not sent again, however they are cut into batches.
func TestDoubtSendsWhatIsMissing(t *testing.T) {
	text := events(0, 40)
	for there := range 40 {
		synctest.Test(t, func(t *testing.T) {
			s := &script{}
			if err := feed(t, s, Stream{}, events(0, there), 3, func(c *Config) { c.MaxRows = 6 }); err != nil {
				t.Fatal(err)
			}
			s.ledger = nil
			if err := feed(t, s, Stream{Doubt: int64(len(text))}, text, 7, nil); err != nil {
				t.Fatal(err)
			}
			s.exact(t, fmt.Sprintf("%d lines were there", there), 40)
		})
	}
}

// TestKnownTokenIsNotBelieved: rows that somebody deleted are stored again although the server knows their token, however often that
// happens.
func TestKnownTokenIsNotBelieved(t *testing.T) {
	s := &script{}
	for range 3 * maxRounds {
		if err := feed(t, s, Stream{}, events(0, 10), 10, nil); err != nil {
			t.Fatal(err)
		}
		s.exact(t, "rows that had been deleted", 10)
		clear(s.rows)
		s.sums = 0
	}
}

// TestSameRangesSameID: batches and their IDs do not depend on how the source cuts its chunks.
func TestSameRangesSameID(t *testing.T) {
	var want []string
	for lines := 1; lines <= 50; lines++ {
		synctest.Test(t, func(t *testing.T) {
			s := &script{}
			if err := feed(t, s, Stream{}, events(0, 50), lines, nil); err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = s.ids
			}
			if len(s.ids) < 5 || fmt.Sprint(s.ids) != fmt.Sprint(want) {
				t.Errorf("chunks of %d lines give batches %q, not %q", lines, s.ids, want)
			}
		})
	}
}

// TestCrowdedSlowsDown: refused for too many parts, the runner waits longer and longer before it sends, and sends more at
// once.
func TestCrowdedSlowsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{outcomes: []outcome{{err: ErrCrowded}, {err: ErrCrowded}, {err: ErrCrowded}}}
		if err := feed(t, s, Stream{}, events(0, 30), 5, nil); err != nil {
			t.Fatal(err)
		}
		s.exact(t, "crowded", 30)
		if s.asked > 0 || len(s.at) != 6 {
			t.Fatalf("asked %d times, sent %q", s.asked, s.sent)
		}
		for i, least := range []time.Duration{leastPace, 2 * leastPace, 4 * leastPace, 2 * leastPace, leastPace} {
			if d := s.at[i+1].Sub(s.at[i]); d < least {
				t.Errorf("insert %d came after %s, not %s", i+1, d, least)
			}
		}
	})
}

// TestRestartedIsTriedAtOnce: the waits grow while a sink does not answer, and not while it dies and is started again.
func TestRestartedIsTriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		for range 10 {
			s.outcomes = append(s.outcomes, outcome{err: errDown})
		}
		for range 40 {
			s.outcomes = append(s.outcomes, outcome{err: fmt.Errorf("%w (%w)", errDown, ErrRestarted)})
		}
		if err := feed(t, s, Stream{}, events(0, 7), 7, nil); err != nil {
			t.Fatal(err)
		}
		s.exact(t, "started again", 7)
		for i := 11; i < len(s.at); i++ {
			if d := s.at[i].Sub(s.at[i-1]); d >= firstWait {
				t.Errorf("insert %d came %s after the one before", i, d)
			}
		}
		if d := s.at[10].Sub(s.at[0]); len(s.at) != 51 || d < firstWait {
			t.Errorf("%d inserts, and %s for the first ten", len(s.at), d)
		}
	})
}

// TestNothingIsLeftRunning: after Run has ended, for whatever reason, no goroutine of it goes on and all buffers are back.
func TestNothingIsLeftRunning(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, outcomes := range [][]outcome{nil, {{err: errSchema}}} {
		var pool *Buffers
		err := feed(t, &script{outcomes: outcomes}, Stream{}, events(0, 200), 3, func(c *Config) { pool = c.Buffers })
		if (err == nil) != (outcomes == nil) {
			t.Error(err)
		}
		if len(pool.free) != cap(pool.free) {
			t.Errorf("%d of %d buffers came back", len(pool.free), cap(pool.free))
		}
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}
