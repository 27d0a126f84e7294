package batch

// A Twin is a stream that may be the same content as another one, which came another way and has another name.
type Twin struct {
	Stream string
	End    int64 // it has rows before this position
	Same   bool  // it is the same content: that is known
}

// Twinned is what a batch has of a stream with twins: lines that one of them holds are not stored again.
type Twinned struct {
	Stream string
	Twins  []Twin
	Starts []int64 // where its lines in the batch begin, in their order
}

// Twin notes that the stream has twins, and that one of its lines begins at the position.
func (b *Batch) Twin(stream string, twins []Twin, at int64) {
	for i := range b.Twinned {
		if t := &b.Twinned[i]; t.Stream == stream {
			t.Starts = append(t.Starts, at)
			return
		}
	}
	b.Twinned = append(b.Twinned, Twinned{Stream: stream, Twins: twins, Starts: []int64{at}})
}

// QueueIDs returns the queue ID of the first row at each position of the stream.
func (b *Batch) QueueIDs(stream string) map[int64]string {
	out := map[int64]string{}
	for i := range b.Rows {
		if of, at := b.Place(i); string(of) == stream {
			if _, known := out[at.Pos]; !known {
				out[at.Pos] = string(b.Columns[queueIDColumn].Value(i))
			}
		}
	}
	return out
}
