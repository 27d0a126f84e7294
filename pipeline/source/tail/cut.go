package tail

import (
	"slices"
	"strings"
	"time"

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
	for _, g := range f.live {
		was := g.gone
		g.measure()
		if g.gone && !was {
			f.startScan(g.target, g.found)
		}
		if g.cut > 0 {
			f.startScan(g.target, g.found)
			f.Truncations.Add(1)
			if e := f.followedBefore(g); e != nil {
				e.peak, e.cut = max(e.peak, g.cut), true
			} else {
				f.cuts = append(f.cuts, cutContent{g.target, g.cutHead, g.cut, time.Now().Add(f.RotateWait)})
			}
			g.cut = 0
		}
	}
	f.cuts = slices.DeleteFunc(f.cuts, f.accounted)
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
	f.Lost.Truncated.Add(c.size)
	f.Log.Error("lines are lost: the file was cut before they were read", "path", c.target.path, "bytes", c.size)
	return true
}

// followedBefore is the stream that was followed in this very file when the checkpoint was written, and is still looked for, if
// that is what was cut before it could be looked up.
func (f *Follower) followedBefore(g *generation) *followed {
	head, named := content.Head(g.cutHead, false)
	for _, s := range f.Store.State().Streams {
		e := f.streams[s.Name]
		if e == nil || e.stream != nil || e.done || (fileID{s.Device, s.Inode}) != g.id || s.Next > g.cut {
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

func (p patient) Take() []byte {
	return p.f.Buffers.TakeWhile(p.f.tick.C, func() {
		p.f.discover()
		p.f.measure()
	})
}

func (p patient) Give(buf []byte) { p.f.Buffers.Give(buf) }
