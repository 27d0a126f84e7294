package pipeline

import (
	"sync"
	"time"
)

// A Pace bounds how many batches are sent only because their time has come, by all runners that share it: with many runners
// latency grows, not the number of parts in the database. It may be used concurrently.
type Pace struct {
	every time.Duration
	burst int

	mu   sync.Mutex
	next time.Time // when the next one may be sent, reckoned from burst before
}

// NewPace lets one batch through in each period, and after a quiet time as many as burst at once.
func NewPace(every time.Duration, burst int) *Pace { return &Pace{every: every, burst: burst} }

// take returns 0 if a batch may be sent now, else how long to wait before asking again.
func (p *Pace) take(now time.Time) time.Duration {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if earliest := now.Add(-time.Duration(p.burst-1) * p.every); p.next.Before(earliest) {
		p.next = earliest
	}
	if wait := p.next.Sub(now); wait > 0 {
		return wait
	}
	p.next = p.next.Add(p.every)
	return 0
}
