package kafka

import (
	"context"
	"sync"
	"time"

	"bounceline/pipeline"
)

// A mender lets partitions share the mending of what is derived from rows: when a member takes over a hundred partitions, each with
// a batch in doubt, those that wait for their turn are done with one comparison.
type mender struct {
	pipeline.Auditor
	turn chan struct{} // holds one while something is mended

	mu   sync.Mutex // of next
	next *mending   // that has not begun
}

func newMender(a pipeline.Auditor) *mender { return &mender{Auditor: a, turn: make(chan struct{}, 1)} }

// A mending is one comparison for all who ask for it before it begins.
type mending struct {
	first, last int64
	done        chan struct{}
	err         error
	abandoned   bool // who began it has no time left: the others ask again
}

// maxJoined is how long a time is compared at once: what lies further apart is mended one after the other.
const maxJoined = 3 * 24 * time.Hour

// Mend implements pipeline.Auditor.
func (m *mender) Mend(ctx context.Context, first, last int64) error {
	for {
		x, begin := m.join(first, last)
		if begin {
			m.run(ctx, x)
			return x.err
		}
		select {
		case <-x.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if !x.abandoned {
			return x.err
		}
	}
}

// join returns a mending that has not begun and covers the time, and whether the caller is to run it.
func (m *mender) join(first, last int64) (x *mending, begin bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if x := m.next; x != nil {
		if from, to := min(x.first, first), max(x.last, last); to-from <= max(maxJoined.Milliseconds(), x.last-x.first) {
			x.first, x.last = from, to
			return x, false
		}
	}
	m.next = &mending{first: first, last: last, done: make(chan struct{})}
	return m.next, true
}

// run waits for its turn, closes the mending to others, and does it.
func (m *mender) run(ctx context.Context, x *mending) {
	defer close(x.done)
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
	}
	m.mu.Lock()
	if m.next == x {
		m.next = nil
	}
	m.mu.Unlock()
	if x.err = context.Cause(ctx); x.err == nil {
		x.err = m.Auditor.Mend(ctx, x.first, x.last)
	}
	x.abandoned = x.err != nil && ctx.Err() != nil
}
