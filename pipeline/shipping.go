package pipeline

import (
	"fmt"
	"slices"

	"bounceline/parsers"
	"bounceline/pipeline/batch"
)

// maxShipped is how many streams that are shipped keep their parsers. More than that are brought to their anchors again when
// they go on.
const maxShipped = 1024

// A shippedState is the parser of a stream whose lines come through another one.
type shippedState struct {
	streamState
	next   int64 // where the line after the last one begins
	anchor []byte
}

// apart reports whether the line must not be in the current batch: it leaves a gap in the range of its stream, or is the first of a
// stream with twins. What tells those apart is to be in one batch, so the batch gets the time to come in.
func (r *Runner) apart(from *Shipped) bool {
	switch {
	case from.Repeated:
		return false
	case !r.current.Has(from.Stream.Name):
		return r.shipped[from.Stream] == nil && twinned(from)
	}
	return r.current.Range(from.Stream.Name, from.Offset).To != from.Offset
}

// twinned reports whether a twin of the line's stream may hold the line.
func twinned(from *Shipped) bool {
	return slices.ContainsFunc(from.Stream.Twins, func(t batch.Twin) bool { return from.Offset < t.End })
}

// shippedLine processes a line that comes from elsewhere, through the stream of the name.
func (r *Runner) shippedLine(from *Shipped, text []byte, via string) {
	if from.Repeated {
		return
	}
	st := r.origin(from)
	rg := r.current.Range(from.Stream.Name, from.Offset)
	if rg.To == rg.From {
		rg.Source, rg.Via, rg.Anchor = from.Stream.Source, via, from.Anchor
	}
	if from.Offset < from.Stream.Doubt {
		r.current.Doubt = true
	}
	if twinned(from) {
		r.current.Twin(from.Stream.Name, from.Stream.Twins, from.Offset)
	}
	if from.Known {
		r.learn(st, text)
	} else {
		r.line(st, rg, text, from.Offset, 0)
	}
	rg.To, rg.Marker = from.Next, from.Marker
}

// origin returns the state of the stream that the line comes from, as it is before the line.
func (r *Runner) origin(from *Shipped) *streamState {
	st := r.shipped[from.Stream]
	follows := st != nil && st.next == from.Offset
	if !follows {
		p, err := parsers.NewStream(from.Stream.Parser)
		if err != nil { // the options were validated when the line was read
			panic(fmt.Sprintf("stream %s: %v", from.Stream.Name, err))
		}
		if len(r.shipped) >= maxShipped {
			clear(r.shipped)
		}
		st = &shippedState{streamState: streamState{parser: p, source: []byte(from.Stream.Source), name: []byte(from.Stream.Name)}}
		r.shipped[from.Stream] = st
	}
	st.next = from.Next
	if st.anchor = st.parser.AppendAnchor(st.anchor[:0]); string(st.anchor) != from.Anchor {
		if err := st.parser.Restore(from.Anchor); err != nil {
			r.Log.Warn("a shipped line's anchor is not readable", "stream", from.Stream.Name, "offset", from.Offset, "error", err)
		}
	}
	return &st.streamState
}
