package main

import (
	"os"
	"path/filepath"
	"testing"

	"bounceline/sinks/clickhouse/local"
)

// TestTwoWaysFromOtherStateDirectories stores the same bytes in one server from several state directories: what run has
// followed is imported again, rotated, renamed and compressed, and what was imported is followed.
func TestTwoWaysFromOtherStateDirectories(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	lease, err := local.Acquire(t.Context(), s.dir, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lease.Close() })
	server := []string{"--clickhouse", lease.DSN()}
	elsewhere := func(command string, args ...string) []string {
		return append(append([]string{command, "--state-dir", t.TempDir()}, server...), args...)
	}
	exactly := func(what string, n int) {
		t.Helper()
		if got := s.rows(t); got != uint64(n) {
			t.Errorf("%s: %d rows, not %d", what, got, n)
		}
	}
	read := func(path string) []byte {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	dir := t.TempDir()

	followed := filepath.Join(dir, "mail.log")
	appendTo(t, followed, 0, 300)
	p := launch(t, command(elsewhere("run", followed)...))
	eventually(t, "the first file", s.has(t, 300))
	if err := os.Rename(followed, followed+".1"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, followed, 300, 500)
	eventually(t, "the file after it", s.has(t, 500))
	p.stop(t)
	packed := write(t, filepath.Join(dir, "packed"), gzipped(read(followed+".1")))
	renamed := write(t, filepath.Join(dir, "renamed"), read(followed))
	bounceline(t, elsewhere("import", packed, renamed)...)
	exactly("copies of what run has stored", 500)

	imported := filepath.Join(dir, "other.log")
	appendTo(t, imported, 500, 800)
	bounceline(t, elsewhere("import", write(t, filepath.Join(dir, "other.gz"), gzipped(read(imported))))...)
	exactly("an import", 800)
	p = launch(t, command(elsewhere("run", imported)...))
	appendTo(t, imported, 800, 850)
	eventually(t, "what the imported file has more by now", s.has(t, 850))
	p.stop(t)
	exactly("run on what was imported", 850)
	bounceline(t, elsewhere("verify")...)
}
