package tail

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/source/content"
)

// A cutContent was cut from its file before anybody could ask what it is: a copy of it may lie beside the file, or not.
type cutContent struct {
	target   target
	head     []byte
	size     int64
	deadline time.Time // when it is no longer looked for
}

// measure sees how files have changed. Where a content is gone from its file a copy may lie beside it now, and may not later,
// when there is time to read it.
func (f *Follower) measure() {
	f.revisit()
	unfreed := int64(0)
	for _, g := range f.live {
		was := g.gone
		g.measure()
		unfreed += g.unfreed
		if g.gone && !was {
			f.startScan(g.target, g.found)
		}
		if g.cut > 0 {
			f.startScan(g.target, g.found)
			f.Truncations.Add(1)
			if e := f.followedBefore(g.id, g.cutHead, g.cut); e != nil {
				e.peak, e.cut = max(e.peak, g.cut), true
			} else {
				f.cuts = append(f.cuts, cutContent{g.target, g.cutHead, g.cut, time.Now().Add(f.RotateWait)})
			}
			g.cut = 0
		}
	}
	f.cuts = slices.DeleteFunc(f.cuts, f.accounted)
	f.warn(unfreed)
}

// warn says, once each time, that deleted files take much disk space until they are read.
func (f *Follower) warn(unfreed int64) {
	f.Unfreed.Store(unfreed)
	switch {
	case unfreed < f.MuchUnfreed/2:
		f.warned = false
	case unfreed >= f.MuchUnfreed && !f.warned:
		f.warned = true
		f.Log.Warn("deleted log files take disk space: they are held open until they are stored, and free when they are, or when this process ends",
			"bytes", unfreed)
	}
}

// accounted reports whether a copy of the content has been found, or counts the content as lost when it was looked for long
// enough. Rotation may move the copy from name to name meanwhile.
func (f *Follower) accounted(c cutContent) bool {
	if slices.ContainsFunc(f.live, func(g *generation) bool { return g.target.path == c.target.path && g.holds(c.head, c.size) }) {
		return true
	}
	if time.Now().Before(c.deadline) {
		return false
	}
	lost := checkpoint.Loss{Stream: checkpoint.Unnamed(), To: c.size, Reason: wasCut}
	f.failed = cmp.Or(f.failed, f.lose(c.target.path, &f.Lost.Truncated, lost))
	return true
}

// followedBefore is the stream that was followed in the file of that identity when the checkpoint was written, and is still
// looked for, if that is what the file held before it could be looked up: a content that begins so and is so long.
func (f *Follower) followedBefore(id fileID, beginning []byte, size int64) *followed {
	head, named := content.Head(beginning, false)
	for _, s := range f.Store.State().Streams {
		e := f.streams[s.Name]
		if e == nil || e.stream != nil || e.done || (fileID{s.Device, s.Inode}) != id || s.Next > size {
			continue
		}
		if !named || strings.HasPrefix(s.Name, content.Prefix(head)) {
			return e
		}
	}
	return nil
}

// patient buffers look at the files while none is free.
type patient struct{ f *Follower }

func (p patient) Take() []byte { return p.f.Buffers.TakeWhile(p.f.tick.C, p.f.see) }

func (p patient) Give(buf []byte) { p.f.Buffers.Give(buf) }
