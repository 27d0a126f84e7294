package kafka

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
)

// A slowAuditor takes a minute for each mending.
type slowAuditor struct {
	mu    sync.Mutex
	spans []pipeline.Span
	err   error
}

func (a *slowAuditor) Present(context.Context, string, int64, int64) (map[batch.Place]struct{}, error) {
	return nil, nil
}

func (a *slowAuditor) Mend(ctx context.Context, first, last int64) error {
	select {
	case <-time.After(time.Minute):
	case <-ctx.Done():
		return ctx.Err()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spans = append(a.spans, pipeline.Span{From: first, To: last})
	return a.err
}

func TestMendingIsShared(t *testing.T) {
	const hour, day = 3_600_000, 24 * 3_600_000
	synctest.Test(t, func(t *testing.T) {
		a := &slowAuditor{}
		m := newMender(a)
		ask := func(ctx context.Context, first, last int64) chan error {
			done := make(chan error, 1)
			go func() { done <- m.Mend(ctx, first, last) }()
			synctest.Wait()
			return done
		}
		all := []chan error{ask(t.Context(), 0, hour)}
		for i := range int64(100) { // while that one runs
			all = append(all, ask(t.Context(), i*hour/10, i*hour/10+hour))
		}
		all = append(all, ask(t.Context(), 365*day, 365*day+hour))
		begun := time.Now()
		for i, done := range all {
			if err := <-done; err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
		if took := time.Since(begun); took > 3*time.Minute {
			t.Errorf("it took %s", took)
		}
		if want := []pipeline.Span{{From: 0, To: hour}, {From: 0, To: 99*hour/10 + hour}, {From: 365 * day, To: 365*day + hour}}; !slices.Equal(a.spans, want) {
			t.Errorf("mended %v, want %v", a.spans, want)
		}

		// Who waits does not fail with another one's lack of time, but with its error.
		a.spans, a.err = nil, errors.New("no")
		running, cancel := context.WithCancel(t.Context())
		first := ask(t.Context(), 0, 1)
		second := ask(running, 0, 1)
		third := ask(t.Context(), 0, 1)
		if err := <-first; !errors.Is(err, a.err) {
			t.Error(err)
		}
		synctest.Wait()
		cancel()
		if err := <-second; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := <-third; !errors.Is(err, a.err) || len(a.spans) != 2 {
			t.Errorf("%v, %v", err, a.spans)
		}
	})
}
