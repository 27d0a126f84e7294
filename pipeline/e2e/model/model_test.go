// Package model runs random schedules of everything that happens to logs, files, database and process against the real
// follower, runner and checkpoint, and compares what is stored with what a simple model says must be.
//
// By default the schedules are always the same ones, so that a change of behaviour shows; others find what is still wrong.
//
//	go test ./pipeline/e2e/model -first 1000 -schedules 1000
//	go test ./pipeline/e2e/model -seed 7 -v      # one schedule again, step by step
package model

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bounceline/pipeline/e2e/rig"
)

var (
	schedules = flag.Int("schedules", 100, "how many random schedules are run")
	first     = flag.Uint64("first", 1, "seed of the first of them; the others follow")
	seedOnly  = flag.Uint64("seed", 0, "run only the schedule of this seed")
)

func TestSchedules(t *testing.T) {
	if *seedOnly != 0 {
		synctest.Test(t, func(t *testing.T) { run(t, *seedOnly) })
		return
	}
	for i := range *schedules {
		n := *first + uint64(i)
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { run(t, n) })
		})
	}
}

// A story is what happened in a schedule: its steps and what the process said. It is told when the schedule fails, since the same
// seed may end in another way the next time: how long a process waits is left to chance.
type story struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *story) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *story) tell(format string, args ...any) { fmt.Fprintf(s, format+"\n", args...) }

func (s *story) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// A content is what was written into one file from its creation, or from being cut, on.
type content struct {
	lines   []int
	torn    bool      // its last line is not complete
	gone    bool      // its file was deleted, or is followed by nobody
	unheld  bool      // no process has it open any more, or never had
	written time.Time // last
}

// A model is what should be.
type model struct {
	*testing.T
	*rand.Rand
	luck       *rand.Rand    // of the hints: schedules are the same with and without them
	hints      chan struct{} // nil where the process has none
	dir, state string
	db         *rig.DB
	rules      rig.Rules
	p          *rig.Process
	story      story
	clean      bool // nothing happens that may lose lines uncounted: losses are compared with their counter exactly

	next      int // number of the next line
	files     map[string]*content
	old       *os.File // a writer that still has the file that was renamed
	oldName   *content
	excused   map[int]bool // lines that may be missing: they were destroyed, or nobody could know of them
	destroyed int64        // bytes of incomplete lines that were cut away
	torn      map[int]bool // lines that were never completed, or too late
	unknown   map[int]bool // lines of which nobody can know that they are missing
	ruined    []*content   // contents that were destroyed
	down      bool
	blind     bool // something happened that no process saw: the ledger may not be complete
	forgotten bool // a checkpoint was lost, and a process does not know what was stored before
	lost      int64
	vanished  int64
	looked    bool // a process has seen what is there
	ending    bool
	saved     map[string][]byte // an old checkpoint
}

const log = "mail.log"

func run(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	m := &model{T: t, Rand: random, dir: t.TempDir(), state: t.TempDir(), db: rig.NewDB(), files: map[string]*content{},
		excused: map[int]bool{}, torn: map[int]bool{}, unknown: map[int]bool{}, luck: rand.New(rand.NewPCG(seed, 1))}
	if m.luck.IntN(2) == 0 {
		m.hints = make(chan struct{}, 1)
	}
	m.clean = m.IntN(3) == 0
	m.start()
	m.write(1)
	m.pass(time.Second) // what is rotated before a file was ever followed is history
	for range 10 + m.IntN(50) {
		m.step()
	}
	m.finish(seed)
}

func (m *model) step() {
	type action struct {
		weight int
		name   string
		do     func()
	}
	actions := []action{
		{8, "write", func() { m.write(1 + m.IntN(60)) }},
		{2, "write much", func() { m.write(1500 + m.IntN(4000)) }},
		{3, "write half a line", m.writeHalf},
		{2, "the old writer writes", func() { m.writeOld(1 + m.IntN(20)) }},
		{4, "rotate", func() { m.rotate(false) }},
		{2, "rotate, the writer keeps the old file", func() { m.rotate(true) }},
		{2, "rotate by copying", m.copyTruncate},
		{2, "compress", m.compress},
		{1, "truncate", m.truncate},
		{1, "delete", m.remove},
		{8, "time passes", func() { m.pass(time.Duration(m.IntN(4000)) * time.Millisecond) }},
		{2, "much time passes", func() { m.pass(time.Duration(m.IntN(180)) * time.Second) }},
		{2, "the database goes", func() { m.setDown(true) }},
		{4, "the database comes back", func() { m.setDown(false) }},
		{2, "acknowledgements are lost", func() { m.db.LoseAcks(1 + m.IntN(3)) }},
		{1, "the deduplication window turns over", m.db.ForgetTokens},
		{1, "the rules change", m.rules.Change},
	}
	if !m.clean {
		actions = append(actions,
			action{1, "stop", m.stop},
			action{2, "kill", m.kill},
			action{5, "start", m.start},
			action{1, "delete a rotated file", m.removeRotated},
			action{1, "the checkpoint is lost", m.loseCheckpoint},
			action{1, "the checkpoint is saved", m.saveCheckpoint},
			action{1, "an old checkpoint comes back", m.restoreCheckpoint})
	}
	sum := 0
	for _, a := range actions {
		sum += a.weight
	}
	n := m.IntN(sum)
	for _, a := range actions {
		if n -= a.weight; n < 0 {
			m.story.tell("%s %s", time.Now().Format("15:04:05.000"), a.name)
			a.do()
			m.hint()
			break
		}
	}
	if m.p != nil && m.p.Dead() {
		m.story.tell("it died at a point")
		m.reap()
	}
}

// hint tells the process that something may have changed, sometimes.
func (m *model) hint() {
	if m.hints != nil && m.luck.IntN(2) == 0 {
		select {
		case m.hints <- struct{}{}:
		default:
		}
	}
}

func (m *model) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *model) path(name string) string { return filepath.Join(m.dir, name) }

func (m *model) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (m *model) setDown(down bool) {
	m.down = down
	m.db.SetDown(down)
}

// finish brings everything up, lets it end, and compares.
func (m *model) finish(seed uint64) {
	if m.old != nil {
		m.tear(m.oldName)
		m.old.Close()
	}
	m.setDown(false)
	m.db.LoseAcks(0)
	m.ending = true
	if m.p == nil {
		m.start()
	}
	m.pass(5 * time.Minute)
	if m.p.Dead() {
		m.reap()
		m.start()
	}
	m.pass(5 * time.Minute)
	m.reap()
	if c := m.files[log]; c != nil {
		m.tear(c)
	}
	missing, known, spare := int64(0), int64(0), int64(half*len(m.torn))
	for n := range m.next {
		has := m.db.Has(rig.Recipient(n))
		switch {
		case has > 1:
			m.Errorf("line %d is stored %d times: %s", n, has, m.db.Where(rig.Recipient(n)))
		case has == 0 && !m.excused[n]:
			m.Errorf("line %d is missing", n)
		case has == 1 && m.excused[n] && m.forgotten:
			spare += int64(len(rig.Line(n))) // stored, and then counted as cut away before it could be looked up
		case has == 0 && !m.torn[n]:
			missing += int64(len(rig.Line(n)))
			if !m.unknown[n] {
				known += int64(len(rig.Line(n)))
			}
		}
		if m.Failed() {
			break
		}
	}
	if err := m.db.Check(!m.blind && m.clean); err != nil {
		m.Error(err)
	}
	switch {
	case m.clean && m.lost != missing+m.destroyed:
		m.Errorf("%d bytes are lost, and %d are counted", missing+m.destroyed, m.lost)
	case m.lost > missing+m.destroyed+spare:
		m.Errorf("%d bytes are lost, and %d are counted", missing+m.destroyed, m.lost)
	case known > 0 && m.lost+m.vanished+m.db.Noted() == 0: // a process may be killed between noting and counting
		m.Errorf("%d bytes are lost, and nobody said so", known)
	case m.clean && m.db.Noted() != m.lost:
		m.Errorf("%d bytes are counted as lost, and %d noted", m.lost, m.db.Noted())
	}
	if m.Failed() {
		m.Logf("again: go test ./pipeline/e2e/model -seed %d -v\n%s", seed, &m.story)
	} else if testing.Verbose() && *seedOnly != 0 {
		m.Log(m.story.String())
	}
}
