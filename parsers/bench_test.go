package parsers

import (
	"bytes"
	"testing"
	"time"

	"bounceline/pipeline/e2e/loggen"
	"bounceline/pipeline/record"
)

func benchLog(b *testing.B) []byte {
	b.Helper()
	var log bytes.Buffer
	if err := loggen.Write(&log, 200_000, 1); err != nil {
		b.Fatal(err)
	}
	return log.Bytes()
}

// BenchmarkSplit is the baseline: the lines of the same log, found and not looked at.
func BenchmarkSplit(b *testing.B) {
	log := benchLog(b)
	total, lines := 0, 0
	for b.Loop() {
		for rest := log; len(rest) > 0; {
			i := bytes.IndexByte(rest, '\n')
			total += i
			rest = rest[i+1:]
			lines++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(lines), "ns/line")
	if total == 0 {
		b.Fatal("no lines")
	}
}

// BenchmarkParse is envelope and dialect.
func BenchmarkParse(b *testing.B) {
	log := benchLog(b)
	s, err := NewStream(Options{AssumedZone: time.UTC})
	if err != nil {
		b.Fatal(err)
	}
	s.SetReference(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))
	var res record.Result
	lines, events := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		for rest := log; len(rest) > 0; {
			i := bytes.IndexByte(rest, '\n')
			s.Parse(rest[:i], &res)
			if res.Class == record.Event {
				events++
			}
			rest = rest[i+1:]
			lines++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(lines), "ns/line")
	b.ReportMetric(float64(events)/float64(lines), "events/line")
}
