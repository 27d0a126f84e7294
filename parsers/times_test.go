package parsers

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of these tests, wherever they run

	"bounceline/pipeline/record"
)

const sentText = "postfix/smtp[812]: 4F2A91C0B7: to=<ann@example.org>, relay=none, delay=0, dsn=2.0.0, status=sent (250 ok)"

// Stamps without a year, read in their order, and the times that they mean.
func TestYears(t *testing.T) {
	tests := []struct {
		name, reference string
		stamps, want    []string
	}{
		{"this year", "2026-03-10", []string{"Mar  4 05:06:07"}, []string{"2026-03-04 05:06:07"}},
		{"last year", "2026-03-10", []string{"Dec 31 23:59:59"}, []string{"2025-12-31 23:59:59"}},
		{"a day ahead", "2026-03-10", []string{"Mar 10 23:00:00"}, []string{"2026-03-10 23:00:00"}},
		{"tomorrow's year", "2025-12-31", []string{"Jan  1 00:00:01"}, []string{"2026-01-01 00:00:01"}},
		{"over New Year", "2026-01-02", []string{"Dec 31 23:59:59", "Jan  1 00:00:01", "Jan  1 00:00:00"}, []string{"2025-12-31 23:59:59", "2026-01-01 00:00:01", "2026-01-01 00:00:00"}},
		{"back over New Year", "2026-01-02", []string{"Jan  1 00:00:01", "Dec 31 23:59:59", "Jan  1 00:00:02"}, []string{"2026-01-01 00:00:01", "2025-12-31 23:59:59", "2026-01-01 00:00:02"}},
		{"many years", "2026-01-02", []string{"Jul  1 00:00:00", "Nov 30 00:00:00", "Apr  1 00:00:00", "Sep  1 00:00:00", "Feb  1 00:00:00"}, []string{"2025-07-01 00:00:00", "2025-11-30 00:00:00", "2026-04-01 00:00:00", "2026-09-01 00:00:00", "2027-02-01 00:00:00"}},
		{"leap day in a leap year", "2028-03-10", []string{"Feb 28 23:59:59", "Feb 29 00:00:00", "Mar  1 00:00:00"}, []string{"2028-02-28 23:59:59", "2028-02-29 00:00:00", "2028-03-01 00:00:00"}},
		{"leap day long ago", "2026-03-10", []string{"Feb 29 12:00:00"}, []string{"2024-02-29 12:00:00"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reference, err := time.Parse(time.DateOnly, tt.reference)
			if err != nil {
				t.Fatal(err)
			}
			s := newStream(t, Options{Zone: time.UTC})
			s.SetReference(reference.Add(12 * time.Hour))
			for i, stamp := range tt.stamps {
				got, flags := eventTime(t, s, stamp+" mx1 "+sentText)
				if g := got.Format(time.DateTime); g != tt.want[i] {
					t.Errorf("%s is %s, want %s", stamp, g, tt.want[i])
				}
				if flags != record.YearInferred {
					t.Errorf("flags are %d", flags)
				}
			}
		})
	}
}

func eventTime(t *testing.T, s *Stream, line string) (time.Time, record.TimeFlags) {
	t.Helper()
	var res record.Result
	s.Parse([]byte(line), &res)
	if res.Rows.Len() != 1 {
		t.Fatalf("%s: %s %s", line, res.Class, res.Kind)
	}
	r := &res.Rows.All()[0]
	return time.UnixMilli(r.EventTime).UTC(), r.TimeInferred
}

// A stamp more than a day after the reference is kept and flagged, wherever it stands and whether it says a zone or not.
func TestAheadOfTime(t *testing.T) {
	for _, stamp := range []string{"2026-03-12T12:00:01Z", "2026-03-12 12:00:01", "2026 Mar 12 12:00:01"} {
		s := newStream(t, Options{Zone: time.UTC})
		for i, step := range []struct {
			stamp string
			flags record.TimeFlags
		}{{"2026-03-10T12:00:00Z", 0}, {stamp, record.AheadOfTime}, {"2026-03-11T11:00:00Z", 0}, {stamp, record.AheadOfTime}} {
			if _, flags := eventTime(t, s, step.stamp+" mx1 "+sentText); flags != step.flags {
				t.Errorf("line %d: %s has flags %d", i, step.stamp, flags)
			}
		}
		s.Renew(reference.Add(25 * time.Hour))
		if _, flags := eventTime(t, s, strings.Replace(stamp, ":01", ":02", 1)+" mx1 "+sentText); flags != 0 {
			t.Errorf("%s is ahead of a reference that was renewed", stamp)
		}
	}
}

// What does not exist is refused and not moved to another day.
func TestImpossibleStamps(t *testing.T) {
	for _, stamp := range []string{"Feb 30 12:00:00", "Mar 32 12:00:00", "Mar  0 12:00:00", "Mar  4 24:00:00", "Mar  4 12:60:00", "Foo  4 12:00:00"} {
		s := newStream(t, Options{})
		var res record.Result
		s.Parse([]byte(stamp+" mx1 "+sentText), &res)
		if res.Class == record.Event && res.Rows.All()[0].TimeInferred&record.FromEnvelope == 0 {
			t.Errorf("%s gave %s", stamp, time.UnixMilli(res.Rows.All()[0].EventTime).UTC())
		}
	}
}

// The hour that comes twice in autumn is told by the line before; what spring leaves out moves on.
func TestSummerTime(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []struct{ name, prefix, suffix string }{{"RFC 3164", "Oct 25 ", " mx1 " + sentText}, {"Exim", "2026-10-25 ", " 1tZxYa-0001Bc-De => ann@example.org R=r T=t"}} {
		t.Run(form.name, func(t *testing.T) {
			s := newStream(t, Options{Zone: zone})
			s.SetReference(time.Date(2026, 10, 26, 0, 0, 0, 0, time.UTC))
			for _, step := range [][2]string{{"01:59:50", "23:59:50"}, {"02:10:00", "00:10:00"}, {"02:59:59", "00:59:59"}, {"02:00:01", "01:00:01"}, {"02:10:00", "01:10:00"}, {"02:09:59", "01:09:59"}, {"03:00:00", "02:00:00"}} {
				got, _ := eventTime(t, s, form.prefix+step[0]+form.suffix)
				if g := got.Format(time.TimeOnly); g != step[1] {
					t.Errorf("%s is %s UTC, want %s", step[0], g, step[1])
				}
			}
		})
	}
}

// A stream that is restored from the anchor before any line reads the rest as the whole one did.
func TestAnchor(t *testing.T) {
	stamps := []string{"Dec 30 10:00:00", "Dec 31 23:59:59", "Jan  1 00:00:01", "Feb 28 00:00:00", "Mar  1 00:00:00"}
	s := newStream(t, Options{Zone: time.UTC})
	s.SetReference(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC))
	var anchors []string
	var times []time.Time
	for _, stamp := range stamps {
		anchors = append(anchors, s.Anchor())
		at, _ := eventTime(t, s, stamp+" mx1 "+sentText)
		times = append(times, at)
	}
	for from := range stamps {
		again := newStream(t, Options{Zone: time.FixedZone("elsewhere", 3600)})
		if err := again.Restore(anchors[from]); err != nil {
			t.Fatal(err)
		}
		for i := from; i < len(stamps); i++ {
			if at, _ := eventTime(t, again, stamps[i]+" mx1 "+sentText); !at.Equal(times[i]) {
				t.Errorf("from %d: %s is %s, was %s", from, stamps[i], at, times[i])
			}
		}
	}
	for _, bad := range []string{"", "x", "1 2 true", "1 2 maybe UTC", "1 2 true Nowhere/Land"} {
		if err := newStream(t, Options{}).Restore(bad); err == nil {
			t.Errorf("anchor %q was taken", bad)
		}
	}
}
