package kafka

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"bounceline/parsers"
	"bounceline/pipeline"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/record"
	"bounceline/pipeline/shipped"
)

// firstMark is where the first of a stream's marks is at the earliest; each later one is at twice the position.
const firstMark = 4 << 10

// A stream is one content whose lines are shipped.
type stream struct {
	parser *parsers.Stream
	origin shipped.Origin // what all of its lines have in common
	sent   int64          // lines before it are in the topic already
	next   int64          // end of the last line that was read
	marker [8]byte        // at next
	tail   []byte         // the last batch.MarkerBytes before the chunk at hand
	anchor []byte         // scratch
	result record.Result  // scratch

	newer, older point // beginnings of lines from which reading may resume, at least batch.MarkerBytes apart
	marks        []checkpoint.Mark
	queued       bool // the parcel at hand holds lines of it
	ended        bool
}

// A point is a line's beginning, and what is known there.
type point struct {
	at     int64
	marker [8]byte
	anchor []byte
}

func newStream(s *pipeline.Stream, known checkpoint.Shipped, from int64) (*stream, error) {
	p, err := parsers.NewStream(s.Parser)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", s.Name, err)
	}
	p.SetReference(s.Reference)
	if s.Anchor != "" {
		if err := p.Restore(s.Anchor); err != nil {
			return nil, fmt.Errorf("stream %s: %w", s.Name, err)
		}
	}
	st := &stream{parser: p, next: from, sent: known.Next, marks: slices.Clone(known.Marks),
		origin: shipped.Origin{Stream: s.Name, Source: s.Source, Host: s.Parser.Host, Dialect: s.Parser.Dialect}}
	if s.Parser.Zone != nil {
		st.origin.Zone = s.Parser.Zone.String()
	}
	if from == known.Resume.At {
		_, _ = hex.Decode(st.marker[:], []byte(known.Resume.Marker))
	}
	st.newer = point{at: from, marker: st.marker, anchor: p.AppendAnchor(nil)}
	st.older = st.newer
	return st, nil
}

// line takes in a line whose bytes, its newline included, end at next; before are the last bytes before next. Where the line
// is not in the topic yet, it is appended to the parcel.
func (st *stream) line(text []byte, next int64, before []byte, b *parcel) {
	if !st.queued {
		st.parser.Renew(time.Now())
	}
	st.anchor = st.parser.AppendAnchorFor(st.anchor[:0], text)
	at := st.next
	if at-st.newer.at >= batch.MarkerBytes {
		st.older, st.newer = st.newer, point{at, st.marker, append(st.older.anchor[:0], st.anchor...)}
	}
	st.parser.Parse(text, &st.result)
	st.next, st.marker = next, batch.MarkerSum(before)
	if at < st.sent {
		return
	}
	if n := len(st.marks); n == 0 && next >= firstMark || n > 0 && next >= 2*st.marks[n-1].At {
		st.marks = append(st.marks, checkpoint.Mark{At: next, Marker: markerHex(st.marker)})
	}
	anchor := st.anchor
	if len(anchor) > shipped.MaxAnchor { // only a dialect's state, a table's header row, is of any length
		anchor, _, _ = bytes.Cut(anchor, []byte("\t"))
	}
	b.data = shipped.AppendLine(b.data, &st.origin, at, next, st.marker, anchor)
	header := len(b.data)
	b.data = append(b.data, text...)
	b.records = append(b.records, entry{header, len(b.data)})
	if !st.queued {
		st.queued = true
		b.ends = append(b.ends, end{stream: st})
	}
}

// state is what a checkpoint keeps when all lines so far are in the topic.
func (st *stream) state(now time.Time) checkpoint.Shipped {
	p := st.newer
	if st.next-p.at < batch.MarkerBytes {
		p = st.older
	}
	out := checkpoint.Shipped{Name: st.origin.Stream, Next: st.next, Marker: markerHex(st.marker), Anchor: string(p.anchor), Seen: now,
		Resume: checkpoint.Mark{At: p.at}}
	if p.at > 0 {
		out.Resume.Marker = markerHex(p.marker)
	}
	for _, m := range st.marks {
		if m.At < p.at {
			out.Marks = append(out.Marks, m)
		}
	}
	return out
}

// keep notes the last bytes of a chunk.
func (st *stream) keep(data, tail []byte) {
	if tail != nil {
		data, st.tail = tail, st.tail[:0]
	}
	st.tail = batch.AppendTail(st.tail, data)
}
