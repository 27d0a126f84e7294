package tail

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"bounceline/pipeline/fault"
	"bounceline/pipeline/source/content"
)

// scanEvery is how often the files beside a path are looked at while something is looked for there.
const scanEvery = time.Second

// A scan looks beside a path for contents that rotation moved or copied away before they were seen. Rotation renames one
// file after the other, so looking once is not enough.
type scan struct {
	since  time.Time // files changed before are history; zero is unknown: only what is looked for by content is taken
	next   time.Time
	until  time.Time
	looked map[fileID]stamp // files that are decided as long as they do not change
}

// A stamp changes when a file does.
type stamp struct {
	size     int64
	modified time.Time
}

func stampOf(st os.FileInfo) stamp { return stamp{st.Size(), st.ModTime()} }

// discover looks at all paths, opens what is new there, and retires what is gone. With very many files it makes itself rarer:
// looking must not become all that is done.
func (f *Follower) discover() {
	begun := time.Now()
	if f.watcher != nil && f.watcher.named.Swap(false) {
		f.globbed = time.Time{}
	}
	f.listed = map[string][]os.DirEntry{}
	defer func() { f.listed = nil }()
	for _, t := range f.targets() {
		f.look(t)
		if sc := f.scans[t.path]; sc != nil && !time.Now().Before(sc.next) {
			f.scan(t, sc)
		}
	}
	took := time.Since(begun)
	if f.watcher != nil {
		f.watcher.rest.Store(int64(restForLooks * took))
		f.watcher.watch(f.directories)
	}
	if every := max(f.Poll, 10*took); every > 2*f.every || every < f.every/2 {
		f.every = every
		f.tick.Reset(every)
	}
}

// targets expands the globs, once a second at the most.
func (f *Follower) targets() []target {
	if time.Since(f.globbed) < time.Second && f.found != nil {
		return f.found
	}
	f.globbed = time.Now()
	f.found = f.found[:0]
	have := map[string]bool{}
	for i := range f.Inputs {
		in := &f.Inputs[i]
		for _, pattern := range in.Paths {
			paths := []string{pattern}
			if isGlob(pattern) {
				paths, _ = filepath.Glob(pattern) // its only error, a bad pattern, was found when the configuration was read
			}
			for _, p := range paths {
				if !have[p] && !excluded(p, in.Exclude) {
					have[p] = true
					f.found = append(f.found, target{p, in})
				}
			}
		}
	}
	for p, g := range f.paths { // a glob no longer finds what is gone
		if !have[p] {
			f.found = append(f.found, target{p, g.target.input})
		}
	}
	return f.found
}

func isGlob(pattern string) bool { return strings.ContainsAny(pattern, "*?[") }

func excluded(path string, globs []string) bool {
	for _, g := range globs {
		if ok, _ := filepath.Match(g, path); ok {
			return true
		}
		if ok, _ := filepath.Match(g, filepath.Base(path)); ok {
			return true
		}
	}
	return false
}

// look sees whether the file at the path is another one than before, and opens it if so.
func (f *Follower) look(t target) {
	current := f.paths[t.path]
	st, err := os.Stat(t.path)
	if err == nil && st.Mode()&fs.ModeNamedPipe != 0 {
		return // it is read by another source
	}
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	if err != nil {
		f.wait(t.path, err)
		if current != nil && errors.Is(err, fs.ErrNotExist) {
			delete(f.paths, t.path)
			f.retire(current)
		}
		f.standBy(t)
		return
	}
	if current != nil && current.id == identify(st) && !current.gone {
		if st.Size() == 0 {
			f.standBy(t)
		}
		return
	}
	g := f.byID(identify(st))
	if g == nil {
		if since, ok := f.since[t.path]; ok { // others may have been at the path in between: they come first
			f.startScan(t, since)
		}
		if g, err = f.hold(t, t.path); err != nil {
			f.wait(t.path, err)
			return
		}
		f.since[t.path] = g.found
	}
	delete(f.waiting, t.path)
	f.paths[t.path], g.retired = g, time.Time{}
	if current != nil && !current.gone {
		f.retire(current)
	}
}

// standBy keeps looking beside a path where there is no file, or an empty one: what is written there may be rotated, or copied
// and cut, before it is seen.
func (f *Follower) standBy(t target) {
	if since, ok := f.since[t.path]; ok && f.scans[t.path] == nil {
		f.startScan(t, since)
	}
}

// retire notes that the generation has left its path, unless another path has it.
func (f *Follower) retire(g *generation) {
	for _, other := range f.paths {
		if other == g {
			return
		}
	}
	if g.retired.IsZero() {
		f.Rotations.Add(1)
		f.failed = cmp.Or(f.failed, fault.At(fault.RotationSeen))
		f.Log.Info("the file has left its path; it is read to its end", "path", g.target.path)
		g.retired = time.Now()
		g.quiet = g.retired
	}
}

// wait says, once for each reason, that a path cannot be read now.
func (f *Follower) wait(path string, err error) {
	why := err.Error()
	if errors.Is(err, fs.ErrNotExist) {
		why = "it is not there yet"
	}
	if f.waiting[path] == why {
		return
	}
	f.waiting[path] = why
	f.Log.Warn("waiting for a log file", "path", path, "why", why)
}

func (f *Follower) byID(id fileID) *generation {
	for _, g := range f.live {
		if g.id == id && !g.gone {
			return g
		}
	}
	return nil
}

// startScan looks beside the target's path now, and again for a while.
func (f *Follower) startScan(t target, since time.Time) {
	now := time.Now()
	sc := f.scans[t.path]
	if sc == nil {
		sc = &scan{since: since}
		f.scans[t.path] = sc
	} else if !since.IsZero() && (sc.since.IsZero() || since.Before(sc.since)) {
		sc.since = since
	}
	sc.until, sc.looked = now.Add(f.RotateWait), map[fileID]stamp{}
	f.scan(t, sc)
}

// scan opens what lies beside the target's path and was not read: contents that were being followed, and files that were
// written after the last one that was.
func (f *Follower) scan(t target, sc *scan) {
	now := time.Now()
	sc.next = now.Add(scanEvery)
	if now.After(sc.until) {
		delete(f.scans, t.path)
		return
	}
	for _, s := range f.siblings(t.path) {
		id := identify(s.info)
		mark := stampOf(s.info)
		if s.info.Size() == 0 || f.done[id] == mark || sc.looked[id] == mark || f.byID(id) != nil || f.isTarget(s.path) {
			continue
		}
		recent := !sc.since.IsZero() && !s.info.ModTime().Before(sc.since)
		if !recent && f.lookedFor(t.path, s.path) == "" {
			if st, err := os.Stat(s.path); err == nil && identify(st) == id { // else rotation has moved it meanwhile
				sc.looked[id] = mark
			}
			continue
		}
		before := len(f.live)
		g, err := f.hold(t, s.path)
		if err != nil {
			f.wait(s.path, err)
			continue
		}
		if g.id == id {
			sc.looked[id] = mark
		}
		if len(f.live) == before {
			continue
		}
		g.retired, g.quiet, g.recent = now, now, recent
		f.Log.Info("a rotated file is read to its end", "path", s.path)
	}
}

func (f *Follower) isTarget(path string) bool {
	for _, t := range f.found {
		if t.path == path {
			return true
		}
	}
	return false
}

// lookedFor is a stream of the target that no open file holds and that the file begins like.
func (f *Follower) lookedFor(target, path string) string {
	var prefix string
	for name, e := range f.streams {
		if e.path != target || e.gen != nil || e.done {
			continue
		}
		if prefix == "" {
			head, err := headOf(path)
			if err != nil {
				return ""
			}
			prefix = content.Prefix(head)
		}
		if strings.HasPrefix(name, prefix) {
			return name
		}
	}
	return ""
}

// A sibling is a file that rotation may have made of the one at a path.
type sibling struct {
	path string
	info os.FileInfo
}

// siblings are the files whose names are the path's with a number or date, oldest first: mail.log.1, mail.log-20261122.gz,
// mainlog.01; and with the number before the extension, as logrotate's option of that name does. A compressed file beside
// the one it is made from is not finished and left out.
func (f *Follower) siblings(path string) []sibling {
	real := path
	if p, err := filepath.EvalSymlinks(path); err == nil {
		real = p
	}
	var out []sibling
	for _, p := range slices.Compact([]string{path, real}) {
		dir, base := filepath.Split(p)
		entries := f.list(cmp.Or(dir, "."))
		names := map[string]bool{}
		for _, e := range entries {
			names[e.Name()] = true
		}
		for _, e := range entries {
			if !rotated(base, e.Name()) || names[strings.TrimSuffix(e.Name(), filepath.Ext(e.Name()))] && compressed(e.Name()) {
				continue
			}
			full := filepath.Join(dir, e.Name())
			if st, err := os.Stat(full); err == nil && st.Mode().IsRegular() {
				out = append(out, sibling{full, st})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b sibling) int { return a.info.ModTime().Compare(b.info.ModTime()) })
	return out
}

// list returns what is in the directory. Within one look at all paths it is read once.
func (f *Follower) list(dir string) []os.DirEntry {
	entries, ok := f.listed[dir]
	if !ok {
		entries, _ = os.ReadDir(dir)
		if f.listed != nil {
			f.listed[dir] = entries
		}
	}
	return entries
}

func compressed(name string) bool {
	return slices.Contains([]string{".gz", ".xz", ".bz2", ".zst"}, filepath.Ext(name))
}

// rotated reports whether the name is what rotation makes of base.
func rotated(base, name string) bool {
	if numbered(base, name) {
		return true
	}
	ext := filepath.Ext(base)
	stem := strings.TrimSuffix(base, ext)
	if ext == "" || stem == "" {
		return false
	}
	if compressed(name) {
		name = strings.TrimSuffix(name, filepath.Ext(name))
	}
	inner, ok := strings.CutSuffix(name, ext)
	return ok && numbered(stem, inner)
}

func numbered(base, name string) bool {
	rest, ok := strings.CutPrefix(name, base)
	return ok && len(rest) > 1 && strings.ContainsRune(".-_", rune(rest[0])) && rest[1] >= '0' && rest[1] <= '9'
}

// headOf returns what names the file's content.
func headOf(path string) ([]byte, error) {
	file, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	c, err := content.Decode(file)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	head, _, err := content.ReadHead(c)
	if err == nil && head == nil {
		err = fmt.Errorf("%s: empty", path)
	}
	return head, err
}

// openRegular opens a regular file without ever waiting, as opening a pipe would. A symbolic link is followed only if its
// owner is root, this process, or the owner of the file: what somebody else could make of it is not for us to read.
func openRegular(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	st, err := file.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	if err == nil {
		var link os.FileInfo
		if link, err = os.Lstat(path); err == nil && link.Mode()&fs.ModeSymlink != 0 {
			if o := owner(link); o != 0 && o != uint32(os.Geteuid()) && o != owner(st) {
				err = errors.New("it is a symbolic link that belongs neither to root nor to the file's owner")
			}
		}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func owner(st os.FileInfo) uint32 { return st.Sys().(*syscall.Stat_t).Uid }
