package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/segmentio/kafka-go/compress"

	"bounceline/pipeline/shipped"
)

// Bounds on what is taken in of records that strangers write.
const (
	maxUnpacked = 64 << 20 // bytes of a batch, unpacked
	maxValue    = 8 << 20  // bytes of a record's value
	maxKept     = 1 << 20  // bytes that are kept of what cannot be read
	maxKey      = 1 << 10  // bytes that are kept of a key
)

// A message is a record of a partition. Its slices are valid until the next one is read.
type message struct {
	offset  int64
	time    int64 // Unix milliseconds
	key     []byte
	value   []byte
	null    bool   // there is no value: a tombstone
	control bool   // a transaction's marker
	origin  []byte // header shipped.Header; nil where there is none
}

// A damage is a part of a partition that cannot be read as records.
type damage struct {
	from, next int64 // offsets [from, next)
	raw        []byte
	reason     badReason
	err        error
	unsure     bool // the offsets are those of a damaged header
}

func (d *damage) Error() string {
	return fmt.Sprintf("offsets %d to %d: %s: %v", d.from, d.next-1, d.reason, d.err)
}
func (d *damage) Unwrap() error { return d.err }

// A recordSet hands out the records of batches, one after the other.
type recordSet struct {
	rest []byte // batches that are not begun

	batch    cursor // records of the batch at hand
	left     int    // how many
	base     int64
	at       int64 // offset behind the last record
	next     int64 // offset behind the batch
	time     int64
	control  bool
	unpacked bytes.Buffer
	old      []message // records of a message of the old format
}

// Parts of a batch (Kafka protocol documentation, "Record Batch"). Up to the magic byte the older formats have the same.
const (
	batchLength  = 8
	batchMagic   = 16
	batchSum     = 17
	batchSummed  = 21
	batchDelta   = 23
	batchTime    = 27
	batchCount   = 57
	batchRecords = 61
	lengthEnd    = 12
)

const (
	codecBits   = 7
	controlBit  = 1 << 5
	noTimestamp = -1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// whole returns the first batch of a set, and what follows; a broker cuts the last one off where its limit is.
func whole(set []byte) (batch, rest []byte, ok bool) {
	if len(set) <= batchMagic {
		return nil, nil, false
	}
	n := int64(int32(binary.BigEndian.Uint32(set[batchLength:])))
	if n < 0 || n > int64(len(set)-lengthEnd) {
		return nil, nil, false
	}
	return set[: lengthEnd+n : lengthEnd+n], set[lengthEnd+n:], true
}

// offsets returns the first offset of a batch and the one behind it.
func offsets(batch []byte) (base, next int64) {
	base = int64(binary.BigEndian.Uint64(batch))
	if len(batch) < batchRecords || batch[batchMagic] < 2 {
		return base, base + 1
	}
	return base, base + int64(int32(binary.BigEndian.Uint32(batch[batchDelta:]))) + 1
}

// endOf returns the offset behind the last whole batch of a set.
func endOf(set []byte) (next int64, ok bool) {
	for {
		batch, rest, more := whole(set)
		if !more {
			return next, ok
		}
		_, next = offsets(batch)
		set, ok = rest, true
	}
}

// reset begins with other batches.
func (s *recordSet) reset(batches []byte) {
	s.rest, s.batch, s.left, s.old = batches, cursor{}, 0, s.old[:0]
	if s.unpacked.Cap() > keepBuffer {
		s.unpacked = bytes.Buffer{}
	}
}

// read reads the next record into r. At the end of the last whole batch it returns io.EOF. Where something cannot be read its
// error is a *damage, and the next call goes on behind that.
func (s *recordSet) read(r *message) error {
	for {
		if n := len(s.old); n > 0 {
			*r, s.old = s.old[0], s.old[1:]
			return nil
		}
		if s.left > 0 {
			return s.record(r)
		}
		batch, rest, ok := whole(s.rest)
		if !ok {
			return io.EOF
		}
		s.rest = rest
		if err := s.begin(batch); err != nil {
			return err
		}
	}
}

// begin makes the batch the one at hand.
func (s *recordSet) begin(batch []byte) error {
	if len(batch) > batchMagic && batch[batchMagic] < 2 {
		return s.message(batch)
	}
	base, next := offsets(batch)
	if len(batch) < batchRecords || batch[batchMagic] != 2 {
		s.rest = nil // where the next one begins is not known: it is fetched
		return &damage{base, max(next, base+1), batch, badBatch, errors.New("its header is damaged"), true}
	}
	if sum := crc32.Checksum(batch[batchSummed:], castagnoli); sum != binary.BigEndian.Uint32(batch[batchSum:]) {
		return &damage{base, s.behind(batch), batch, badChecksum, errors.New("its checksum is another one"), false}
	}
	attributes := binary.BigEndian.Uint16(batch[batchSummed:])
	data, err := s.unpack(batch[batchRecords:], compress.Compression(attributes&codecBits))
	if err != nil {
		return &damage{base, next, batch, badBatch, err, false}
	}
	s.batch, s.left = cursor{rest: data}, int(int32(binary.BigEndian.Uint32(batch[batchCount:])))
	s.base, s.at, s.next, s.control = base, base, next, attributes&controlBit != 0
	s.time = int64(binary.BigEndian.Uint64(batch[batchTime:]))
	return nil
}

// behind is where reading goes on behind a batch whose header is not to be relied upon.
func (s *recordSet) behind(batch []byte) int64 {
	base, next := offsets(batch)
	if following, _, ok := whole(s.rest); ok {
		if after, _ := offsets(following); after > base {
			return after
		}
	}
	if count := int64(int32(binary.BigEndian.Uint32(batch[batchCount:]))); count == next-base && count > 0 {
		return next
	}
	return base + 1
}

// unpack returns the data uncompressed. It is valid until the next call.
func (s *recordSet) unpack(data []byte, codec compress.Compression) ([]byte, error) {
	if codec == compress.None {
		return data, nil
	}
	c := codec.Codec()
	if c == nil {
		return nil, fmt.Errorf("it is compressed in a way that is not known (%d)", codec)
	}
	r := c.NewReader(bytes.NewReader(data))
	defer r.Close()
	s.unpacked.Reset()
	_, err := s.unpacked.ReadFrom(io.LimitReader(r, maxUnpacked+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", c.Name(), err)
	case s.unpacked.Len() > maxUnpacked:
		return nil, fmt.Errorf("%s: it unpacks to more than %d MiB", c.Name(), maxUnpacked>>20)
	}
	return s.unpacked.Bytes(), nil
}

// record reads the next record of the batch at hand.
func (s *recordSet) record(r *message) error {
	raw := s.batch.rest
	length := s.batch.varint()
	if length > int64(len(s.batch.rest)) {
		length = -1
	}
	c := cursor{rest: s.batch.bytes(int(length))}
	c.skip(1) // attributes: none are defined
	*r = message{time: s.time + c.varint(), offset: s.base + c.varint(), control: s.control}
	r.key, _ = c.text()
	r.value, r.null = c.text()
	for n := c.varint(); n > 0 && !c.bad; n-- {
		key, _ := c.text()
		value, _ := c.text()
		if r.origin == nil && string(key) == shipped.Header {
			r.origin = value
			if value == nil {
				r.origin = []byte{}
			}
		}
	}
	if s.batch.bad || c.bad || r.offset < s.at || r.offset >= s.next {
		s.left = 0
		return &damage{s.at, s.next, raw, badRecord, errors.New("its lengths and its content do not agree"), false}
	}
	s.left--
	s.at = r.offset + 1
	return nil
}

// message takes in a message of the format that brokers before 0.11 wrote (Kafka protocol documentation, "Old Message Format").
// One that is compressed holds others.
func (s *recordSet) message(raw []byte) error {
	wrapper, codec, err := oldMessage(raw)
	if err == nil && codec != compress.None {
		var data []byte
		if data, err = s.unpack(wrapper.value, codec); err == nil {
			s.old, err = s.messages(bytes.Clone(data), wrapper.offset, raw[batchMagic])
		}
	} else if err == nil {
		s.old = append(s.old[:0], wrapper)
	}
	if err != nil {
		s.old, s.rest = s.old[:0], nil // its checksum does not cover its length
		base, next := offsets(raw)
		return &damage{base, next, raw, badBatch, err, true}
	}
	return nil
}

// messages reads the messages in one that is compressed: the offset is that of the last, and theirs begin at 0 from version 1 on.
func (s *recordSet) messages(data []byte, last int64, magic byte) (out []message, err error) {
	for m, rest, ok := whole(data); ok; m, rest, ok = whole(rest) {
		r, codec, err := oldMessage(m)
		if err != nil || codec != compress.None {
			return nil, errors.Join(err, errors.New("a message in a compressed one is damaged"))
		}
		out = append(out, r)
	}
	if n := len(out); n > 0 && magic > 0 {
		shift := last - out[n-1].offset
		for i := range out {
			out[i].offset += shift
		}
	}
	return out, nil
}

func oldMessage(raw []byte) (r message, codec compress.Compression, err error) {
	c := cursor{rest: raw}
	r.offset = c.int64()
	c.skip(4)
	sum := uint32(c.int32())
	sound := crc32.ChecksumIEEE(c.rest) == sum
	head := c.bytes(2)
	r.time = noTimestamp
	if head != nil && head[0] > 0 {
		r.time = c.int64()
	}
	r.key = c.bytes(int(max(0, c.int32())))
	n := c.int32()
	r.null = n < 0
	r.value = c.bytes(int(max(0, n)))
	if c.bad || !sound {
		return r, 0, errors.New("a message is damaged")
	}
	return r, compress.Compression(head[1] & codecBits), nil
}
