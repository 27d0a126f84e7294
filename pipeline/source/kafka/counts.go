package kafka

import "sync/atomic"

// Counts is what a source has seen. It may be read while the source works.
type Counts struct {
	Records    atomic.Int64 // read, those read again included
	Bytes      atomic.Int64 // in their values
	Control    atomic.Int64 // markers of transactions
	Repeated   atomic.Int64 // shipped lines that had passed before
	Strange    atomic.Int64 // lines at which a shipped stream was seen to be another one than what is stored under its name
	Newer      atomic.Int64 // shipped lines whose header is of a newer version: they are stored as the topic's own
	Skipped    atomic.Int64 // offsets that were to be read and were gone, or were left out by policy
	Unreadable atomic.Int64 // offsets of an interrupted batch that were gone before it could be made again
	Rebalances atomic.Int64 // generations of the group that this member was in
	Reconnects atomic.Int64 // of readers
	Fenced     atomic.Int64 // batches given up because the partition went to another member

	bad [badReasons]atomic.Int64
}

// EachBad calls f with each reason for which records cannot be read, as metrics name it, and how many there were.
func (c *Counts) EachBad(f func(reason string, n int64)) {
	for i := range c.bad {
		if r := badReason(i); r != readable {
			f(r.String(), c.bad[i].Load())
		}
	}
}

// A badReason is why something that stands in a partition cannot be read as log lines. Each is kept as a dead letter.
type badReason int

const (
	readable badReason = iota
	badBatch
	badChecksum
	badRecord
	badOrigin
	badShipped
	tooLong
	tombstone
	empty
	badReasons // how many there are
)

var badNames = [badReasons][2]string{
	readable:    {"none", ""},
	badBatch:    {"batch", "a batch of records cannot be unpacked"},
	badChecksum: {"checksum", "a batch of records has a wrong checksum"},
	badRecord:   {"record", "the rest of a batch of records is damaged"},
	badOrigin:   {"origin", "the header that says where a shipped line comes from is damaged"},
	badShipped:  {"shipped_line", "a shipped line is not what its header says"},
	tooLong:     {"too_long", "the value is longer than any log line"},
	tombstone:   {"tombstone", "the record has no value"},
	empty:       {"empty", "the value is empty"},
}

// String is the reason as metrics name it.
func (r badReason) String() string   { return badNames[r][0] }
func (r badReason) sentence() string { return badNames[r][1] }
