package kafka

import (
	"context"
	"slices"
	"strings"
	"time"

	"bounceline/pipeline/batch"
	"bounceline/pipeline/checkpoint"
)

// Horizon is what a follower before a shipper re-reads before its position: as much as a marker covers. Messages need no
// context here, they get it where the topic is read.
const Horizon = batch.MarkerBytes

// forget is how long it is remembered what was sent of a content that gives nothing more. A file that is found again
// later is sent again, which costs time and adds nothing: its reader drops what it has.
const forget = 45 * 24 * time.Hour

// A Ledger says what of which content is in the topic. It implements content.Ledger.
type Ledger struct{ Store *checkpoint.Store }

// Ledger returns what was sent of the streams whose name begins with prefix: ranges that end at the marks, at the point to
// resume from, and at the position.
func (l Ledger) Ledger(_ context.Context, prefix string) ([]batch.Range, error) {
	var out []batch.Range
	ship := l.Store.State().Ship
	if ship == nil {
		return nil, nil
	}
	for _, s := range ship.Streams {
		if !strings.HasPrefix(s.Name, prefix) {
			continue
		}
		at := int64(0)
		add := func(to int64, marker, anchor string) {
			if to > at {
				out = append(out, batch.Range{Stream: s.Name, From: at, To: to, Marker: marker, Anchor: anchor})
				at = to
			}
		}
		for _, m := range s.Marks {
			add(m.At, m.Marker, "")
		}
		add(s.Resume.At, s.Resume.Marker, "")
		add(s.Next, s.Marker, s.Anchor)
	}
	slices.SortStableFunc(out, func(a, b batch.Range) int { return strings.Compare(a.Stream, b.Stream) })
	return out, nil
}

// Reach implements content.Ledger: nothing is in the topic that the checkpoint does not know to be there.
func (Ledger) Reach(context.Context, string) (map[string]int64, error) { return nil, nil }

// of returns what was sent of a stream.
func (l Ledger) of(name string) checkpoint.Shipped {
	if ship := l.Store.State().Ship; ship != nil {
		for _, s := range ship.Streams {
			if s.Name == name {
				return s
			}
		}
	}
	return checkpoint.Shipped{}
}

// commit notes what a batch has brought into the topic.
func (l Ledger) commit(ends []end) error {
	return l.Store.Update(func(st *checkpoint.State) {
		ship := *st.Ship
		ship.Streams = slices.Clone(ship.Streams)
		for _, e := range ends {
			now := e.shipped
			i := slices.IndexFunc(ship.Streams, func(s checkpoint.Shipped) bool { return s.Name == now.Name })
			switch {
			case i < 0:
				ship.Streams = append(ship.Streams, now)
			case ship.Streams[i].Next < now.Next:
				ship.Streams[i] = now
			}
			for i := range st.Streams {
				if st.Streams[i].Name == now.Name && st.Streams[i].Next < now.Next {
					st.Streams[i].Next, st.Streams[i].Marker = now.Next, now.Marker
				}
			}
		}
		ship.Streams = slices.DeleteFunc(ship.Streams, func(s checkpoint.Shipped) bool {
			followed := slices.ContainsFunc(st.Streams, func(f checkpoint.Stream) bool { return f.Name == s.Name })
			return !followed && time.Since(s.Seen) > forget
		})
		st.Ship = &ship
	})
}
