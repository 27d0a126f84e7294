package batch

// freeText is how much of a line is not counted in Bytes: the rows' own text stands for it.
const freeText = 512

// lines are the lines that gave a batch its rows. They are kept until the batch is stored: a row that cannot be is a dead
// letter with its line, and by then the line may be in no file any more.
type lines struct {
	text    Strings
	indexes []uint64 // of the lines in their records, see record.InRecord
	ofRow   []uint32 // for each row the number of its line
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
	l.indexes, l.ofRow = l.indexes[:0], l.ofRow[:0]
}
