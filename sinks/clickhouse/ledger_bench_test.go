package clickhouse

import (
	"runtime"
	"testing"
)

// BenchmarkLedger asks for what a partition has after a million batches.
func BenchmarkLedger(b *testing.B) {
	d := migrated(b)
	if err := d.Exec(b.Context(), `INSERT INTO ingest_batches SELECT 'Ykd3eWJQTXFRQzJhUHhVQg/maillog/3/0', number * 417, number * 417 + 417, hex(sipHash64(number)),
		hex(sipHash128(number)), 'maillog', '', concat(toString(1763788381000 + number), ' ', toString(1763788381000 + number), ' true Europe/Berlin'),
		417, 300, 320, 0, 100, 17, 0, 202611, 202611, now64(3) FROM numbers(1000000)`); err != nil {
		b.Fatal(err)
	}
	var ranges int
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for b.Loop() {
		all, err := d.Ledger(b.Context(), "Ykd3eWJQTXFRQzJhUHhVQg/maillog/3/")
		if err != nil {
			b.Fatal(err)
		}
		ranges = len(all)
	}
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(ranges), "ranges")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/(1<<20), "MiB/op")
}
