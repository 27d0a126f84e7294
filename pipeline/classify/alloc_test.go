//go:build !race

// Under the race detector sync.Pool drops at random what it is given, so allocations say nothing there: make test runs this
// file without it.

package classify

import (
	"testing"

	"bounceline/pipeline/record"
)

// TestCacheHitsDoNotAllocate: nor does a verdict by codes, by status, or on a delivery.
func TestCacheHitsDoNotAllocate(t *testing.T) {
	e := engine(t)
	_, lines := corpus(t)
	rows := make([]record.Row, 0, len(lines)+3)
	for _, l := range lines {
		rows = append(rows, l.Row())
	}
	rows = append(rows, answer("550 5.1.1 zzz"), answer("250 ok"), Case{Text: "x", Status: "expired"}.Row())
	rows[0].RelayHost, rows[0].Recipient = []byte("mx1.Mail.Protection.Outlook.com"), []byte("ann@example.org")
	for i := range rows {
		e.Classify(&rows[i])
	}
	j := e.current.Load()
	s := j.scratch.New().(*scratch)
	for i := range rows {
		s.prepare(&rows[i], j.names.relay(rows[i].RelayHost), j.names)
		if j.cache.get(j.cache.fingerprint(s.key)) == nil {
			continue // a delivery, or a text whose slots others took
		}
		if n := testing.AllocsPerRun(10, func() { e.Classify(&rows[i]) }); n >= 1 {
			t.Errorf("%s: %v allocations", rows[i].ResponseText, n)
		}
	}
}
