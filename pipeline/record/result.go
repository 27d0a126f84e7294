package record

// LineClass is what a line was to the parser.
type LineClass uint8

const (
	Event     LineClass = iota + 1 // reports at least one delivery event
	Context                        // reports none, but teaches something about a queue ID or about lines to come
	Other                          // understood, and of no use: counted by kind
	Malformed                      // not understood: counted by reason and kept for inspection
)

// LineClasses names the classes, by value.
var LineClasses = []string{"", "event", "context", "other", "malformed"}

// String returns the word that parse prints as verdict.
func (c LineClass) String() string { return LineClasses[c] }

// A Result is what one line gave. It is reused from line to line; its slices follow the rules of [Row].
type Result struct {
	Class LineClass
	Kind  string // what the line was, or why it is malformed; from a small closed set, so that it can be counted
	Doubt bool   // a delivery record may be hidden in the line, which a copy has changed; its dialect has not recognised one
	Rows  Rows
	Fact  Fact // what the line teaches about a queue ID; void if its QueueID is empty
}

// Reset makes r ready for the next line.
func (r *Result) Reset() {
	r.Class, r.Kind, r.Doubt = 0, "", false
	r.Rows.Reset()
	if len(r.Fact.QueueID) != 0 {
		r.Fact = Fact{}
	}
}

// FactOp says what a fact does to what is known about its queue ID.
type FactOp uint8

const (
	Learn  FactOp = iota // add what the fact carries
	Close                // the message left the queue: forget the ID after this line
	Expire               // the message is returned: each recipient still deferred gets a row, see context
	Renew                // a new message took the ID: forget what was known, then learn
)

// A Fact is what one line teaches about one queue ID. Fields that the line does not carry are zero.
type Fact struct {
	Op          FactOp
	Host        []byte
	QueueID     []byte
	Time        int64 // Unix milliseconds, UTC
	Sender      []byte
	SenderKnown bool
	Size        uint64
	Recipients  uint16 // nrcpt
	MessageID   []byte
	AuthUser    []byte
	ClientIP    Addr
	OrigQueueID []byte // the ID that the message had before: it came back from a content filter, or was queued again
}
