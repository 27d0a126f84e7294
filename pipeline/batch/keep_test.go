package batch

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"bounceline/pipeline/record"
)

// TestKeep: a batch from which rows were removed has the columns of one to which they were never added.
func TestKeep(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	row := func(i int) *record.Row {
		r := &record.Row{EventTime: int64(i), Stream: fmt.Appendf(nil, "s%d", i%3), Pos: uint64(i * 7), PID: uint32(i), Errno: int32(-i),
			Recipient: fmt.Appendf(nil, "%0*d@example.org", i%9, i), SMTPCode: uint16(i), Delay: float32(i), DelayConnection: float32(math.NaN())}
		r.RelayIP[15] = byte(i)
		return r
	}
	for range 50 {
		whole, want := New(), New()
		n := 1 + random.IntN(40)
		keep := make([]bool, n)
		for i := range n {
			keep[i] = random.IntN(3) > 0
			whole.Add(row(i))
			if keep[i] {
				want.Add(row(i))
			}
		}
		whole.Keep(func(i int) bool { return keep[i] })
		if whole.Rows != want.Rows {
			t.Fatalf("%d rows, want %d", whole.Rows, want.Rows)
		}
		for c := range want.Columns {
			for i := range want.Rows {
				if a, b := value(&whole.Columns[c], i), value(&want.Columns[c], i); a != b {
					t.Fatalf("%s of row %d: %s, want %s", want.Columns[c].Spec.Name, i, a, b)
				}
			}
		}
	}
}

func value(c *Column, i int) string {
	switch c.Spec.Kind {
	case record.Text, record.Word:
		return string(c.Value(i))
	case record.Flag, record.Uint8, record.Enum:
		return fmt.Sprint(c.U8[i])
	case record.Uint16:
		return fmt.Sprint(c.U16[i])
	case record.Uint32, record.Int32:
		return fmt.Sprint(c.U32[i])
	case record.Uint64, record.Millis:
		return fmt.Sprint(c.U64[i])
	case record.Float:
		return fmt.Sprint(c.F32[i])
	}
	return fmt.Sprint(c.Addrs[i])
}

// TestIDDependsOnRangesAlone: neither their order nor what was counted in them changes it, each of their values does.
func TestIDDependsOnRangesAlone(t *testing.T) {
	id := func(ranges ...Range) string {
		b := New()
		for _, r := range ranges {
			*b.Range(r.Stream, r.From) = r
		}
		b.Seal(time.Now())
		return b.ID
	}
	a, z := Range{Stream: "a", From: 1, To: 9}, Range{Stream: "z", From: 0, To: 5}
	counted := a
	counted.Lines, counted.Rows, counted.Source, counted.Marker = 7, 3, "mail.log", "00"
	same := id(a, z)
	if id(z, a) != same || id(counted, z) != same {
		t.Error("the ID depends on more than the ranges")
	}
	for _, other := range [][]Range{{a}, {z}, {a, {Stream: "z", From: 0, To: 6}}, {{Stream: "a", From: 2, To: 9}, z}, {{Stream: "b", From: 1, To: 9}, z}} {
		if id(other...) == same {
			t.Errorf("%v has the same ID", other)
		}
	}
}

// TestAppendTail: whatever the pieces, the tail is the end of them all.
func TestAppendTail(t *testing.T) {
	var all, tail []byte
	for i, n := range []int{0, 1, 100, 155, 1, 0, 255, 256, 3, 1000, 257, 12} {
		piece := bytes.Repeat([]byte{byte(i)}, n)
		all, tail = append(all, piece...), AppendTail(tail, piece)
		if want := all[max(0, len(all)-MarkerBytes):]; !bytes.Equal(tail, want) {
			t.Errorf("after %d bytes: %x, not %x", len(all), tail, want)
		}
	}
}
