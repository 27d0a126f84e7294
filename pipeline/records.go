package pipeline

import (
	"encoding/binary"

	"bounceline/pipeline/batch"
)

// record processes one record, which stands at the position before its Next; nothing stands between at and there. A record
// is stored as a whole or not at all, so a batch ends only behind one. Of a record that cannot be read, dead says why.
func (r *Runner) record(st *streamState, c Chunk, rec Record, dead *batch.Dead, text []byte, at int64) {
	s, pos, from := c.Stream, rec.Next-1, r.from.shipped
	if c.Quiet || stored(s, pos) {
		if r.current != nil && r.current.Has(s.Name) {
			r.seal()
		}
		switch {
		case dead != nil:
		case from != nil:
			r.learn(r.origin(from), text)
		default:
			for line, rest := cutLine(text); line != nil; line, rest = cutLine(rest) {
				r.learn(st, line)
			}
		}
		r.Counts.Quiet.Add(int64(len(text)))
		st.tail = AppendMarked(st.tail[:0], rec.Time, text)
		return
	}
	if r.current != nil && (r.pinned != pinned(s, at) || from != nil && !r.pinned && r.apart(from)) {
		r.seal()
	}
	r.pinned = pinned(s, at)
	rg := r.rangeOf(st, s, at)
	rg.To = rec.Next
	switch {
	case dead != nil:
		r.buryUnread(dead, text)
	case from != nil:
		r.shippedLine(from, text, s.Name)
	default:
		index := uint64(0)
		for line, rest := cutLine(text); line != nil; line, rest = cutLine(rest) {
			r.line(st, rg, line, pos, index)
			index++
		}
	}
	st.tail = AppendMarked(st.tail[:0], rec.Time, text)
	switch {
	case rec.Next == s.Intent.To:
		r.pinned = false
		r.seal()
	case !r.pinned && (r.current.Rows >= r.MaxRows || r.current.Bytes >= r.MaxBytes):
		r.seal()
	}
}

// AppendMarked appends to dst what batch.Marker is to hash for a position behind a record: its time and the end of its text.
func AppendMarked(dst []byte, time int64, text []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(time))
	return append(dst, text[max(0, len(text)-(batch.MarkerBytes-8)):]...)
}
