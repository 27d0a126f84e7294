package tail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/fault"
	"bounceline/pipeline/source/content"
)

// horizons is how many bytes all streams together re-read for context.
const horizons = 256 << 20

// A followed is what is remembered of a stream from when it is found, or the checkpoint names it, until all that was sent
// of it is committed: the ledger knows nothing yet of what is on its way.
type followed struct {
	name     string
	path     string           // its target's
	stream   *pipeline.Stream // nil until its content is found
	gen      *generation      // that holds its content; nil while it is looked for, and when it is done
	offset   int64            // what comes before was sent
	before   []byte           // the last bytes before it
	lost     int64            // what was not sent before it is counted as lost already
	peak     int64            // how long the content had been when it was lost sight of
	cut      bool             // it was cut from its file
	deadline time.Time        // when it is no longer looked for
	done     bool             // nothing more will be sent
}

// search begins to look for the contents that were followed when the checkpoint was written, or begins again, with what it says of
// them now.
func (f *Follower) search() {
	deadline := time.Now().Add(f.RotateWait)
	targets := map[string]target{}
	for _, s := range f.Store.State().Streams {
		t, ok := f.targetOf(s.Path)
		if !ok {
			continue // an input that is no longer configured; it may come back
		}
		targets[s.Path] = t
		e := f.streams[s.Name]
		if e == nil {
			e = &followed{name: s.Name, path: s.Path}
			f.streams[s.Name] = e
			if at, ok := f.since[s.Path]; !ok || s.Seen.Before(at) {
				f.since[s.Path] = s.Seen
			}
		}
		e.peak, e.offset, e.lost, e.deadline, e.done = max(e.peak, s.End), s.Next, s.Lost, deadline, s.Finished()
	}
	for path, t := range targets {
		f.startScan(t, f.since[path])
	}
}

// identify finds out which stream the file's content is and puts its reading behind what the ledger has of it. The
// generation stays without a stream while nothing can be said yet. A file that adds nothing is dropped.
func (f *Follower) identify(ctx context.Context, g *generation) error {
	if time.Now().Before(g.retry) {
		return nil
	}
	err := f.name(ctx, g)
	if err == nil {
		return nil
	}
	var later *laterError
	g.young = errors.As(err, &later) && later.soon
	switch {
	case errors.As(err, &later) && later.drop && !g.retired.IsZero():
		f.drop(g)
		return nil
	case errors.As(err, &later), f.Retryable(err), errors.Is(err, checkpoint.ErrLocked):
	default:
		return err
	}
	if later == nil || later.why != "" {
		f.wait(g.known(), err)
	}
	g.pause = min(max(2*g.pause, f.Poll), 30*time.Second)
	if later != nil && later.soon {
		g.pause = 0
	}
	g.retry = time.Now().Add(g.pause)
	return nil
}

// A laterError says that nothing can be said about a file now.
type laterError struct {
	why  string // for people; empty is nothing to tell
	soon bool   // it is cheap to ask again
	drop bool   // if the file is no longer at its path it is of no use
}

func (e *laterError) Error() string { return e.why }

// name does identify's work. What is not a laterError is the ledger's or the lock's.
func (f *Follower) name(ctx context.Context, g *generation) error {
	head, err := f.head(g)
	if err != nil {
		return err
	}
	prefix := content.Prefix(head)
	same := func(name string) (bool, error) {
		c, err := g.content()
		if err != nil {
			return false, err
		}
		defer c.Close()
		return f.Same(ctx, c, g.target.input.Parser, name)
	}
	known, err := content.Resolve(ctx, f.Ledger, head, f.Tag, f.remembered(g, prefix), g.markers, same)
	if err != nil {
		return fmt.Errorf("%s: %w", g.path, err)
	}
	e, err := f.claim(g, prefix, &known)
	if err != nil {
		return err
	}
	if e == nil && !g.retired.IsZero() && !g.recent {
		return &laterError{drop: true} // it only begins like what was looked for
	}
	if err := f.behind(known); err != nil {
		return err
	}
	release, err := f.Lock(known.Name)
	if err != nil {
		return err
	}
	if err := f.start(g, known, e, head); err != nil {
		release()
		return &laterError{why: err.Error()}
	}
	g.release = release
	f.unsaved = append(f.unsaved, g)
	if err := fault.At(fault.FileNamed); err != nil {
		return err
	}
	f.Log.Info("following", "path", g.path, "stream", known.Name, "from", g.at, "stored_to", storedTo(g.stream))
	return nil
}

// head returns what names the file's content, and sees whether it is compressed.
func (f *Follower) head(g *generation) ([]byte, error) {
	quiet := !g.retired.IsZero() && time.Since(g.quiet) >= f.RotateWait
	if g.size == 0 {
		return nil, &laterError{soon: true, drop: quiet}
	}
	c, err := g.content()
	if err != nil {
		return nil, &laterError{why: err.Error()}
	}
	defer c.Close()
	g.packed = c.Compression != ""
	head, read, err := content.ReadHead(c)
	if err != nil {
		return nil, &laterError{why: err.Error()}
	}
	_, complete := content.Head(read, g.packed || quiet)
	if !complete { // its first line is still being written
		return nil, &laterError{soon: true, drop: quiet}
	}
	return head, nil
}

// remembered is the stream that the content probably is: the one of this very file, else one that is looked for.
func (f *Follower) remembered(g *generation, prefix string) string {
	for _, s := range f.Store.State().Streams {
		if strings.HasPrefix(s.Name, prefix) && (fileID{s.Device, s.Inode}) == g.id && (g.packed || s.Next <= g.size) {
			return s.Name
		}
	}
	for name, e := range f.streams {
		if strings.HasPrefix(name, prefix) && e.path == g.target.path && e.gen == nil && !e.done {
			return name
		}
	}
	return ""
}

// claim decides between the content and what this process follows under its name. It returns the stream that the content
// continues, or nil for one that is new here, whose name it may change in known.
func (f *Follower) claim(g *generation, prefix string, known *content.Known) (*followed, error) {
	for {
		e := f.streams[known.Name]
		if e == nil || e.stream == nil && e.gen == nil {
			return e, nil
		}
		equal, reaches, err := f.equal(g, e)
		switch {
		case err != nil:
			return nil, &laterError{why: err.Error()}
		case equal && e.gen != nil:
			return nil, &laterError{drop: true} // a copy of a file that is being followed
		case equal && reaches:
			return e, nil
		case equal || !reaches && e.gen == nil:
			return nil, &laterError{drop: true} // an earlier, shorter copy
		}
		n := known.Free
		for f.streams[content.Name(prefix+f.Tag, n)] != nil {
			n++
		}
		*known = content.Known{Name: content.Name(prefix+f.Tag, n), Free: n + 1}
	}
}

// equal compares the file with a stream that begins alike: at the stream's position if the file reaches so far, else at
// the file's end, where that can be seen.
func (f *Follower) equal(g *generation, e *followed) (equal, reaches bool, err error) {
	at, have, err := g.last(e.offset)
	if err != nil {
		return false, false, err
	}
	if at == e.offset && e.offset > 0 {
		return bytes.Equal(have, e.before), true, nil
	}
	if e.gen == nil {
		return e.offset == 0, e.offset == 0, nil
	}
	if e.offset == 0 {
		if at, have, err = g.last(min(g.size, e.gen.size)); err != nil {
			return false, false, err
		}
	}
	end, want, err := e.gen.last(at)
	return end == at && bytes.Equal(have, want), false, err
}

// behind refuses a stream of which the database knows less than the checkpoint: it was restored from a backup, or it is
// another one.
func (f *Follower) behind(known content.Known) error {
	for _, s := range f.Store.State().Streams {
		if s.Name != known.Name || s.Next == 0 {
			continue
		}
		if slices.ContainsFunc(known.Ranges, func(r batch.Range) bool { return r.To >= s.Next }) {
			return nil
		}
		return &laterError{why: fmt.Sprintf("the checkpoint says that the file is stored up to byte %d, and the database does not know of it: "+
			"was it restored from a backup, or is it another one? To store again what it lacks, stop bounceline and run: bounceline checkpoint repair", s.Next)}
	}
	return nil
}

// start opens the content's lines: of a stream that is continued where it was left, else behind what is stored.
func (f *Follower) start(g *generation, known content.Known, e *followed, head []byte) error {
	s := &pipeline.Stream{Name: known.Name, Source: g.target.input.Name, Path: g.path, Parser: g.target.input.Parser,
		Reference: time.Now(), Stored: content.Spans(known.Ranges), Doubt: known.Doubt}
	at := f.begin(s, known.Ranges)
	if e != nil && e.stream != nil {
		s, at = e.stream, e.offset
	}
	var src io.Reader = io.NewSectionReader(g.file, at, 1<<62)
	var reached int64
	var before []byte
	var err error
	if g.packed {
		if g.decoder, err = g.content(); err != nil {
			return err
		}
		src = g.decoder
		reached, before, err = lastBefore(src, at)
	} else {
		reached, before, err = g.last(at)
	}
	if err == nil && reached < at {
		err = fmt.Errorf("%d bytes of it are stored, and it has only %d", at, reached)
	}
	if err != nil {
		if g.decoder != nil {
			g.decoder.Close()
			g.decoder = nil
		}
		return err
	}
	if e == nil {
		e = &followed{name: s.Name}
		f.streams[s.Name] = e
	}
	e.path, e.stream, e.gen, e.offset, e.before, e.done = g.target.path, s, g, at, before, false
	g.stream, g.at, g.before = s, at, before
	g.head = bytes.Clone(head[:min(len(head), batch.MarkerBytes)])
	g.lines = content.NewLines(src, s, at, patient{f})
	return nil
}

// begin returns where reading begins, a horizon before what is not stored, and gives the stream the anchor of that place.
func (f *Follower) begin(s *pipeline.Stream, ranges []batch.Range) int64 {
	goal := storedTo(s) - min(f.Horizon, horizons/int64(max(1, len(f.found))))
	at := int64(0)
	for _, r := range ranges {
		if r.From > storedTo(s) {
			break
		}
		if r.From == 0 || r.From <= goal {
			at, s.Anchor = r.From, r.Anchor
		}
	}
	return at
}

// storedTo is the end of what is stored from the stream's beginning on without a gap.
func storedTo(s *pipeline.Stream) int64 {
	if len(s.Stored) > 0 && s.Stored[0].From == 0 {
		return s.Stored[0].To
	}
	return 0
}

// save puts the streams that were named into the checkpoint, before anything of them is sent.
func (f *Follower) save() error {
	if len(f.unsaved) == 0 {
		return nil
	}
	err := f.Store.Update(func(st *checkpoint.State) {
		for _, g := range f.unsaved {
			now := checkpoint.Stream{Name: g.stream.Name, Path: g.target.path, Device: g.id.device, Inode: g.id.inode,
				Next: storedTo(g.stream), Seen: f.seen(g)}
			i := slices.IndexFunc(st.Streams, func(s checkpoint.Stream) bool { return s.Name == now.Name })
			if i < 0 {
				st.Streams = append(st.Streams, now)
				continue
			}
			now.Next, now.Marker, now.Lost = st.Streams[i].Next, st.Streams[i].Marker, st.Streams[i].Lost
			st.Streams[i] = now
		}
		f.prune(st)
	})
	if err == nil {
		f.unsaved = f.unsaved[:0]
		err = fault.At(fault.FileSaved)
	}
	return err
}

// seen is when the generation's file had changed last when it was found, or an older one of the target did that has no name
// yet: the next process must not take that for history.
func (f *Follower) seen(g *generation) time.Time {
	at := g.found
	for _, other := range f.live {
		if other.target.path == g.target.path && other.stream == nil && other.recent && other.found.Before(at) {
			at = other.found
		}
	}
	return at
}

// How lines were lost, for people.
const (
	wasCut     = "the file was cut before they were read"
	wasDeleted = "the file was deleted before they were read"
	wasGone    = "the file was gone before their batch was stored"
)

// lose notes what is lost of a stream, for somebody else, and then counts it: a process that ends between the two must not leave it
// to the next one to count it again.
func (f *Follower) lose(path string, counter *atomic.Int64, l checkpoint.Loss) error {
	if err := f.note(l); err != nil {
		return err
	}
	counter.Add(l.To - l.From)
	f.Log.Error("lines are lost: "+l.Reason, "path", path, "stream", l.Stream, "from", l.From, "bytes", l.To-l.From)
	return nil
}

// note keeps a loss, for somebody else where that is asked for.
func (f *Follower) note(l checkpoint.Loss) error {
	return f.Store.Update(func(st *checkpoint.State) {
		if f.KeepLosses {
			st.Lose(l)
		}
		st.Account(l.Stream, l.To)
	})
}

// sweep forgets streams that are done and committed, and gives up those that were looked for in vain.
func (f *Follower) sweep(ctx context.Context, out chan<- pipeline.Chunk) error {
	var ended []*followed
	for _, e := range f.streams {
		if e.gen == nil && !e.done && time.Now().After(e.deadline) && !f.unnamed(e.path) {
			if err := f.giveUp(ctx, e, out); err != nil {
				return err
			}
		}
		if e.gen == nil && e.done && !f.unnamed(e.path) {
			ended = append(ended, e)
		}
	}
	if len(ended) == 0 {
		return nil
	}
	next := map[string]int64{}
	for _, s := range f.Store.State().Streams {
		next[s.Name] = s.Next
	}
	var gone []string
	for _, e := range ended {
		if e.stream == nil || e.offset <= max(next[e.name], storedTo(e.stream)) {
			gone = append(gone, e.name)
			delete(f.streams, e.name)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return f.Store.Update(func(s *checkpoint.State) {
		for _, name := range gone { // what was given up is finished too
			s.Finish(name)
		}
		f.prune(s)
	})
}

// prune forgets finished streams, but for the newest of each path: the next start takes what was written after it for
// something that it has not seen.
func (f *Follower) prune(s *checkpoint.State) {
	newest := map[string]time.Time{}
	for _, x := range s.Streams {
		if at, ok := newest[x.Path]; !ok || x.Seen.After(at) {
			newest[x.Path] = x.Seen
		}
	}
	s.Streams = slices.DeleteFunc(s.Streams, func(x checkpoint.Stream) bool {
		return x.Finished() && f.streams[x.Name] == nil && x.Seen.Before(newest[x.Path])
	})
}

// unnamed reports whether a file of the target may yet turn out to be what is looked for.
func (f *Follower) unnamed(path string) bool {
	return slices.ContainsFunc(f.live, func(g *generation) bool { return g.stream == nil && g.size > 0 && !g.young && g.target.path == path })
}

// giveUp ends the search for a stream's content.
func (f *Follower) giveUp(ctx context.Context, e *followed, out chan<- pipeline.Chunk) error {
	e.done = true
	known := max(e.offset, e.lost)
	var err error
	switch {
	case e.stream == nil && e.peak == 0:
		if err = f.Store.Update(func(st *checkpoint.State) { st.Finish(e.name) }); err != nil {
			return err
		}
		f.Vanished.Add(1)
		f.Log.Error("a file that was followed before is no longer there; what had not been read of it is lost", "path", e.path, "stream", e.name, "read_to", e.offset)
	case e.stream == nil && !e.cut && e.peak > known:
		err = f.lose(e.path, &f.Lost.Deleted, checkpoint.Loss{Stream: e.name, From: known, To: e.peak, Reason: wasDeleted})
	case e.peak > known:
		err = f.lose(e.path, &f.Lost.Truncated, checkpoint.Loss{Stream: e.name, From: known, To: e.peak, Reason: wasCut})
	}
	if err != nil || e.stream == nil {
		return err
	}
	return f.send(ctx, out, pipeline.Chunk{Stream: e.stream, Offset: e.offset, Next: e.offset, Last: true})
}

func (f *Follower) targetOf(path string) (target, bool) {
	for _, t := range f.targets() {
		if t.path == path {
			return t, true
		}
	}
	for i := range f.Inputs {
		for _, p := range f.Inputs[i].Paths {
			if matched(p, path) {
				return target{path, &f.Inputs[i]}, true
			}
		}
	}
	return target{}, false
}

func matched(pattern, path string) bool {
	if pattern == path {
		return true
	}
	if !isGlob(pattern) {
		return false
	}
	ok, _ := filepath.Match(pattern, path)
	return ok
}
