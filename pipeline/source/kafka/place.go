package kafka

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
)

// OutOfRange says what happens when records that were to be read are no longer there.
type OutOfRange string

// The policies.
const (
	Earliest OutOfRange = "earliest" // go on with the first record that is there, and count the gap
	Latest   OutOfRange = "latest"   // go on with what is written from now on, and count the gap
	Fail     OutOfRange = "fail"     // end
)

// quietRecords and quietBytes bound what is read again before the position to know the messages in the queues: whichever
// is reached first.
const (
	quietRecords = 20_000
	quietBytes   = 8 << 20
)

// A known is what group, ledger and broker say of a partition when it is assigned.
type known struct {
	prefix      string // of the names of the partition's streams: cluster/topic/partition/
	committed   int64  // -1: nothing
	meta        metadata
	ours        bool             // meta was written by this program
	ledger      []batch.Range    // of all streams with the prefix, sorted by stream and position
	reach       map[string]int64 // for streams that have rows, the position after the last one, whether the ledger knows of it or not
	first, last int64            // offsets that the broker has: [first, last)

	// marker returns the marker of the record at the offset; empty if there is no record there any more.
	marker func(offset int64) (string, error)
}

// A place is where reading of a partition begins.
type place struct {
	incarnation int
	stream      string
	ranges      []batch.Range   // the ledger's, of this stream
	next        int64           // everything before it is settled
	marker      string          // of the record before it, as far as known
	intent      *intent         // to be made again first
	doubt       int64           // before it there are rows that the ledger does not know
	skipped     int64           // records that are lost, or left out by policy
	unreadable  int64           // records of an intent that can no longer be read
	lost        []pipeline.Span // where both are
	commit      bool            // the group does not know it yet
}

// errOutOfRange is the error of the policy Fail.
var errOutOfRange = errors.New("records that were to be read are no longer in the topic")

// errBehind says that the group has committed what the ledger lacks.
var errBehind = errors.New("the consumer group has committed records that the database does not have: it is not the database " +
	"that this group wrote to, or was restored from an older copy. Nothing of the partition is read before that is settled: name the " +
	"right database, choose another --kafka-group, or set the group's offsets back with kafka-consumer-groups --reset-offsets; what is " +
	"stored is not stored again")

// stored reports whether the ledger knows the stream as far as the position.
func (k *known) stored(stream string, next int64) bool {
	for _, r := range k.ledger {
		if r.Stream == stream && r.To >= next {
			return true
		}
	}
	return false
}

// find decides where reading begins.
func (k *known) find(policy OutOfRange) (place, error) {
	p, err := k.incarnation()
	if err != nil {
		return p, err
	}
	for _, r := range k.ledger {
		if r.Stream == p.stream {
			p.ranges = append(p.ranges, r)
		}
	}
	if reach := k.reach[p.stream]; !covered(p.ranges, pipeline.Span{From: max(0, reach-1), To: reach}) {
		p.doubt = reach
	}
	if k.ours && k.meta.Incarnation == p.incarnation && k.committed >= 0 {
		p.next, p.marker, p.intent = k.committed, k.meta.Marker, k.meta.Intent
	} else {
		p.commit = true
		if k.committed >= 0 && !k.ours && k.committed <= k.last && k.committed >= k.first {
			p.next = k.committed // somebody has set it on purpose
		} else {
			p.next = k.first
		}
	}
	if k.ours && p.marker != "" && !k.stored(p.stream, p.next) {
		return p, fmt.Errorf("%s: %w", p.stream, errBehind)
	}
	if p.intent != nil && covered(p.ranges, p.intent.span()) {
		p.intent, p.commit = nil, true
	}
	if p.intent != nil && p.intent.From < k.first {
		p.lost = append(p.lost, pipeline.Span{From: p.intent.From, To: min(k.first, p.intent.To)})
		p.unreadable, p.intent, p.commit = p.lost[0].To-p.lost[0].From, nil, true
	}
	if p.intent == nil {
		p.skipStored()
	} else if !covered(p.ranges, pipeline.Span{From: p.next, To: p.intent.From}) {
		return p, fmt.Errorf("%s: %w", p.stream, errBehind)
	}
	if p.next < k.first || p.next > k.last {
		if policy == Fail {
			return p, fmt.Errorf("%s: %w: reading was to go on at offset %d, the broker has %d to %d; choose earliest or latest for offsets out of range to go on with a gap",
				p.stream, errOutOfRange, p.next, k.first, k.last)
		}
		to := k.first
		if policy == Latest {
			to = k.last
		}
		if to > p.next {
			p.skipped += to - p.next
			p.lost = append(p.lost, pipeline.Span{From: p.next, To: to})
		}
		p.next, p.marker, p.commit = to, "", true
		p.skipStored()
	}
	return p, nil
}

// skipStored moves the place behind what the ledger has from there on.
func (p *place) skipStored() {
	for _, r := range p.ranges {
		if r.From <= p.next && p.next < r.To {
			p.next, p.marker, p.commit = r.To, r.Marker, true
		}
	}
}

// incarnation says which of the topics of this name it is: one that was deleted and created again begins at offset 0 once
// more, and its records must not be taken for those before. It is another one if a different record stands where the last
// one was read, or if the partition ends before. A record that is gone proves nothing.
func (k *known) incarnation() (place, error) {
	latest, next, marker := -1, int64(0), ""
	for _, r := range k.ledger {
		n, err := strconv.Atoi(strings.TrimPrefix(r.Stream, k.prefix))
		if err != nil || n < latest {
			continue
		}
		if n > latest {
			latest, next = n, 0
		}
		if r.To > next {
			next, marker = r.To, r.Marker
		}
	}
	if k.ours && k.committed >= 0 && (k.meta.Incarnation > latest || k.meta.Incarnation == latest && k.committed >= next) {
		latest, next, marker = k.meta.Incarnation, k.committed, k.meta.Marker
	}
	if latest < 0 {
		return k.place(0), nil
	}
	if next > k.last {
		return k.place(latest + 1), nil
	}
	if next > k.first && marker != "" {
		there, err := k.marker(next - 1)
		if err != nil {
			return place{}, err
		}
		if there != "" && there != marker {
			return k.place(latest + 1), nil
		}
	}
	return k.place(latest), nil
}

func (k *known) place(incarnation int) place {
	return place{incarnation: incarnation, stream: k.prefix + strconv.Itoa(incarnation)}
}

// covered reports whether the ranges hold all of the span.
func covered(ranges []batch.Range, s pipeline.Span) bool {
	at := s.From
	for _, r := range ranges {
		if r.From <= at && at < r.To {
			at = r.To
		}
	}
	return at >= s.To
}

// before returns where reading for context begins, at most quietRecords before the position and not before first: at the
// beginning of a stored range if one is near, so that its anchor, which is returned, is the parser's state there.
func (p *place) before(at, first int64) (from int64, anchor string) {
	from = at
	var last *batch.Range // that ends at the position
	for i := len(p.ranges) - 1; i >= 0; i-- {
		r := &p.ranges[i]
		if r.To == at {
			last = r
		}
		if r.To == from && r.From >= first && at-r.From <= quietRecords {
			from, anchor = r.From, r.Anchor
		}
	}
	if from == at && last != nil {
		return max(first, last.From, at-quietRecords), last.Anchor
	}
	return from, anchor
}
