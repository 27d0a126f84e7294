package record

import "unsafe"

// Kind is how a column's values are held and compared.
type Kind uint8

const (
	Text   Kind = iota // free bytes: String
	Word               // bytes that repeat: LowCardinality(String)
	Flag               // bool: UInt8
	Uint8              // UInt8, UInt16, UInt32, UInt64: plain numbers
	Uint16             //
	Uint32             //
	Uint64             //
	Int32              // Int32
	Float              // Nullable(Float32); NaN is null
	Millis             // DateTime64(3, 'UTC')
	IP                 // IPv6
	Enum               // Enum8 of a closed set
)

// A Column is one column of the row: its name, which is the same in the table, in parse and in classify, and how to
// read it. Exactly one of the accessors is set, by Kind: Bytes for Text and Word, Real for Float, Address for IP, Number
// for all others.
type Column struct {
	Name    string
	Kind    Kind
	Lower   bool     // ASCII letters are stored in lower case
	Values  []string // names of an Enum's values
	Bytes   func(*Row) []byte
	Number  func(*Row) uint64
	Real    func(*Row) float32
	Address func(*Row) Addr
}

// Columns is every column of a row, in the order of the table. The table has two more: ingest_time, which the sink sets
// once a batch, and event_id, an alias of stream, pos and row.
var Columns = []Column{
	{Name: "event_time", Kind: Millis, Number: func(r *Row) uint64 { return uint64(r.EventTime) }},
	{Name: "time_inferred", Kind: Uint8, Number: func(r *Row) uint64 { return uint64(r.TimeInferred) }},
	{Name: "source", Kind: Word, Bytes: func(r *Row) []byte { return r.Source }},
	{Name: "stream", Kind: Word, Bytes: func(r *Row) []byte { return r.Stream }},
	{Name: "pos", Kind: Uint64, Number: func(r *Row) uint64 { return r.Pos }},
	{Name: "row", Kind: Uint64, Number: func(r *Row) uint64 { return r.Number }},
	{Name: "host", Kind: Word, Bytes: func(r *Row) []byte { return r.Host }},
	{Name: "mta", Kind: Word, Bytes: func(r *Row) []byte { return str(r.MTA) }},
	{Name: "instance", Kind: Word, Bytes: func(r *Row) []byte { return r.Instance }},
	{Name: "service", Kind: Word, Bytes: func(r *Row) []byte { return r.Service }},
	{Name: "agent", Kind: Word, Bytes: func(r *Row) []byte { return r.Agent }},
	{Name: "router", Kind: Word, Bytes: func(r *Row) []byte { return r.Router }},
	{Name: "pid", Kind: Uint32, Number: func(r *Row) uint64 { return uint64(r.PID) }},
	{Name: "event_type", Kind: Enum, Values: EventTypes, Number: func(r *Row) uint64 { return uint64(r.EventType) }},
	{Name: "outcome", Kind: Enum, Values: Outcomes, Number: func(r *Row) uint64 { return uint64(r.Outcome) }},
	{Name: "status", Kind: Word, Bytes: func(r *Row) []byte { return r.Status }},
	{Name: "queue_id", Kind: Text, Bytes: func(r *Row) []byte { return r.QueueID }},
	{Name: "message_id", Kind: Text, Bytes: func(r *Row) []byte { return r.MessageID }},
	{Name: "sender", Kind: Text, Bytes: func(r *Row) []byte { return r.Sender }},
	{Name: "sender_domain", Kind: Word, Lower: true, Bytes: func(r *Row) []byte { return Domain(r.Sender) }},
	{Name: "sender_known", Kind: Flag, Number: func(r *Row) uint64 { return bit(r.SenderKnown) }},
	{Name: "recipient", Kind: Text, Bytes: func(r *Row) []byte { return r.Recipient }},
	{Name: "recipient_domain", Kind: Word, Lower: true, Bytes: func(r *Row) []byte { return Domain(r.Recipient) }},
	{Name: "orig_recipient", Kind: Text, Bytes: func(r *Row) []byte { return r.OrigRecipient }},
	{Name: "relay", Kind: Text, Bytes: func(r *Row) []byte { return r.Relay }},
	{Name: "relay_host", Kind: Word, Lower: true, Bytes: func(r *Row) []byte { return r.RelayHost }},
	{Name: "relay_ip", Kind: IP, Address: func(r *Row) Addr { return r.RelayIP }},
	{Name: "relay_port", Kind: Uint16, Number: func(r *Row) uint64 { return uint64(r.RelayPort) }},
	{Name: "local_ip", Kind: IP, Address: func(r *Row) Addr { return r.LocalIP }},
	{Name: "internal_hop", Kind: Flag, Number: func(r *Row) uint64 { return bit(r.InternalHop) }},
	{Name: "next_queue_id", Kind: Text, Bytes: func(r *Row) []byte { return r.NextQueueID }},
	{Name: "smtp_command", Kind: Word, Bytes: func(r *Row) []byte { return str(r.SMTPCommand) }},
	{Name: "smtp_code", Kind: Uint16, Number: func(r *Row) uint64 { return uint64(r.SMTPCode) }},
	{Name: "smtp_class", Kind: Uint8, Number: func(r *Row) uint64 { return uint64(r.SMTPCode / 100) }},
	{Name: "enhanced_code", Kind: Word, Bytes: func(r *Row) []byte { return r.EnhancedCode }},
	{Name: "dsn", Kind: Word, Bytes: func(r *Row) []byte { return r.DSN }},
	{Name: "errno", Kind: Int32, Number: func(r *Row) uint64 { return uint64(uint32(r.Errno)) }},
	{Name: "response_text", Kind: Text, Bytes: func(r *Row) []byte { return r.ResponseText }},
	{Name: "remote_text", Kind: Text, Bytes: func(r *Row) []byte { return r.RemoteText }},
	{Name: "bounce_type", Kind: Word, Bytes: func(r *Row) []byte { return str(r.Class.BounceType) }},
	{Name: "bounce_category", Kind: Word, Bytes: func(r *Row) []byte { return str(r.Class.Category) }},
	{Name: "action", Kind: Word, Bytes: func(r *Row) []byte { return str(r.Class.Action) }},
	{Name: "rule", Kind: Word, Bytes: func(r *Row) []byte { return str(r.Class.Rule) }},
	{Name: "confidence", Kind: Word, Bytes: func(r *Row) []byte { return str(r.Class.Confidence) }},
	{Name: "ruleset", Kind: Word, Bytes: func(r *Row) []byte { return str(r.Class.RuleSet) }},
	{Name: "provider", Kind: Word, Bytes: func(r *Row) []byte { return str(r.Class.Provider) }},
	{Name: "list_name", Kind: Word, Bytes: func(r *Row) []byte { return str(r.Class.ListName) }},
	{Name: "retry_after", Kind: Uint32, Number: func(r *Row) uint64 { return uint64(r.Class.RetryAfter) }},
	{Name: "last_category", Kind: Word, Bytes: func(r *Row) []byte { return str(r.LastCategory) }},
	{Name: "last_reply", Kind: Text, Bytes: func(r *Row) []byte { return r.LastReply }},
	{Name: "delay", Kind: Float, Real: func(r *Row) float32 { return r.Delay }},
	{Name: "delay_before_qmgr", Kind: Float, Real: func(r *Row) float32 { return r.DelayBeforeQmgr }},
	{Name: "delay_in_qmgr", Kind: Float, Real: func(r *Row) float32 { return r.DelayInQmgr }},
	{Name: "delay_conn", Kind: Float, Real: func(r *Row) float32 { return r.DelayConnection }},
	{Name: "delay_xmit", Kind: Float, Real: func(r *Row) float32 { return r.DelayTransmit }},
	{Name: "conn_use", Kind: Uint16, Number: func(r *Row) uint64 { return uint64(r.ConnUse) }},
	{Name: "tls", Kind: Word, Bytes: func(r *Row) []byte { return r.TLS }},
	{Name: "size", Kind: Uint64, Number: func(r *Row) uint64 { return r.Size }},
	{Name: "nrcpt", Kind: Uint16, Number: func(r *Row) uint64 { return uint64(r.RecipientCount) }},
	{Name: "auth_user", Kind: Text, Bytes: func(r *Row) []byte { return r.AuthUser }},
	{Name: "client_ip", Kind: IP, Address: func(r *Row) Addr { return r.ClientIP }},
	{Name: "truncated", Kind: Flag, Number: func(r *Row) uint64 { return bit(r.Truncated) }},
	{Name: "parser", Kind: Word, Bytes: func(r *Row) []byte { return str(r.Parser) }},
	{Name: "parser_version", Kind: Word, Bytes: func(r *Row) []byte { return str(r.ParserVersion) }},
	{Name: "raw", Kind: Text, Bytes: func(r *Row) []byte { return r.Raw }},
}

// ColumnIndex gives the place of each column in Columns by its name.
var ColumnIndex = func() map[string]int {
	m := make(map[string]int, len(Columns))
	for i, c := range Columns {
		m[c.Name] = i
	}
	return m
}()

// Domain returns what follows the last @ of an address, or nothing. It shares the address's memory.
func Domain(address []byte) []byte {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == '@' {
			return address[i+1:]
		}
	}
	return nil
}

// str gives the bytes of a constant without a copy. They must not be written to.
func str(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
