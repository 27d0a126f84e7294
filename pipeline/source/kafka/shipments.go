package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"bounceline/parsers"
	"bounceline/pipeline"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/shipped"
	"bounceline/pipeline/source/content"
)

// maxShipments is how many shipping streams of a partition are remembered before those are forgotten of which everything
// is committed.
const maxShipments = 10_000

// Shipments knows how far each stream whose lines are shipped through one partition has got. A shipper sends a stream's
// lines in order and through one partition, and after a failure some of them again: a line before the highest one that has
// passed is such a repetition. What has passed stands in the ledger, so that whoever makes a batch again decides the same.
type shipments struct {
	ledger    content.Ledger
	retryable func(error) bool
	via       string        // name of the partition's stream
	committed *atomic.Int64 // offset before which all is in the ledger
	idle      time.Duration // after so long without a line of a stream, the ledger is asked anew
	counts    *Counts
	log       *slog.Logger

	now     time.Time // of the fetch at hand
	streams map[string]*shipment
	origin  shipped.Origin
	said    bool
}

// A shipment is one stream.
type shipment struct {
	stream  *pipeline.Stream
	options string    // that the stream was made with
	loaded  bool      // passed and the stream's Stored and Doubt are those of the ledger
	seen    time.Time // when its last line was read
	passed  int64
	markers map[int64]string // of what is stored, where its ranges end
	strange bool             // it is not what is stored under its name: said once
	used    int64            // offset of the last record
}

// from says where the record's line comes from; at is zero for a record whose header is of a newer version, and where the
// reason says what is wrong with it. If quiet, the line is read for context only. It blocks while the ledger does not answer;
// its error is ctx's, or one that no retry cures.
func (s *shipments) from(ctx context.Context, r *message, quiet bool) (at pipeline.Shipped, reason badReason, why, err error) {
	o := &s.origin
	switch why := o.Decode(r.origin); {
	case errors.Is(why, shipped.ErrVersion):
		s.counts.Newer.Add(1)
		if !s.said {
			s.said = true
			s.log.Error("shipped lines are stored as the topic's own, and would be stored once more with their file", "partition", s.via, "offset", r.offset, "error", why)
		}
		*o = shipped.Origin{}
		return at, readable, nil, nil
	case why != nil:
		*o = shipped.Origin{}
		return at, badOrigin, why, nil
	}
	sh := s.streams[o.Stream]
	why = s.suits(o, r.value)
	if why == nil && (sh == nil || sh.stream.Source != o.Source || !sh.made(o)) {
		var options parsers.Options
		if options, why = OptionsOf(o); why == nil {
			sh = s.add(o, options, sh)
		}
	}
	if why != nil {
		return at, badShipped, why, nil
	}
	sh.used = r.offset
	at = pipeline.Shipped{Stream: sh.stream, Offset: o.From, Next: o.To, Marker: o.Marker, Anchor: o.Anchor}
	if quiet {
		return at, readable, nil, nil
	}
	if !sh.loaded || s.now.Sub(sh.seen) > s.idle {
		if err := s.load(ctx, sh); err != nil {
			return at, readable, nil, err
		}
	}
	sh.seen = s.now
	at.Repeated = o.From < sh.passed
	at.Known = holds(sh.stream.Stored, o.From)
	if at.Repeated || at.Known {
		s.compare(sh, o)
	}
	if at.Repeated {
		s.counts.Repeated.Add(1)
		return at, readable, nil, nil
	}
	sh.passed = o.To
	return at, readable, nil, nil
}

// compare says if a line that is not stored, since the stream is stored there, is of another content. A shipper that lost its state,
// and finds files that begin alike in another order than before, gives one the other's name.
func (s *shipments) compare(sh *shipment, o *shipped.Origin) {
	if marker, ok := sh.markers[o.To]; !ok || marker == o.Marker || marker == "" {
		return
	}
	s.counts.Strange.Add(1)
	if !sh.strange {
		sh.strange = true
		s.log.Error("a shipped file is not the one that is stored under its name: its lines as far as that one goes are not stored; import the file to store them",
			"stream", sh.stream.Name, "host", o.Host, "source", o.Source, "at", o.To, "stored_to", sh.passed)
	}
}

// suits reports what speaks against the value being the line that its origin names.
func (s *shipments) suits(o *shipped.Origin, value []byte) error {
	switch {
	case strings.HasPrefix(o.Stream, s.via[:strings.IndexByte(s.via, '/')+1]):
		return errors.New("it names a partition of this cluster")
	case bytes.IndexByte(value, '\n') >= 0:
		return errors.New("it is more than one line")
	case int64(len(value)) > o.To-o.From:
		return fmt.Errorf("the line has %d bytes, and its place %d", len(value), o.To-o.From)
	case len(value) > pipeline.MaxLine:
		return fmt.Errorf("the line has %d bytes; %d is the most", len(value), pipeline.MaxLine)
	}
	return nil
}

// made reports whether the stream is read as the origin wants it.
func (sh *shipment) made(o *shipped.Origin) bool {
	rest, ok := strings.CutPrefix(sh.options, o.Host)
	if !ok {
		return false
	}
	if rest, ok = strings.CutPrefix(rest, "\x00"+o.Dialect); !ok {
		return false
	}
	rest, ok = strings.CutPrefix(rest, "\x00")
	return ok && rest == o.Zone
}

// add makes the stream known, or known anew where it is to be read in another way than before.
func (s *shipments) add(o *shipped.Origin, options parsers.Options, before *shipment) *shipment {
	if len(s.streams) >= maxShipments {
		for name, sh := range s.streams {
			if sh.used < s.committed.Load() {
				delete(s.streams, name)
			}
		}
	}
	sh := &shipment{options: o.Host + "\x00" + o.Dialect + "\x00" + o.Zone,
		stream: &pipeline.Stream{Name: o.Stream, Source: o.Source, Path: "shipped through " + s.via, Parser: options}}
	if before != nil {
		sh.loaded, sh.seen, sh.passed, sh.markers, sh.strange = before.loaded, before.seen, before.passed, before.markers, before.strange
		sh.stream.Stored, sh.stream.Doubt, sh.stream.Twins = before.stream.Stored, before.stream.Doubt, before.stream.Twins
	}
	s.streams[o.Stream] = sh
	return sh
}

// OptionsOf says how the origin's stream is read.
func OptionsOf(o *shipped.Origin) (parsers.Options, error) {
	options := parsers.Options{Dialect: o.Dialect, Host: o.Host}
	if o.Zone != "" {
		zone, err := time.LoadLocation(o.Zone)
		if err != nil {
			return options, fmt.Errorf("zone: %w", err)
		}
		options.Zone = zone
	}
	_, err := parsers.NewStream(options)
	return options, err
}

// load asks the ledger what is stored of the stream: the first time, and when the shipper has sent none of its lines for long. Then
// somebody may have imported the file.
func (s *shipments) load(ctx context.Context, sh *shipment) error {
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		ranges, err := s.ledger.Ledger(ctx, sh.stream.Name)
		var reach map[string]int64
		if err == nil && !sh.loaded {
			reach, err = s.ledger.Reach(ctx, beginning(sh.stream.Name))
		}
		switch {
		case err == nil:
			s.settle(sh, ranges, reach)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !s.retryable(err):
			return fatalError{fmt.Errorf("ask the ledger: %w", err)}
		}
		s.log.Warn("the ledger does not answer; it is asked again", "stream", sh.stream.Name, "again_in", wait, "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// beginning is what the names of the stream and of all contents that begin like it begin with.
func beginning(stream string) string {
	if prefix, ok := content.PrefixOf(stream); ok {
		return prefix
	}
	return stream
}

// settle takes in what ledger and rows say of the stream, and of what was read directly of contents that begin like it.
func (s *shipments) settle(sh *shipment, ranges []batch.Range, reach map[string]int64) {
	var all, elsewhere []batch.Range
	sh.markers = map[int64]string{}
	for _, r := range ranges {
		if r.Stream != sh.stream.Name {
			continue
		}
		all = append(all, r)
		sh.markers[r.To] = r.Marker
		if r.Via == s.via {
			sh.passed = max(sh.passed, r.To)
		} else {
			elsewhere = append(elsewhere, r)
		}
	}
	sh.stream.Stored = content.Spans(elsewhere)
	if sh.loaded { // the rest may be in use
		return
	}
	sh.loaded = true
	if end := reach[sh.stream.Name]; end > 0 && !covered(all, pipeline.Span{From: end - 1, To: end}) {
		sh.stream.Doubt = end
	}
	prefix, ok := content.PrefixOf(sh.stream.Name)
	if !ok || !content.Tagged(prefix, sh.stream.Name) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(reach)) {
		if !content.Tagged(prefix, name) {
			sh.stream.Twins = append(sh.stream.Twins, batch.Twin{Stream: name, End: reach[name]})
		}
	}
}

// holds reports whether the position is in one of the spans.
func holds(spans []pipeline.Span, at int64) bool {
	for _, sp := range spans {
		if sp.From <= at && at < sp.To {
			return true
		}
	}
	return false
}
