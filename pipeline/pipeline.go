// Package pipeline moves log lines from sources through parser, context and classifier into sealed batches, and sealed
// batches into a sink, and commits positions only when the sink has said durable.
//
// Nothing is queued on disk: the log is the queue. While the sink is slow or down, the fixed number of batches and buffers
// fills up, sources block, and memory stays flat.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bounceline/parsers"
	"bounceline/pipeline/batch"
)

// BufferSize is the size of the buffers in which chunks travel.
const BufferSize = 256 << 10

// MaxLine is how much of a line is parsed: a longer one is cut there and counted. It is under BufferSize, so that whether
// a line is cut depends on the line alone.
const MaxLine = 64 << 10

// A Stream is one content that is being read: a file whatever it is called, standard input, a journal, a partition.
type Stream struct {
	Name      string          // see record.Origin
	Source    string          // configured input name
	Path      string          // where it was found, for people
	Parser    parsers.Options // how its lines are read
	Anchor    string          // parser state at the first chunk's offset; empty at the start of a new stream
	Reference time.Time       // for the first inferred year, where there is no anchor: file mtime, or now when live
	Stored    []Span          // what the ledger knows to be stored, sorted: lines in it give context and no rows
	Twins     []batch.Twin    // streams that may be the same content: lines that they hold are not stored again
	Doubt     int64           // before it rows may be stored that the ledger does not know: the sink is asked before any is sent
	Topic     string          // of records of a partition: lines that cannot be read are dead letters, since nobody keeps them for long
	Partition int             // which one
	Intent    Span            // an interrupted batch's range: it is sealed exactly so again, to get its ID; empty is none
}

// A Span is the part [From, To) of a stream.
type Span struct{ From, To int64 }

// A Chunk is whole lines of one stream in their order. Its receiver gives Buffer back when it is done with Data.
type Chunk struct {
	Stream *Stream
	Offset int64 // position of Data's first byte
	Next   int64 // position after the chunk
	Data   []byte
	Buffer []byte
	Tail   []byte // only where Data is the head of one line that was cut: the last bytes before Next
	Quiet  bool   // gives context and no rows, whatever the ledger says: it is re-read to rebuild context
	Last   bool   // the stream ends here: what is open of it is sealed at once. Such a chunk may be empty

	Records []Record  // where positions count records, Data is their texts one after the other; nil for bytes
	Shipped []Shipped // nil, or for each record where its line comes from

	// Dead says of records that cannot be read why, in the order of their positions, which are before the records' Next. The
	// records' texts are what is kept of them.
	Dead []batch.Dead
}

// A Record takes one position, however many lines it has. Nothing stands between the record before it and itself, though
// their positions may lie apart.
type Record struct {
	Next int64 // position after the record
	End  int   // where its text ends in Data. A record without text only moves the position
	Time int64 // its own time stamp: part of the marker, so that it tells equal texts at equal positions apart

	KeyEnd int // where its key ends, which stands behind the text; 0 if it has none
}

// Shipped says where the line of a record was read before it was sent through the record's stream. Its rows get the place
// there, so that they are the rows of that place whichever way the line came. The zero value is a record that was not shipped.
type Shipped struct {
	Stream       *Stream // of the line; its parser is brought to Anchor for every line that does not follow the one before
	Offset, Next int64   // where the line is
	Marker       string  // see batch.Range, at Next
	Anchor       string  // the parser's state before the line
	Known        bool    // the line is stored already: it gives context and no rows
	Repeated     bool    // the line has been read before: it gives nothing
}

// Buffers is a fixed number of buffers that sources and runner share.
type Buffers struct{ free chan []byte }

// NewBuffers returns n buffers of BufferSize. They are allocated when first needed.
func NewBuffers(n int) *Buffers {
	b := &Buffers{free: make(chan []byte, n)}
	for range n {
		b.free <- nil
	}
	return b
}

// Take returns a buffer; it blocks until one is free.
func (b *Buffers) Take() []byte { return b.TakeWhile(nil, nil) }

// TakeWhile does the same, and calls do whenever there is a tick meanwhile.
func (b *Buffers) TakeWhile(tick <-chan time.Time, do func()) []byte {
	for {
		select {
		case buf := <-b.free:
			if buf == nil {
				buf = make([]byte, BufferSize)
			}
			return buf
		case <-tick:
			do()
		}
	}
}

// Give returns a buffer that came from Take. Nil is ignored.
func (b *Buffers) Give(buf []byte) {
	if buf != nil {
		b.free <- buf[:BufferSize]
	}
}

// What an error of a sink may mean beside its text; errors.Is tells.
var (
	// ErrNotStored says that nothing of the batch was stored: it is in no doubt.
	ErrNotStored = errors.New("not stored")
	// ErrCrowded says the same, and asks for fewer and larger batches.
	ErrCrowded = fmt.Errorf("crowded: %w", ErrNotStored)
	// ErrKnown says that the sink has taken a batch of that token before, all of it or a part, and did not store that again.
	// Whether the rows are still there is another question.
	ErrKnown = errors.New("the sink knew the token")
	// ErrRestarted says that the sink had died and was started again: there is no use in waiting.
	ErrRestarted = errors.New("it was started again")
	// ErrPoison says that a row of the batch cannot be stored, whoever tries, and that none of them was.
	ErrPoison = errors.New("poison")
)

// A Sink stores batches. Both calls return nil only when what they wrote is durable; repeating either with the same batch
// is harmless.
type Sink interface {
	// Write stores the rows under the token. Its error is ErrKnown where there was nothing to store.
	Write(ctx context.Context, b *batch.Batch, token string) error
	// WriteLedger records that all of the batch's ranges are stored. It is called after Write.
	WriteLedger(ctx context.Context, b *batch.Batch) error
}

// An Auditor says what a sink holds, whatever it acknowledged. Where the fate of a batch is not known it is asked, not
// believed: an acknowledged retry proves nothing.
type Auditor interface {
	// Present returns where in [from, to) of the stream there are rows. It first waits for inserts that are running to end,
	// also those that another process left behind.
	Present(ctx context.Context, stream string, from, to int64) (map[batch.Place]struct{}, error)
	// Mend makes what is derived from the rows, in the hours that touch [first, last] (Unix milliseconds), agree with them.
	Mend(ctx context.Context, first, last int64) error
}

// A Comparer says what a sink holds of a stream.
type Comparer interface {
	// QueueIDs returns the queue ID of the first row at each of the first limit positions in [from, to) of the stream that have
	// rows. It waits as Auditor's Present does.
	QueueIDs(ctx context.Context, stream string, from, to int64, limit int) (map[int64]string, error)
}

// DeadLetters keeps lines that cannot be stored. It returns nil when they are durable; a line may come again. Lines that could not
// be read are left out where room is short: left is how many.
type DeadLetters interface {
	Bury(lines []batch.Dead) (left int, err error)
}

// A Journal keeps what a restart needs. Both calls return when the change is durable.
type Journal interface {
	// Intend records the batch's ID and ranges before it is first sent.
	Intend(b *batch.Batch) error
	// Commit records that the batch's ranges are done.
	Commit(b *batch.Batch) error
}
