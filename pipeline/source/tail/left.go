package tail

import (
	"os"
	"slices"
	"syscall"
	"time"

	"bounceline/pipeline/checkpoint"
)

// maxLeft is how many rotated files that were read to their end stay open.
const maxLeft = 200

// A leftFile is a rotated file that was read to its end and had been quiet for a while. Somebody may still have it open, and
// write to it hours later.
type leftFile struct {
	target target
	path   string
	file   *os.File
	id     fileID
	size   int64
}

// part takes the file from a generation that was read to its end and keeps it open, as long as it has a name and there are
// not too many.
func (f *Follower) part(g *generation) {
	if st, err := g.file.Stat(); g.packed || err != nil || nameless(st) {
		return
	}
	if len(f.left) == maxLeft {
		f.left[0].file.Close()
		f.left = slices.Delete(f.left, 0, 1)
	}
	f.left = append(f.left, &leftFile{g.target, g.path, g.file, g.id, g.lines.Offset()})
	g.file = nil
}

// revisit takes up again the files that have grown since they were left, and lets go of those that have no name any more.
func (f *Follower) revisit() {
	f.left = slices.DeleteFunc(f.left, func(l *leftFile) bool {
		st, err := l.file.Stat()
		switch {
		case err != nil || nameless(st) || f.byID(l.id) != nil:
			l.file.Close()
		case st.Size() == l.size:
			return false
		default:
			f.Log.Info("a rotated file has grown again; it is read to its end", "path", l.path)
			now := time.Now()
			g := &generation{target: l.target, path: l.path, file: l.file, id: l.id, found: st.ModTime(), recent: true, retired: now, quiet: now}
			g.measure()
			f.live = append(f.live, g)
		}
		return true
	})
}

// nameless reports whether a file was deleted.
func nameless(st os.FileInfo) bool { return st.Sys().(*syscall.Stat_t).Nlink == 0 }

// abandon closes the file when the follower ends. Where nobody can read on, since the file has no name any more or another content,
// the checkpoint is told how long the content was, so that what is not stored of it counts as lost. What is not known by its content
// is lost at once.
func (f *Follower) abandon(g *generation) error {
	defer g.close()
	st, err := g.file.Stat()
	switch {
	case err != nil || g.size == 0 || !g.gone && !nameless(st):
		return nil
	case g.stream != nil && g.packed: // its length is not known
		return nil
	case g.stream != nil:
		return f.end(g.stream.Name, g.size)
	}
	if e := f.followedBefore(g.id, g.head, g.size); e != nil && !g.packed {
		return f.end(e.name, g.size)
	}
	return f.vanish("a file was deleted before it could be read; its lines are lost, unless they are stored already", g.path, g.size, wasDeleted)
}

// vanish notes that a content is gone of which nobody knows the name, nor whether it is stored, and then counts it and says how: the
// next process knows nothing of it.
func (f *Follower) vanish(how, path string, size int64, reason string) error {
	err := f.note(checkpoint.Loss{Stream: checkpoint.Unnamed(), To: size, Reason: reason})
	f.Vanished.Add(1)
	f.Log.Error(how, "path", path, "bytes", size)
	return err
}

// end notes how long a content was that is not to be read any more, unless a copy is found.
func (f *Follower) end(stream string, size int64) error {
	return f.Store.Update(func(st *checkpoint.State) {
		for i := range st.Streams {
			if x := &st.Streams[i]; x.Name == stream && x.End >= 0 {
				x.End = max(x.End, size)
			}
		}
	})
}
