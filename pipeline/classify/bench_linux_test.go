package classify

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
// the same texts, in the same round: cold, where no text was seen before, and warm, where all were. It reports medians over the
// rounds, of the processor time and of its ratios, since other processes disturb single rounds.
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
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	measure := func(f func(i int)) float64 {
		start := processorTime(b)
		for i := range rows {
			f(i)
		}
		return float64((processorTime(b) - start).Nanoseconds()) / float64(len(rows))
	}
	values := map[string][]float64{}
	for b.Loop() {
		bare := measure(func(i int) {
			f.clear()
			j.rules.automaton.scan(texts[i], f)
		})
		for i := range j.cache.slots {
			j.cache.slots[i].Store(nil)
		}
		cold := measure(func(i int) { j.classify(&rows[i]) })
		warm := measure(func(i int) { j.classify(&rows[i]) })
		for name, v := range map[string]float64{"bare-ns/text": bare, "cold-ns/text": cold, "warm-ns/text": warm, "cold/bare": cold / bare, "warm/bare": warm / bare} {
			values[name] = append(values[name], v)
		}
	}
	for name, v := range values {
		slices.Sort(v)
		b.ReportMetric(v[len(v)/2], name)
	}
}

// processorTime is what this thread has used.
func processorTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
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
