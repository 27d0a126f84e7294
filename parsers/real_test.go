package parsers

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bounceline/pipeline/record"
)

// want is what the far side and the log's writer knew about a line.
type want struct {
	Line     int    `json:"line"`
	QueueID  string `json:"queue_id"`
	Receiver string `json:"recipient"`
	Status   string `json:"status"`
	Code     uint16 `json:"smtp_code"`
	Enhanced string `json:"enhanced_code"`
}

// Lines that real MTAs wrote agree with what the server answered that they spoke to; no other line is an event.
func TestRealLogs(t *testing.T) {
	logs, err := filepath.Glob("testdata/*.log.gz")
	if err != nil || len(logs) == 0 {
		t.Fatal(err, "no logs")
	}
	for _, path := range logs {
		t.Run(filepath.Base(path), func(t *testing.T) {
			wanted := map[int]want{}
			decoder := json.NewDecoder(bytes.NewReader(unzip(t, path[:len(path)-len(".log.gz")]+".want.gz")))
			for decoder.More() {
				var w want
				if err := decoder.Decode(&w); err != nil {
					t.Fatal(err)
				}
				wanted[w.Line] = w
			}
			s := newStream(t, Options{})
			s.SetReference(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
			var res record.Result
			lines := bufio.NewScanner(bytes.NewReader(unzip(t, path)))
			for n := 1; lines.Scan(); n++ {
				s.Parse(lines.Bytes(), &res)
				sound(t, lines.Bytes(), &res)
				w, ok := wanted[n]
				if event := res.Class == record.Event && res.Kind != "expired"; event != ok {
					t.Errorf("line %d is %s %s: %s", n, res.Class, res.Kind, lines.Bytes())
					continue
				}
				if !ok {
					continue
				}
				r := &res.Rows.All()[0]
				if string(r.QueueID) != w.QueueID || string(r.Recipient) != w.Receiver || string(r.Status) != w.Status ||
					w.Code != 0 && r.SMTPCode != w.Code || w.Enhanced != "" && string(r.EnhancedCode) != w.Enhanced {
					t.Errorf("line %d: got %s %s %s %d %s, want %+v: %s", n, r.QueueID, r.Recipient, r.Status, r.SMTPCode, r.EnhancedCode, w, lines.Bytes())
				}
			}
			if err := lines.Err(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func unzip(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
