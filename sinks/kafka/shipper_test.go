package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"bounceline/parsers"
	"bounceline/pipeline"
	line "bounceline/pipeline/batch"
	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/dlq"
	"bounceline/pipeline/e2e/broker"
	"bounceline/pipeline/kafkaconn"
	"bounceline/pipeline/shipped"
	"bounceline/pipeline/source/content"
	"bounceline/pipeline/source/tail"
)

// TestMain runs one broker for all tests that do not harm it.
func TestMain(m *testing.M) {
	code := m.Run()
	if shared != nil {
		shared.Kill()
		os.RemoveAll(sharedDir)
	}
	os.Exit(code)
}

var (
	shared    *broker.Broker
	sharedDir string
)

func theBroker(t *testing.T) *broker.Broker {
	t.Helper()
	if shared == nil {
		var err error
		if sharedDir, err = os.MkdirTemp("", "broker-"); err != nil {
			t.Fatal(err)
		}
		if shared, err = broker.Run(sharedDir); err != nil {
			t.Fatal(err)
		}
	}
	return shared
}

// rig is a shipper on a folder of logs and all that it needs.
type rig struct {
	untagged bool // as versions before hosts had names of their own
	t        *testing.T
	broker   *broker.Broker
	topic    string
	dir      string // of the logs
	state    string
	host     string
	options  parsers.Options
}

func newRig(t *testing.T, b *broker.Broker, topic string, partitions int, settings ...string) *rig {
	t.Helper()
	if partitions > 0 {
		b.CreateTopic(t, topic, partitions, settings...)
	}
	return &rig{t: t, broker: b, topic: topic, dir: t.TempDir(), state: t.TempDir(), host: "mx1.example.org",
		options: parsers.Options{Dialect: "auto", AssumedZone: time.UTC, Host: "mx1"}}
}

func (r *rig) write(name, text string) {
	r.t.Helper()
	f, err := os.OpenFile(filepath.Join(r.dir, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		r.t.Fatal(err)
	}
}

// open opens the checkpoint and a shipper.
func (r *rig) open(ctx context.Context) (*Shipper, *checkpoint.Store, error) {
	r.t.Helper()
	store, _, err := checkpoint.Open(filepath.Join(r.state, "ship.checkpoint"), false)
	if err != nil {
		r.t.Fatal(err)
	}
	conn, err := kafkaconn.Config{Brokers: []string{r.broker.Addr}}.Open()
	if err != nil {
		r.t.Fatal(err)
	}
	s, err := Open(ctx, Config{Conn: conn, Topic: r.topic, Host: r.host, Store: store, Buffers: pipeline.NewBuffers(4), Log: slog.New(slog.DiscardHandler),
		Dead: dlq.File{Path: filepath.Join(r.state, "dead.ndjson")}, MaxDelay: 20 * time.Millisecond})
	if err != nil {
		store.Close()
	}
	return s, store, err
}

// ship follows the folder's files until done reports true of what was sent, and then ends in order.
func (r *rig) ship(done func(*Shipper) bool) *Shipper {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	s, store, err := r.open(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	defer store.Close()
	f := tail.New(tail.Config{Inputs: []tail.Input{{Name: "mail", Paths: []string{filepath.Join(r.dir, "*.log")}, Parser: r.options}},
		Ledger: Ledger{store}, Tag: r.tag(s.Host), Store: store, Buffers: s.Buffers, Log: s.Log, Poll: 10 * time.Millisecond, Horizon: Horizon,
		Lock: func(string) (func(), error) { return func() {}, nil },
		Same: func(context.Context, io.Reader, parsers.Options, string) (bool, error) { return false, nil }})
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for !done(s) {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
		cancel()
	}()
	if err := pipeline.Pump(ctx, f.Run, s.Run, s.Buffers); err != nil {
		r.t.Fatal(err)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		r.t.Fatal("the lines were not sent in a minute")
	}
	return s
}

// tag is what the host's names have.
func (r *rig) tag(host string) string {
	if r.untagged {
		return ""
	}
	return content.Tag(host)
}

// committed reports whether the shipper has sent so many bytes of all streams together.
func committed(bytes int) func(*Shipper) bool {
	return func(s *Shipper) bool {
		n := int64(0)
		for _, x := range s.Store.State().Ship.Streams {
			n += x.Next
		}
		return n >= int64(bytes)
	}
}

// read returns all that the topic holds, by partition.
func (r *rig) read() map[int][]kafka.Message {
	r.t.Helper()
	client := r.broker.Client()
	meta, err := client.Metadata(context.Background(), &kafka.MetadataRequest{Topics: []string{r.topic}})
	if err != nil {
		r.t.Fatal(err)
	}
	out := map[int][]kafka.Message{}
	for _, p := range meta.Topics[0].Partitions {
		conn, err := kafka.DialLeader(context.Background(), "tcp", r.broker.Addr, r.topic, p.ID)
		if err != nil {
			r.t.Fatal(err)
		}
		last, err := conn.ReadLastOffset()
		if err != nil {
			r.t.Fatal(err)
		}
		for at := int64(0); at < last; {
			if _, err := conn.Seek(at, kafka.SeekAbsolute); err != nil {
				r.t.Fatal(err)
			}
			batch := conn.ReadBatch(1, 4<<20)
			for at < last {
				m, err := batch.ReadMessage()
				if err != nil {
					break
				}
				out[p.ID], at = append(out[p.ID], m), m.Offset+1
			}
			_ = batch.Close() // its error is the end of what was fetched
		}
		conn.Close()
	}
	return out
}

func origin(t *testing.T, m kafka.Message) shipped.Origin {
	t.Helper()
	if len(m.Headers) != 1 || m.Headers[0].Key != shipped.Header {
		t.Fatalf("headers %v", m.Headers)
	}
	o, err := shipped.Parse(m.Headers[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// lines makes n numbered lines of Postfix 3.7.
func lines(from, n int) string {
	var b strings.Builder
	for i := from; i < from+n; i++ {
		fmt.Fprintf(&b, "Nov 22 05:%02d:%02d mx1 postfix/smtp[417]: 4jXHTQ%06d: to=<u%d@example.com>, relay=none, delay=1, delays=0/0/1/0, dsn=5.1.1, status=bounced (no such user)\n",
			i/60%60, i%60, i, i)
	}
	return b.String()
}

// TestOrigins ships files with every kind of line, in two goes, and compares each record with the file's bytes.
func TestOrigins(t *testing.T) {
	r := newRig(t, theBroker(t), "origins", 4)
	long := strings.Repeat("x", 70_000)
	huge := strings.Repeat("y", 600_000)
	text := lines(0, 300) + "\n" + "short\r\n" + "\xff\xfe\x00binary\n" + long + "\n" + lines(300, 5) + huge + "\n" + lines(305, 2)
	rest := "after\n" + lines(307, 40)
	r.write("a.log", text)
	r.ship(committed(len(text)))
	r.write("a.log", rest)
	r.write("b.log", "2026-11-22 05:34:55 1abcde-000001-AB Completed\n")
	r.ship(committed(len(text) + len(rest) + 47))
	text += rest
	partition := -1
	files := map[string]string{}
	reached := map[string]int64{}
	for p, messages := range r.read() {
		if len(messages) > 0 && partition >= 0 {
			t.Errorf("lines are in partitions %d and %d", partition, p)
		}
		for _, m := range messages {
			partition = p
			o := origin(t, m)
			if string(m.Key) != r.host || o.Source != "mail" || o.Host != "mx1" || o.Dialect != "auto" || o.Zone != "" || time.Since(m.Time).Abs() > time.Minute {
				t.Fatalf("key %s, time %s, origin %+v", m.Key, m.Time, o)
			}
			if o.From != reached[o.Stream] {
				t.Fatalf("%s goes from %d to %d", o.Stream, reached[o.Stream], o.From)
			}
			reached[o.Stream] = o.To
			files[o.Stream] += string(m.Value)
			if want := text[o.From:o.To]; strings.HasPrefix(files[o.Stream], "Nov") {
				if v := strings.TrimSuffix(want, "\n"); string(m.Value) != v[:min(len(v), pipeline.MaxLine)] {
					t.Fatalf("[%d, %d): %.80q, want %.80q", o.From, o.To, m.Value, v)
				}
				if marker := line.Marker([]byte(text[max(0, o.To-line.MarkerBytes):o.To])); o.Marker != marker {
					t.Fatalf("[%d, %d): marker %s, want %s", o.From, o.To, o.Marker, marker)
				}
			}
		}
	}
	if len(reached) != 2 {
		t.Errorf("streams %v", reached)
	}
}

// TestNamesOfHosts ships logs that begin alike: what hosts call them differs, and does not change when a state directory is lost.
// What was begun under a name of former versions goes on under it.
func TestNamesOfHosts(t *testing.T) {
	text, more := lines(0, 30), lines(30, 30)
	names := func(host string, before func(*rig)) []string {
		r := newRig(t, theBroker(t), "names-"+strings.ReplaceAll(t.Name(), "/", "-")+host, 1)
		r.host = host
		before(r)
		r.write("a.log", text)
		r.ship(committed(len(text)))
		r.untagged = false
		r.write("a.log", more)
		r.ship(committed(len(text) + len(more)))
		if err := os.RemoveAll(r.state); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(r.state, 0o700); err != nil {
			t.Fatal(err)
		}
		r.ship(committed(len(text) + len(more)))
		var out []string
		for _, m := range r.read()[0] {
			if o := origin(t, m); len(out) == 0 || o.Stream != out[len(out)-1] {
				out = append(out, o.Stream)
			}
		}
		return out
	}
	now := func(*rig) {}
	mx1, mx2 := names("mx1", now), names("mx2", now)
	if len(mx1) != 1 || len(mx2) != 1 || mx1[0] == mx2[0] {
		t.Errorf("mx1 has %q and mx2 %q", mx1, mx2)
	}
	former := names("mx3", func(r *rig) { r.untagged = true })
	if len(former) != 2 || former[0] != content.Name(content.Prefix([]byte(text[:strings.Index(text, "\n")+1])), 0) {
		t.Errorf("what was begun before is %q", former)
	}
}

// steady is an anchor without the second field, the time of reading.
func steady(anchor string) string {
	f := strings.Fields(anchor)
	return strings.Join(append(f[:1], f[2:]...), " ")
}

// TestAnchors checks that each record's anchor is the state in which a reader of the whole file comes to the line.
func TestAnchors(t *testing.T) {
	r := newRig(t, theBroker(t), "anchors", 1)
	text := "Dec 31 23:59:58 mx1 postfix/qmgr[1]: 4jXHTQ000000: removed\nJan  1 00:00:01 mx1 postfix/qmgr[1]: 4jXHTQ000001: removed\n" + lines(0, 50)
	r.write("a.log", text)
	r.ship(committed(len(text)))
	more := lines(50, 50) + "Nov 22 05:13:01 mx1 last message repeated 2 times\n"
	r.write("a.log", more)
	r.ship(committed(len(text + more)))
	messages := r.read()[0]
	if len(messages) != 103 {
		t.Fatalf("%d records", len(messages))
	}
	p, err := parsers.NewStream(r.options)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Restore(origin(t, messages[0]).Anchor); err != nil {
		t.Fatal(err)
	}
	st := stream{parser: p}
	for _, m := range messages {
		want := string(p.AppendAnchorFor(nil, m.Value))
		if o := origin(t, m); steady(o.Anchor) != steady(want) {
			t.Fatalf("at %d: anchor %q, want %q", o.From, o.Anchor, want)
		}
		p.Parse(m.Value, &st.result)
	}
}
