package kafka

import (
	"bytes"
	"io"
	"time"

	"github.com/segmentio/kafka-go"

	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/shipped"
)

// maxParcel is how many bytes of lines and headers are sent in one request. It is under the brokers' default of
// max.message.bytes (1,048,588), which bounds the compressed request, even where nothing compresses.
const maxParcel = 900_000

// overhead is what a record takes besides its header and value, at the most: lengths, deltas, the header's key.
const overhead = 64

// A parcel is lines that are sent in one request. It is filled by one goroutine, sent by another, and used again.
type parcel struct {
	data    []byte // header and value of one record after the other
	records []entry
	ends    []end
}

// An entry says where a record's parts end in the parcel's data.
type entry struct{ header, value int }

// An end is what is true of a stream when the parcel is sent.
type end struct {
	stream  *stream
	shipped checkpoint.Shipped
}

func (b *parcel) size() int { return len(b.data) + overhead*len(b.records) }

// reset empties the parcel. Its memory is given up if a request that failed may still be reading it.
func (b *parcel) reset(shared bool) {
	b.data, b.records, b.ends = b.data[:0], b.records[:0], b.ends[:0]
	if shared {
		b.data, b.records = nil, nil
	}
}

// parts returns a record's header and value.
func (b *parcel) parts(i int) (header, value []byte) {
	from := 0
	if i > 0 {
		from = b.records[i-1].value
	}
	e := b.records[i]
	return b.data[from:e.header:e.header], b.data[e.header:e.value:e.value]
}

// A reader hands the records [next, end) of a parcel to the client library, one at a time.
type reader struct {
	parcel     *parcel
	next, end  int
	record     kafka.Record
	key, value payload
	headers    [1]kafka.Header
	host       []byte
}

// newReader reads the records of b from lo to hi, each with the host as its key and now as its time: brokers refuse times far
// off (error 32) and delete by them, and a line that is shipped late may be old.
func newReader(b *parcel, lo, hi int, host []byte, now time.Time) *reader {
	r := &reader{parcel: b, next: lo, end: hi, host: host}
	r.record.Time = now
	r.headers[0].Key = shipped.Header
	r.record.Key, r.record.Value, r.record.Headers = &r.key, &r.value, r.headers[:]
	return r
}

// ReadRecord implements kafka.RecordReader. The record is valid until the next call.
func (r *reader) ReadRecord() (*kafka.Record, error) {
	if r.next == r.end {
		return nil, io.EOF
	}
	header, value := r.parcel.parts(r.next)
	r.next++
	r.headers[0].Value = header
	r.key.Reset(r.host)
	r.value.Reset(value)
	return &r.record, nil
}

// A payload is a text as the client library wants it.
type payload struct{ bytes.Reader }

// Close implements kafka.Bytes.
func (*payload) Close() error { return nil }
