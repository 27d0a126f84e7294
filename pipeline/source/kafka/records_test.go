package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"bounceline/pipeline/shipped"
)

// batchOf encodes records as a producer does, in the format of the version.
func batchOf(t testing.TB, version int8, codec kafka.Compression, base int64, values ...string) []byte {
	t.Helper()
	var records []protocol.Record
	for i, v := range values {
		r := protocol.Record{Offset: int64(i), Time: time.UnixMilli(1_700_000_000_000 + int64(i)), Key: protocol.NewBytes([]byte("mx1"))}
		if v != "tombstone" {
			r.Value = protocol.NewBytes([]byte(v))
		}
		if version == 2 && strings.HasPrefix(v, "shipped") {
			r.Headers = []protocol.Header{{Key: "other"}, {Key: shipped.Header, Value: []byte("origin")}}
		}
		records = append(records, r)
	}
	set := protocol.RecordSet{Version: version, Attributes: protocol.Attributes(codec), Records: protocol.NewRecordReader(records...)}
	var out bytes.Buffer
	if _, err := set.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	data := out.Bytes()[4:] // behind the length of all
	for at := 0; at < len(data); {
		first := base
		switch { // as the broker numbers them
		case version < 2 && codec != 0:
			first += int64(len(values)) - 1
		case version < 2:
			first += int64(binary.BigEndian.Uint64(data[at:]))
		}
		binary.BigEndian.PutUint64(data[at:], uint64(first))
		at += lengthEnd + int(binary.BigEndian.Uint32(data[at+batchLength:]))
	}
	return data
}

// seal corrects the checksum of a batch that was changed.
func seal(batch []byte) []byte {
	binary.BigEndian.PutUint32(batch[batchSum:], crc32.Checksum(batch[batchSummed:], castagnoli))
	return batch
}

// readSet lists what a set holds.
func readSet(set []byte) (out []string) {
	var s recordSet
	var m message
	s.reset(set)
	for {
		err := s.read(&m)
		var d *damage
		switch {
		case errors.Is(err, io.EOF):
			return out
		case errors.As(err, &d):
			out = append(out, fmt.Sprintf("[%d,%d) %s", d.from, d.next, d.reason))
		default:
			out = append(out, fmt.Sprintf("%d %s %q null=%v %s", m.offset, m.key, m.value, m.null, m.origin))
		}
	}
}

func TestFormats(t *testing.T) {
	want := []string{`7 mx1 "a" null=false `, `8 mx1 "" null=true `, `9 mx1 "" null=false `, `10 mx1 "d" null=false `}
	for version, codecs := range map[int8][]kafka.Compression{1: {0, kafka.Gzip, kafka.Snappy, kafka.Lz4}, 2: {0, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd}} {
		for _, codec := range codecs {
			got := readSet(batchOf(t, version, codec, 7, "a", "tombstone", "", "d"))
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("version %d, %s: %q", version, codec, got)
			}
		}
	}
	two := append(batchOf(t, 2, kafka.Zstd, 7, "a"), batchOf(t, 2, 0, 20, "shipped x")...)
	if got := readSet(two); len(got) != 2 || got[1] != `20 mx1 "shipped x" null=false origin` {
		t.Errorf("two batches: %q", got)
	}
	for n := range len(two) { // a broker cuts the last batch off
		if got := readSet(two[:n]); len(got) > 1 {
			t.Errorf("%d bytes: %q", n, got)
		}
	}
}

// TestDamage: what cannot be read is found, and what stands before and behind it is read.
func TestDamage(t *testing.T) {
	three := func(codec kafka.Compression) []byte { return batchOf(t, 2, codec, 10, "a", "b", "c") }
	behind := batchOf(t, 2, 0, 13, "z")
	const z = `13 mx1 "z" null=false `
	change := func(b []byte, at int, with ...byte) []byte {
		copy(b[at:], with)
		return b
	}
	bomb := batchOf(t, 2, kafka.Zstd, 10, strings.Repeat("x", maxUnpacked+100), "b", "c")
	for name, c := range map[string]struct {
		batch []byte
		want  []string
	}{
		"checksum":        {change(three(0), batchRecords+5, 0xff), []string{"[10,13) checksum"}},
		"not zstd":        {seal(change(three(kafka.Zstd), batchRecords, 1, 2, 3, 4, 5)), []string{"[10,13) batch"}},
		"not gzip":        {seal(change(three(kafka.Gzip), batchRecords, 1, 2, 3)), []string{"[10,13) batch"}},
		"not snappy":      {seal(change(three(kafka.Snappy), batchRecords, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)), []string{"[10,13) batch"}},
		"not lz4":         {seal(change(three(kafka.Lz4), batchRecords, 1, 2, 3)), []string{"[10,13) batch"}},
		"no such codec":   {seal(change(three(0), batchSummed, 0, 7)), []string{"[10,13) batch"}},
		"too much":        {bomb, []string{"[10,13) batch"}},
		"record's length": {seal(change(three(0), batchRecords, 0x7f)), []string{"[10,13) record"}},
		"second record": {seal(change(three(0), batchRecords+1+int(three(0)[batchRecords]>>1), 0xff, 0xff, 0xff)),
			[]string{`10 mx1 "a" null=false `, "[11,13) record"}},
		"more records than there are": {seal(change(three(0), batchCount, 0, 0, 0, 4)),
			[]string{`10 mx1 "a" null=false `, `11 mx1 "b" null=false `, `12 mx1 "c" null=false `, "[13,13) record"}},
	} {
		got := readSet(append(c.batch, behind...))
		if want := append(c.want, z); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestDamagedHeader: behind a header that says nothing no batch is looked for.
func TestDamagedHeader(t *testing.T) {
	for name, at := range map[string]struct {
		offset int
		value  []byte
		want   string
	}{
		"another format":     {batchMagic, []byte{9}, "[[10,13) batch]"},
		"shorter than that":  {batchLength, []byte{0, 0, 0, 20}, "[[10,11) batch]"},
		"an old message":     {batchMagic, []byte{1}, "[[10,11) batch]"},
		"nearly nothing":     {batchLength, []byte{0, 0, 0, 0}, "[[10,11) batch]"},
		"longer than it is":  {batchLength, []byte{0, 0, 9, 0}, "[]"},
		"a negative length":  {batchLength, []byte{0xff, 0, 0, 0}, "[]"},
		"no records at last": {batchDelta, []byte{0xff, 0xff, 0xff, 0}, `[[10,13) checksum 13 mx1 "z" null=false ]`},
	} {
		batch := batchOf(t, 2, 0, 10, "a", "b", "c")
		copy(batch[at.offset:], at.value)
		set := append(batch, batchOf(t, 2, 0, 13, "z")...)
		if got := fmt.Sprint(readSet(set)); got != at.want {
			t.Errorf("%s: %s, want %s", name, got, at.want)
		}
	}
}

// FuzzRecords: whatever stands in a topic is read or not, without harm, and reading ends.
func FuzzRecords(f *testing.F) {
	f.Add(append(batchOf(f, 2, kafka.Zstd, 7, "a", "tombstone"), batchOf(f, 1, kafka.Gzip, 9, "b")...))
	f.Add(batchOf(f, 2, 0, 7, "shipped", "x"))
	f.Add(batchOf(f, 1, 0, 7, "y"))
	f.Fuzz(func(t *testing.T, set []byte) {
		var s recordSet
		var m message
		s.reset(set)
		for n := 0; ; n++ {
			if err := s.read(&m); errors.Is(err, io.EOF) {
				return
			}
			if n > 2*len(set)+maxUnpacked {
				t.Fatal("reading does not end")
			}
		}
	})
}

// BenchmarkRecords reads batches of 200-byte records as they are, and compressed.
func BenchmarkRecords(b *testing.B) {
	const n = 4000
	values := make([]string, n)
	for i := range values {
		values[i] = line(i)
	}
	for _, codec := range []kafka.Compression{0, kafka.Lz4, kafka.Zstd} {
		set := batchOf(b, 2, codec, 0, values...)
		b.Run(codec.String(), func(b *testing.B) {
			var s recordSet
			var m message
			b.ReportAllocs()
			for b.Loop() {
				s.reset(set)
				for {
					if err := s.read(&m); err != nil {
						break
					}
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
