package batch

import (
	"bytes"
	"math"
	"unicode/utf8"

	"bounceline/pipeline/record"
)

// A Column holds one column's values of all rows of a batch. Which of its slices is in use follows from Spec.Kind; the
// others stay nil. Sinks read the slices and must not change them.
type Column struct {
	Spec *record.Column

	Text  Strings  // Text: one value a row
	Dict  Strings  // Word: the distinct values, in order of first appearance
	Keys  []uint32 // Word: for each row the index of its value in Dict
	U8    []uint8  // Flag, Uint8, Enum
	U16   []uint16
	U32   []uint32  // Uint32 and, in two's complement, Int32
	U64   []uint64  // Uint64 and, in two's complement, Millis
	F32   []float32 // Float; NaN is null
	Addrs []record.Addr

	index   map[string]uint32 // Word: Dict backwards
	last    []byte            // Word: the previous row's value, before folding
	lastKey uint32
	spelt   []byte // memory for last, where it is not in Dict
	fold    []byte
}

// Strings is a list of byte strings in one buffer.
type Strings struct {
	Buf  []byte
	Ends []int // Buf[Ends[i-1]:Ends[i]] is string i
}

// Len returns the number of strings.
func (s *Strings) Len() int { return len(s.Ends) }

// At returns string i; it shares memory with the list.
func (s *Strings) At(i int) []byte {
	start := 0
	if i > 0 {
		start = s.Ends[i-1]
	}
	return s.Buf[start:s.Ends[i]]
}

func (s *Strings) reset() { s.Buf, s.Ends = s.Buf[:0], s.Ends[:0] }

// Value returns row i of a Text or Word column.
func (c *Column) Value(i int) []byte {
	if c.Spec.Kind == record.Word {
		return c.Dict.At(int(c.Keys[i]))
	}
	return c.Text.At(i)
}

// add appends the row's value and reports whether invalid UTF-8 had to be replaced.
func (c *Column) add(row *record.Row) (replaced bool) {
	switch c.Spec.Kind {
	case record.Text:
		c.Text.Buf, replaced = appendValid(c.Text.Buf, c.Spec.Bytes(row))
		c.Text.Ends = append(c.Text.Ends, len(c.Text.Buf))
	case record.Word:
		replaced = c.addWord(c.Spec.Bytes(row))
	case record.Flag, record.Uint8, record.Enum:
		c.U8 = append(c.U8, uint8(c.Spec.Number(row)))
	case record.Uint16:
		c.U16 = append(c.U16, uint16(c.Spec.Number(row)))
	case record.Uint32, record.Int32:
		c.U32 = append(c.U32, uint32(c.Spec.Number(row)))
	case record.Uint64, record.Millis:
		c.U64 = append(c.U64, c.Spec.Number(row))
	case record.Float:
		c.F32 = append(c.F32, c.Spec.Real(row))
	case record.IP:
		c.Addrs = append(c.Addrs, c.Spec.Address(row))
	}
	return replaced
}

func (c *Column) addWord(v []byte) (replaced bool) {
	if len(c.Keys) > 0 && bytes.Equal(v, c.last) {
		c.Keys = append(c.Keys, c.lastKey)
		return false
	}
	key, ok := c.index[string(v)] // most values come as they are kept: then they are valid and folded
	if ok {
		c.last = c.Dict.At(int(key))
	} else {
		c.fold, replaced = appendValid(c.fold[:0], v)
		if c.Spec.Lower {
			lower(c.fold)
		}
		if key, ok = c.index[string(c.fold)]; !ok {
			key = uint32(c.Dict.Len())
			c.Dict.Buf = append(c.Dict.Buf, c.fold...)
			c.Dict.Ends = append(c.Dict.Ends, len(c.Dict.Buf))
			c.index[string(c.fold)] = key
		}
		c.spelt = append(c.spelt[:0], v...)
		c.last = c.spelt
	}
	c.lastKey = key
	c.Keys = append(c.Keys, key)
	return replaced
}

func (c *Column) reset() {
	c.Text.reset()
	c.Dict.reset()
	clear(c.index)
	c.Keys, c.U8, c.U16, c.U32 = c.Keys[:0], c.U8[:0], c.U16[:0], c.U32[:0]
	c.U64, c.F32, c.Addrs = c.U64[:0], c.F32[:0], c.Addrs[:0]
}

// Null reports whether row i of a Float column is null.
func (c *Column) Null(i int) bool { return math.IsNaN(float64(c.F32[i])) }

// appendValid appends v with each invalid byte replaced by U+FFFD: ClickHouse keeps any bytes, but what reads from it
// expects UTF-8.
func appendValid(dst, v []byte) (out []byte, replaced bool) {
	if utf8.Valid(v) {
		return append(dst, v...), false
	}
	for len(v) > 0 {
		r, n := utf8.DecodeRune(v)
		dst = utf8.AppendRune(dst, r)
		v = v[n:]
	}
	return dst, true
}

func lower(b []byte) {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
}
