package content

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
)

// TestLinesAreWholeAndComplete reads random texts in random pieces: chunks end at newlines, join to the text, and a line too
// long for a buffer gives its head and its true length.
func TestLinesAreWholeAndComplete(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 60 {
		var text []byte
		for range random.IntN(40) {
			n := random.IntN(300)
			if random.IntN(12) == 0 {
				n = pipeline.BufferSize + random.IntN(2*pipeline.BufferSize)
			}
			text = append(append(text, bytes.Repeat([]byte{byte('a' + random.IntN(26))}, n)...), '\n')
		}
		text = append(text, "rest"[:random.IntN(5)]...)
		var src io.Reader = bytes.NewReader(text)
		if random.IntN(2) == 0 {
			src = iotest.HalfReader(src)
		}
		pool := pipeline.NewBuffers(1)
		lines := NewLines(src, nil, 0, pool)
		at := int64(0)
		for {
			c, err := lines.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			check(t, text, c, at)
			at = c.Next
			pool.Give(c.Buffer)
		}
		if c, ok := lines.Rest(); ok {
			check(t, text, c, at)
			at = c.Next
		}
		if at != int64(len(text)) {
			t.Fatalf("%d of %d bytes came", at, len(text))
		}
	}
}

func check(t *testing.T, text []byte, c pipeline.Chunk, at int64) {
	t.Helper()
	part := text[c.Offset:c.Next]
	switch {
	case c.Offset != at:
		t.Fatalf("a chunk begins at %d, not %d", c.Offset, at)
	case c.Tail == nil && !bytes.Equal(c.Data, part):
		t.Fatalf("chunk [%d, %d) is not what stands there", c.Offset, c.Next)
	case c.Tail != nil && (!bytes.HasPrefix(part, c.Data) || len(c.Data) < pipeline.MaxLine || !bytes.HasSuffix(part, c.Tail)):
		t.Fatalf("a cut line [%d, %d) lost its head or tail", c.Offset, c.Next)
	}
}

// TestOpenReadsWhatToolsWrite compresses with the programs that people use.
func TestOpenReadsWhatToolsWrite(t *testing.T) {
	text := strings.Repeat("Nov 22 05:13:01 mx1 postfix/smtp[417]: a line\n", 5000)
	dir := t.TempDir()
	plain := filepath.Join(dir, "mail.log")
	if err := os.WriteFile(plain, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"cat", "gzip", "bzip2", "xz", "zstd"} {
		packed := filepath.Join(dir, "packed-by-"+tool) // the name says nothing
		cmd := exec.Command(tool, "-c", plain)
		if tool == "cat" {
			cmd = exec.Command(tool, plain)
		}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", tool, err)
		}
		if err := os.WriteFile(packed, out, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(packed)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(f)
		f.Close()
		if err != nil || string(got) != text || f.BytesIn() != int64(len(out)) {
			t.Errorf("%s: %v, %d bytes, %d of %d read", tool, err, len(got), f.BytesIn(), len(out))
		}
	}
}

// TestCutWhileItIsRead cuts a file while it is read, also one that is filled beyond that place; growth alone is no fault.
func TestCutWhileItIsRead(t *testing.T) {
	old, fresh := bytes.Repeat([]byte("old\n"), 100_000), bytes.Repeat([]byte("new\n"), 200_000)
	for _, c := range []struct {
		now []byte
		cut bool
	}{{slices.Concat(old, fresh), false}, {fresh, true}, {old[:100], true}} {
		path := filepath.Join(t.TempDir(), "mail.log")
		write := func(data []byte) {
			t.Helper()
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(old)
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(f, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		write(c.now)
		rest, err := io.ReadAll(f)
		f.Close()
		if c.cut != (err != nil) || !c.cut && len(rest) != len(c.now)-1000 {
			t.Errorf("%d bytes: got %d and %v", len(c.now), len(rest), err)
		}
	}
}

func TestXZWithAHugeDictionaryIsRefused(t *testing.T) {
	cmd := exec.Command("xz", "-c", "--lzma2=dict=256MiB", "-")
	cmd.Stdin = strings.NewReader("a line\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(bytes.NewReader(out)); err == nil || !strings.Contains(err.Error(), "256 MiB") {
		t.Errorf("%v", err)
	}
}

type ledger []batch.Range

func (l ledger) Ledger(_ context.Context, prefix string) ([]batch.Range, error) {
	var out []batch.Range
	for _, r := range l {
		if strings.HasPrefix(r.Stream, prefix) {
			out = append(out, r)
		}
	}
	return out, nil
}

func (l ledger) Reach(context.Context, string) (map[string]int64, error) { return nil, nil }

// unledgered has rows and no ledger.
type unledgered struct {
	ledger
	stream string
	end    int64
}

func (u unledgered) Reach(_ context.Context, prefix string) (map[string]int64, error) {
	if strings.HasPrefix(u.stream, prefix) {
		return map[string]int64{u.stream: u.end}, nil
	}
	return nil, nil
}

// TestResolveInDoubt: rows that no ledger row speaks of are a stream of their own, or this content's, and then in doubt.
func TestResolveInDoubt(t *testing.T) {
	head := []byte("a first line\n")
	prefix := Prefix(head)
	markers := func([]int64) (map[int64]string, error) { return nil, nil }
	for _, c := range []struct {
		what  string
		l     Ledger
		same  bool
		want  int
		doubt int64
	}{
		{"nothing is stored", unledgered{}, false, 0, 0},
		{"its rows", unledgered{stream: Name(prefix, 0), end: 7}, true, 0, 7},
		{"another content's rows", unledgered{stream: Name(prefix, 0), end: 7}, false, 1, 0},
		{"rows that the ledger knows", unledgered{ledger{{Stream: Name(prefix, 0), To: 9}}, Name(prefix, 0), 7}, true, 0, 0},
		{"rows behind what it knows", unledgered{ledger{{Stream: Name(prefix, 0), To: 9}}, Name(prefix, 0), 12}, true, 0, 12},
		{"rows before what it knows", unledgered{ledger{{Stream: Name(prefix, 0), From: 4, To: 9}}, Name(prefix, 0), 7}, true, 0, 7},
	} {
		known, err := Resolve(t.Context(), c.l, head, "", "", markers, func(string) (bool, error) { return c.same, nil })
		if err != nil || known.Name != Name(prefix, c.want) || known.Doubt != c.doubt {
			t.Errorf("%s: %+v, %v; want counter %d and doubt %d", c.what, known, err, c.want, c.doubt)
		}
	}
}

// TestResolve tells contents that begin alike by the ledger's markers.
func TestResolve(t *testing.T) {
	head := []byte("the same first line\n")
	a := append(append([]byte(nil), head...), "then this\n"...)
	b := append(append([]byte(nil), head...), "then that\n"...)
	prefix := Prefix(head)
	stored := ledger{{Stream: Name(prefix, 0), From: 0, To: int64(len(a)), Marker: batch.Marker(a)}}
	resolve := func(text []byte, preferred string, same bool) string {
		t.Helper()
		known, err := Resolve(t.Context(), stored, head, "", preferred,
			func(at []int64) (map[int64]string, error) { return MarkersOf(bytes.NewReader(text), at) },
			func(string) (bool, error) { return same, nil })
		if err != nil {
			t.Fatal(err)
		}
		return known.Name
	}
	for _, c := range []struct {
		what      string
		text      []byte
		preferred string
		same      bool
		want      int
	}{
		{"the same content", a, "", false, 0},
		{"it has grown", append(append([]byte(nil), a...), "more\n"...), "", false, 0},
		{"another content that begins alike", b, "", false, 1},
		{"an earlier copy with the same rows", head, "", true, 0},
		{"a short one with other rows", head, "", false, 1},
		{"a short one that the checkpoint knows", head, Name(prefix, 3), false, 3},
	} {
		if got := resolve(c.text, c.preferred, c.same); got != Name(prefix, c.want) {
			t.Errorf("%s: %s, want counter %d", c.what, got, c.want)
		}
	}
}

// TestResolveUnderSeveralNames tells contents that begin alike where hosts have shipped some.
func TestResolveUnderSeveralNames(t *testing.T) {
	head := []byte("the same first line\n")
	text := append(append([]byte(nil), head...), "then this\nand this\nand that\n"...)
	prefix := Prefix(head)
	direct, mx1, mx2 := Name(prefix, 0), Name(prefix+Tag("mx1"), 0), Name(prefix+Tag("mx2"), 0)
	to := func(stream string, ends ...int) (out []batch.Range) {
		for i, end := range ends {
			from := 0
			if i > 0 {
				from = ends[i-1]
			}
			out = append(out, batch.Range{Stream: stream, From: int64(from), To: int64(end), Marker: batch.Marker(text[:end])})
		}
		return out
	}
	strange := func(stream string) []batch.Range {
		return []batch.Range{{Stream: stream, To: 30, Marker: "0123456789abcdef"}}
	}
	for _, c := range []struct {
		what      string
		stored    []batch.Range
		tag       string
		preferred string
		want      string
		parts     []string
		storedTo  int64
	}{
		{"it was shipped", to(mx1, 30, 39), "", "", mx1, []string{mx1}, 39},
		{"it was read directly, shipped, and has grown", slices.Concat(to(direct, 30), to(mx1, 20, 39)), "", "", mx1, []string{direct, mx1}, 39},
		{"the same, and it is being followed", slices.Concat(to(direct, 30), to(mx1, 20, 39)), "", direct, direct, []string{direct, mx1}, 39},
		{"another host's begins so", slices.Concat(strange(mx1), to(mx2, 30)), "", "", mx2, []string{mx2}, 30},
		{"somebody gave it the name of another file", to(prefix+"../../etc/passwd", 30), "", "", direct, nil, 0},
		{"only others begin so", slices.Concat(strange(mx1), strange(direct)), "", "", Name(prefix, 1), nil, 0},
		{"a shipper has another that begins so", strange(mx1), Tag("mx1"), "", Name(prefix+Tag("mx1"), 1), nil, 0},
		{"a shipper knows others' names only", strange(direct), Tag("mx1"), "", mx1, nil, 0},
		{"a shipper has it under the name of former versions", to(direct, 30), Tag("mx1"), "", direct, []string{direct}, 30},
		{"a shipper has begun it under that name", nil, Tag("mx1"), direct, direct, []string{direct}, 0},
	} {
		known, err := Resolve(t.Context(), ledger(c.stored), head, c.tag, c.preferred,
			func(at []int64) (map[int64]string, error) { return MarkersOf(bytes.NewReader(text), at) },
			func(string) (bool, error) { return false, nil })
		if err != nil || known.Name != c.want || !slices.Equal(known.Parts, c.parts) || storedTo(known.Ranges) != c.storedTo {
			t.Errorf("%s: %+v, %v; want %s, parts %v, stored to %d", c.what, known, err, c.want, c.parts, c.storedTo)
		}
	}
}

func TestNames(t *testing.T) {
	prefix := Prefix([]byte("a line\n"))
	for name, want := range map[string]struct{ is, tagged bool }{
		Name(prefix, 12):                {true, false},
		Name(prefix+Tag("mx1"), 3):      {true, true},
		"file-x-0":                      {false, false},
		"kafka-1/maillog/0/0":           {false, false},
		strings.TrimSuffix(prefix, "-"): {false, false},
	} {
		of, ok := PrefixOf(name)
		if ok != want.is || ok && (of != prefix || Tagged(of, name) != want.tagged) {
			t.Errorf("%s: %s, %v", name, of, ok)
		}
	}
	for name, want := range map[string]bool{Name(prefix, 0): true, Name(prefix+Tag("mx1"), 12): true, prefix: false, prefix + "../0": false, prefix + "h/../-0": false,
		prefix + "h0-x": false, prefix + "00": false, Name(prefix+Tag("mx1")+Tag("mx1"), 0): false, "file-0": false} {
		if named(prefix, name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	if Tag("mx1") == Tag("mx2") {
		t.Error("tags do not tell hosts apart")
	}
}

func TestHeadWaitsForAWholeRecord(t *testing.T) {
	for _, c := range []struct {
		text     string
		complete bool
		want     string
		ok       bool
	}{
		{"half a li", false, "", false},
		{"half a li", true, "half a li", true},
		{"a line\nand", false, "a line\n", true},
		{"type,timeLogged\n", false, "", false},
		{"type,timeLogged\nd,2026\nd", false, "type,timeLogged\nd,2026\n", true},
		{strings.Repeat("x", HeadBytes+5), false, strings.Repeat("x", HeadBytes), true},
		{"", true, "", false},
	} {
		if got, ok := Head([]byte(c.text), c.complete); ok != c.ok || string(got) != c.want {
			t.Errorf("%.20q (complete %v): %.20q, %v", c.text, c.complete, got, ok)
		}
	}
}
