package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"bounceline/pipeline/admin"
)

// startWatched starts a run that shows itself over HTTP, and returns what gets a page of it.
func startWatched(t *testing.T, s *store, args ...string) (*exec.Cmd, func(page string) string) {
	t.Helper()
	cmd := command(append([]string{"run", "--state-dir", s.dir, "--listen", "127.0.0.1:0"}, args...)...)
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
	go func() { _, _ = io.Copy(io.Discard, stderr) }()
	return cmd, func(page string) string {
		res, err := http.Get(base + page)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s\n%s (%v)", page, res.Status, body, err)
		}
		return string(body)
	}
}

// TestReload changes a run's own rules while it works, first to something that is no rule.
func TestReload(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	dir := t.TempDir()
	log, rules := filepath.Join(dir, "mail.log"), filepath.Join(dir, "rules.yaml")
	rule := func(category string) []byte {
		return []byte("- {id: mine, category: " + category + ", any: [purple elephants], match: [550 no purple elephants]}\n")
	}
	bounce := func(n int) []byte {
		return []byte(strings.Replace(delivery(n), "status=sent (250 2.0.0 Ok: queued as 6D01F22A)",
			"status=bounced (host mx1.example.org[192.0.2.25] said: 550 no purple elephants (in reply to RCPT TO command))", 1))
	}
	write(t, rules, rule("spam_content"))
	config := write(t, filepath.Join(dir, "c.yaml"), []byte("rules: ["+rules+"]\ninputs:\n  - name: mail\n    paths: ["+log+"]\n"))
	write(t, log, bounce(0))
	cmd, get := startWatched(t, s, "--config", config)
	eventually(t, "a row", s.has(t, 1))
	reload := func(good int) {
		t.Helper()
		before := get("/metrics")
		_ = cmd.Process.Signal(syscall.SIGHUP)
		eventually(t, "the reload", func() bool {
			m := get("/metrics")
			return strings.Contains(m, fmt.Sprintf("bounceline_config_last_reload_successful %d", good)) &&
				(!strings.Contains(before, "last_reload_timestamp_seconds 0\n") || !strings.Contains(m, "last_reload_timestamp_seconds 0\n"))
		})
	}
	more := func(n int) {
		f, err := os.OpenFile(log, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write(bounce(n)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "another row", s.has(t, n+1))
	}
	write(t, rules, []byte("- {id: mine, category: elephants}\n"))
	reload(0)
	more(1)
	write(t, rules, rule("content_rejected"))
	reload(1)
	more(2)
	for category, want := range map[string]uint64{"spam_content": 2, "content_rejected": 1} {
		if n := s.number(t, "SELECT count() FROM delivery_events WHERE rule = 'mine' AND bounce_category = '"+category+"'"); n != want {
			t.Errorf("%d rows of %s, not %d", n, category, want)
		}
	}
}

// TestStatusAndMetrics asks a running daemon how it is.
func TestStatusAndMetrics(t *testing.T) {
	t.Parallel()
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
	cmd, get := startWatched(t, s, path)
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
	for _, page := range strings.Fields(get("/")) { // what it names is there
		if strings.HasPrefix(page, "/") && get(page) == "" {
			t.Errorf("/ names %s, which is empty", page)
		}
	}
	if !strings.Contains(get("/"), "/metrics") {
		t.Errorf("/ says %q", get("/"))
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
	if u := status.Flows[0].Unread; len(u) != 1 || len(u[0].Lines) != 1 || u[0].Lines[0] != "nonsense" {
		t.Errorf("not understood: %+v", u)
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
