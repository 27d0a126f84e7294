package pipeline

import (
	"sync"
	"sync/atomic"

	"bounceline/pipeline/record"
)

// Counts is what a runner has seen. It may be read while the runner works.
type Counts struct {
	Lines, Events, Context, Other, Malformed atomic.Int64
	Rows, Batches, Retries, Cut              atomic.Int64
	Quiet                                    atomic.Int64 // bytes read for context only

	mu    sync.Mutex
	kinds map[kind]int64
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
		return
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

// Kinds returns how often each kind of other and malformed line was seen.
func (c *Counts) Kinds() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]int64, len(c.kinds))
	for k, n := range c.kinds {
		out[k.class.String()+": "+k.name] = n
	}
	return out
}
