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

// InRecord makes a row's number, which its line gave it, part of the identity of a row in a record of several lines: the
// index of the line times 2^32 and the number, or, where the number is a hash, a hash of both. The first line's rows keep
// their numbers, as in a stream of bytes.
func InRecord(line, number uint64) uint64 {
	if number>>32 == 0 {
		return line<<32 | number
	}
	return number ^ line*0x9e3779b97f4a7c15 // odd: no two lines agree
}
