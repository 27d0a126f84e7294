package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"bounceline/pipeline/batch"
	qctx "bounceline/pipeline/context"
	"bounceline/pipeline/record"
)

type noClass struct{}

func (noClass) Classify(*record.Row) record.Class { return record.Class{} }

// A memory is sink and journal. It keeps what came.
type memory struct {
	ranges []batch.Range
	rows   []string
}

func (m *memory) Write(_ context.Context, b *batch.Batch, _ string) error {
	values := map[string]func(int) string{}
	for i := range b.Columns {
		c := &b.Columns[i]
		switch c.Spec.Name {
		case "pos", "row":
			values[c.Spec.Name] = func(n int) string { return fmt.Sprint(c.U64[n]) }
		case "recipient":
			values[c.Spec.Name] = func(n int) string { return string(c.Value(n)) }
		}
	}
	for n := range b.Rows {
		m.rows = append(m.rows, values["pos"](n)+"/"+values["row"](n)+" "+values["recipient"](n))
	}
	return nil
}

func (m *memory) WriteLedger(_ context.Context, b *batch.Batch) error {
	m.ranges = append(m.ranges, b.Ranges...)
	return nil
}

func (m *memory) Intend(*batch.Batch) error { return nil }
func (m *memory) Commit(*batch.Batch) error { return nil }

func sent(n int) string {
	return fmt.Sprintf("2026-11-22T05:13:01.000000+00:00 mx1 postfix/smtp[417]: %010X: to=<user%d@example.org>, relay=mx1.example.org[192.0.2.25]:25, "+
		"delay=2.4, delays=0.11/0.01/1.9/0.38, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 6D01F22A)", 0x4F2A000000+n, n)
}

// records makes a chunk; texts are keyed by their positions.
func records(s *Stream, from int64, texts map[int64]string) Chunk {
	c := Chunk{Stream: s, Offset: from, Records: []Record{}}
	for _, pos := range slices.Sorted(maps.Keys(texts)) {
		c.Data = append(c.Data, texts[pos]...)
		c.Records = append(c.Records, Record{Next: pos + 1, End: len(c.Data), Time: pos})
		c.Next = pos + 1
	}
	return c
}

func runRecords(t *testing.T, maxRows int, chunks ...Chunk) *memory {
	t.Helper()
	m := &memory{}
	r := NewRunner(Config{Classifier: noClass{}, Context: qctx.New(1 << 20), Sink: m, Journal: m, Buffers: NewBuffers(1),
		Retryable: func(error) bool { return false }, Log: slog.Default(), MaxRows: maxRows, MaxDelay: time.Hour, IdleDelay: time.Hour})
	in := make(chan Chunk, len(chunks))
	for _, c := range chunks {
		in <- c
	}
	close(in)
	if err := r.Run(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRecordsKeepTheirPositions(t *testing.T) {
	s := &Stream{Name: "c/t/0/0"}
	texts := map[int64]string{
		10: sent(1),
		11: "",
		15: sent(2) + "\n" + sent(3) + "\nno log line\n" + sent(4), // positions 12 to 14 are gone
		16: sent(5),
		20: "",
	}
	m := runRecords(t, 2, records(s, 10, texts))
	want := []string{"10/0 user1@example.org", "15/0 user2@example.org", fmt.Sprint("15/", 1<<32, " user3@example.org"),
		fmt.Sprint("15/", 3<<32, " user4@example.org"), "16/0 user5@example.org"}
	if !slices.Equal(m.rows, want) {
		t.Errorf("rows %q, not %q", m.rows, want)
	}
	var spans []string
	for _, r := range m.ranges {
		spans = append(spans, fmt.Sprintf("%d-%d %d lines", r.From, r.To, r.Lines))
	}
	if got := strings.Join(spans, ", "); got != "10-16 5 lines, 16-21 1 lines" {
		t.Errorf("ranges %s", got)
	}
	if got := batch.Marker(AppendMarked(nil, 15, []byte(texts[15]))); m.ranges[0].Marker != got {
		t.Errorf("marker %s, not %s", m.ranges[0].Marker, got)
	}
}

func TestRecordsOfAnInterruptedBatch(t *testing.T) {
	texts := map[int64]string{}
	for n := range int64(12) {
		texts[n] = sent(int(n))
	}
	s := &Stream{Name: "c/t/0/0", Intent: Span{3, 8}, Stored: []Span{{0, 2}, {9, 10}}}
	m := runRecords(t, 2, records(s, 0, texts))
	var spans []string
	for _, r := range m.ranges {
		spans = append(spans, fmt.Sprintf("%d-%d", r.From, r.To))
	}
	if got := strings.Join(spans, " "); got != "2-3 3-8 8-9 10-12" {
		t.Errorf("ranges %s", got)
	}
	if len(m.rows) != 9 {
		t.Errorf("%d rows: %q", len(m.rows), m.rows)
	}
}
