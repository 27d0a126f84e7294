package context_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bounceline/parsers"
	qctx "bounceline/pipeline/context"
	"bounceline/pipeline/record"
)

// A reader feeds lines through parser and table as the pipeline does; the category stands for the classifier's.
type reader struct {
	stream *parsers.Stream
	table  *qctx.Table
	res    record.Result
}

func newReader(t *testing.T, maxBytes int) *reader {
	t.Helper()
	s, err := parsers.NewStream(parsers.Options{Zone: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	s.SetReference(time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC))
	return &reader{stream: s, table: qctx.New(maxBytes)}
}

// read gives the rows of the last line.
func (r *reader) read(lines ...string) []record.Row {
	for _, line := range lines {
		r.stream.Parse([]byte(line), &r.res)
		r.table.Enrich(&r.res)
		rows := r.res.Rows.All()
		for i := range rows {
			rows[i].Class.Category = "category of " + string(rows[i].EnhancedCode)
		}
		r.table.Remember(&r.res)
	}
	return r.res.Rows.All()
}

const head = "Mar  4 05:06:07 mx1 postfix/"

func deferred(id, recipient, code string) string {
	return head + "smtp[8]: " + id + ": to=<" + recipient + ">, relay=mx1.example.org[192.0.2.25]:25, delay=2, dsn=4.0.0, status=deferred (host mx1.example.org[192.0.2.25] said: 450 " + code + " no (in reply to RCPT TO command))"
}

func TestEnrichPostfix(t *testing.T) {
	r := newReader(t, 1<<20)
	rows := r.read(
		head+"smtpd[1]: 4F2A91C0B7: client=app.example.com[198.51.100.7], sasl_method=PLAIN, sasl_username=ann",
		head+"cleanup[2]: 4F2A91C0B7: message-id=<abc@example.com>",
		head+"qmgr[3]: 4F2A91C0B7: from=<ann@example.com>, size=5120, nrcpt=2 (queue active)",
		deferred("4F2A91C0B7", "bob@example.org", "4.2.0"))
	if len(rows) != 1 {
		t.Fatalf("%d rows", len(rows))
	}
	row := &rows[0]
	got := fmt.Sprintf("%s %t %s %s %d %d %v", row.Sender, row.SenderKnown, row.MessageID, row.AuthUser, row.Size, row.RecipientCount, row.ClientIP[12:])
	if want := "ann@example.com true abc@example.com ann 5120 2 [198 51 100 7]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEnrichExim(t *testing.T) {
	r := newReader(t, 1<<20)
	rows := r.read(
		"2026-03-04 05:06:07 1tZxYa-0001Bc-De <= <> H=h.example.com [198.51.100.7] P=esmtpsa A=plain:ann S=99 id=x@y.example",
		"2026-03-04 05:06:08 1tZxYa-0001Bc-De => bob@example.org R=r T=t H=mx1.example.org [192.0.2.25]")
	row := &rows[0]
	got := fmt.Sprintf("%q %t %s %s %d", row.Sender, row.SenderKnown, row.MessageID, row.AuthUser, row.Size)
	if want := `"" true x@y.example ann 99`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestUnknownStaysUnknown(t *testing.T) {
	r := newReader(t, 1<<20)
	rows := r.read(deferred("4F2A91C0B7", "bob@example.org", "4.2.0"))
	if rows[0].SenderKnown || rows[0].Size != 0 {
		t.Errorf("%+v", rows[0])
	}
}

func TestHostsAreApart(t *testing.T) {
	r := newReader(t, 1<<20)
	rows := r.read(head+"qmgr[3]: 4F2A91C0B7: from=<ann@example.com>, size=5120, nrcpt=2 (queue active)",
		strings.Replace(deferred("4F2A91C0B7", "bob@example.org", "4.2.0"), "mx1", "mx2", 1))
	if rows[0].SenderKnown {
		t.Error("mx2 knows what mx1 logged")
	}
}

func TestExpiryHasARowForEachRecipientStillDeferred(t *testing.T) {
	r := newReader(t, 1<<20)
	const expired = head + "qmgr[3]: 4F2A91C0B7: from=<ann@example.com>, status=expired, returned to sender"
	rows := r.read(deferred("4F2A91C0B7", "a@example.org", "4.2.0"), deferred("4F2A91C0B7", "b@example.org", "4.2.2"), deferred("4F2A91C0B7", "c@example.org", "4.7.1"),
		deferred("4F2A91C0B7", "b@example.org", "4.2.1"),
		head+"smtp[8]: 4F2A91C0B7: to=<c@example.org>, relay=mx1.example.org[192.0.2.25]:25, delay=2, status=sent (250 ok)",
		head+"error[8]: 4F2A91C0B7: to=<a@example.org>, relay=none, delay=9, status=deferred (delivery temporarily suspended: connect to x[192.0.2.1]:25: Connection refused)",
		expired)
	var got []string
	numbers := map[uint64]bool{}
	for i := range rows {
		row := &rows[i]
		got = append(got, fmt.Sprintf("%s %s %s %s", row.Recipient, row.Outcome, row.LastCategory, row.RelayHost))
		numbers[row.Number] = true
		if !strings.Contains(string(row.LastReply), "said: 450 4.2.") || string(row.Sender) != "ann@example.com" {
			t.Errorf("last reply %q, sender %q", row.LastReply, row.Sender)
		}
	}
	want := "a@example.org expired category of 4.2.0 mx1.example.org; b@example.org expired category of 4.2.1 mx1.example.org"
	if s := strings.Join(got, "; "); s != want || len(numbers) != len(rows) {
		t.Errorf("got %s, want %s", s, want)
	}
	if rows = r.read(expired); len(rows) != 1 || len(rows[0].Recipient) != 0 {
		t.Errorf("a second expiry has %d rows", len(rows))
	}
}

// A recipient's number does not depend on which of the others are known.
func TestExpiredNumbersAreStable(t *testing.T) {
	const expired = head + "qmgr[3]: 4F2A91C0B7: from=<ann@example.com>, status=expired, returned to sender"
	r := newReader(t, 1<<20)
	one := r.read(deferred("4F2A91C0B7", "b@example.org", "4.2.2"), expired)[0].Number
	r = newReader(t, 1<<20)
	two := r.read(deferred("4F2A91C0B7", "a@example.org", "4.2.0"), deferred("4F2A91C0B7", "b@example.org", "4.2.2"), expired)[1].Number
	if one != two || one == 0 {
		t.Errorf("%d and %d", one, two)
	}
}

func TestSuspendedHasTheLastRealAnswer(t *testing.T) {
	r := newReader(t, 1<<20)
	rows := r.read(deferred("4F2A91C0B7", "a@example.org", "4.2.0"),
		head+"error[8]: 4F2A91C0B7: to=<a@example.org>, relay=none, delay=9, status=deferred (delivery temporarily suspended: connect to x[192.0.2.1]:25: Connection refused)")
	if rows[0].LastCategory != "category of 4.2.0" || !strings.Contains(string(rows[0].LastReply), "450 4.2.0") {
		t.Errorf("%q %q", rows[0].LastCategory, rows[0].LastReply)
	}
}

// Short queue IDs are used again: what was known dies with "removed", and with a new client or pickup.
func TestReuse(t *testing.T) {
	for _, end := range []string{head + "qmgr[3]: 4F2A91C0B7: removed", head + "postsuper[3]: 4F2A91C0B7: removed",
		head + "smtpd[1]: 4F2A91C0B7: client=new.example.com[198.51.100.8]", head + "pickup[1]: 4F2A91C0B7: uid=0 from=<root>"} {
		r := newReader(t, 1<<20)
		rows := r.read(head+"qmgr[3]: 4F2A91C0B7: from=<ann@example.com>, size=5120, nrcpt=2 (queue active)", end, deferred("4F2A91C0B7", "b@example.org", "4.2.2"))
		if rows[0].SenderKnown || rows[0].Size != 0 {
			t.Errorf("after %q the old sender is given", end)
		}
	}
	r := newReader(t, 1<<20)
	rows := r.read("2026-03-04 05:06:07 1tZxYa-0001Bc-De <= ann@example.com P=local S=99", "2026-03-04 05:06:07 1tZxYa-0001Bc-De Completed",
		"2026-03-04 05:06:08 1tZxYa-0001Bc-De => bob@example.org R=r T=t")
	if rows[0].SenderKnown {
		t.Error("after Completed the sender is given")
	}
}

func TestAge(t *testing.T) {
	r := newReader(t, 1<<20)
	r.read(deferred("4F2A91C0B7", "a@example.org", "4.2.0"), strings.Replace(deferred("5F2A91C0B7", "a@example.org", "4.2.0"), "Mar  4", "Mar  9", 1))
	if s := r.table.Stats(); s.Messages != 2 || s.Aged != 0 {
		t.Errorf("after five days: %+v", s)
	}
	r.read(strings.Replace(deferred("6F2A91C0B7", "a@example.org", "4.2.0"), "Mar  4", "Mar 12", 1))
	if s := r.table.Stats(); s.Messages != 2 || s.Aged != 1 {
		t.Errorf("after eight days: %+v", s)
	}
}

// Memory is bounded, what is evicted is counted, and the account comes back to nothing.
func TestBound(t *testing.T) {
	const limit = 100_000
	r := newReader(t, limit)
	for i := range 5000 {
		r.read(head+fmt.Sprintf("qmgr[3]: %010X: from=<ann@example.com>, size=5120, nrcpt=2 (queue active)", i+1<<36),
			deferred(fmt.Sprintf("%010X", i+1<<36), fmt.Sprintf("a%d@example.org", i), "4.2.0"))
		if s := r.table.Stats(); s.Bytes > limit+2000 {
			t.Fatalf("%+v", s)
		}
	}
	s := r.table.Stats()
	if s.Evicted == 0 || s.Messages == 0 || int(s.Evicted)+s.Messages != 5000 {
		t.Errorf("%+v", s)
	}
	for i := range 5000 {
		r.read(head + fmt.Sprintf("qmgr[3]: %010X: removed", i+1<<36))
	}
	if s := r.table.Stats(); s.Messages != 0 || s.Bytes != 0 {
		t.Errorf("after all were removed: %+v", s)
	}
}

// A second reading of the same lines gives the same rows: what a restart relies on.
func TestRebuild(t *testing.T) {
	lines := []string{head + "qmgr[3]: 4F2A91C0B7: from=<ann@example.com>, size=5120, nrcpt=2 (queue active)", deferred("4F2A91C0B7", "b@example.org", "4.2.2")}
	const last = head + "qmgr[3]: 4F2A91C0B7: from=<ann@example.com>, status=force-expired, returned to sender"
	show := func(rows []record.Row) (s string) {
		for i := range rows {
			s += fmt.Sprintf("%s %d %s %d;", rows[i].Recipient, rows[i].Number, rows[i].LastReply, rows[i].Size)
		}
		return s
	}
	a := show(newReader(t, 1<<20).read(append(lines, last)...))
	b := show(newReader(t, 1<<20).read(append(lines, last)...))
	if a != b || !strings.HasPrefix(a, "b@example.org ") {
		t.Errorf("%q and %q", a, b)
	}
}

// A message that comes back from a content filter has the client, the user and the message id of its submission, not the
// filter's; so has one that is queued again.
func TestOrigQueueID(t *testing.T) {
	for _, tt := range []struct{ name, line, user, client string }{
		{"filter", "smtpd[1]: 5A2A91C0B7: client=localhost[127.0.0.1], orig_queue_id=4F2A91C0B7, orig_client=app.example.com[198.51.100.7]", "ann", "198.51.100.7"},
		{"filter that does not say the client", "smtpd[1]: 5A2A91C0B7: client=localhost[127.0.0.1], orig_queue_id=4F2A91C0B7", "ann", "198.51.100.7"},
		{"queued again", "pickup[1]: 5A2A91C0B7: uid=99 from=<ann@example.com> orig_id=4F2A91C0B7", "ann", "198.51.100.7"},
		{"unknown", "smtpd[1]: 5A2A91C0B7: client=localhost[127.0.0.1], orig_queue_id=4F2A91C0B8, orig_client=app.example.com[198.51.100.9]", "", "198.51.100.9"},
	} {
		r := newReader(t, 1<<20)
		rows := r.read(
			head+"smtpd[1]: 4F2A91C0B7: client=app.example.com[198.51.100.7], sasl_method=PLAIN, sasl_username=ann",
			head+tt.line,
			deferred("5A2A91C0B7", "bob@example.org", "4.2.0"))
		if user, client := string(rows[0].AuthUser), netip.AddrFrom16(rows[0].ClientIP).Unmap().String(); user != tt.user || client != tt.client {
			t.Errorf("%s: user %q, client %s", tt.name, user, client)
		}
	}
}

// Rows whose queue ID is blotted out tell nothing about one another.
func TestNoQueueID(t *testing.T) {
	r := newReader(t, 1<<20)
	r.read(head + "smtp[8]: to=<bob@example.org>, relay=none, delay=2, dsn=4.0.0, status=deferred (x)")
	if n := r.table.Stats().Messages; n != 0 {
		t.Errorf("%d messages are remembered", n)
	}
}
