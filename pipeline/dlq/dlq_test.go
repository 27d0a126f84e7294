package dlq

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bounceline/pipeline/batch"
	"bounceline/pipeline/e2e/smalldisk"
	"bounceline/pipeline/fulldisk"
)

func letter(n int) batch.Dead {
	return batch.Dead{Stream: "file-a-0", Source: "mail.log", Pos: int64(n * 100), Line: fmt.Appendf(nil, "line %d", n), Reason: "it is bad", RuleSet: "1"}
}

func TestRoundTrip(t *testing.T) {
	f := File{filepath.Join(t.TempDir(), "d")}
	odd := letter(2)
	odd.Line = []byte("caf\xe9 <&>\x00")
	for _, lines := range [][]batch.Dead{{letter(1), odd}, {letter(3)}, {letter(1)}} {
		if _, err := f.Bury(lines); err != nil {
			t.Fatal(err)
		}
	}
	all, err := f.List()
	if err != nil || len(all) != 3 {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	if string(all[0].Line()) != "line 1" || !bytes.Equal(all[1].Line(), odd.Line) || all[2].Reason != "it is bad" || all[2].RuleSet != "1" {
		t.Errorf("%+v", all)
	}
	if st, err := os.Stat(f.Path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if err := f.Remove(all[:2]); err != nil {
		t.Fatal(err)
	}
	if all, err = f.List(); err != nil || len(all) != 1 || all[0].Pos != 300 {
		t.Errorf("after Remove: %+v, %v", all, err)
	}
}

// TestTorn cuts the file at each byte: what was whole is there, and what comes later is not mixed with the rest.
func TestTorn(t *testing.T) {
	f := File{filepath.Join(t.TempDir(), "d")}
	if _, err := f.Bury([]batch.Dead{letter(1)}); err != nil {
		t.Fatal(err)
	}
	one, _ := os.ReadFile(f.Path)
	if _, err := f.Bury([]batch.Dead{letter(2)}); err != nil {
		t.Fatal(err)
	}
	two, _ := os.ReadFile(f.Path)
	for n := len(one); n < len(two); n++ {
		if err := os.WriteFile(f.Path, two[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if all, err := f.List(); err != nil || len(all) < 1 || all[0].Pos != 100 {
			t.Fatalf("cut at %d: %+v, %v", n, all, err)
		}
		if _, err := f.Bury([]batch.Dead{letter(3)}); err != nil {
			t.Fatal(err)
		}
		if all, err := f.List(); err != nil || len(all) != 2 || all[1].Pos != 300 {
			t.Fatalf("cut at %d, then written: %+v, %v", n, all, err)
		}
	}
}

// TestSeveralWriters lets writers and a remover work at the same time: no letter is lost.
func TestSeveralWriters(t *testing.T) {
	f := File{filepath.Join(t.TempDir(), "d")}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range 20 {
				if _, err := f.Bury([]batch.Dead{letter(w*100 + n)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			if err := f.Remove([]Entry{{Stream: "file-b-0"}}); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	if all, err := f.List(); err != nil || len(all) != 80 {
		t.Errorf("%d letters of 80, %v", len(all), err)
	}
}

// TestFullDisk: letters that found no room come again, and those from before are whole.
func TestFullDisk(t *testing.T) {
	disk := smalldisk.Mount(t, 1)
	f := File{filepath.Join(disk.Dir, "d")}
	long := letter(2)
	long.Line = bytes.Repeat([]byte("x"), 20_000)
	if _, err := f.Bury([]batch.Dead{letter(1)}); err != nil {
		t.Fatal(err)
	}
	disk.Fill(t)
	for range 3 {
		if _, err := f.Bury([]batch.Dead{long}); !fulldisk.Is(err) || !strings.Contains(err.Error(), "the disk that holds "+disk.Dir+" is full") {
			t.Errorf("%v", err)
		}
		if all, err := f.List(); err != nil || len(all) != 1 || all[0].Pos != 100 {
			t.Errorf("%+v, %v", all, err)
		}
	}
	disk.Free(t)
	if _, err := f.Bury([]batch.Dead{long}); err != nil {
		t.Fatal(err)
	}
	if all, err := f.List(); err != nil || len(all) != 2 || !bytes.Equal(all[1].Line(), long.Line) {
		t.Errorf("%d letters, %v", len(all), err)
	}
}

func TestFull(t *testing.T) {
	f := File{filepath.Join(t.TempDir(), "d")}
	if err := os.WriteFile(f.Path, append(bytes.Repeat([]byte(" "), maxBytes-1), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Bury([]batch.Dead{letter(1)}); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}

// TestListMakesNothing: whoever looks where nothing is makes nothing.
func TestListMakesNothing(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []File{{Path: filepath.Join(dir, "dead-letters.ndjson")}, {Path: filepath.Join(dir, "missing", "dead-letters.ndjson")}} {
		if got, err := f.List(); err != nil || got != nil {
			t.Errorf("%s: %v, %v", f.Path, got, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}
