// Package rig runs the real follower, runner and checkpoint against a database in memory that keeps ClickHouse's promises and
// no more, for tests that do bad things by the thousand. Nothing in it waits for the wall clock, so it runs in a bubble of
// testing/synctest.
package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"bounceline/parsers"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/record"
	"bounceline/pipeline/source/stream"
)

// errDown is what a database that is down, or an acknowledgement that was lost, looks like. It is retryable.
var errDown = errors.New("connection refused")

// A place is where a row came from.
type place struct {
	stream string
	pos    int64
}

// A row is what is kept of one.
type row struct {
	recipient string
	at        batch.Place
}

// A DB keeps rows and ledger. A block whose token is among the last that it remembers is acknowledged and not stored again.
type DB struct {
	mu     sync.Mutex
	rows   map[string][]place // recipient -> where it came from
	places map[place]row
	tokens []string
	ledger []batch.Range
	down   bool
	unsaid int // so many acknowledgements are lost from now on
	losses map[checkpoint.Loss]struct{}

	Asked func(prefix string) // optional: called before the ledger answers
}

// Window is how many tokens the database remembers.
const Window = 1000

// NewDB returns an empty database.
func NewDB() *DB {
	return &DB{rows: map[string][]place{}, places: map[place]row{}, losses: map[checkpoint.Loss]struct{}{}}
}

// SetDown makes the database refuse everything, or no longer.
func (d *DB) SetDown(down bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = down
}

// LoseAcks makes it apply the next n writes and say that they failed.
func (d *DB) LoseAcks(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unsaid = n
}

// ForgetTokens turns the deduplication window over.
func (d *DB) ForgetTokens() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tokens = nil
}

// Write implements pipeline.Sink.
func (d *DB) Write(_ context.Context, b *batch.Batch, token string) error {
	return d.apply(token, func() {
		to := column(b, "recipient")
		for i := range b.Rows {
			stream, at := b.Place(i)
			p := place{string(stream), at.Pos}
			r := string(to.Value(i))
			d.rows[r] = append(d.rows[r], p)
			d.places[p] = row{r, at}
		}
	})
}

// WriteLedger implements pipeline.Sink.
func (d *DB) WriteLedger(_ context.Context, b *batch.Batch) error {
	return d.apply(b.ID+"/ledger", func() {
		for _, r := range b.Ranges {
			d.ledger = slices.DeleteFunc(d.ledger, func(x batch.Range) bool { return x.Stream == r.Stream && x.From == r.From && x.To == r.To })
			d.ledger = append(d.ledger, r)
		}
	})
}

func (d *DB) apply(token string, write func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return errDown
	}
	if !slices.Contains(d.tokens, token) {
		write()
		d.tokens = append(d.tokens, token)
		d.tokens = d.tokens[max(0, len(d.tokens)-Window):]
	}
	if d.unsaid > 0 {
		d.unsaid--
		return errDown
	}
	return nil
}

func column(b *batch.Batch, name string) *batch.Column {
	for i := range b.Columns {
		if b.Columns[i].Spec.Name == name {
			return &b.Columns[i]
		}
	}
	panic("no column " + name)
}

// Ledger implements content.Ledger.
func (d *DB) Ledger(_ context.Context, prefix string) ([]batch.Range, error) {
	if d.Asked != nil {
		d.Asked(prefix)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return nil, errDown
	}
	var out []batch.Range
	for _, r := range d.ledger {
		if strings.HasPrefix(r.Stream, prefix) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, batch.Range.Compare)
	return out, nil
}

// Same implements what content.Resolve asks: whether the content holds the rows of the stream's first positions.
func (d *DB) Same(_ context.Context, r io.Reader, o parsers.Options, name string) (bool, error) {
	p, err := parsers.NewStream(o)
	if err != nil {
		return false, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return false, errDown
	}
	interrupted := !slices.ContainsFunc(d.ledger, func(r batch.Range) bool { return r.Stream == name })
	var res record.Result
	equal, end, rows := true, int64(0), 0
	err = stream.Each(r, func(line []byte, at, next int64) bool {
		p.Parse(bytes.TrimSuffix(line, []byte("\n")), &res)
		end = next
		if res.Rows.Len() > 0 {
			r, ok := d.places[place{name, at}]
			if ok || !interrupted {
				rows++
				equal = r.recipient == string(res.Rows.All()[0].Recipient)
			}
		}
		return equal
	})
	for p := range d.places {
		if p.stream == name && (p.pos < end || interrupted) {
			rows--
		}
	}
	return equal && rows == 0, err
}

// Reach implements content.Ledger.
func (d *DB) Reach(_ context.Context, prefix string) (map[string]int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return nil, errDown
	}
	out := map[string]int64{}
	for p := range d.places {
		if strings.HasPrefix(p.stream, prefix) {
			out[p.stream] = max(out[p.stream], p.pos+1)
		}
	}
	return out, nil
}

// Present and Mend are what a runner asks about batches in doubt.
func (d *DB) Present(_ context.Context, stream string, from, to int64) (map[batch.Place]struct{}, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return nil, errDown
	}
	out := map[batch.Place]struct{}{}
	for p, r := range d.places {
		if p.stream == stream && from <= p.pos && p.pos < to {
			out[r.at] = struct{}{}
		}
	}
	return out, nil
}

// Mend has nothing to do: there are no rollups.
func (d *DB) Mend(context.Context, int64, int64) error { return nil }

// Lose notes losses, each once.
func (d *DB) Lose(losses []checkpoint.Loss) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return errDown
	}
	for _, l := range losses {
		d.losses[l] = struct{}{}
	}
	return nil
}

// Noted is how much was noted as lost.
func (d *DB) Noted() (n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for l := range d.losses {
		n += l.To - l.From
	}
	return n
}

// Rows is how many rows there are.
func (d *DB) Rows() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, places := range d.rows {
		n += len(places)
	}
	return n
}

// Streams are the names of all contents that the ledger knows.
func (d *DB) Streams() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for _, r := range d.ledger {
		if !slices.Contains(out, r.Stream) {
			out = append(out, r.Stream)
		}
	}
	return out
}

// Has is how often the recipient's row is there.
func (d *DB) Has(recipient string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.rows[recipient])
}

// Where says where a recipient's rows came from.
func (d *DB) Where(recipient string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return fmt.Sprint(d.rows[recipient])
}

// Check reports what contradicts itself: ranges that overlap and, if all that was sent could be read again, rows that no
// range accounts for.
func (d *DB) Check(accounted bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	ledger := slices.Clone(d.ledger)
	slices.SortFunc(ledger, batch.Range.Compare)
	rows := 0
	for i, r := range ledger {
		rows += int(r.Rows)
		if i > 0 && ledger[i-1].Stream == r.Stream && ledger[i-1].To > r.From {
			return fmt.Errorf("ranges [%d, %d) and [%d, %d) of %s overlap", ledger[i-1].From, ledger[i-1].To, r.From, r.To, r.Stream)
		}
	}
	if accounted && rows != len(d.places) {
		return fmt.Errorf("the ledger accounts for %d rows of %d", rows, len(d.places))
	}
	return nil
}

// Line is a line of a delivery, told apart by its number.
func Line(n int) string {
	return fmt.Sprintf("2026-11-22T05:13:%02d.%06d+00:00 mx1 postfix/smtp[417]: %010X: to=<%s>, relay=mx1.example.org[192.0.2.25]:25, "+
		"delay=2.4, delays=0.11/0.01/1.9/0.38, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 6D01F22A)\n", n/1000%60, n%1000, 0x4F2A000000+n, Recipient(n))
}

// Recipient is who the delivery of that number went to.
func Recipient(n int) string { return fmt.Sprintf("user%d@example.org", n) }
