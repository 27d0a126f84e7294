package batch

import "slices"

// A Dead line is an event line whose rows cannot be stored.
type Dead struct {
	Stream  string
	Source  string
	Pos     int64
	Index   uint64 // of the line in its record, see record.InRecord
	Line    []byte // as it was read, without its newline
	Time    int64  // Unix milliseconds, of its first row
	Reason  string // why it cannot be stored
	RuleSet string // version of the rules at the time
}

// Bury adds a dead line to the batch's. The line is copied.
func (b *Batch) Bury(d Dead) {
	d.Line = slices.Clone(d.Line)
	b.Dead = append(b.Dead, d)
}
