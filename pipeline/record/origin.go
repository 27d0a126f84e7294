package record

// Origin names a line for ever: the same bytes have the same origin on every replay, whichever command reads them and
// whatever the file is called.
//
// Stream is the name of the content: for a file the hash of its first complete record and a counter, for a journal its
// sequence-number id, for Kafka cluster, topic, partition and incarnation. Offset is where the line begins in the
// stream and Next where the next one begins: byte offsets, sequence numbers or Kafka offsets.
type Origin struct {
	Stream string
	Offset int64
	Next   int64
}

// RowNumber is the third part of a row's identity: the index of the line in its message (0 for byte streams) and the
// number of the row in its line.
func RowNumber(lineInMessage uint32, rowInLine uint32) uint64 {
	return uint64(lineInMessage)<<32 | uint64(rowInLine)
}
