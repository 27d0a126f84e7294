package queries

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"bounceline/pipeline/batch"
	"bounceline/pipeline/record"
	"bounceline/sinks/clickhouse"
	"bounceline/sinks/clickhouse/local/localtest"
)

func TestMain(m *testing.M) { localtest.Main(m) }

var start = time.Date(2026, 11, 22, 22, 30, 0, 0, time.UTC)

// An event is a row of the test, in short.
type event struct {
	minute    int
	queueID   string
	recipient string
	kind      record.EventType
	outcome   record.Outcome
	class     record.Class
	reply     string
	hop       bool
	next      string
}

var (
	unknown  = record.Class{BounceType: "hard", Category: "user_unknown", Action: "suppress_address", Confidence: "text", Provider: "acme"}
	bareCode = record.Class{BounceType: "hard", Category: "user_unknown", Action: "suppress_address", Confidence: "code"}
	blocked  = record.Class{BounceType: "block", Category: "ip_blocklisted", Action: "request_delisting", Confidence: "text", ListName: "zen.spamhaus.org"}
	busy     = record.Class{BounceType: "soft", Category: "greylisted", Action: "retry", Confidence: "text"}
	expired  = record.Class{BounceType: "soft", Category: "message_expired", Action: "retry_later", Confidence: "text"}
	fine     = record.Class{BounceType: "delivered", Category: "delivered", Action: "none", Confidence: "code"}
	unclear  = record.Class{BounceType: "hard", Category: "other", Action: "review", Confidence: "code"}
)

var events = []event{
	{0, "A1", "ann@a.example", record.Attempt, record.Bounced, unknown, "550 5.1.1 no such user", false, ""},
	{1, "A2", "bob@a.example", record.Attempt, record.Bounced, unknown, "550 5.1.1 no such user", false, ""},
	{2, "A3", "bob@a.example", record.Attempt, record.Delivered, fine, "250 ok", false, ""}, // he is back
	{3, "A4", "cat@a.example", record.Attempt, record.Bounced, bareCode, "550 no", false, ""},
	{4, "A5", "dan@b.example", record.Attempt, record.Deferred, busy, "451 later", false, ""},
	{5, "A5", "dan@b.example", record.Attempt, record.Delivered, fine, "250 ok", false, ""},
	{6, "A6", "eve@b.example", record.Attempt, record.Deferred, busy, "451 later", false, ""},
	{7, "A7", "fay@b.example", record.Attempt, record.Bounced, blocked, "554 blocked using zen.spamhaus.org", false, ""},
	{95, "A8", "gus@b.example", record.Expiration, record.Expired, expired, "", false, ""}, // the next day
	{8, "A9", "hal@b.example", record.Attempt, record.Delivered, fine, "250 queued as B9", true, "B9"},
	{9, "B9", "hal@b.example", record.Attempt, record.Delivered, fine, "250 ok", false, ""},
	{10, "C1", "x@b.example", record.Probe, record.OtherOutcome, unknown, "550 5.1.1 no such user", false, ""},
	{11, "C2", "y@b.example", record.Attempt, record.Bounced, unclear, "550 qq 12345 <y@b.example>", false, ""},
	{12, "C3", "z@b.example", record.Attempt, record.Bounced, unclear, "550 qq 99 <z@b.example>", false, ""},
}

func stored(t *testing.T, events []event) *clickhouse.DB {
	t.Helper()
	d, err := clickhouse.Open(t.Context(), clickhouse.Config{DSN: localtest.Engine(t).DSN()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if err := d.Migrate(t.Context(), false, nil); err != nil {
		t.Fatal(err)
	}
	b := batch.New()
	rg := b.Range("file-x-0", 0)
	var rows record.Rows
	for i, e := range events {
		rows.Reset()
		r := rows.Add()
		r.EventTime = start.Add(time.Duration(e.minute) * time.Minute).UnixMilli()
		r.Stream, r.Pos, r.Source, r.Host = []byte("file-x-0"), uint64(i*10), []byte("mail.log"), []byte("mx1")
		r.MTA, r.EventType, r.Outcome, r.InternalHop = "postfix", e.kind, e.outcome, e.hop
		r.QueueID, r.NextQueueID, r.Recipient = []byte(e.queueID), []byte(e.next), []byte(e.recipient)
		r.Sender, r.SenderKnown = []byte("news@s.example"), true
		r.RemoteText, r.ResponseText, r.Class = []byte(e.reply), []byte(e.reply), e.class
		b.Add(r)
	}
	rg.To, rg.Lines, rg.EventLines, rg.Rows = int64(len(events)*10), uint64(len(events)), uint64(len(events)), uint64(len(events))
	rg.Marker, rg.Source = "0011223344556677", "mail.log"
	b.Seal(start)
	if err := d.Write(t.Context(), b, b.ID); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteLedger(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return d
}

// ask runs a query of the library and returns each row's values, printed and joined by a bar.
func ask(t *testing.T, d *clickhouse.DB, name string, params map[string]string, zone *time.Location) []string {
	t.Helper()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range all {
		if q.Name != name {
			continue
		}
		bound, err := q.Bind(params, zone, start.Add(24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := d.Query(t.Context(), q.SQL, bound)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, q.SQL)
		}
		defer rows.Close()
		var out []string
		for rows.Next() {
			var cells []any
			for _, c := range rows.ColumnTypes() {
				cells = append(cells, reflect.New(c.ScanType()).Interface())
			}
			if err := rows.Scan(cells...); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var texts []string
			for _, c := range cells {
				v := reflect.ValueOf(c).Elem()
				for v.Kind() == reflect.Pointer && !v.IsNil() {
					v = v.Elem()
				}
				if at, ok := v.Interface().(time.Time); ok {
					texts = append(texts, at.Format("02 15:04"))
					continue
				}
				texts = append(texts, fmt.Sprint(v.Interface()))
			}
			out = append(out, strings.Join(texts, "|"))
		}
		if err := rows.Err(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, q.SQL)
		}
		return out
	}
	t.Fatalf("there is no query %s", name)
	return nil
}

// TestLibrary asks every query of a store whose answers were worked out by hand from events.
func TestLibrary(t *testing.T) {
	d := stored(t, events)
	tests := []struct {
		name   string
		params map[string]string
		zone   string
		want   []string
	}{
		// domain, provider, delivered, bounced, expired, deferrals, rate, hard, soft, block
		{"bounce_rate_by_domain", nil, "UTC", []string{"b.example||2|3|1|2|66.67|2|1|1", "a.example||1|3|0|0|75|3|0|0"}},
		{"bounce_rate_by_domain", map[string]string{"min": "5"}, "UTC", []string{"b.example||2|3|1|2|66.67|2|1|1"}},
		{"bounce_rate_by_domain", map[string]string{"since": "2026-11-22T22:32", "until": "2026-11-22T22:34"}, "UTC", []string{"a.example||1|1|0|0|50|1|0|0"}},
		{"bounce_rate_by_provider", nil, "UTC", []string{"(no known provider)|2|3|4|1|2|62.5|3|1|1", "acme|1|0|2|0|0|100|2|0|0"}},
		{"bounce_rate_by_sender", nil, "UTC", []string{"s.example|3|6|1|2|70|5|1|1"}},
		{"bounce_rate_by_host", nil, "UTC", []string{"mx1|3|6|1|2|70|5|1|1"}},
		{"bounce_rate_by_day", nil, "UTC", []string{"22 00:00|3|6|0|2|66.67|5|0|1", "23 00:00|0|0|1|0|100|0|1|0"}},
		{"bounce_rate_by_day", nil, "Asia/Kolkata", []string{"23 00:00|3|6|1|2|70|5|1|1"}},
		{"top_reasons", nil, "UTC", []string{
			"user_unknown|hard|3|42.86|3|acme|22 22:33|550 no",
			"other|hard|2|28.57|2||22 22:42|550 qq 99 <z@b.example>",
			"ip_blocklisted|block|1|14.29|1||22 22:37|554 blocked using zen.spamhaus.org",
			"message_expired|soft|1|14.29|1||23 00:05|",
		}},
		{"blocked_by", nil, "UTC", []string{"|zen.spamhaus.org|mx1|ip_blocklisted|1|0|22 22:37|22 22:37|554 blocked using zen.spamhaus.org"}},
		// Bob was delivered since, of cat there is only a bare code, the probe is no mail.
		{"suppress", nil, "UTC", []string{"ann@a.example|hard|user_unknown|suppress_address|1|1|22 22:30|22 22:30|text||acme|0|550 5.1.1 no such user|"}},
		{"suppress", map[string]string{"min": "2"}, "UTC", nil},
		{"suppress", map[string]string{"confidence": "code"}, "UTC", []string{"cat@a.example|hard|user_unknown|suppress_address|1|1|22 22:33|22 22:33|code|||0|550 no|"}},
		{"deferrals", nil, "UTC", []string{"b.example||greylisted|1|1|<nil>|22 22:36|451 later"}},
		{"unclassified_replies", nil, "UTC", []string{"0||# qq # <address>|2|1|22 22:42|550 qq 99 <z@b.example>"}},
		{"new_replies", map[string]string{"since": "2026-11-22T22:37"}, "UTC", []string{
			"22 22:41||# qq # <address>|2|other|550 qq 99 <z@b.example>",
			"22 22:37||# blocked using zen.spamhaus.org|1|ip_blocklisted|554 blocked using zen.spamhaus.org",
		}},
		// Dan got it, Eve still waits; how long it took was not logged.
		{"retries", nil, "UTC", []string{"(no known provider)|2|1|0|1|50|1|NaN"}},
		{"ingested", nil, "UTC", []string{"mail.log|1|14|14|0|0|0|14|22 22:30"}},
	}
	asked := map[string]bool{"recipient_history": true, "message_trace": true}
	for _, tt := range tests {
		asked[tt.name] = true
		zone, err := time.LoadLocation(tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		got := ask(t, d, tt.name, tt.params, zone)
		if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
			t.Errorf("%s %v %s:\n%s\nwant\n%s", tt.name, tt.params, tt.zone, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
	}
	if got := ask(t, d, "recipient_history", map[string]string{"recipient": "bob@a.example"}, time.UTC); len(got) != 2 || !strings.HasPrefix(got[0], "22 22:32|mx1|A3|") {
		t.Errorf("history: %q", got)
	}
	if got := ask(t, d, "recipient_history", map[string]string{"recipient": "Bob@A.example"}, time.UTC); len(got) != 2 {
		t.Errorf("capitals: %q", got)
	}
	if got := ask(t, d, "recipient_history", map[string]string{"recipient": `a'b\ OR 1=1`}, time.UTC); len(got) != 0 {
		t.Errorf("a value became SQL: %q", got)
	}
	for _, id := range []string{"A9", "B9"} { // both hops, from either end
		if got := ask(t, d, "message_trace", map[string]string{"queue_id": id}, time.UTC); len(got) != 2 || !strings.Contains(got[1], "|B9|") {
			t.Errorf("trace of %s: %q", id, got)
		}
	}
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range all {
		if !asked[q.Name] {
			t.Errorf("query %s is not tested", q.Name)
		}
	}
}

func TestBind(t *testing.T) {
	q := Query{Name: "q", Params: []Param{{Name: "n", Type: "UInt64", Default: "5"}, {Name: "s", Type: "String", Required: true, Meaning: "what"},
		{Name: "t", Type: "DateTime64(3, 'UTC')", Default: "2026-01-01"}, {Name: "z", Type: "Zone"}}}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	got, err := q.Bind(map[string]string{"s": "a\tb\\"}, berlin, start)
	want := map[string]string{"n": "5", "s": `a\tb\\`, "t": "2025-12-31 23:00:00.000", "z": "Europe/Berlin"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for _, tt := range []struct {
		values map[string]string
		want   string
	}{
		{nil, "--param s=...: what"},
		{map[string]string{"s": "", "n": "-1"}, "whole number"},
		{map[string]string{"s": "", "t": "soon"}, "no time"},
		{map[string]string{"s": "", "z": "Mars/Base"}, "no time zone"},
		{map[string]string{"s": "", "x": ""}, "it has n, s, t, z"},
	} {
		if _, err := q.Bind(tt.values, berlin, start); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v, want %q", tt.values, err, tt.want)
		}
	}
}

func TestTime(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]string{
		"now": "2026-11-22 12:00:00.000", "24h": "2026-11-21 12:00:00.000", "7d": "2026-11-15 12:00:00.000", "2w": "2026-11-08 12:00:00.000",
		"2026-07-01": "2026-06-30 22:00:00.000", "2026-07-01 10:30": "2026-07-01 08:30:00.000", "2026-12-01T10:30:05": "2026-12-01 09:30:05.000",
		"2026-07-01T10:30:00+05:30": "2026-07-01 05:00:00.000",
	} {
		got, err := Time(in, berlin, now)
		if err != nil || FormatTime(got) != want {
			t.Errorf("%s: %s, %v; want %s", in, FormatTime(got), err, want)
		}
	}
	for _, in := range []string{"", "d", "7", "7y", "-7d", "99999999w", "2026-13-01", "1800-01-01", "2300-01-01"} {
		if got, err := Time(in, berlin, now); err == nil {
			t.Errorf("%q: %v, want an error", in, got)
		}
	}
}

// TestSuppression: hard bounces at once, soft ones when they went on, full mailboxes when they stayed full, and nothing from before
// a delivery.
func TestSuppression(t *testing.T) {
	soft := record.Class{BounceType: "soft", Category: "user_unknown", Action: "suppress_address", Confidence: "text"}
	full := record.Class{BounceType: "soft", Category: "mailbox_full", Action: "retry", Confidence: "dsn"}
	lost := record.Class{BounceType: "hard", Category: "domain_not_found", Action: "suppress_domain", Confidence: "dsn"}
	weak := record.Class{BounceType: "hard", Category: "user_unknown", Action: "suppress_address", Confidence: "code"}
	const day = 24 * 60
	d := stored(t, []event{
		{0, "A1", "soft@a.example", record.Attempt, record.Deferred, soft, "450 4.1.1 unknown", false, ""},
		{2 * day, "A2", "soft@a.example", record.Attempt, record.Deferred, soft, "450 4.1.1 unknown", false, ""},
		{3 * day, "A3", "soft@a.example", record.Attempt, record.Deferred, soft, "450 4.1.1 still unknown", false, ""},
		{0, "B1", "short@a.example", record.Attempt, record.Deferred, soft, "450 4.1.1 unknown", false, ""},
		{1, "B1", "short@a.example", record.Attempt, record.Deferred, soft, "450 4.1.1 unknown", false, ""},
		{2 * day, "B1", "short@a.example", record.Attempt, record.Deferred, soft, "450 4.1.1 unknown", false, ""},
		{0, "C1", "back@a.example", record.Attempt, record.Deferred, soft, "450 4.1.1 unknown", false, ""},
		{2 * day, "C2", "back@a.example", record.Attempt, record.Deferred, soft, "450 4.1.1 unknown", false, ""},
		{3 * day, "C3", "back@a.example", record.Attempt, record.Delivered, fine, "250 ok", false, ""},
		{9 * day, "C4", "back@a.example", record.Attempt, record.Deferred, soft, "450 4.1.1 unknown", false, ""},
		{0, "D1", "full@a.example", record.Attempt, record.Deferred, full, "452 4.2.2 full", false, ""},
		{7 * day, "D2", "full@a.example", record.Attempt, record.Bounced, full, "552 5.2.2 full", false, ""},
		{14 * day, "D3", "full@a.example", record.Attempt, record.Deferred, full, "452 4.2.2 full", false, ""},
		{0, "E1", "fuller@a.example", record.Attempt, record.Deferred, full, "452 4.2.2 full", false, ""},
		{4 * day, "E2", "fuller@a.example", record.Attempt, record.Deferred, full, "452 4.2.2 full", false, ""},
		{5 * day, "E3", "fuller@a.example", record.Attempt, record.Deferred, full, "452 4.2.2 full", false, ""},
		{0, "F1", "gone@lost.example", record.Attempt, record.Bounced, lost, "", false, ""},
		{0, "G1", "weak@a.example", record.Attempt, record.Bounced, weak, "550 no", false, ""},
		{0, "H1", "blocked@a.example", record.Attempt, record.Bounced, blocked, "554 blocked", false, ""},
		{0, "I1", "unclear@a.example", record.Attempt, record.Bounced, unclear, "550 qq", false, ""},
		{0, "J1", "Capital@A.example", record.Attempt, record.Bounced, lost, "", false, ""}, // one address, however it is written
		{1, "J2", "capital@a.example", record.Attempt, record.Delivered, fine, "250 ok", false, ""},
		{0, "K1", "Soft@b.example", record.Attempt, record.Deferred, soft, "450 4.1.1 unknown", false, ""},
		{2 * day, "K2", "soft@B.example", record.Attempt, record.Deferred, soft, "450 4.1.1 unknown", false, ""},
		{3 * day, "K3", "SOFT@b.example", record.Attempt, record.Deferred, soft, "450 4.1.1 unknown", false, ""},
	})
	brief := func(params map[string]string) string {
		var out []string
		for _, row := range ask(t, d, "suppress", params, time.UTC) {
			f := strings.Split(row, "|")
			out = append(out, strings.Join([]string{f[0], f[1], f[2], f[3], f[4], f[5]}, " "))
		}
		return strings.Join(out, "\n")
	}
	for _, tt := range []struct {
		params map[string]string
		want   string
	}{
		{nil, "full@a.example full mailbox_full suppress_address 3 3\nSOFT@b.example repeated user_unknown suppress_address 3 3\nsoft@a.example repeated user_unknown suppress_address 3 3\ngone@lost.example hard domain_not_found suppress_domain 1 1"},
		{map[string]string{"days": "2", "full_days": "5", "repeats": "3"}, "full@a.example full mailbox_full suppress_address 3 3\nfuller@a.example full mailbox_full suppress_address 3 3\n" +
			"SOFT@b.example repeated user_unknown suppress_address 3 3\nsoft@a.example repeated user_unknown suppress_address 3 3\nshort@a.example repeated user_unknown suppress_address 3 1\ngone@lost.example hard domain_not_found suppress_domain 1 1"},
		{map[string]string{"confidence": "code,text", "repeats": "9"}, "weak@a.example hard user_unknown suppress_address 1 1"},
	} {
		if got := brief(tt.params); got != tt.want {
			t.Errorf("%v:\n%s\nwant\n%s", tt.params, got, tt.want)
		}
	}
}
