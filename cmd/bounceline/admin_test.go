package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"bounceline/pipeline/admin"
)

// TestStatusAndMetrics asks a running daemon how it is.
func TestStatusAndMetrics(t *testing.T) {
	s := newStore(t)
	path := filepath.Join(t.TempDir(), "mail.log")
	appendTo(t, path, 0, 100)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("2026-11-22T05:13:00+00:00 mx1 postfix/smtpd[9]: connect from unknown[192.0.2.1]\nnonsense\n"); err != nil {
		t.Fatal(err)
	}
	cmd := command("run", "--state-dir", s.dir, "--listen", "127.0.0.1:0", path)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	base := ""
	lines := bufio.NewScanner(stderr)
	for base == "" && lines.Scan() {
		base = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(lines.Text())
	}
	go io.Copy(io.Discard, stderr)
	get := func(page string) string {
		res, err := http.Get(base + page)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s\n%s", page, res.Status, body)
		}
		return string(body)
	}
	eventually(t, "the rows", s.has(t, 100))
	eventually(t, "the commit", func() bool { return strings.Contains(get("/metrics"), `bounceline_source_lag_bytes{flow="files"} 0`) })
	metrics := get("/metrics")
	for _, want := range []string{
		`bounceline_lines_total{flow="files",result="event"} 100`, `bounceline_rows_total{flow="files"} 100`,
		`bounceline_lines_total{flow="files",result="malformed"} 1`, `bounceline_malformed_lines_total{flow="files",reason="`,
		`bounceline_sink_refusing_seconds{flow="files"} 0`, `bounceline_lost_bytes_total{flow="files",reason="truncated"} 0`,
		`bounceline_streams{flow="files"} 1`, `bounceline_rows_total{flow="pipes"} 0`, `bounceline_build_info{version="`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in\n%s", want, metrics)
		}
	}
	if get("/healthz") != "alive\n" || get("/readyz") != "ready\n" {
		t.Error("neither alive nor ready")
	}
	var status admin.Status
	if err := json.Unmarshal([]byte(get("/status")), &status); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if !status.Ready || len(status.Flows) != 2 || len(status.Flows[0].Streams) != 1 || status.Flows[0].Streams[0].Position != st.Size() ||
		status.Flows[0].Streams[0].Path != path {
		t.Errorf("status %+v", status)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("TERM: %v", err)
	}
}
