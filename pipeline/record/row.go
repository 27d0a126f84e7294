// Package record defines the one row that bounceline produces: one recipient, one outcome of one delivery attempt,
// and the table of its columns. Everything that shows, stores or compares rows is driven by [Columns].
package record

import "math"

// A Row is one recipient and one outcome, as one log line reported it.
//
// Byte slices point into the parsed line or into the scratch space of the [Rows] that the row belongs to: they are
// valid until the next line is parsed, and whoever keeps one copies it. Strings are constants of the program.
// The zero value of a field means "not logged" unless its comment says otherwise.
type Row struct {
	EventTime    int64     // Unix milliseconds, UTC: the time of the log line
	TimeInferred TimeFlags // what of EventTime was not in the line

	Source []byte // configured input name
	Stream []byte // identity: the name of the content (see Origin)
	Pos    uint64 // identity: byte offset, Kafka offset or journal sequence number
	Number uint64 // identity: row number inside the line, see InRecord

	Host     []byte // host of the MTA
	MTA      string // postfix, exim, sendmail, ...
	Instance []byte // first path part of the syslog tag (postfix, postfix-out); informative only
	Service  []byte // Postfix daemon or named service (smtp, relay/smtp, local); Exim transport
	Agent    []byte // last path part of the service: the program behind it
	Router   []byte // Exim R=
	PID      uint32

	EventType EventType
	Outcome   Outcome
	Status    []byte // the native word or flag, unchanged: sent, SOFTBOUNCE, ==

	QueueID     []byte // unchanged, case kept
	MessageID   []byte // RFC 5322 Message-ID without its angle brackets
	Sender      []byte // envelope sender; empty is the null sender if SenderKnown
	SenderKnown bool

	Recipient     []byte // the address finally attempted, as logged
	OrigRecipient []byte // empty when equal to Recipient or not logged

	Relay     []byte // raw relay text: none, local, mx1.example.org[192.0.2.25]:25
	RelayHost []byte // name as logged; lower-cased when stored
	RelayIP   Addr
	RelayPort uint16
	LocalIP   Addr // sending address, where the MTA logs it

	InternalHop bool   // the mail stays inside the site and is logged again: left out of rates
	NextQueueID []byte // queue ID at the next hop, from "queued as X"

	SMTPCommand  string // what the reply answered, see Commands
	SMTPCode     uint16 // three-digit reply of the remote host; 0 if none was received
	EnhancedCode []byte // RFC 3463 code of the reply
	DSN          []byte // Postfix's own verdict, dsn=
	Errno        int32  // Exim defer (n)

	ResponseText []byte // the whole reason, unchanged
	RemoteText   []byte // what the far side said, from its reply code on; empty if nothing remote spoke

	Class Class // the classifier's verdict

	LastCategory string // on rows without a reply of their own: the category of this recipient's last real answer
	LastReply    []byte

	Delay           float32 // seconds in queue; NaN is unknown, as in the four below
	DelayBeforeQmgr float32
	DelayInQmgr     float32
	DelayConnection float32
	DelayTransmit   float32
	ConnUse         uint16 // number of this delivery on its connection; 1 when not logged
	TLS             []byte
	Size            uint64
	RecipientCount  uint16 // nrcpt of the message
	AuthUser        []byte // authenticated submitter
	ClientIP        Addr   // who handed the message in
	Truncated       bool   // the line ended before its closing parenthesis, or at a known cut
	Parser          string
	ParserVersion   string
	Raw             []byte // the whole line, where it is to be stored
}

// Class is a classifier's verdict on a row. All strings are constants of the rule set and stay valid with it.
type Class struct {
	BounceType string // delivered, general, soft, hard, block
	Category   string // one of the taxonomy's categories
	Action     string // what to do about it
	Rule       string // id of the rule or table entry that decided
	Confidence string // provider, text, dsn, code, none
	RuleSet    string // a hash of the rules and of the version of the program that applied them
	Provider   string // mailbox provider or gateway; empty is unknown
	ListName   string // blocklist named in the reply
	RetryAfter uint32 // seconds the reply asks to wait; 0 is none
}

// TimeFlags says what of a row's time was not written in the line.
type TimeFlags uint8

const (
	YearInferred TimeFlags = 1 << iota // the header has no year
	ZoneAssumed                        // the header has no zone and none was configured
	FromEnvelope                       // taken from the wrapper, the line itself had no time
	AheadOfTime                        // more than a day after the reference; kept as written
)

// EventType says what kind of story a row tells. Rates use Attempt and Expiration only.
type EventType uint8

const (
	Attempt EventType = iota + 1
	Suspended
	Expiration
	Probe
	Discard
	Suppressed
	Autoreply
)

// Outcome is the recipient's fate as far as this row knows it.
type Outcome uint8

const (
	Delivered Outcome = iota + 1
	Deferred
	Bounced
	Expired
	OtherOutcome
)

// EventTypes and Outcomes name the values of the two closed sets, by value.
var (
	EventTypes = []string{"", "attempt", "suspended", "expiration", "probe", "discard", "suppressed", "autoreply"}
	Outcomes   = []string{"", "delivered", "deferred", "bounced", "expired", "other"}
)

// String returns the stored word.
func (t EventType) String() string { return EventTypes[t] }

// String returns the stored word.
func (o Outcome) String() string { return Outcomes[o] }

// Commands is the vocabulary of Row.SMTPCommand, one for all MTAs.
const (
	CmdConnect   = "connect"
	CmdHELO      = "HELO"
	CmdEHLO      = "EHLO"
	CmdLHLO      = "LHLO"
	CmdSTARTTLS  = "STARTTLS"
	CmdAUTH      = "AUTH"
	CmdMAIL      = "MAIL FROM"
	CmdRCPT      = "RCPT TO"
	CmdDATA      = "DATA"
	CmdBDAT      = "BDAT"
	CmdEndOfData = "end of DATA"
)

// Addr is an IP address as ClickHouse's IPv6 stores it: IPv4 is mapped, all zero is none.
type Addr [16]byte

// Unknown is the value of a delay that was not logged.
var Unknown = float32(math.NaN())

var blank = Row{
	Delay: Unknown, DelayBeforeQmgr: Unknown, DelayInQmgr: Unknown, DelayConnection: Unknown, DelayTransmit: Unknown,
	ConnUse: 1,
}

// Rows is a reusable list of rows and the scratch space for texts that are not verbatim in the line.
type Rows struct {
	list    []Row
	scratch []byte
}

// Reset empties the list; rows and scratch texts handed out before are invalid.
func (r *Rows) Reset() {
	r.list = r.list[:0]
	r.scratch = r.scratch[:0]
}

// Add appends a blank row and returns it. The pointer is valid until the next Add.
func (r *Rows) Add() *Row {
	if len(r.list) < cap(r.list) {
		r.list = r.list[:len(r.list)+1]
	} else {
		r.list = append(r.list, Row{})
	}
	row := &r.list[len(r.list)-1]
	*row = blank
	return row
}

// Truncate drops all rows after the first n.
func (r *Rows) Truncate(n int) { r.list = r.list[:n] }

// All returns the rows, for reading and for changing in place. The slice is valid until the next Add or Reset.
func (r *Rows) All() []Row { return r.list }

// Len returns the number of rows.
func (r *Rows) Len() int { return len(r.list) }

// Scratch returns n bytes that live as long as the rows. What was handed out before stays valid.
func (r *Rows) Scratch(n int) []byte {
	if cap(r.scratch)-len(r.scratch) < n {
		r.scratch = make([]byte, 0, 2*cap(r.scratch)+n+1024)
	}
	start := len(r.scratch)
	r.scratch = r.scratch[:start+n]
	return r.scratch[start : start+n : start+n]
}
