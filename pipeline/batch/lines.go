package batch

// freeText is how much of a line is not counted in Bytes: the rows' own text stands for it.
const freeText = 512

// lines are the lines that gave a batch its rows. They are kept until the batch is stored: a row that cannot be is a dead
// letter with its line, and by then the line may be in no file any more.
type lines struct {
	text    Strings
	indexes []uint64 // of the lines in their records, see record.InRecord
	froms   []From   // nil, or where each line is from
	keys    Strings  // of the records in froms
	ofRow   []uint32 // for each row the number of its line
}

// From says which record of a topic a line is from. The zero value is none.
type From struct {
	Offset  int64
	Stream  any // what knows topic and partition, for the one who fills the batch
	Shipped any // where the line was shipped from, likewise; nil if it was not
}

// LineFrom is Line for a line from a record of a topic. The key is copied.
func (b *Batch) LineFrom(text []byte, index uint64, from From, key []byte) {
	b.Line(text, index)
	l := &b.lines
	for len(l.froms) < len(l.indexes)-1 { // lines before it that are from elsewhere
		l.froms, l.keys.Ends = append(l.froms, From{}), append(l.keys.Ends, len(l.keys.Buf))
	}
	l.froms = append(l.froms, from)
	l.keys.Buf = append(l.keys.Buf, key...)
	l.keys.Ends = append(l.keys.Ends, len(l.keys.Buf))
}

// FromOf returns which record the n-th line is from, and the record's key, which shares memory with the batch.
func (b *Batch) FromOf(n int) (from From, key []byte) {
	if n >= len(b.lines.froms) {
		return From{}, nil
	}
	return b.lines.froms[n], b.lines.keys.At(n)
}

// Line begins a line: it gave the rows that are added until the next one begins. The text, which has no newline, is copied;
// index says which line of its record it is.
func (b *Batch) Line(text []byte, index uint64) {
	l := &b.lines
	l.text.Buf = append(l.text.Buf, text...)
	l.text.Ends = append(l.text.Ends, len(l.text.Buf))
	l.indexes = append(l.indexes, index)
	b.Bytes += max(0, len(text)-freeText)
}

// LineOf returns the number of row i's line in the batch.
func (b *Batch) LineOf(i int) int { return int(b.lines.ofRow[i]) }

// Text returns the n-th line's text, which shares memory with the batch, and which line of its record it is.
func (b *Batch) Text(n int) (text []byte, index uint64) {
	return b.lines.text.At(n), b.lines.indexes[n]
}

func (l *lines) reset() {
	l.text.reset()
	l.keys.reset()
	clear(l.froms)
	l.froms = l.froms[:0]
	l.indexes, l.ofRow = l.indexes[:0], l.ofRow[:0]
}
