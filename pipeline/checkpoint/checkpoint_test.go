package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bounceline/pipeline/batch"
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
	for bit := range 8 * 40 {
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
