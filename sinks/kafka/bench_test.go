package kafka

import (
	"testing"
	"time"

	"bounceline/parsers"
	"bounceline/pipeline"
	"bounceline/pipeline/checkpoint"
)

// chunked is a shipper without brokers, and a chunk that it takes again and again.
func chunked(t testing.TB) (*Shipper, pipeline.Chunk) {
	t.Helper()
	buffers := pipeline.NewBuffers(1)
	text := lines(0, 1000)
	st := &pipeline.Stream{Name: "file-0-0", Source: "mail", Parser: parsers.Options{Dialect: "auto", AssumedZone: time.UTC}, Reference: time.Now()}
	s := &Shipper{Config: Config{Buffers: buffers, MaxDelay: time.Hour}, streams: map[*pipeline.Stream]*stream{}, free: make(chan *parcel, 1), full: make(chan *parcel, 1)}
	s.free <- &parcel{}
	known, err := newStream(st, checkpoint.Shipped{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.streams[st] = known
	return s, pipeline.Chunk{Stream: st, Data: []byte(text)}
}

// take lets the shipper take in the chunk, and drops what it made of it.
func take(s *Shipper, c pipeline.Chunk) int {
	for _, st := range s.streams {
		c.Offset = st.next
	}
	s.chunk(c)
	b := s.current
	n := len(b.records)
	s.current = nil
	for i := range b.ends {
		b.ends[i].stream.queued = false
	}
	b.reset(false)
	s.free <- b
	return n
}

func TestNoAllocations(t *testing.T) {
	s, c := chunked(t)
	take(s, c)
	if n := testing.AllocsPerRun(20, func() {
		if take(s, c) != 1000 {
			t.Fatal("lines are missing")
		}
	}); n > 5 { // a clock that is set anew, a mark
		t.Errorf("%v allocations for 1000 lines", n)
	}
}

// BenchmarkLines is what a line costs before it is sent.
func BenchmarkLines(b *testing.B) {
	s, c := chunked(b)
	b.SetBytes(int64(len(c.Data)) / 1000)
	b.ReportAllocs()
	for n := 0; n < b.N; n += 1000 {
		take(s, c)
	}
}
