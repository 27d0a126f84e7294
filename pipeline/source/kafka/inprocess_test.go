package kafka

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"bounceline/pipeline/batch"
	"bounceline/pipeline/dlq"
)

// serve makes the broker answer fetches of offsets before end with these bytes, whatever it has.
func serve(c *kfake.Cluster, set []byte, end int64) {
	c.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		r := request.(*kmsg.FetchRequest)
		at := r.Topics[0].Partitions[0].FetchOffset
		rest := set
		for b, after, ok := whole(rest); ok; b, after, ok = whole(rest) {
			if _, next := offsets(b); next > at {
				break
			}
			rest = after
		}
		if at >= end {
			return nil, nil, false
		}
		p := kmsg.NewFetchResponseTopicPartition()
		p.HighWatermark, p.LastStableOffset, p.RecordBatches = end, end, rest
		out := r.ResponseKind().(*kmsg.FetchResponse)
		out.Topics = []kmsg.FetchResponseTopic{{Topic: r.Topics[0].Topic, Partitions: []kmsg.FetchResponseTopicPartition{p}}}
		return out, nil, true
	})
}

// TestBadRecords reads a partition with everything that cannot be read between lines that can: the lines are stored, and the rest
// is kept with its place, its key and its bytes. Another member that reads it all again does the same.
func TestBadRecords(t *testing.T) {
	t.Parallel()
	c, b := inProcess(t)
	b.CreateTopic(t, "bad", 1)
	torn := batchOf(t, 2, kafka.Zstd, 0, "x", "y", "z")
	copy(torn[batchRecords:], "\x01\x02\x03\x04\x05")
	wrong := batchOf(t, 2, 0, 0, line(1000))
	wrong[len(wrong)-3] ^= 1
	var set []byte
	end := int64(0)
	add := func(b []byte, n int) {
		copy(b, []byte{0, 0, 0, 0, 0, 0, byte(end >> 8), byte(end)})
		set, end = append(set, b...), end+int64(n)
	}
	good := func(n int) { add(batchOf(t, 2, kafka.Lz4, 0, line(n), line(n+1)), 2) }
	good(0)
	add(seal(torn), 3) // 2
	good(2)
	add(wrong, 1) // 7
	good(4)
	add(batchOf(t, 2, 0, 0, "tombstone", "", "\n", "{\"unknown\":1}", strings.Repeat("long ", 20_000), line(6)+"\nno log\xff line", strings.Repeat("v", maxValue+1)), 7) // 10
	good(8)
	write(t, b, "bad", 0, lines(0, int(end))...) // so that the broker knows the offsets
	serve(c, set, end)

	s := newStore()
	letters := dlq.File{Path: filepath.Join(t.TempDir(), "dead.ndjson")}
	setup := func(c *Config) { c.Pipeline.Dead, c.Pipeline.MaxRows = letters, 2 }
	for round := range 2 {
		r := start(t, b, s, "bad", setup, func(c *Config) { c.Group = fmt.Sprint("group ", round) })
		eventually(t, "all records", func() bool { o, _ := group(t, b, r.Group, "bad", 0); return o == end })
		r.stop(t)
		if n := s.stored(t); n != 9 {
			t.Errorf("%d rows of 9 lines", n)
		}
		if got := r.bad(); round == 0 && got != "batch 1, checksum 1, too_long 1, tombstone 1, empty 2" {
			t.Errorf("what could not be read: %s", got)
		}
		s.mu.Lock()
		clear(s.ledger) // it is read again
		s.mu.Unlock()
	}
	all, err := letters.List()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for i := range all {
		e := &all[i]
		if e.Stream != streamOfRows(s) || e.Record.Topic != "bad" || e.Record.Partition != 0 || e.Record.Offset != e.Pos || !e.Unread || e.Source != "bad" {
			t.Errorf("letter %+v, record %+v", e, e.Record)
		}
		got[fmt.Sprintf("%d-%d:%d %s", e.Pos, e.Next, e.Index, e.Record.KeyText)] = fmt.Sprintf("%.20q of %d: %s", e.Line(), e.Size, e.Reason)
	}
	for place, want := range map[string]string{
		"2-5:0 ":     "cannot be unpacked: zstd",
		"7-8:0 ":     "wrong checksum",
		"10-0:0 mx1": `"" of 0: the record has no value`,
		"11-0:0 mx1": `"" of 0: the value is empty`,
		"12-0:0 mx1": `"" of 1: the value is empty`,
		"13-0:0 mx1": `"{\"unknown\":1}" of 0: malformed: `,
		"14-0:0 mx1": `"long long long long " of 0: `,
		"15-0:1 mx1": `"no log\xff line" of 0: malformed: `,
		"16-0:0 mx1": fmt.Sprintf(`"vvvvvvvvvvvvvvvvvvvv" of %d: the value is longer`, maxValue+1),
	} {
		if !strings.Contains(got[place], want) {
			t.Errorf("%s: %q, want %s", place, got[place], want)
		}
		delete(got, place)
	}
	if len(got) > 0 {
		t.Errorf("letters that should not be: %q", got)
	}
}

// TestDamagedHeaders puts batches without a usable header before lines: each costs the offset that was to be read, and no more.
func TestDamagedHeaders(t *testing.T) {
	t.Parallel()
	for name, header := range map[string][]byte{
		"offset before":       {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 5},
		"offset behind":       {0, 0, 0, 0, 0, 9, 9, 9, 0, 0, 0, 5},
		"another format":      {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 80, 0, 0, 0, 0, 9},
		"as many as they say": {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 80, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, b := inProcess(t)
			b.CreateTopic(t, "headers", 1)
			s := newStore()
			write(t, b, "headers", 0, lines(0, 5)...)
			junk := append(header, make([]byte, 100)...)
			c.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				r := request.(*kmsg.FetchRequest)
				if r.Topics[0].Partitions[0].FetchOffset != 0 {
					return nil, nil, false
				}
				p := kmsg.NewFetchResponseTopicPartition()
				p.HighWatermark, p.LastStableOffset, p.RecordBatches = 5, 5, junk
				out := r.ResponseKind().(*kmsg.FetchResponse)
				out.Topics = []kmsg.FetchResponseTopic{{Topic: "headers", Partitions: []kmsg.FetchResponseTopicPartition{p}}}
				return out, nil, true
			})
			r := start(t, b, s, "headers")
			eventually(t, "the lines behind", func() bool { o, _ := group(t, b, t.Name(), "headers", 0); return o == 5 })
			r.stop(t)
			if n := s.stored(t); n != 4 || r.bad() != "batch 1" {
				t.Errorf("%d rows of 4 lines; %s", n, r.bad())
			}
		})
	}
}

// streamOfRows is the only stream of which there are rows.
func streamOfRows(s *store) string {
	for id := range s.rows {
		return strings.Fields(id)[0]
	}
	return ""
}

// TestRebalanceDuringFlush lets a second member join while the first one's insert hangs: the partitions change hands when it is
// done, and nothing is stored twice.
func TestRebalanceDuringFlush(t *testing.T) {
	t.Parallel()
	_, b := inProcess(t)
	b.CreateTopic(t, "flush", 2)
	s := newStore()
	hanging, release := make(chan struct{}), make(chan struct{})
	hung := false
	s.failWrite = func(*batch.Batch) error {
		if !hung {
			hung = true
			close(hanging)
			s.mu.Unlock() // others may look meanwhile
			<-release
			s.mu.Lock()
		}
		return nil
	}
	write(t, b, "flush", 0, lines(0, 200)...)
	first := start(t, b, s, "flush")
	<-hanging
	second := start(t, b, s, "flush")
	eventually(t, "the first member to hear of it", func() bool { return strings.Contains(second.log.String(), "joining") && len(first.Status()) == 2 })
	close(release)
	eventually(t, "each to have one partition", func() bool { return len(first.Status()) == 1 && len(second.Status()) == 1 })
	write(t, b, "flush", 0, lines(200, 400)...)
	eventually(t, "all lines", func() bool { return s.covered() == 400 })
	first.stop(t)
	second.stop(t)
	if n := s.stored(t); n != 400 {
		t.Errorf("%d rows of 400 lines", n)
	}
}

// TestStaleCommit commits with the generation before: the group refuses it, and what it has stays.
func TestStaleCommit(t *testing.T) {
	t.Parallel()
	_, b := inProcess(t)
	b.CreateTopic(t, "stale", 1)
	s := newStore()
	write(t, b, "stale", 0, lines(0, 10)...)
	r := start(t, b, s, "stale")
	eventually(t, "the lines", func() bool { o, _ := group(t, b, t.Name(), "stale", 0); return o == 10 })
	d, err := b.Client().DescribeGroups(t.Context(), &kafka.DescribeGroupsRequest{GroupIDs: []string{t.Name()}})
	if err != nil || len(d.Groups) != 1 || len(d.Groups[0].Members) != 1 {
		t.Fatalf("%v, %+v", err, d)
	}
	for name, m := range map[string]*membership{
		"another generation": {generation: 0, member: d.Groups[0].Members[0].MemberID},
		"another member":     {generation: 1, member: "stranger"},
	} {
		m.client, m.group, m.ctx, m.log = b.Client(), t.Name(), context.Background(), r.Log
		if err := m.commit("stale", 0, 3, metadata{}); !errors.Is(err, errFenced) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if o, _ := group(t, b, t.Name(), "stale", 0); o != 10 {
		t.Errorf("the committed offset is %d", o)
	}
	r.stop(t)
}
