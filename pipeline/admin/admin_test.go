package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"bounceline/pipeline"
)

func page(t *testing.T, s *Server, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

// TestMetricsAreDocumented: the table of docs/operations.md is what there is.
func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, f := range families {
		labels := "flow"
		if f.label != "" {
			labels += ", " + f.label
		}
		fmt.Fprintf(&table, "| `bounceline_%s` | %s | %s |\n", f.name, labels, f.help)
	}
	if !strings.Contains(string(text), "| --- | --- | --- |\n"+table.String()+"\n") {
		t.Errorf("docs/operations.md should have\n%s", &table)
	}
}

// TestRefusingSink: a pipeline whose sink refuses batches for long is not ready, says why, and is ready again afterwards.
func TestRefusingSink(t *testing.T) {
	var counts pipeline.Counts
	var unread pipeline.Unread
	s := New("1.2.3", []Flow{{Name: "files", Counts: &counts, Unread: &unread, Counters: func() []Counter {
		return []Counter{{"lost_bytes_total", "truncated", 7}, {"unknown_total", "", 1}}
	}}}, &Reloads{})
	for _, c := range []struct {
		err   error
		since time.Duration
		code  int
		says  string
	}{
		{nil, 0, http.StatusOK, "ready"},
		{errors.New("the disk is full"), readyFor / 2, http.StatusOK, "ready"},
		{errors.New("the disk is full"), 2 * readyFor, http.StatusServiceUnavailable, "files: the sink has refused batches for 20s: the disk is full"},
		{nil, 0, http.StatusOK, "ready"},
	} {
		counts.Refuse(nil, time.Now())
		counts.Refuse(c.err, time.Now().Add(-c.since))
		if code, body := page(t, s, "/readyz"); code != c.code || !strings.HasPrefix(body, c.says) {
			t.Errorf("%v since %s: %d %s", c.err, c.since, code, body)
		}
		if c.err == nil {
			continue
		}
		if _, body := page(t, s, "/status"); !strings.Contains(body, `"last_error": "the disk is full"`) {
			t.Errorf("status: %s", body)
		}
	}
	code, body := page(t, s, "/metrics")
	if code != http.StatusOK || !strings.Contains(body, `bounceline_lost_bytes_total{flow="files",reason="truncated"} 7`) {
		t.Errorf("%d %s", code, body)
	}
}
