package kafka

import "sync/atomic"

// Counts is what a source has seen. It may be read while the source works.
type Counts struct {
	Records    atomic.Int64 // read, those read again included
	Bytes      atomic.Int64 // in their values
	Empty      atomic.Int64 // tombstones and empty values
	Control    atomic.Int64 // markers of transactions
	Repeated   atomic.Int64 // shipped lines that had passed before
	BadOrigins atomic.Int64 // shipped lines whose header could not be used
	Skipped    atomic.Int64 // offsets that were to be read and were gone, or were left out by policy
	Unreadable atomic.Int64 // offsets of an interrupted batch that were gone before it could be made again
	Rebalances atomic.Int64 // generations of the group that this member was in
	Reconnects atomic.Int64 // of readers
	Fenced     atomic.Int64 // batches given up because the partition went to another member
}
