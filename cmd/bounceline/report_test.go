package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// demoStore imports the demo's logs and returns their state directory.
func demoStore(t *testing.T) *store {
	t.Helper()
	s := newStore(t)
	code, _, errs := call(t, "import", "--state-dir", s.dir, "--log-zone", "UTC", "--log-host", "mx2",
		"../../testdata/demo/postfix.log.zst", "../../testdata/demo/exim.log.zst")
	if code != exitOK {
		t.Fatalf("import: exit %d, %s", code, errs)
	}
	return s
}

// answer runs a command with NDJSON output and returns its objects.
func answer(t *testing.T, s *store, args ...string) []map[string]any {
	t.Helper()
	code, out, errs := call(t, append(args, "--state-dir", s.dir, "--output", "ndjson")...)
	if code != exitOK {
		t.Fatalf("%v: exit %d, %s", args, code, errs)
	}
	var list []map[string]any
	for line := range strings.Lines(out) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%v: %v: %s", args, err, line)
		}
		list = append(list, o)
	}
	return list
}

// counted counts the demo's outcomes from the bare lines, by the places where each server writes them.
func counted(t *testing.T) (delivered, failed, deferred float64) {
	t.Helper()
	status := regexp.MustCompile(`^\S+ \S+ postfix\S*\[\d+\]: \w+: (?:to=.*?, dsn=[\d.]+|from=<[^>]*>), status=(\w+)[ ,]`)
	for line := range bytes.Lines(demoLog(t, "postfix.log.zst")) {
		if m := status.FindSubmatch(line); m != nil {
			switch string(m[1]) {
			case "sent":
				delivered++
			case "bounced", "expired":
				failed++
			case "deferred":
				deferred++
			}
		}
	}
	for line := range bytes.Lines(demoLog(t, "exim.log.zst")) {
		f := bytes.Fields(line)
		if len(f) < 5 {
			continue
		}
		switch string(f[3]) {
		case "=>", "->":
			delivered++
		case "**":
			failed++
		case "==":
			deferred++
		}
	}
	return delivered, failed, deferred
}

// TestReportAgreesWithTheLogs: the screen's totals are those of an independent count.
func TestReportAgreesWithTheLogs(t *testing.T) {
	t.Parallel()
	s := demoStore(t)
	delivered, failed, deferred := counted(t)
	left := map[string]float64{}
	var all map[string]any
	lines, telling := map[string]float64{}, map[bool]int{}
	for _, o := range answer(t, s, "report", "--zone", "UTC") {
		switch o["section"] {
		case "reasons":
			if few := o["at_provider"].(float64)*10 < o["events"].(float64); few != (o["provider"] == "") || o["example"] == "" {
				t.Errorf("a provider is named that says little of the reason, or none although one does, or there is no reply: %v", o)
			}
			telling[o["provider"] != ""]++
		case "lines":
			lines[o["name"].(string)] = o["events"].(float64)
		case "totals":
			all = o
		case "left_out":
			left[o["name"].(string)] = o["events"].(float64)
		}
	}
	if n := bytes.Count(demoLog(t, "postfix.log.zst"), []byte("\n")) + bytes.Count(demoLog(t, "exim.log.zst"), []byte("\n")); lines["read"] != float64(n) || len(lines) != 3 {
		t.Errorf("lines %v, the logs have %d", lines, n)
	}
	if telling[true] == 0 || telling[false] == 0 {
		t.Errorf("all reasons, or none, have a provider that gave many of them: %v", telling)
	}
	number := func(name string) float64 { return all[name].(float64) }
	if got := number("delivered") + left["discard"]; got != delivered || delivered == 0 {
		t.Errorf("delivered and discarded: %v, the logs have %v", got, delivered)
	}
	if got := number("bounced") + number("expired"); got != failed || failed == 0 {
		t.Errorf("bounced and expired: %v, the logs have %v", got, failed)
	}
	if got := number("deferrals") + left["suspended"]; got != deferred || deferred == 0 {
		t.Errorf("deferred and suspended: %v, the logs have %v", got, deferred)
	}
	final := number("delivered") + number("bounced") + number("expired")
	if want := 100 * (number("bounced") + number("expired")) / final; number("bounce_rate")-want > 0.006 || want-number("bounce_rate") > 0.006 {
		t.Errorf("bounce rate %v, want %v", number("bounce_rate"), want)
	}
	sum := final + number("deferrals")
	for _, n := range left {
		sum += n
	}
	if sum != number("events") || sum != float64(s.rows(t)) {
		t.Errorf("the screen accounts for %v rows, %v are said and %d stored", sum, number("events"), s.rows(t))
	}

	t.Run("groups", func(t *testing.T) { testGroups(t, s, all) })
	t.Run("rollups", func(t *testing.T) { testRollups(t, s) })
	t.Run("screen", func(t *testing.T) { testScreen(t, s) })
	t.Run("query", func(t *testing.T) { testQuery(t, s) })
}

// testGroups: the parts add up to the whole.
func testGroups(t *testing.T, s *store, all map[string]any) {
	for _, by := range []string{"provider", "sender", "host", "day", "hour", "domain"} {
		sums := map[string]float64{}
		for _, o := range answer(t, s, "report", "--zone", "UTC", "--by", by, "--limit", "0") {
			for _, c := range countColumns {
				if n, ok := o[c].(float64); ok && c != "bounce_rate" {
					sums[c] += n
				}
			}
		}
		for c, n := range sums {
			// A recipient without a domain (a local part, or an expiration whose recipients are unknown) is in no domain.
			if whole := all[c].(float64); n != whole && (by != "domain" || n > whole || n < 0.9*whole) {
				t.Errorf("by %s: %s add up to %v, not %v", by, c, n, whole)
			}
		}
	}
	failures := 0.0
	for _, o := range answer(t, s, "report", "--by", "category", "--zone", "UTC", "--limit", "0") {
		failures += o["failures"].(float64)
		if o["what to do"] == "" {
			t.Errorf("no advice for %v", o["category"])
		}
	}
	if want := all["bounced"].(float64) + all["expired"].(float64); failures != want {
		t.Errorf("by category: %v failures, not %v", failures, want)
	}
	if got := answer(t, s, "report", "--by", "domain", "--limit", "3", "--zone", "UTC"); len(got) != 3 {
		t.Errorf("--limit 3 gives %d", len(got))
	}
	if got := answer(t, s, "report", "--by", "domain", "--domain", "GMail.com", "--provider", "gmail", "--zone", "UTC"); len(got) != 1 || got[0]["domain"] != "gmail.com" {
		t.Errorf("--domain GMail.com --provider google: %v", got)
	}
	refused := 0.0
	pages := map[string]bool{}
	gaveUp := 0.0
	for _, o := range answer(t, s, "report", "--by", "refusal", "--limit", "0", "--zone", "UTC") {
		if o["refused_by"] == "Yahoo/AOL" && o["category"] == "rate_limited" {
			gaveUp += o["expired"].(float64)
		}
		refused += o["bounced"].(float64) + o["deferrals"].(float64)
		for _, page := range []string{"page", "blocklist_page"} {
			pages[fmt.Sprint(o[page])] = true
		}
		if o["reply"] == "" || o["advice"] == "" {
			t.Errorf("a refusal without a reply or advice: %v", o)
		}
	}
	if n := s.number(t, "SELECT count() FROM delivery_events WHERE event_type = 'attempt' AND internal_hop = 0 AND outcome IN ('bounced', 'deferred') AND (bounce_type = 'block' OR bounce_category = 'rate_limited')"); float64(n) != refused || n == 0 {
		t.Errorf("%v refusals, and %d rows that are one", refused, n)
	}
	if n := s.number(t, `SELECT uniqExact(queue_id, recipient) FROM (SELECT queue_id, recipient FROM delivery_events
		WHERE event_type IN ('attempt', 'expiration') AND internal_hop = 0
		GROUP BY queue_id, recipient
		HAVING countIf(outcome = 'deferred' AND provider = 'Yahoo/AOL' AND bounce_category = 'rate_limited') > 0 AND countIf(outcome = 'expired') > 0)`); float64(n) != gaveUp || n == 0 {
		t.Errorf("%v messages that Yahoo deferred were given up, want %d", gaveUp, n)
	}
	for _, page := range []string{"https://support.google.com/a/answer/81126", "https://check.spamhaus.org/"} {
		if !pages[page] {
			t.Errorf("no refusal tells of %s", page)
		}
	}
	for sort, column := range map[string]string{"rate": "bounce_rate", "volume": ""} {
		const least = 20
		last := math.Inf(1)
		list := answer(t, s, "report", "--by", "domain", "--sort", sort, "--min", fmt.Sprint(least), "--limit", "0", "--zone", "UTC")
		for _, o := range list {
			ended := o["delivered"].(float64) + o["bounced"].(float64) + o["expired"].(float64)
			value := ended
			if column != "" {
				value = o[column].(float64)
			}
			if value > last || ended < least {
				t.Errorf("--sort %s: %v is in the wrong place", sort, o)
			}
			last = value
		}
		if n := s.number(t, fmt.Sprintf(`SELECT count() FROM (SELECT recipient_domain FROM delivery_events WHERE recipient_domain != '' AND internal_hop = 0
			AND event_type IN ('attempt', 'expiration') AND outcome IN ('delivered', 'bounced', 'expired') GROUP BY recipient_domain HAVING count() >= %d)`, least)); int(n) != len(list) {
			t.Errorf("--min %d leaves %d domains, want %d", least, len(list), n)
		}
	}
	if got := answer(t, s, "report", "--by", "host", "--source", "nowhere", "--zone", "UTC"); len(got) != 0 {
		t.Errorf("--source nowhere: %v", got)
	}
}

// testRollups: what a rollup answers is what the rows themselves do.
func testRollups(t *testing.T, s *store) {
	f := reportFilter{since: "2026-11-22T05:00", until: "2026-11-22T06:00"}
	if err := f.resolve(time.UTC, time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := f.source("provider", false, time.UTC); got.name != "rollup_domain_hourly" {
		t.Errorf("by provider in whole hours is counted in %s", got.name)
	}
	// The second filter asks for the same rows and cannot be answered by a rollup.
	for _, by := range []string{"domain", "provider", "sender", "host", "category", "hour"} {
		rolled := answer(t, s, "report", "--by", by, "--zone", "UTC", "--since", "2026-11-22T05:00", "--limit", "0")
		raw := answer(t, s, "report", "--by", by, "--zone", "UTC", "--since", "2026-11-22T05:00:01", "--limit", "0")
		if fmt.Sprint(rolled) != fmt.Sprint(raw) || len(raw) == 0 {
			t.Errorf("by %s: the rollup says\n%v\nand the rows\n%v", by, rolled, raw)
		}
	}
	india := answer(t, s, "report", "--by", "hour", "--zone", "Asia/Kolkata")
	if len(india) != 2 || india[0]["hour"] != "2026-11-22T10:00+05:30" {
		t.Errorf("hours of a zone half an hour off: %v", india)
	}
}

func testScreen(t *testing.T, s *store) {
	_, out, errs := call(t, "report", "--state-dir", s.dir, "--zone", "Europe/Berlin")
	for _, want := range []string{"zone Europe/Berlin", "2026-11-22 06:16:22 to", "BOUNCE RATE ", "Providers with the most failures", "gmail.com",
		"user_unknown (hard)", "    = Stop mailing the address.", fmt.Sprintf("    . The last answers before it: %d ", s.number(t,
			"SELECT count() AS n FROM delivery_events WHERE event_type = 'expiration' AND last_category NOT IN ('', 'message_expired') GROUP BY last_category ORDER BY n DESC LIMIT 1")), "    + Barracuda: ", "      https://www.barracudacentral.org/rbl/removal-request\n", "left out of the rates", "suspended",
		" log lines were read. That no row is missing or there twice is proved by bounceline verify."} {
		if !strings.Contains(out, want) {
			t.Errorf("the screen lacks %q:\n%s%s", want, out, errs)
		}
	}
	_, refusals, _ := call(t, "report", "--state-dir", s.dir, "--zone", "UTC", "--by", "refusal", "--provider", "Google", "--limit", "1")
	holds(t, refusals, "Only provider Google.", " 1. ", " at Google: ", " bounced, ", " given up in the end), ", " recipients from mx", "    > ", "    = ", "    + Google: ", "; --limit 0 shows all.")
	_, demo, _ := strings.Cut(document(t, "README.md"), "<!-- demo -->")
	demo, _, _ = strings.Cut(demo, "<!-- /demo -->")
	if len(strings.TrimSpace(demo)) == 0 {
		t.Error("the README shows nothing of the report")
	}
	for line := range strings.Lines(demo) {
		if line = strings.TrimSpace(line); !strings.Contains(out, line) {
			t.Errorf("the README shows a line that the report has not: %s", line)
		}
	}
	for line := range strings.Lines(out) {
		if n := len([]rune(line)); n > 125 {
			t.Errorf("a line of %d characters: %s", n, line)
		}
	}
	if strings.Contains(out, "before it: .") {
		t.Errorf("answers are told that there are not: %s", out)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"None has 1,000,000 deliveries that ended (--min).\n", []string{"--by", "domain", "--min", "1000000"}},
		{"These rows have none.\n", []string{"--by", "refusal", "--category", "message_expired"}},
		{"No rows match. Only since 2027-01-01 00:00:00. What is stored is from ", []string{"--by", "host", "--since", "2027-01-01"}},
		{"Bounce rate: none. ", []string{"--category", "user_unknown"}},
		{" deliveries failed so, and there is no rate: what was delivered has another category.", []string{"--by", "domain", "--category", "user_unknown"}},
		{"Only sender domain (null sender or unknown).", []string{"--by", "sender", "--sender-domain", "(null sender or unknown)"}},
	} {
		if _, out, errs := call(t, append([]string{"report", "--state-dir", s.dir, "--zone", "UTC"}, c.args...)...); !strings.Contains(out, c.want) || strings.Contains(out, "BOUNCE RATE 100") {
			t.Errorf("%v: %s%s, not %q", c.args, out, errs, c.want)
		}
	}
	for _, by := range []string{"sender", "host"} {
		label := groupColumns[by].empty
		whole := answer(t, s, "report", "--by", by, "--limit", "0")
		at := slices.IndexFunc(whole, func(g map[string]any) bool { return g[by] == label })
		part := answer(t, s, "report", "--by", by, map[string]string{"sender": "--sender-domain", "host": "--host"}[by], label)
		if at < 0 && len(part) > 0 || at >= 0 && (len(part) != 1 || fmt.Sprint(part[0]) != fmt.Sprint(whole[at])) {
			t.Errorf("%s alone: %v of %v", label, part, whole)
		}
	}
	for _, g := range answer(t, s, "report", "--by", "provider", "--category", "user_unknown") {
		if g["bounce_rate"] != nil || g["hard"] == 0.0 {
			t.Errorf("of a category: %v", g)
		}
	}
	_, out, _ = call(t, "report", "--state-dir", s.dir, "--zone", "UTC", "--since", "2027-01-01")
	if !strings.Contains(out, "No rows match. Only since 2027-01-01 00:00:00. What is stored is from 2026-11-22 05:16:22 to 2026-11-22 05:") {
		t.Errorf("%q", out)
	}
	code, out, errs := call(t, "report", "--state-dir", s.dir, "--zone", "UTC", "--since", "2027-01-01", "--output", "html")
	if code != exitOK || out != "" || !strings.Contains(errs, "No rows match.") {
		t.Errorf("html of nothing: exit %d, %q, %q", code, out, errs)
	}
}

// TestNothingStored: whoever asks a state directory that is mistyped, or new, is told so, and it is not made.
func TestNothingStored(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	for _, c := range []string{"report", "report --by host", "report --output html", "report --output csv --by refusal", "suppress", "verify", "query top_reasons", "rules diff"} {
		code, out, errs := call(t, append(strings.Fields(c), "--state-dir", missing)...)
		if code != exitRuntime || out != "" || !strings.Contains(errs, "nothing is stored yet in "+missing+": bounceline import FILES") {
			t.Errorf("%s: exit %d, %q, %q", c, code, out, errs)
		}
	}
	if _, err := os.Stat(missing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
	s := newStore(t)
	web := write(t, filepath.Join(t.TempDir(), "access.log"), []byte(strings.Repeat("192.0.2.1 - - [22/Nov/2026:05:12:57 +0000] \"GET / HTTP/1.1\" 200 123\n", 20)))
	login := write(t, filepath.Join(t.TempDir(), "auth.log"), []byte(strings.Repeat("Nov 22 05:12:50 host sshd[123]: Failed password for root\n", 20)))
	for path, want := range map[string]string{web: "most of it could not be understood: bounceline parse --malformed " + web, login: "no line of it tells of a delivery"} {
		for _, args := range [][]string{{"import", "--state-dir", s.dir, path}, {"parse", path}} {
			if code, _, errs := call(t, args...); code != exitOK || !strings.Contains(errs, want) {
				t.Errorf("%v: exit %d, %q, not %q", args, code, errs, want)
			}
		}
	}
	if code, out, errs := call(t, "suppress", "--state-dir", s.dir); code != exitOK || out != "" || !strings.Contains(errs, "nothing is stored yet in "+s.dir) {
		t.Errorf("suppress: exit %d, %q, %q", code, out, errs)
	}
	if code, out, _ := call(t, "report", "--state-dir", s.dir); code != exitOK || !strings.Contains(out, "Nothing is stored yet in "+s.dir) {
		t.Errorf("report: exit %d, %q", code, out)
	}
}

func testQuery(t *testing.T, s *store) {
	list := answer(t, s, "query")
	if len(list) < 12 {
		t.Errorf("the library has %d queries", len(list))
	}
	n := answer(t, s, "query", "SELECT count() AS n, [1, 2] AS list, toDate('2026-11-22') AS day FROM delivery_events WHERE outcome = {o:String};", "--param", "o=expired", "--zone", "UTC")
	if len(n) != 1 || n[0]["n"].(float64) == 0 || fmt.Sprint(n[0]["list"]) != "[1 2]" || n[0]["day"] != "2026-11-22" {
		t.Errorf("%v", n)
	}
	for _, sql := range []string{"DROP TABLE delivery_events", "INSERT INTO ingest_batches (stream) VALUES ('x')", "TRUNCATE TABLE delivery_events",
		"SELECT * FROM url('http://127.0.0.1/', CSV)", "SELECT * FROM missing"} {
		if code, _, errs := call(t, "query", "--state-dir", s.dir, "--zone", "UTC", sql); code != exitRuntime || errs == "" {
			t.Errorf("%s: exit %d, %s", sql, code, errs)
		}
	}
	if _, _, errs := call(t, "query", "--state-dir", s.dir, "--zone", "UTC", "DROP TABLE delivery_events"); !strings.Contains(errs, "(query only reads, ") || strings.Contains(errs, "grant it") {
		t.Errorf("what may not be done: %s", errs)
	}
	if _, _, errs := call(t, "query", "--state-dir", s.dir, "--zone", "UTC", "SELECT count() FROM delivery_events WHERE host = {h:String}"); !strings.Contains(errs, "(give it with --param NAME=value)") {
		t.Errorf("a parameter that is missing: %s", errs)
	}
	code, out, errs := call(t, "query", "--state-dir", s.dir, "--zone", "UTC", "suppress", "--output", "csv")
	if code != exitOK || !strings.HasPrefix(out, "recipient,why,category,") || strings.Count(out, "\n") < 50 {
		t.Errorf("suppress: exit %d, %s\n%.300s", code, errs, out)
	}
	same, list1, errs := call(t, "suppress", "--state-dir", s.dir, "--zone", "UTC", "--output", "csv")
	if same != exitOK || list1 != out {
		t.Errorf("the command suppress: exit %d, %s; it gives another list than the query", same, errs)
	}
	if code, _, errs := call(t, "suppress", "--state-dir", s.dir); code != exitOK || !strings.Contains(errs, "not the addresses' fault: ") || !strings.Contains(errs, "look up and delist here: https://") {
		t.Errorf("suppress: exit %d, it does not tell of the blocklists: %s", code, errs)
	}
	if code, few, errs := call(t, "suppress", "--state-dir", s.dir, "--limit", "3", "--output", "ndjson"); code != exitOK || strings.Count(few, "\n") != 3 || !strings.Contains(errs, "stops at 3 addresses") {
		t.Errorf("suppress --limit: exit %d, %s", code, errs)
	}
	if _, _, errs := call(t, "suppress", "--state-dir", s.dir, "--limit", "1"); !strings.Contains(errs, "1 address to stop mailing\nthe list stops at 1 address; raise --limit") {
		t.Errorf("suppress --limit 1: %s", errs)
	}
	if code, _, errs := call(t, "suppress", "--state-dir", s.dir, "--confidence", "txt"); code != exitUsage || !strings.Contains(errs, "did you mean text?") {
		t.Errorf("suppress --confidence txt: exit %d, %s", code, errs)
	}
	if code, out, _ := call(t, "query", "top_reasons", "--show"); code != exitOK || !strings.Contains(out, "FROM delivery_events") || strings.Contains(out, "{{") {
		t.Errorf("--show: exit %d, %s", code, out)
	}
}

func TestZone(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "localtime")
	if err := os.Symlink("/usr/share/zoneinfo/Asia/Tokyo", link); err != nil {
		t.Fatal(err)
	}
	name := write(t, filepath.Join(dir, "timezone"), []byte("Europe/Paris\n"))
	plain := write(t, filepath.Join(dir, "copy"), []byte("TZif"))
	for _, tt := range []struct{ link, file, want string }{
		{link, name, "Asia/Tokyo"}, {plain, name, "Europe/Paris"}, {filepath.Join(dir, "none"), filepath.Join(dir, "none"), "UTC"}, {plain, plain, ""},
	} {
		zone, err := systemZone(tt.link, tt.file)
		if tt.want == "" && err == nil || tt.want != "" && (err != nil || zone.String() != tt.want) {
			t.Errorf("%s, %s: %v, %v; want %q", tt.link, tt.file, zone, err, tt.want)
		}
	}
	for tz, want := range map[string]string{"": "UTC", "Europe/Berlin": "Europe/Berlin", ":Asia/Tokyo": "Asia/Tokyo",
		"/usr/share/zoneinfo/Asia/Tokyo": "Asia/Tokyo", "CET-1CEST,M3.5.0,M10.5.0": "error", ":" + link: "Asia/Tokyo"} {
		t.Setenv("TZ", tz)
		zone, err := (&zoneFlag{}).location()
		if want == "error" && err == nil || want != "error" && (err != nil || zone.String() != want) {
			t.Errorf("TZ=%s: %v, %v; want %s", tz, zone, err, want)
		}
		if zone, err := (&zoneFlag{name: "America/New_York"}).location(); err != nil || zone.String() != "America/New_York" {
			t.Errorf("--zone does not win over TZ: %v, %v", zone, err)
		}
	}
	for name, want := range map[string]bool{"UTC": true, "Europe/Berlin": true, "America/New_York": true, "Asia/Kolkata": false, "Australia/Lord_Howe": false, "Asia/Pyongyang": false} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := wholeHours(zone); got != want {
			t.Errorf("%s is whole hours from UTC: %v", name, got)
		}
	}
}

func TestBars(t *testing.T) {
	for _, c := range []struct {
		hard, soft, block, most uint64
		want                    string
	}{
		{0, 0, 0, 1, ""},
		{24, 0, 0, 24, "████████████████████████"},
		{12, 6, 6, 24, "████████████▓▓▓▓▓▓░░░░░░"},
		{1, 1, 1, 72, "▓"},
		{1, 0, 0, 1000, ""},
	} {
		if got := bars(&counts{hard: c.hard, soft: c.soft, block: c.block}, c.most, shades(&screen{})); got != c.want {
			t.Errorf("%+v: %q, not %q", c, got, c.want)
		}
	}
}
