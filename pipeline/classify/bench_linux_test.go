package classify

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"bounceline/pipeline/record"
)

// variedRows are n replies of about 200 bytes: the samples of the rules with addresses, hosts and IDs of their own, which the
// normaliser masks, and words, which it does not. Seeded, so that runs can be compared.
func variedRows(e *Engine, n int) []record.Row {
	random := rand.New(rand.NewPCG(1, 2))
	word := func(least int) string {
		b := make([]byte, least+random.IntN(5))
		for i := range b {
			b[i] = 'a' + byte(random.IntN(26))
		}
		return string(b)
	}
	var samples []Case
	for _, r := range e.Rules() {
		samples = append(samples, r.Match...)
	}
	rows := make([]record.Row, n)
	for i := range rows {
		c := samples[random.IntN(len(samples))]
		text := fmt.Sprintf("%s <%s@%s.example> at mx%d.%s.example[192.0.2.%d] %s", c.Text, word(5), word(6), random.IntN(9), word(6), random.IntN(256), word(4))
		for len(text) < 190 {
			text += " " + word(2)
		}
		c.Text = text[:min(len(text), 215)]
		rows[i] = c.Row()
		rows[i].Outcome = record.Bounced
	}
	return rows
}

// BenchmarkAgainstAutomaton classifies varied texts of about 200 bytes and compares with bare passes of the same automaton over
// the same texts, in the same run: cold, where no text was seen before, and warm, where all were. It reports the ratios
// of the processor time.
func BenchmarkAgainstAutomaton(b *testing.B) {
	e := engine(b)
	j := e.current.Load()
	rows := variedRows(e, 1000)
	texts := make([][]byte, len(rows))
	for i := range rows {
		if texts[i] = rows[i].RemoteText; len(texts[i]) == 0 {
			texts[i] = rows[i].ResponseText
		}
	}
	f := &found{bits: make([]uint64, (len(j.rules.literals)+63)/64)}
	used := map[string]time.Duration{}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	measure := func(name string, f func(i int)) {
		start := processorTime(b)
		for i := range rows {
			f(i)
		}
		used[name] += processorTime(b) - start
	}
	rounds := 0
	for b.Loop() {
		measure("bare", func(i int) {
			f.clear()
			j.rules.automaton.scan(texts[i], f)
		})
		for i := range j.cache.slots {
			j.cache.slots[i].Store(nil)
		}
		measure("cold", func(i int) { j.classify(&rows[i]) })
		measure("warm", func(i int) { j.classify(&rows[i]) })
		rounds++
	}
	for name, d := range used {
		b.ReportMetric(float64(d.Nanoseconds())/float64(rounds*len(rows)), name+"-ns/text")
	}
	b.ReportMetric(float64(used["cold"])/float64(used["bare"]), "cold/bare")
	b.ReportMetric(float64(used["warm"])/float64(used["bare"]), "warm/bare")
}

// processorTime is what this thread has used.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(1, &u); err != nil { // RUSAGE_THREAD, getrusage(2)
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLoad reads and checks the shipped rules, samples included.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := New(Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAutomaton builds the automaton alone.
func BenchmarkAutomaton(b *testing.B) {
	literals := slices.Clone(engine(b).current.Load().rules.literals)
	for b.Loop() {
		if _, err := newAutomaton(literals); err != nil {
			b.Fatal(err)
		}
	}
}
