package pipeline

import (
	"sync"
	"sync/atomic"
	"time"

	"bounceline/pipeline/record"
)

// Counts is what a runner has seen. It may be read while the runner works.
type Counts struct {
	Lines, Events, Context, Other, Malformed  atomic.Int64
	Rows, Batches, Retries, Cut, Healed, Dead atomic.Int64
	Unread, Dropped                           atomic.Int64 // what could not be read, and was meant to be kept; and was not
	Elsewhere                                 atomic.Int64 // shipped events that a stream read directly holds: they are not stored again
	Parted                                    atomic.Int64 // shipped streams that were taken for such a one, until they went on otherwise
	Quiet                                     atomic.Int64 // bytes read for context only
	Evicted                                   atomic.Int64 // messages that the context forgot for want of room

	mu      sync.Mutex
	kinds   map[kind]int64
	refused time.Time // since when the sink has been refusing the batch; zero while it takes them
	last    error     // why
}

// Refuse notes that the sink refused a batch at that time, or with nil that it took one.
func (c *Counts) Refuse(err error, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = err
	switch {
	case err == nil:
		c.refused = time.Time{}
	case c.refused.IsZero():
		c.refused = at
	}
}

// Refused is how long the sink has been refusing a batch, 0 while it takes them.
func (c *Counts) Refused() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused.IsZero() {
		return 0
	}
	return time.Since(c.refused)
}

// LastError is why the sink refuses, empty while it does not.
func (c *Counts) LastError() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil {
		return ""
	}
	return c.last.Error()
}

// Lose notes that [from, to) of a stream was gone before it could be read, where such things are kept: beside what is stored. It
// does what it can and does not wait for long.
type Lose func(stream string, from, to int64, reason string)

// Lost is how many bytes of files were gone before they could be read, by reason. It may be read while it is added to.
type Lost struct {
	Truncated atomic.Int64 // a file was cut, and no copy held what had been seen in it
	Deleted   atomic.Int64 // a finished file was deleted
	Intent    atomic.Int64 // the lines of a batch that was being sent cannot be read again
}

// Each calls f with each reason, as metrics name it, and its amount.
func (l *Lost) Each(f func(reason string, n int64)) {
	f("truncated", l.Truncated.Load())
	f("deleted", l.Deleted.Load())
	f("unreadable_intent", l.Intent.Load())
}

type kind struct {
	class record.LineClass
	name  string
}

func (c *Counts) add(res *record.Result) {
	c.Lines.Add(1)
	switch res.Class {
	case record.Event:
		c.Events.Add(1)
		if res.Kind == "delivery" {
			return
		}
	case record.Context:
		c.Context.Add(1)
		return
	case record.Other:
		c.Other.Add(1)
	default:
		c.Malformed.Add(1)
	}
	c.mu.Lock()
	if c.kinds == nil {
		c.kinds = map[kind]int64{}
	}
	c.kinds[kind{res.Class, res.Kind}]++
	c.mu.Unlock()
}

// Kinds returns how often each kind of other and malformed line was seen, and of event other than a plain delivery.
func (c *Counts) Kinds() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]int64, len(c.kinds))
	for k, n := range c.kinds {
		out[k.class.String()+": "+k.name] = n
	}
	return out
}
