package pipeline

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	p := NewPace(500*time.Millisecond, 3)
	begun := time.Unix(1_700_000_000, 0)
	sent := func(from, to time.Duration) (n int) {
		for at := from; at < to; at += 10 * time.Millisecond {
			if p.take(begun.Add(at)) == 0 {
				n++
			}
		}
		return n
	}
	if n := sent(0, 10*time.Millisecond) + sent(0, 10*time.Millisecond) + sent(0, 10*time.Millisecond); n != 3 {
		t.Errorf("%d of 3 were sent at once", n)
	}
	if wait := p.take(begun); wait != 500*time.Millisecond {
		t.Errorf("the next one waits %s", wait)
	}
	if n := sent(10*time.Millisecond, 10*time.Second); n != 19 {
		t.Errorf("%d in ten seconds, not 19", n)
	}
	quiet := time.Hour
	if n := sent(quiet, quiet+100*time.Millisecond); n != 3 {
		t.Errorf("%d after a quiet time, not 3", n)
	}
	if (*Pace)(nil).take(begun) != 0 {
		t.Error("no pace holds up a batch")
	}
}
