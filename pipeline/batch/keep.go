package batch

import (
	"time"

	"bounceline/pipeline/record"
)

// A Place is what a sink stores as a whole or not at all: the rows of one position in one month (UTC, as 202611). Nearly
// always that is a line, but a record of several lines may touch two months.
type Place struct {
	Pos   int64
	Month uint32
}

// Place returns the stream and the place of row i. The stream shares memory with the batch.
func (b *Batch) Place(i int) (stream []byte, at Place) {
	return b.Columns[streamColumn].Value(i), Place{int64(b.Columns[posColumn].U64[i]), Month(int64(b.Columns[timeColumn].U64[i]))}
}

// Time is the time of row i, in Unix milliseconds.
func (b *Batch) Time(i int) int64 { return int64(b.Columns[timeColumn].U64[i]) }

// RuleSet is the version of the rules that row i was classified by.
func (b *Batch) RuleSet(i int) string { return string(b.Columns[ruleSetColumn].Value(i)) }

// Month is the number of the month (UTC) in which the time lies, as ClickHouse's toYYYYMM gives it.
func Month(ms int64) uint32 {
	t := time.UnixMilli(ms).UTC()
	return uint32(t.Year()*100 + int(t.Month()))
}

var (
	ruleSetColumn = record.ColumnIndex["ruleset"]
	streamColumn  = record.ColumnIndex["stream"]
	queueIDColumn = record.ColumnIndex["queue_id"]
	posColumn     = record.ColumnIndex["pos"]
	timeColumn    = record.ColumnIndex["event_time"]
)

// Keep removes the rows for which keep is false and leaves the others in their order. The ranges' accounts stay: they say
// what was read, not what is still to be sent.
func (b *Batch) Keep(keep func(i int) bool) {
	var kept []int
	for i := range b.Rows {
		if keep(i) {
			kept = append(kept, i)
		}
	}
	if len(kept) == b.Rows {
		return
	}
	for i := range b.Columns {
		b.Columns[i].keep(kept)
	}
	b.lines.ofRow = pick(b.lines.ofRow, kept)
	b.Rows = len(kept)
}

// keep moves the rows, whose numbers rise, to the front.
func (c *Column) keep(rows []int) {
	switch c.Spec.Kind {
	case record.Text:
		c.Text.keep(rows)
	case record.Word:
		c.Keys = pick(c.Keys, rows)
	case record.Flag, record.Uint8, record.Enum:
		c.U8 = pick(c.U8, rows)
	case record.Uint16:
		c.U16 = pick(c.U16, rows)
	case record.Uint32, record.Int32:
		c.U32 = pick(c.U32, rows)
	case record.Uint64, record.Millis:
		c.U64 = pick(c.U64, rows)
	case record.Float:
		c.F32 = pick(c.F32, rows)
	case record.IP:
		c.Addrs = pick(c.Addrs, rows)
	}
}

func pick[T any](values []T, rows []int) []T {
	for to, from := range rows {
		values[to] = values[from]
	}
	return values[:len(rows)]
}

func (s *Strings) keep(rows []int) {
	end := 0
	for to, from := range rows {
		start := 0
		if from > 0 {
			start = s.Ends[from-1] // not overwritten yet: from >= to, and where they are equal nothing was dropped before
		}
		end += copy(s.Buf[end:], s.Buf[start:s.Ends[from]])
		s.Ends[to] = end
	}
	s.Buf, s.Ends = s.Buf[:end], s.Ends[:len(rows)]
}
