// Package context remembers, for each message in a queue, what its lines said before: sender, size, message id, client,
// and the recipients still deferred. Attempt lines do not say these things themselves.
//
// It is bounded in memory and never lets a row wait: what is not known stays unknown. It can be rebuilt by reading the
// same lines again.
package context

import (
	"hash/fnv"

	"bounceline/parsers/reply"
	"bounceline/pipeline/record"
)

// maxAge is how long after its last line a message is remembered, by the log's own time: longer than Postfix's
// maximal_queue_lifetime of five days and Exim's usual four.
const maxAge = 7 * 24 * 3600 * 1000

// entryCost is what an entry takes beside its texts, roughly.
const entryCost = 256

// maxDeferred bounds the recipients that are remembered of one message.
const maxDeferred = 1000

// A Table is the memory. It is used by one goroutine.
type Table struct {
	maxBytes int
	bytes    int
	messages map[string]*message
	oldest   *message // ends of the list by last use
	newest   *message
	stats    Stats
	key      []byte
}

// Stats counts what the table did.
type Stats struct {
	Messages int   // remembered now
	Bytes    int   // what they take
	Evicted  int64 // forgotten for want of room before their message was done
	Aged     int64 // forgotten because nothing was heard of them for long
}

type message struct {
	key         string
	prev, next  *message
	used        int64 // log time of the last line
	cost        int
	sender      []byte
	senderKnown bool
	messageID   []byte
	authUser    []byte
	clientIP    record.Addr
	size        uint64
	recipients  uint16
	deferred    []deferral
}

// A deferral is a recipient that was deferred last, and why.
type deferral struct {
	recipient []byte
	category  string
	reply     []byte
	relay     []byte
	relayHost []byte
	relayIP   record.Addr
}

// New returns an empty table that keeps to about maxBytes.
func New(maxBytes int) *Table {
	return &Table{maxBytes: maxBytes, messages: map[string]*message{}}
}

// Stats returns the counters.
func (t *Table) Stats() Stats {
	s := t.stats
	s.Messages, s.Bytes = len(t.messages), t.bytes
	return s
}

// Enrich is called before rows are classified. It takes in what the line's fact teaches, gives the rows what is known of
// their message, and makes of an expiry one row for each recipient still deferred.
func (t *Table) Enrich(out *record.Result) {
	if f := &out.Fact; len(f.QueueID) != 0 && (f.Op == record.Learn || f.Op == record.Renew) {
		t.learn(f)
	}
	if out.Rows.Len() == 0 {
		return
	}
	first := &out.Rows.All()[0]
	if len(first.QueueID) == 0 {
		return // it says nothing about which message it was
	}
	m := t.find(first.Host, first.QueueID)
	if m == nil {
		return
	}
	t.touch(m, first.EventTime)
	if out.Fact.Op == record.Expire && len(out.Fact.QueueID) != 0 {
		t.expand(m, out)
	}
	rows := out.Rows.All()
	for i := range rows {
		m.fill(&rows[i])
	}
}

// fill gives a row what is known and what its line did not say.
func (m *message) fill(r *record.Row) {
	if !r.SenderKnown && m.senderKnown {
		r.Sender, r.SenderKnown = m.sender, true
	}
	if len(r.MessageID) == 0 {
		r.MessageID = m.messageID
	}
	if len(r.AuthUser) == 0 {
		r.AuthUser = m.authUser
	}
	if r.ClientIP == (record.Addr{}) {
		r.ClientIP = m.clientIP
	}
	if r.Size == 0 {
		r.Size = m.size
	}
	if r.RecipientCount == 0 {
		r.RecipientCount = m.recipients
	}
	if r.EventType == record.Suspended || r.EventType == record.Expiration {
		if d := m.deferral(r.Recipient); d != nil && d.category != "" {
			r.LastCategory, r.LastReply = d.category, d.reply
		}
	}
}

func (m *message) deferral(recipient []byte) *deferral {
	for i := range m.deferred {
		if string(m.deferred[i].recipient) == string(recipient) {
			return &m.deferred[i]
		}
	}
	return nil
}

// expand makes of the expiry's one row a row for each recipient still deferred. Their numbers are hashes of the recipient,
// so that a row keeps its identity whichever of the others are known.
func (t *Table) expand(m *message, out *record.Result) {
	if len(m.deferred) == 0 {
		return
	}
	base := out.Rows.All()[0]
	out.Rows.Truncate(0)
	for i := range m.deferred {
		d := &m.deferred[i]
		r := out.Rows.Add()
		*r = base
		r.Recipient = d.recipient
		r.Relay, r.RelayHost, r.RelayIP = d.relay, d.relayHost, d.relayIP
		r.LastCategory, r.LastReply = d.category, d.reply
		r.Number = numberOf(d.recipient)
	}
}

// numberOf is the row number of an expanded recipient.
func numberOf(recipient []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte{0, 0, 0, 0}) // the index of the line in its message
	_, _ = h.Write(recipient)
	return h.Sum64()
}

// Remember is called after the rows were classified. It notes who is still deferred and why, and forgets messages that are
// done.
func (t *Table) Remember(out *record.Result) {
	rows := out.Rows.All()
	for i := range rows {
		t.note(&rows[i])
	}
	if f := &out.Fact; len(f.QueueID) != 0 && (f.Op == record.Close || f.Op == record.Expire && len(rows) > 0) {
		if m := t.find(f.Host, f.QueueID); m != nil {
			if f.Op == record.Close {
				t.drop(m)
			} else {
				t.clearDeferred(m)
			}
		}
	}
}

func (t *Table) note(r *record.Row) {
	switch r.EventType {
	case record.Attempt, record.Suspended, record.Expiration:
	default:
		return
	}
	if len(r.QueueID) == 0 {
		return
	}
	m := t.find(r.Host, r.QueueID)
	if r.Outcome != record.Deferred {
		if m != nil {
			t.forget(m, r.Recipient)
		}
		return
	}
	if m == nil {
		m = t.add()
	}
	t.touch(m, r.EventTime)
	d := m.deferral(r.Recipient)
	if d == nil {
		if len(m.deferred) >= maxDeferred {
			t.stats.Evicted++
			return
		}
		m.deferred = append(m.deferred, deferral{recipient: clone(r.Recipient)})
		d = &m.deferred[len(m.deferred)-1]
		t.charge(m, len(r.Recipient)+entryCost)
	}
	if r.EventType == record.Suspended && d.category != "" {
		return // nobody was asked this time: the last real answer stands
	}
	t.charge(m, len(r.ResponseText)-len(d.reply))
	d.category = r.Class.Category
	d.reply = append(d.reply[:0], r.ResponseText...)
	d.relay = append(d.relay[:0], r.Relay...)
	d.relayHost = append(d.relayHost[:0], r.RelayHost...)
	d.relayIP = r.RelayIP
}

func (t *Table) forget(m *message, recipient []byte) {
	for i := range m.deferred {
		if string(m.deferred[i].recipient) == string(recipient) {
			t.charge(m, -len(recipient)-entryCost-len(m.deferred[i].reply))
			m.deferred = append(m.deferred[:i], m.deferred[i+1:]...)
			return
		}
	}
}

func (t *Table) clearDeferred(m *message) {
	for i := range m.deferred {
		t.charge(m, -len(m.deferred[i].recipient)-entryCost-len(m.deferred[i].reply))
	}
	m.deferred = nil
}

// learn takes a fact in.
func (t *Table) learn(f *record.Fact) {
	m := t.find(f.Host, f.QueueID)
	if m != nil && f.Op == record.Renew {
		if len(m.deferred) > 0 || m.senderKnown { // the ID was used again
			t.drop(m)
			m = nil
		}
	}
	if m == nil {
		m = t.add()
	}
	t.touch(m, f.Time)
	if len(f.OrigQueueID) > 0 {
		t.inherit(m, f)
	}
	if f.SenderKnown {
		t.charge(m, len(f.Sender)-len(m.sender))
		m.sender, m.senderKnown = append(m.sender[:0], f.Sender...), true
	}
	if len(f.MessageID) > 0 {
		t.charge(m, len(f.MessageID)-len(m.messageID))
		m.messageID = append(m.messageID[:0], f.MessageID...)
	}
	if len(f.AuthUser) > 0 {
		t.charge(m, len(f.AuthUser)-len(m.authUser))
		m.authUser = append(m.authUser[:0], f.AuthUser...)
	}
	if f.ClientIP != (record.Addr{}) {
		m.clientIP = f.ClientIP
	}
	if f.Size > 0 {
		m.size = f.Size
	}
	if f.Recipients > 0 {
		m.recipients = f.Recipients
	}
}

// inherit gives a message that came back from a content filter, or was queued again, what is known of its submission: its own
// client is the filter. What the line says itself goes before.
func (t *Table) inherit(m *message, f *record.Fact) {
	from := t.find(f.Host, f.OrigQueueID)
	if from == nil || from == m {
		return
	}
	if len(m.authUser) == 0 && len(from.authUser) > 0 {
		t.charge(m, len(from.authUser))
		m.authUser = append(m.authUser, from.authUser...)
	}
	if len(m.messageID) == 0 && len(from.messageID) > 0 {
		t.charge(m, len(from.messageID))
		m.messageID = append(m.messageID, from.messageID...)
	}
	if from.clientIP != (record.Addr{}) && (f.ClientIP == (record.Addr{}) || reply.Loopback(f.ClientIP)) {
		f.ClientIP = from.clientIP
	}
}

// find returns the message, or nil. Queue IDs mean something on their host only.
func (t *Table) find(host, id []byte) *message {
	t.key = append(append(append(t.key[:0], host...), 0), id...)
	return t.messages[string(t.key)]
}

// add adds the message that find looked for last, and did not find.
func (t *Table) add() *message {
	m := &message{key: string(t.key)}
	t.messages[m.key] = m
	t.charge(m, len(m.key)+entryCost)
	t.append(m)
	return m
}

// touch makes the message the one used last and forgets what is too old.
func (t *Table) touch(m *message, now int64) {
	m.used = max(m.used, now)
	if t.newest != m {
		t.unlink(m)
		t.append(m)
	}
	for t.oldest != m && t.oldest != nil && now-t.oldest.used > maxAge {
		t.drop(t.oldest)
		t.stats.Aged++
	}
	for t.bytes > t.maxBytes && t.oldest != m {
		t.drop(t.oldest)
		t.stats.Evicted++
	}
}

func (t *Table) charge(m *message, n int) {
	m.cost += n
	t.bytes += n
}

func (t *Table) drop(m *message) {
	t.unlink(m)
	t.bytes -= m.cost
	delete(t.messages, m.key)
}

func (t *Table) append(m *message) {
	m.prev, m.next = t.newest, nil
	if t.newest != nil {
		t.newest.next = m
	} else {
		t.oldest = m
	}
	t.newest = m
}

func (t *Table) unlink(m *message) {
	if m.prev != nil {
		m.prev.next = m.next
	} else if t.oldest == m {
		t.oldest = m.next
	}
	if m.next != nil {
		m.next.prev = m.prev
	} else if t.newest == m {
		t.newest = m.prev
	}
	m.prev, m.next = nil, nil
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }
