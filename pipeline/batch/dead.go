package batch

import "slices"

// A Dead line is an event line whose rows cannot be stored, or what could not be read at all.
type Dead struct {
	Stream  string
	Source  string
	Pos     int64
	Next    int64  // where it ends; 0 is at the next position
	Index   uint64 // of the line in its record, see record.InRecord
	Line    []byte // as it was read, without its newline
	Size    int    // of the whole, where Line is only its head; else 0
	Time    int64  // Unix milliseconds, of its first row
	Reason  string // why it cannot be stored
	RuleSet string // version of the rules at the time
	Unread  bool   // nothing is known to be missing for it: it was no event, or could not be read

	Record *Record // of a topic, that it is or was in; nil if it is from elsewhere
}

// A Record is a record of a Kafka topic.
type Record struct {
	Topic     string
	Partition int
	Offset    int64
	Key       []byte
	Header    []byte // where it was shipped from, see package shipped
}

// Bury adds a dead line to the batch's. The bytes are copied.
func (b *Batch) Bury(d Dead) {
	d.Line = slices.Clone(d.Line)
	if d.Size <= len(d.Line) {
		d.Size = 0
	}
	if d.Record != nil {
		r := *d.Record
		r.Key, r.Header = slices.Clone(r.Key), slices.Clone(r.Header)
		d.Record = &r
	}
	b.Dead = append(b.Dead, d)
}
