package checkpoint

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bounceline/pipeline/batch"
	"bounceline/pipeline/e2e/smalldisk"
	"bounceline/pipeline/fulldisk"
)

func open(t *testing.T, path string) (*Store, []string) {
	t.Helper()
	s, notes, err := Open(path, false)
	if err != nil {
		t.Fatal(err)
	}
	return s, notes
}

func TestRoundTripAndCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	s, _ := open(t, path)
	if err := s.Update(func(st *State) { st.Streams = []Stream{{Name: "a", Next: 3}, {Name: "b", Next: 9}} }); err != nil {
		t.Fatal(err)
	}
	b := batch.New()
	b.Range("a", 3).To = 7
	b.Range("b", 0).To = 5
	b.Seal(time.Unix(1, 0))
	if err := s.Intend(b); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(path, false); !errors.Is(err, ErrLocked) {
		t.Errorf("a second owner: %v", err)
	}
	s.Close()
	s, _ = open(t, path)
	if st := s.State(); st.Intent == nil || st.Intent.ID != b.ID || len(st.Intent.Ranges) != 2 {
		t.Fatalf("the intent did not survive: %+v", st)
	}
	if err := s.Commit(b); err != nil {
		t.Fatal(err)
	}
	st := s.State()
	if st.Intent != nil || st.Streams[0].Next != 7 || st.Streams[1].Next != 9 {
		t.Errorf("after the commit: %+v", st)
	}
}

// TestDamage cuts the file at every byte and flips every bit of its header: the copy before it is used, and it is said.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	s, _ := open(t, path)
	for n := range 2 {
		if err := s.Update(func(st *State) { st.Streams = []Stream{{Name: "a", Next: int64(n + 1)}} }); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	previous, err := os.ReadFile(path + ".previous")
	if err != nil {
		t.Fatal(err)
	}
	var bad [][]byte
	for n := range good {
		bad = append(bad, good[:n])
	}
	for bit := range 8 * (1 + bytes.IndexByte(good, '\n')) {
		flipped := append([]byte(nil), good...)
		flipped[bit/8] ^= 1 << (bit % 8)
		bad = append(bad, flipped)
	}
	bad = append(bad, make([]byte, len(good)))
	for i, data := range bad {
		for file, content := range map[string][]byte{path: data, path + ".previous": previous} {
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, notes := open(t, path)
		st := s.State()
		s.Close()
		if len(notes) != 1 || len(st.Streams) != 1 || st.Streams[0].Next != 1 {
			t.Fatalf("damage %d: %v, %+v", i, notes, st)
		}
		if kept, err := os.ReadFile(path + ".damaged"); err != nil || string(kept) != string(data) {
			t.Fatalf("damage %d: the damaged file was not kept: %v", i, err)
		}
	}
}

// TestLostOrOld: a checkpoint that was deleted is empty, one that was put back from a copy is what it was then; neither is an
// error, since the ledger knows better.
func TestLostOrOld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	s, _ := open(t, path)
	var copies [][]byte
	for n := range 3 {
		if err := s.Update(func(st *State) { st.Streams = []Stream{{Name: "a", Next: int64(n + 1)}} }); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		copies = append(copies, data)
	}
	s.Close()
	for n, data := range copies {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, notes := open(t, path)
		if st := s.State(); len(notes) != 0 || len(st.Streams) != 1 || st.Streams[0].Next != int64(n+1) {
			t.Errorf("copy %d: %v, %+v", n, notes, st)
		}
		s.Close()
	}
	for _, name := range []string{path, path + ".previous"} { // the first alone leaves the one before
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		s, notes := open(t, path)
		if st := s.State(); len(notes) != 0 || name != path && len(st.Streams) != 0 || name == path && st.Streams[0].Next != 2 {
			t.Errorf("without %s: %v, %+v", name, notes, st)
		}
		s.Close()
	}
}

// TestFullDisk: on a full disk an update fails, says where room is needed and leaves the checkpoint as it was; or it waits, if it
// is told to, and is done when there is room.
func TestFullDisk(t *testing.T) {
	disk := smalldisk.Mount(t, 1)
	path := filepath.Join(disk.Dir, "c")
	s, _ := open(t, path)
	to := func(n int64) func(*State) {
		return func(st *State) { st.Streams = []Stream{{Name: strings.Repeat("a", 10_000), Next: n}} }
	}
	if err := s.Update(to(1)); err != nil {
		t.Fatal(err)
	}
	disk.Fill(t)
	if err := s.Update(to(2)); !fulldisk.Is(err) || !strings.Contains(err.Error(), "the disk that holds "+disk.Dir+" is full") || s.State().Streams[0].Next != 1 {
		t.Errorf("%v, %+v", err, s.State())
	}
	if st, err := Read(path); err != nil || st.Streams[0].Next != 1 {
		t.Errorf("on disk: %v, %+v", err, st)
	}
	waits := 0
	s.WhenFull(func(err error) error {
		if waits++; waits == 3 {
			disk.Free(t)
		}
		return nil
	})
	if err := s.Update(to(3)); err != nil || waits != 3 {
		t.Errorf("with room at last: %v after %d waits", err, waits)
	}
	s.Close()
	s, notes := open(t, path)
	defer s.Close()
	if st := s.State(); len(notes) != 0 || st.Streams[0].Next != 3 {
		t.Errorf("afterwards: %v, %+v", notes, st)
	}
	ended := errors.New("it is told to stop")
	s.WhenFull(func(error) error { return ended })
	disk.Fill(t)
	if err := s.Update(to(4)); !errors.Is(err, ended) || s.State().Streams[0].Next != 3 {
		t.Errorf("stopped while it waited: %v, %+v", err, s.State())
	}
}

// TestReadOnlyDirectory: it is said at once, and what is there can be read.
func TestReadOnlyDirectory(t *testing.T) {
	disk := smalldisk.Mount(t, 1)
	path := filepath.Join(disk.Dir, "c")
	s, _ := open(t, path)
	if err := s.Update(func(st *State) { st.Streams = []Stream{{Name: "a", Next: 7}} }); err != nil {
		t.Fatal(err)
	}
	s.Close()
	disk.ReadOnly(t, true)
	if _, _, err := Open(path, false); !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
	if st, err := Read(path); err != nil || st.Streams[0].Next != 7 {
		t.Errorf("%v, %+v", err, st)
	}
	disk.ReadOnly(t, false)
	s, notes := open(t, path)
	defer s.Close()
	if st := s.State(); len(notes) != 0 || st.Streams[0].Next != 7 {
		t.Errorf("writable again: %v, %+v", notes, st)
	}
}

func TestUpdateThatFailsChangesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c")
	s, _ := open(t, path)
	defer s.Close()
	if err := os.Mkdir(path+".new", 0o700); err != nil { // the new file cannot be made
		t.Fatal(err)
	}
	if err := s.Update(func(st *State) { st.Streams = []Stream{{Name: "a"}} }); err == nil || len(s.State().Streams) != 0 {
		t.Errorf("%v, %+v", err, s.State())
	}
}
