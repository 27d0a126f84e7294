package clickhouse

import (
	"math"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"bounceline/pipeline/batch"
	"bounceline/pipeline/record"
)

// A block encodes a batch's columns for the wire, straight from their memory. It is kept from batch to batch.
type block struct {
	input   proto.Input
	columns []*column
	ingest  proto.ColDateTime64
}

func newBlock() *block {
	b := &block{}
	for i := range record.Columns {
		b.columns = append(b.columns, &column{})
		b.input = append(b.input, proto.InputColumn{Name: record.Columns[i].Name, Data: b.columns[i]})
	}
	b.ingest.WithPrecision(proto.PrecisionMilli)
	b.input = append(b.input, proto.InputColumn{Name: "ingest_time", Data: &b.ingest})
	return b
}

// fill points the block at the rows [from, to) of the batch. It is valid until the batch changes.
func (b *block) fill(src *batch.Batch, from, to int) proto.Input {
	for i := range b.columns {
		*b.columns[i] = column{&src.Columns[i], from, to}
	}
	b.ingest.Reset()
	ms := src.Sealed.UTC().Truncate(time.Millisecond)
	for range to - from {
		b.ingest.Append(ms)
	}
	return b.input
}

// column is one column of a batch as ch-go's encoder wants it: the Native format's layouts, as ClickHouse's
// src/DataTypes/Serializations define them.
type column struct {
	src      *batch.Column
	from, to int // which of its rows
}

var types = map[record.Kind]proto.ColumnType{
	record.Text: proto.ColumnTypeString, record.Word: "LowCardinality(String)", record.Flag: proto.ColumnTypeUInt8,
	record.Uint8: proto.ColumnTypeUInt8, record.Uint16: proto.ColumnTypeUInt16, record.Uint32: proto.ColumnTypeUInt32,
	record.Uint64: proto.ColumnTypeUInt64, record.Int32: proto.ColumnTypeInt32, record.Float: "Nullable(Float32)",
	record.Millis: "DateTime64(3, 'UTC')", record.IP: proto.ColumnTypeIPv6, record.Enum: proto.ColumnTypeInt8,
}

// Type implements proto.ColInput. An Enum8 travels as the Int8 that it is and the server converts it.
func (c *column) Type() proto.ColumnType { return types[c.src.Spec.Kind] }

// Rows implements proto.ColInput.
func (c *column) Rows() int { return c.to - c.from }

// lowCardinalityVersion is the state that precedes LowCardinality columns: keys are serialised with each block.
const lowCardinalityVersion = 1

// EncodeState implements proto.StateEncoder.
func (c *column) EncodeState(b *proto.Buffer) {
	if c.src.Spec.Kind == record.Word {
		b.PutInt64(lowCardinalityVersion)
	}
}

// WriteColumn implements proto.ColInput.
func (c *column) WriteColumn(w *proto.Writer) { w.ChainBuffer(c.EncodeColumn) }

// EncodeColumn implements proto.ColInput.
func (c *column) EncodeColumn(b *proto.Buffer) {
	switch s := c.src; s.Spec.Kind {
	case record.Text:
		putStrings(b, &s.Text, c.from, c.to)
	case record.Word:
		c.putWords(b)
	case record.Flag, record.Uint8, record.Enum:
		b.Buf = append(b.Buf, s.U8[c.from:c.to]...)
	case record.Uint16:
		for _, v := range s.U16[c.from:c.to] {
			b.PutUInt16(v)
		}
	case record.Uint32, record.Int32:
		for _, v := range s.U32[c.from:c.to] {
			b.PutUInt32(v)
		}
	case record.Uint64, record.Millis:
		for _, v := range s.U64[c.from:c.to] {
			b.PutUInt64(v)
		}
	case record.Float:
		for i := c.from; i < c.to; i++ {
			b.PutBool(s.Null(i))
		}
		for i := c.from; i < c.to; i++ {
			v := s.F32[i]
			if s.Null(i) {
				v = 0
			}
			b.PutUInt32(math.Float32bits(v))
		}
	case record.IP:
		for i := c.from; i < c.to; i++ {
			b.Buf = append(b.Buf, s.Addrs[i][:]...)
		}
	}
}

func putStrings(b *proto.Buffer, s *batch.Strings, from, to int) {
	for i := from; i < to; i++ {
		v := s.At(i)
		b.PutUVarInt(uint64(len(v)))
		b.Buf = append(b.Buf, v...)
	}
}

// putWords writes a LowCardinality(String): flags with the keys' width, the dictionary, the keys
// (SerializationLowCardinality.cpp).
func (c *column) putWords(b *proto.Buffer) {
	if c.Rows() == 0 {
		return
	}
	const hasAdditionalKeys, needUpdateDictionary = 1 << 9, 1 << 10
	n := c.src.Dict.Len()
	width := int64(0)
	switch {
	case n > math.MaxUint16:
		width = 2
	case n > math.MaxUint8:
		width = 1
	}
	b.PutInt64(width | hasAdditionalKeys | needUpdateDictionary)
	b.PutInt64(int64(n))
	putStrings(b, &c.src.Dict, 0, n)
	b.PutInt64(int64(c.Rows()))
	for _, k := range c.src.Keys[c.from:c.to] {
		switch width {
		case 0:
			b.PutUInt8(uint8(k))
		case 1:
			b.PutUInt16(uint16(k))
		default:
			b.PutUInt32(k)
		}
	}
}
