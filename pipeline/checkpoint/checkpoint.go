// Package checkpoint keeps on disk what a restart needs: where each stream stands and which batch was being sent.
//
// A checkpoint is replaced as a whole and atomically, carries a checksum, and leaves its predecessor beside it. It is a
// hint that saves work: what is stored is decided by the ledger in the database, so that a lost or old checkpoint costs
// re-reading and doubles nothing.
package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"bounceline/pipeline/batch"
	"bounceline/pipeline/fault"
	"bounceline/pipeline/fulldisk"
)

// State is the content of a checkpoint.
type State struct {
	Streams []Stream `json:"streams"`
	Intent  *Intent  `json:"intent,omitempty"` // the batch that may be in flight
	Ship    *Ship    `json:"ship,omitempty"`   // of a shipper: what the topic has
	Losses  []Loss   `json:"losses,omitempty"` // that the database is to be told of
}

// A Ship is what was sent to a topic. It stands in for the ledger of a database: a file that is found again, under whatever
// name, goes on where it was left.
type Ship struct {
	Topic     string    `json:"topic"`     // CLUSTER/TOPIC
	Partition int       `json:"partition"` // where all lines go, for ever: their order is that of one partition
	Streams   []Shipped `json:"streams"`
}

// A Shipped is what was sent of one content: all before Next.
type Shipped struct {
	Name   string    `json:"name"`
	Next   int64     `json:"next"`
	Marker string    `json:"marker"` // at Next, see batch.Marker
	Resume Mark      `json:"resume"` // a line's beginning, batch.MarkerBytes before Next or the content's first
	Anchor string    `json:"anchor"` // parser state at Resume
	Marks  []Mark    `json:"marks"`  // some positions before Resume, ever farther apart: they tell apart what begins alike
	Seen   time.Time `json:"seen"`   // when something was sent last
}

// A Mark is a position and its marker.
type Mark struct {
	At     int64  `json:"at"`
	Marker string `json:"marker"`
}

// A Stream is one content that is followed.
type Stream struct {
	Name   string    `json:"name"`
	Path   string    `json:"path"`   // where it was last seen
	Device uint64    `json:"device"` // identity of the file while it lives
	Inode  uint64    `json:"inode"`
	Next   int64     `json:"next"`           // done before this position
	Marker string    `json:"marker"`         // hash of the bytes before Next, see batch.Marker
	Seen   time.Time `json:"seen"`           // the file's last change when it was found
	End    int64     `json:"end,omitempty"`  // the content's length, once the file is left for good; 0 before, -1 if it was given up
	Lost   int64     `json:"lost,omitempty"` // what is lost before this position is counted already
}

// Finish notes that the stream is done, or given up.
func (st *State) Finish(stream string) {
	for i := range st.Streams {
		if x := &st.Streams[i]; x.Name == stream && !x.Finished() {
			x.End = -1
		}
	}
}

// Finished reports whether nothing of the stream is left to do.
func (s *Stream) Finished() bool { return s.End < 0 || s.End > 0 && s.Next >= s.End }

// An Intent is a sealed batch whose fate is not known to be settled.
type Intent struct {
	ID     string        `json:"id"`
	Ranges []batch.Range `json:"ranges"`
	Sealed time.Time     `json:"sealed"`
}

// ErrLocked says that another process uses the checkpoint.
var ErrLocked = errors.New("in use by another process")

const header = "bounceline checkpoint 1 "

// A Store is one checkpoint file, owned by this process until Close. Its methods may be called concurrently.
type Store struct {
	path string
	lock *os.File

	mu    sync.Mutex
	state State
	wait  func(error) error // see WhenFull
}

// Open locks and reads the checkpoint at path; where there is none it is empty. If wait is false and another process has
// the lock, the error is ErrLocked. A damaged file is set aside with the ending ".damaged" and the copy before it is used,
// or none: both are said in the second result, for the log.
func Open(path string, wait bool) (*Store, []string, error) {
	lock, err := acquire(path+".lock", wait)
	if err != nil {
		return nil, nil, fmt.Errorf("checkpoint %s: %w", path, err)
	}
	s := &Store{path: path, lock: lock}
	notes, err := s.load()
	if err != nil {
		lock.Close()
		return nil, nil, err
	}
	return s, notes, nil
}

// Read returns the state of the checkpoint at path as it is now, whoever owns it. It changes nothing.
func Read(path string) (State, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return State{}, fmt.Errorf("checkpoint: %w", err)
	}
	st, err := decode(data)
	if err != nil {
		return State{}, fmt.Errorf("checkpoint %s is damaged: %w", path, err)
	}
	return st, nil
}

// acquire locks the file at path, which is made if need be. The owner before may have removed the file while we waited for
// it: a lock on a file that is no longer at path excludes nobody, so it is tried again.
func acquire(path string, wait bool) (*os.File, error) {
	how := syscall.LOCK_EX
	if !wait {
		how |= syscall.LOCK_NB
	}
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := flock(f, how); err != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, ErrLocked
			}
			return nil, fmt.Errorf("lock: %w", err)
		}
		mine, err := f.Stat()
		if there, err2 := os.Stat(path); err == nil && err2 == nil && os.SameFile(mine, there) {
			return f, nil
		}
		f.Close()
	}
}

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func (s *Store) load() (notes []string, err error) {
	for _, path := range []string{s.path, s.path + ".previous"} {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("checkpoint: %w", err)
		}
		s.state, err = decode(data)
		if err == nil {
			return notes, nil
		}
		s.state = State{}
		notes = append(notes, fmt.Sprintf("%s is damaged (%v); it is kept as %s.damaged", path, err, path))
		if err := os.Rename(path, path+".damaged"); err != nil {
			return nil, fmt.Errorf("checkpoint: set the damaged file aside: %w", err)
		}
	}
	if notes != nil {
		notes = append(notes, "no checkpoint is left; the ledger in the database says what is stored")
	}
	return notes, nil
}

// State returns a copy of what is kept.
func (s *Store) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state
	st.Streams = append([]Stream(nil), st.Streams...)
	return st
}

// WhenFull sets what Update does while the disk is full: it calls wait with the reason and tries again, or ends with the
// error that wait returns. Without it a full disk is an error as any other. It is called before the store is used.
func (s *Store) WhenFull(wait func(error) error) { s.wait = wait }

// Update changes the state and makes the change durable before it returns. On an error the state is as before. Change may be
// called several times, each time with the state as it is.
func (s *Store) Update(change func(*State)) error {
	for {
		err := s.update(change)
		if s.wait == nil || !fulldisk.Is(err) {
			return err
		}
		if ended := s.wait(err); ended != nil {
			return errors.Join(err, ended)
		}
	}
}

func (s *Store) update(change func(*State)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.state
	next.Streams = append([]Stream(nil), next.Streams...)
	change(&next)
	if err := s.save(next); err != nil {
		return fmt.Errorf("checkpoint: %w", fulldisk.Explain(err, s.path))
	}
	s.state = next
	return nil
}

func (s *Store) save(st State) error {
	data, err := encode(st)
	if err != nil {
		return err
	}
	tmp := s.path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = fault.At(fault.CheckpointWritten)
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = fault.At(fault.CheckpointSynced)
	}
	if err != nil {
		return err
	}
	previous := s.path + ".previous"
	os.Remove(previous)
	if err := os.Link(s.path, previous); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := fault.At(fault.CheckpointLinked); err != nil {
		return err
	}
	if err := os.Rename(tmp, s.path); err != nil {
		return err
	}
	if err := fault.At(fault.CheckpointRenamed); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(s.path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Remove deletes the checkpoint and its lock: nothing of it is needed any more. The store is closed.
func (s *Store) Remove() error {
	os.Remove(s.path + ".previous")
	os.Remove(s.path)
	os.Remove(s.path + ".lock")
	return s.Close()
}

// Release gives the lock back, and removes the lock file and the checkpoint if it holds nothing.
func (s *Store) Release() error {
	if st := s.State(); len(st.Streams) == 0 && st.Intent == nil && len(st.Losses) == 0 {
		return s.Remove()
	}
	return s.Close()
}

// Close gives the lock back.
func (s *Store) Close() error { return s.lock.Close() }

func encode(st State) ([]byte, error) {
	body, err := json.Marshal(st)
	if err != nil {
		return nil, err
	}
	return append(append(append(headerOf(body), '\n'), body...), '\n'), nil
}

// headerOf is the line before a body: what the file is, the body's CRC-32C and its length.
func headerOf(body []byte) []byte {
	return fmt.Appendf(nil, "%s%08x %d", header, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)), len(body))
}

func decode(data []byte) (State, error) {
	line, rest, ok := bytes.Cut(data, []byte("\n"))
	if !ok || !bytes.HasPrefix(line, []byte(header)) {
		return State{}, errors.New("it does not begin with a checkpoint's header")
	}
	size := len(rest) - 1
	if size < 0 || !bytes.Equal(line, headerOf(rest[:size])) {
		return State{}, errors.New("its length or checksum is not the one that it announces")
	}
	var st State
	if err := json.Unmarshal(rest[:size], &st); err != nil {
		return State{}, err
	}
	return st, nil
}
