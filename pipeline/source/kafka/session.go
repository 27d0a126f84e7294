package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"

	"bounceline/pipeline/kafkaconn"
)

// How records are fetched.
const (
	maxWait     = 500 * time.Millisecond // how long a broker may wait for records
	readWithin  = maxWait + 10*time.Second
	maxResponse = 256 << 20 // brokers send a batch that is larger than what was asked for as a whole
	keepBuffer  = 4 << 20   // a buffer that a large batch has made larger than this is given up
)

// Versions of Fetch requests that are spoken (Kafka protocol guide). Brokers hand out zstd from version 10 on.
const (
	minFetch = 4
	maxFetch = 10
)

// A session fetches the records of one partition over a connection to its leader. What follows is asked for as soon as
// something has come, so that the broker sends it while that is worked on. It is used by one goroutine.
type session struct {
	conn      net.Conn
	topic     string
	partition int
	version   int16
	maxBytes  int // of records in a response

	sequence int32
	asked    int64 // offset that the request under way asks for; -1 is none
	buffer   []byte
}

// openSession connects to the partition's leader.
func openSession(ctx context.Context, conn *kafkaconn.Conn, topic string, partition, maxBytes int) (*session, error) {
	var last error
	for _, b := range conn.Brokers {
		p, err := conn.Dialer.LookupPartition(ctx, "tcp", b, topic, partition)
		if err != nil {
			last = err
			continue
		}
		leader := net.JoinHostPort(p.Leader.Host, strconv.Itoa(p.Leader.Port))
		c, versions, err := conn.Dial(ctx, leader)
		if err != nil {
			last = err
			continue
		}
		s := &session{conn: c, topic: topic, partition: partition, maxBytes: maxBytes, asked: -1}
		if s.version, err = fetchVersion(versions); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		return s, nil
	}
	return nil, last
}

func fetchVersion(versions []kafka.ApiVersion) (int16, error) {
	for _, v := range versions {
		if v.ApiKey == int16(protocol.Fetch) && v.MaxVersion >= minFetch && v.MinVersion <= maxFetch {
			return min(v.MaxVersion, maxFetch), nil
		}
	}
	return 0, fmt.Errorf("fetch: %w", kafka.UnsupportedVersion)
}

// fetch returns the batches of records from the one on that holds the offset, and the partition's end. It waits until there
// are some, but no longer than maxWait: then there may be none. What it returns is valid until the next call.
func (s *session) fetch(at int64) (batches []byte, end int64, err error) {
	if s.asked >= 0 && s.asked != at { // the reader has gone elsewhere
		if _, err := s.receive(); err != nil {
			return nil, 0, err
		}
	}
	if s.asked < 0 {
		if err := s.ask(at); err != nil {
			return nil, 0, err
		}
	}
	response, err := s.receive()
	if err != nil {
		return nil, 0, err
	}
	if batches, end, err = records(response, s.version); err != nil {
		return nil, end, err
	}
	if next, ok := endOf(batches); ok {
		at = max(at, next)
	}
	return batches, end, s.ask(at)
}

// ask sends a request.
func (s *session) ask(at int64) error {
	s.sequence++
	if err := s.conn.SetWriteDeadline(time.Now().Add(readWithin)); err != nil {
		return err
	}
	s.asked = at
	return protocol.WriteRequest(s.conn, s.version, s.sequence, "bounceline", &fetch.Request{ReplicaID: -1,
		MaxWaitTime: int32(maxWait / time.Millisecond), MinBytes: 1, MaxBytes: int32(s.maxBytes), SessionEpoch: -1,
		Topics: []fetch.RequestTopic{{Topic: s.topic, Partitions: []fetch.RequestPartition{{Partition: int32(s.partition),
			CurrentLeaderEpoch: -1, FetchOffset: at, LogStartOffset: -1, PartitionMaxBytes: int32(s.maxBytes)}}}}})
}

// receive reads the response to the request under way, behind its correlation ID.
func (s *session) receive() ([]byte, error) {
	s.asked = -1
	if err := s.conn.SetReadDeadline(time.Now().Add(readWithin)); err != nil {
		return nil, err
	}
	var head [8]byte
	if _, err := io.ReadFull(s.conn, head[:]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(head[:])) - 4
	if id := int32(binary.BigEndian.Uint32(head[4:])); id != s.sequence || size < 0 || size > maxResponse {
		return nil, fmt.Errorf("the broker's response %d to request %d has %d bytes", id, s.sequence, size)
	}
	if cap(s.buffer) < size || cap(s.buffer) > keepBuffer && size <= keepBuffer {
		s.buffer = make([]byte, max(size, 64<<10))
	}
	_, err := io.ReadFull(s.conn, s.buffer[:size])
	return s.buffer[:size], err
}

// records finds the records in a response to a fetch of one partition, and the partition's end. The error is the broker's.
func records(response []byte, version int16) (batches []byte, end int64, err error) {
	c := cursor{rest: response}
	c.skip(4) // throttle time
	if version >= 7 {
		if code := c.int16(); code != 0 {
			return nil, 0, kafka.Error(code)
		}
		c.skip(4) // session
	}
	topics := c.int32()
	c.skip(int(c.int16())) // topic
	partitions := c.int32()
	c.skip(4) // partition
	code := c.int16()
	end = c.int64()
	c.skip(8) // end of what is stable
	if version >= 5 {
		c.skip(8) // beginning
	}
	if aborted := c.int32(); aborted > 0 {
		c.skip(int(aborted) * 16)
	}
	batches = c.bytes(int(max(0, c.int32())))
	switch {
	case c.bad || topics != 1 || partitions != 1:
		return nil, 0, errors.New("the broker's response to a fetch cannot be read")
	case code != 0:
		return nil, end, kafka.Error(code)
	}
	return batches, end, nil
}

// A cursor reads numbers of the Kafka protocol. Behind the end everything is zero and bad is set.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) bytes(n int) []byte {
	if n < 0 || n > len(c.rest) {
		c.bad, c.rest = true, nil
		return nil
	}
	b := c.rest[:n:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) skip(n int) { c.bytes(n) }

func (c *cursor) int16() int16 {
	if b := c.bytes(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if b := c.bytes(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (c *cursor) int64() int64 {
	if b := c.bytes(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// varint reads a number as records have them (encoding/binary's zigzag varint).
func (c *cursor) varint() int64 {
	n, size := binary.Varint(c.rest)
	if size <= 0 {
		c.bad, c.rest = true, nil
		return 0
	}
	c.rest = c.rest[size:]
	return n
}

// text reads a length and as many bytes; a length of -1 is none at all.
func (c *cursor) text() (b []byte, null bool) {
	n := c.varint()
	if n == -1 {
		return nil, true
	}
	if n > int64(len(c.rest)) {
		n = -1
	}
	return c.bytes(int(n)), false
}
