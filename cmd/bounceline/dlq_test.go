package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestPoison: of lines that the database refuses, and of lines that it could not hold, each and no other is a dead letter;
// replay stores those whose cause is gone.
func TestPoison(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	const refused, outOfTime = 11, 3
	var text bytes.Buffer
	for n := range 1000 {
		line := delivery(n)
		switch {
		case n%97 == 5: // 11 of them
			line = strings.ReplaceAll(line, "user", "refused")
			line = strings.Replace(line, "status=sent (250 2.0.0 Ok: queued as 6D01F22A)", "status=bounced (550 5.7.1 xyzzy)", 1)
		case n%400 == 7: // 3 of them
			line = strings.Replace(line, "2026-", "2526-", 1)
		}
		text.WriteString(line)
	}
	log := write(t, filepath.Join(t.TempDir(), "mail.log"), text.Bytes())
	s.exec(t, "ALTER TABLE delivery_events ADD CONSTRAINT good CHECK NOT startsWith(recipient, 'refused')")
	cmd := command("import", "--state-dir", s.dir, "--batch-rows", "400", "-") // what cannot be read again
	cmd.Stdin = &text
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
	if n := s.rows(t); n != 1000-refused-outOfTime {
		t.Errorf("%d rows are stored", n)
	}
	list := bounceline(t, "dlq", "list", "--state-dir", s.dir, "--output", "csv")
	if n := strings.Count(list, "not between 1970 and 2106"); n != outOfTime {
		t.Errorf("%d letters say that their time is wrong", n)
	}
	if n := strings.Count(strings.TrimSpace(list), "\n"); n < refused+outOfTime {
		t.Errorf("%d letters in %s", n, list)
	}
	bounceline(t, "verify", "--state-dir", s.dir)
	if out := bounceline(t, "import", "--state-dir", s.dir, log); !strings.Contains(out, "already stored: 1000 lines") {
		t.Errorf("imported again: %s", out)
	}
	if out := bounceline(t, "report", "--state-dir", s.dir); !strings.Contains(out, fmt.Sprintf("rows of %d could not be stored: bounceline dlq list", refused+outOfTime)) {
		t.Errorf("the report does not tell of the dead letters: %s", out)
	}
	rules := write(t, filepath.Join(t.TempDir(), "mine.yaml"), []byte("- {id: house, category: spam_content, any: [xyzzy], match: [550 5.7.1 xyzzy]}\n"))
	replay := func() string {
		out, _ := command("dlq", "replay", "--state-dir", s.dir, "--rules", rules, "--all").CombinedOutput()
		return string(out)
	}
	if out := replay(); !strings.Contains(out, "0 of 14 dead letters stored") {
		t.Errorf("replay while the cause is there: %s", out)
	}
	s.exec(t, "ALTER TABLE delivery_events DROP CONSTRAINT good")
	if out := replay(); !strings.Contains(out, fmt.Sprintf("%d of 14 dead letters stored", refused)) {
		t.Errorf("replay: %s", out)
	}
	if n := s.rows(t); n != 1000-outOfTime {
		t.Errorf("%d rows are stored after the replay", n)
	}
	if n := s.number(t, "SELECT count() FROM delivery_events WHERE startsWith(recipient, 'refused') AND queue_id != '' AND rule = 'house'"); n != refused {
		t.Errorf("%d of the refused are stored", n)
	}
	bounceline(t, "verify", "--state-dir", s.dir)
	if out := replay(); !strings.Contains(out, "0 of 3 dead letters stored") {
		t.Errorf("replay of what is left: %s", out)
	}
}

// TestViewAtFault: rows that a view refuses are no dead letters. Storing stops with a sentence, and goes on when the view is
// mended.
func TestViewAtFault(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	log := write(t, filepath.Join(t.TempDir(), "mail.log"), demoLog(t, "postfix.log.zst"))
	s.exec(t, "CREATE TABLE theirs (a UInt8) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100")
	s.exec(t, "CREATE MATERIALIZED VIEW theirs_mv TO theirs AS SELECT throwIf(1, 'mend me') AS a FROM delivery_events")
	out, err := command("import", "--state-dir", s.dir, log).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "mend or drop the view") {
		t.Errorf("%v: %s", err, out)
	}
	if out := bounceline(t, "dlq", "list", "--state-dir", s.dir); !strings.Contains(out, "there are no dead letters") {
		t.Errorf("dead letters: %s", out)
	}
	s.exec(t, "DROP VIEW theirs_mv")
	bounceline(t, "import", "--state-dir", s.dir, log)
	s.rows(t)
	bounceline(t, "verify", "--state-dir", s.dir)
}
