// Package batch collects rows into columns until they are sealed: a sorted list of ranges of streams and the rows that
// came from them, under an ID that depends on the ranges alone.
package batch

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"bounceline/pipeline/record"
)

// A Range is a contiguous part [From, To) of one stream and the account of what was in it.
type Range struct {
	Stream string
	From   int64
	To     int64
	Marker string // hex hash of the last bytes before To, see Marker; empty at To = 0
	Source string // configured input name
	Via    string // partition that a shipped range came through; empty for what was read directly
	Anchor string // what rows depend on besides bytes: reference time and zone at From

	Lines      uint64 // all lines; the sum of the next four
	EventLines uint64
	Context    uint64
	Other      uint64
	Malformed  uint64
	DeadLines  uint64 // event lines whose rows went to the dead-letter file
	Rows       uint64

	FirstEvent int64 // Unix milliseconds of the earliest and latest row; 0 if there is none
	LastEvent  int64
}

// Compare orders ranges by stream and position.
func (r Range) Compare(x Range) int {
	return cmp.Or(strings.Compare(r.Stream, x.Stream), cmp.Compare(r.From, x.From), cmp.Compare(r.To, x.To))
}

// A Batch is rows in columns. It is filled by one goroutine, sealed, given to a sink, and reused after Reset.
type Batch struct {
	ID      string // set by Seal: a function of the ranges alone
	Ranges  []Range
	Columns []Column // one for each of record.Columns, in that order
	Rows    int
	Bytes   int       // size of all text in the rows
	Sealed  time.Time // part of what is kept with the intent; also the rows' ingest_time

	Twinned      []Twinned // what came of streams with twins
	Dead         []Dead    // lines whose rows cannot be stored: they go to the dead-letter file
	Doubt        bool      // rows of its ranges may be stored already: the sink is asked before anything is sent
	ReplacedUTF8 int       // values in which invalid UTF-8 was replaced
	lines        lines
}

// New returns an empty batch.
func New() *Batch {
	b := &Batch{Columns: make([]Column, len(record.Columns))}
	for i := range b.Columns {
		b.Columns[i].Spec = &record.Columns[i]
		if record.Columns[i].Kind == record.Word {
			b.Columns[i].index = map[string]uint32{}
		}
	}
	return b
}

// Add copies a row into the columns. Its line was begun before.
func (b *Batch) Add(row *record.Row) {
	for i := range b.Columns {
		if b.Columns[i].add(row) {
			b.ReplacedUTF8++
		}
	}
	b.lines.ofRow = append(b.lines.ofRow, uint32(len(b.lines.indexes)-1))
	b.Rows++
	b.Bytes += len(row.ResponseText) + len(row.RemoteText) + len(row.Recipient) + len(row.Sender) + len(row.Raw) + len(row.MessageID) + 256
}

// Range returns the batch's range of the stream, adding an empty one at from if there is none. The pointer is valid until
// the next call.
func (b *Batch) Range(stream string, from int64) *Range {
	for i := range b.Ranges {
		if b.Ranges[i].Stream == stream {
			return &b.Ranges[i]
		}
	}
	b.Ranges = append(b.Ranges, Range{Stream: stream, From: from, To: from})
	return &b.Ranges[len(b.Ranges)-1]
}

// Has reports whether the batch has a range of the stream.
func (b *Batch) Has(stream string) bool {
	return slices.ContainsFunc(b.Ranges, func(r Range) bool { return r.Stream == stream })
}

// Seal sorts the ranges, fixes the ID and the sealing time. Nothing may be added afterwards.
//
// Ranges that came through another one have no part in the ID: they follow from that one.
func (b *Batch) Seal(now time.Time) {
	slices.SortFunc(b.Ranges, func(x, y Range) int { return strings.Compare(x.Stream, y.Stream) })
	own := b.Ranges
	if slices.ContainsFunc(own, func(r Range) bool { return r.Via != "" }) {
		own = slices.DeleteFunc(slices.Clone(own), func(r Range) bool { return r.Via != "" })
	}
	b.ID = ID(own)
	b.Sealed = now
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	for i := range b.Columns {
		b.Columns[i].reset()
	}
	b.ID, b.Ranges, b.Rows, b.Bytes, b.Doubt, b.ReplacedUTF8, b.Sealed = "", b.Ranges[:0], 0, 0, false, 0, time.Time{}
	b.Twinned, b.Dead = nil, nil
	b.lines.reset()
}

// ID names a batch by its ranges, which are sorted by stream: the same ranges give the same ID on every replay, after
// every upgrade and in every process. It is 32 hex digits.
func ID(ranges []Range) string {
	h := sha256.New()
	var n [16]byte
	for _, r := range ranges {
		binary.BigEndian.PutUint64(n[:8], uint64(len(r.Stream)))
		h.Write(n[:8])
		h.Write([]byte(r.Stream))
		binary.BigEndian.PutUint64(n[:8], uint64(r.From))
		binary.BigEndian.PutUint64(n[8:], uint64(r.To))
		h.Write(n[:])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// MarkerBytes is how many bytes before a position its marker covers at the most.
const MarkerBytes = 256

// AppendTail appends to the last bytes before a position those that follow it, and returns the last MarkerBytes of all, in the same
// memory if that is large enough.
func AppendTail(tail, more []byte) []byte {
	if len(more) >= MarkerBytes {
		return append(tail[:0], more[len(more)-MarkerBytes:]...)
	}
	if over := len(tail) + len(more) - MarkerBytes; over > 0 {
		tail = append(tail[:0], tail[over:]...)
	}
	return append(tail, more...)
}

// Marker hashes the bytes that end at a position, at most MarkerBytes of them: equal positions of different contents get
// different markers. It is 16 hex digits, empty for no bytes.
func Marker(before []byte) string {
	if len(before) == 0 {
		return ""
	}
	sum := MarkerSum(before)
	return hex.EncodeToString(sum[:])
}

// MarkerSum is Marker before it is written in hex.
func MarkerSum(before []byte) (sum [8]byte) {
	if len(before) > MarkerBytes {
		before = before[len(before)-MarkerBytes:]
	}
	full := sha256.Sum256(before)
	copy(sum[:], full[:])
	return sum
}
