package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"bounceline/pipeline/checkpoint"
	"bounceline/sinks/clickhouse/local"
)

// wholeContents is a sum over all rows but for when they were stored: equal sums are equal rows.
const wholeContents = "SELECT sum(cityHash64(toString(tuple(* EXCEPT ingest_time)))) FROM delivery_events" // a hash of NULL is NULL

// TestVerifyAndRepair damages what is stored, for real; verify says it, and repair with the file brings back the very rows.
func TestVerifyAndRepair(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	log := write(t, filepath.Join(t.TempDir(), "mail.log"), demoLog(t, "postfix.log.zst"))
	bounceline(t, "import", "--state-dir", s.dir, "--batch-rows", "300", log)
	rows, sum := s.rows(t), s.number(t, wholeContents)
	if out := bounceline(t, "verify", "--state-dir", s.dir); !strings.Contains(out, fmt.Sprintf("all is well: %d rows", rows)) {
		t.Fatalf("verify says %q", out)
	}
	if err := s.db.Lose(t.Context(), checkpoint.Loss{Stream: "file-other-0", From: 5, To: 12, Reason: "the file was deleted"}); err != nil {
		t.Fatal(err)
	}
	if out := bounceline(t, "verify", "--state-dir", s.dir); !strings.Contains(out, "all is well") || !strings.Contains(out, "7 positions were lost before they could be read: the file was deleted") {
		t.Fatalf("verify says of a loss %q", out)
	}
	for _, harm := range []struct{ sql, problem string }{
		{"ALTER TABLE ingest_batches DELETE WHERE from_pos = (SELECT max(from_pos) FROM ingest_batches) SETTINGS mutations_sync = 2", "unledgered"},
		{"ALTER TABLE delivery_events DELETE WHERE pos % 7 = 0 SETTINGS mutations_sync = 2", "missing"},
		{"INSERT INTO delivery_events SELECT * FROM delivery_events WHERE pos % 5 = 0", "duplicate"},
		{"INSERT INTO ingest_batches SELECT * REPLACE (from_pos + 10 AS from_pos) FROM ingest_batches WHERE to_pos = (SELECT min(to_pos) FROM ingest_batches)", "overlap"},
	} {
		s.exec(t, harm.sql)
		if harm.problem == "unledgered" { // it is older than an insert may take
			s.exec(t, "ALTER TABLE delivery_events UPDATE ingest_time = ingest_time - INTERVAL 1 HOUR WHERE 1 SETTINGS mutations_sync = 2")
		}
		out, err := command("verify", "--state-dir", s.dir, "--output", "ndjson").Output()
		first, _, _ := strings.Cut(string(out), "\n")
		var finding struct{ Problem, What string }
		if jsonErr := json.Unmarshal([]byte(first), &finding); err == nil || jsonErr != nil || !strings.Contains(string(out), `"problem":"`+harm.problem+`"`) {
			t.Errorf("%s: verify ends with %v and says %s", harm.problem, err, out)
		}
		bounceline(t, "verify", "--state-dir", s.dir, "--repair", log)
		if n := s.rows(t); n != rows || s.number(t, wholeContents) != sum {
			t.Errorf("%s: after the repair there are %d rows of %d, or others", harm.problem, n, rows)
		}
	}
}

// TestMonthsThatAreNoLongerKept drops the oldest month of the rows: that is no loss, and the files with the lines, whole or in
// part, bring nothing back.
func TestMonthsThatAreNoLongerKept(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var text strings.Builder
	const each = 20
	for n := range 2 * each {
		line := delivery(n)
		if n < each {
			line = "2025-01" + line[len("2025-01"):]
		}
		text.WriteString(line)
	}
	dir := t.TempDir()
	whole := write(t, filepath.Join(dir, "mail.log"), []byte(text.String()))
	part := write(t, filepath.Join(dir, "mail.log.1"), []byte(text.String()[:5*len(delivery(0))]))
	bounceline(t, "import", "--state-dir", s.dir, whole)
	s.exec(t, "ALTER TABLE delivery_events DROP PARTITION 202501")
	for range 2 {
		if out := bounceline(t, "verify", "--state-dir", s.dir); !strings.Contains(out, "1 range has rows from before 2026-") || !strings.Contains(out, "all is well") {
			t.Errorf("verify says %s", out)
		}
		for output, want := range map[string]string{
			"ndjson": `{"problem":"not_kept","stream":"","from":0,"to":0,"table":"delivery_events","hour":"2026-11-01T00:00:00Z","count":1,`,
			"csv":    "problem,stream,from,to,table,hour,count,what\nnot_kept,,0,0,delivery_events,2026-11-01T00:00:00Z,1,",
		} {
			if out := bounceline(t, "verify", "--state-dir", s.dir, "--output", output); !strings.HasPrefix(out, want) || strings.Count(out, "not_kept") != 1 {
				t.Errorf("verify says, as %s: %s", output, out)
			}
		}
		for _, file := range []string{whole, part} {
			if out := bounceline(t, "import", "--state-dir", s.dir, file); !strings.Contains(out, "already stored") {
				t.Errorf("%s: %s", file, out)
			}
		}
		if n := s.number(t, "SELECT count() FROM delivery_events"); n != each {
			t.Errorf("%d rows of %d", n, each)
		}
	}
	s.exec(t, "TRUNCATE TABLE delivery_events")
	if out := bounceline(t, "import", "--state-dir", s.dir, part); !strings.Contains(out, "already stored") {
		t.Errorf("without any rows: %s", out)
	}
}

// TestImportAgain: the rows of the file, and of no other, are replaced.
func TestImportAgain(t *testing.T) {
	t.Parallel()
	s, log, _ := storeOfTwo(t)
	rows, sum := s.rows(t), s.number(t, wholeContents)
	stored := s.number(t, "SELECT toUInt64(max(ingest_time)) FROM delivery_events WHERE mta = 'exim'")
	s.exec(t, "ALTER TABLE delivery_events UPDATE action = 'other' WHERE mta = 'postfix' SETTINGS mutations_sync = 2")
	for range 2 {
		bounceline(t, "import", "--state-dir", s.dir, "--again", log)
		if n := s.rows(t); n != rows || s.number(t, wholeContents) != sum {
			t.Errorf("after import --again there are %d rows of %d, or others", n, rows)
		}
	}
	if s.number(t, "SELECT toUInt64(max(ingest_time)) FROM delivery_events WHERE mta = 'exim'") != stored {
		t.Error("another file's rows were replaced too")
	}
	bounceline(t, "verify", "--state-dir", s.dir)
	half := write(t, filepath.Join(t.TempDir(), "half.log"), demoLog(t, "postfix.log.zst")[:50_000])
	if out, err := command("import", "--state-dir", s.dir, "--again", half).CombinedOutput(); err == nil || !strings.Contains(string(out), "shorter copy") {
		t.Errorf("a shorter copy: %v, %s", err, out)
	}
}

// TestFullDisk: where the disk has too little room an import ends at once with a sentence that says so, and later goes on from
// what it had stored.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	log := write(t, filepath.Join(t.TempDir(), "mail.log"), demoLog(t, "postfix.log.zst"))
	cmd := command("import", "--state-dir", s.dir, log)
	cmd.Env = append(cmd.Env, local.MinFreeVariable+"=1000000000") // no disk has so much
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the disk is nearly full") || !strings.Contains(string(out), "free some space") {
		t.Fatalf("%v: %s", err, out)
	}
	if n := s.rows(t); n != 0 {
		t.Errorf("%d rows were stored all the same", n)
	}
	bounceline(t, "import", "--state-dir", s.dir, log)
	if s.rows(t) == 0 {
		t.Error("nothing was stored when there was room")
	}
	bounceline(t, "verify", "--state-dir", s.dir)
}

// TestTwoLogs imports what syslog writes into two files: import and verify say so, and nothing of a log of other mail.
func TestTwoLogs(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var mail, common, other strings.Builder
	const events = 30
	for n := range events {
		mail.WriteString(delivery(n))
		common.WriteString("2026-11-22T05:13:00+00:00 mx1 CRON[7]: (root) CMD (true)\n" + delivery(n))
		other.WriteString(strings.Replace(delivery(n), " mx1 ", " mx2 ", 1)) // another host may use the same queue IDs
	}
	dir := t.TempDir()
	paths := map[string]string{}
	for name, text := range map[string]string{"mail.log": mail.String(), "syslog": common.String(), "mx2.log": other.String() + delivery(events)} {
		paths[name] = write(t, filepath.Join(dir, name), []byte(text))
	}
	want := fmt.Sprintf("%d events are in ", events)
	for _, name := range []string{"mail.log", "mx2.log"} {
		if out := bounceline(t, "import", "--state-dir", s.dir, paths[name]); strings.Contains(out, want) {
			t.Errorf("import of %s says %s", name, out)
		}
	}
	if out := bounceline(t, "verify", "--state-dir", s.dir); strings.Contains(out, "two_logs") {
		t.Errorf("verify says %s", out)
	}
	if out := bounceline(t, "import", "--state-dir", s.dir, paths["syslog"]); !strings.Contains(out, want+"mail.log, too") && !strings.Contains(out, want+"syslog, too") {
		t.Errorf("import says %s", out)
	}
	if out := bounceline(t, "import", "--state-dir", s.dir, paths["syslog"]); strings.Contains(out, want) {
		t.Errorf("a second import, which adds nothing, says %s", out)
	}
	if out := bounceline(t, "verify", "--state-dir", s.dir); strings.Count(out, "two_logs") != 1 || !strings.Contains(out, want) || !strings.Contains(out, "all is well") {
		t.Errorf("verify says %s", out)
	}
	if out := bounceline(t, "verify", "--repair", "--state-dir", s.dir, paths["mail.log"]); !strings.Contains(out, "all is well") || s.rows(t) != 3*events+1 {
		t.Errorf("after verify --repair there are %d rows: %s", s.rows(t), out)
	}
}
