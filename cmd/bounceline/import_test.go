package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bounceline/pipeline"
)

func TestLooksBinary(t *testing.T) {
	var noise [64 << 10]byte
	for seed := range 50 {
		rand.NewChaCha8([32]byte{byte(seed)}).Read(noise[:])
		for _, n := range []int{1 << 10, len(noise)} {
			if !looksBinary(noise[:n]) {
				t.Errorf("%d random bytes from seed %d pass for a log", n, seed)
			}
		}
	}
	for _, text := range []string{
		"",
		"\x00\x00\x00Nov 27 12:00:00 mx1 postfix/qmgr[1]: 4F1: removed\n",
		"Nov 27 12:00:00 mx1 postfix/smtp[1]: 4F1: to=<a@example.org>, status=bounced (\xc2\xcf\xd2\xcf\xc4\xc1\xcd \xce\xc5\xd4)\n", // KOI8-R
		"Nov 27 12:00:00 mx1 postfix/smtp[1]: 4F1: to=<a@example.org>, status=bounced (550 ユーザーが存在しません。受信者のアドレスをご確認ください)\n",
	} {
		if looksBinary([]byte(text)) {
			t.Errorf("%q passes for binary data", text)
		}
	}
}

func TestWrongInputs(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	dir := t.TempDir()
	binary := filepath.Join(dir, "binary")
	var noise bytes.Buffer
	for i := range 4096 {
		noise.WriteByte(byte(i * 7))
	}
	write(t, binary, noise.Bytes())
	config := write(t, filepath.Join(dir, "c.yaml"), []byte("inputs:\n  - name: a\n    pathes: [x]\n"))
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err := w.Write(demoLog(t, "postfix.log.zst"))
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	cut := write(t, filepath.Join(dir, "cut.gz"), zipped.Bytes()[:zipped.Len()/2])
	badRules := write(t, filepath.Join(dir, "rules.yaml"), []byte("- {id: a, category: spam}\n"))
	withRules := write(t, filepath.Join(dir, "r.yaml"), []byte("inputs: [{name: a, paths: [x]}]\nrules: ["+badRules+"]\n"))
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"import", "--state-dir", s.dir, filepath.Join(dir, "none.log")}, 1, "none.log: there is no such file"},
		{[]string{"import", "--state-dir", s.dir, dir}, 1, "is a directory"},
		{[]string{"import", "--state-dir", s.dir, binary}, 1, "binary data"},
		{[]string{"import", "--state-dir", s.dir}, 2, "name at least one file"},
		{[]string{"import", "--state-dir", s.dir, cut}, 1, "cut.gz: unexpected EOF: the compressed file is cut short; the lines before that are stored"},
		{[]string{"parse", cut}, 1, "│ bounced "}, // what can be read is shown
		{[]string{"parse", cut}, 1, "cut short; the lines before that are shown"},
		{[]string{"validate", withRules}, 2, `rules.yaml:1: rule a: there is no category "spam"`},
		{[]string{"validate", config}, 2, config + ": line 3: unknown key"},
		{[]string{"run", "--state-dir", s.dir, "--config", config}, 2, `line 3: unknown key "pathes"; did you mean "paths"?`},
		{[]string{"run", "--state-dir", s.dir}, 2, "name the files to follow"},
		{[]string{"parse", "--parser", "qmail", binary}, 2, `no dialect "qmail"`},
		{[]string{"import", "--clickhouse", "clickhouse://u:topsecret@127.0.0.1:1/x", config}, 1, "127.0.0.1:1"},
	} {
		out, err := command(c.args...).CombinedOutput()
		var exit *exec.ExitError
		if err == nil {
			t.Errorf("%q succeeded", c.args)
			continue
		}
		exit, _ = err.(*exec.ExitError)
		if exit.ExitCode() != c.code || !strings.Contains(string(out), c.want) || strings.Contains(string(out), "topsecret") {
			t.Errorf("%q: exit %d, %s", c.args, exit.ExitCode(), out)
		}
	}
}

// TestPositionsBehindALongLine: a line of which only the head is read takes all of its place.
func TestPositionsBehindALongLine(t *testing.T) {
	text := strings.Repeat("x", pipeline.MaxLine+1000) + "\n"
	want := fmt.Sprintf(`"pos":%d,`, len(text))
	code, out, errs := callWith(t, text+delivery(1), "parse", "--output", "ndjson")
	if code != exitOK || !strings.Contains(out, want) {
		t.Errorf("exit %d, %s\n%.500s, not %s", code, errs, out, want)
	}
}

// TestRotatedWhileItIsLookedAt: what is at the path when the lines are read is not what the file was named by.
func TestRotatedWhileItIsLookedAt(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "mail.log"), []byte("first of the old\nsecond\n"))
	im := &importer{}
	in, err := im.open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	if err := in.rewind(); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(in.file); err != nil || string(text) != "first of the old\nsecond\n" {
		t.Fatalf("got %q, %v", text, err)
	}
	write(t, path, []byte("first of the new\nsecond\n"))
	if err := in.rewind(); err == nil || !strings.Contains(err.Error(), "rotated or cut") {
		t.Errorf("got %v", err)
	}
}

// TestOneLine: what is there once is not said in the plural.
func TestOneLine(t *testing.T) {
	t.Parallel()
	if code, _, errs := callWith(t, delivery(1), "parse"); code != exitOK || errs != "1 line: 1 event, 0 context, 0 other, 0 malformed; 1 row\n" {
		t.Errorf("parse: exit %d, %q", code, errs)
	}
	s := newStore(t)
	log := write(t, filepath.Join(t.TempDir(), "mail.log"), []byte(delivery(1)))
	for _, want := range []string{": 1 line, 1 row added (1 event, 0 context, 0 other, 0 malformed)\n", ": already stored: 1 line\n"} {
		if out := bounceline(t, "import", "--state-dir", s.dir, log); out != log+want {
			t.Errorf("import says %q", out)
		}
	}
	for _, c := range []struct{ command, want string }{
		{"verify", "all is well: 1 row, 1 range of 1 stream;"},
		{"report", "zone UTC. 1 row."},
		{"report", "of 1 recipient whose delivery"},
	} {
		if out := bounceline(t, c.command, "--state-dir", s.dir); !strings.Contains(out, c.want) {
			t.Errorf("%s says %s, not %s", c.command, out, c.want)
		}
	}
}
