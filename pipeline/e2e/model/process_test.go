package model

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing/synctest"

	"bounceline/pipeline/e2e/rig"
)

// following reports whether a process sees what happens to the files.
func (m *model) following() bool { return m.p != nil && !m.p.Dead() }

func (m *model) start() {
	if m.p != nil {
		return
	}
	o := rig.Options{State: m.state, DB: m.db, Paths: []string{m.path(log)}, MaxRows: 200, Hints: m.hints, Rules: &m.rules, Log: slog.New(slog.NewTextHandler(&m.story, nil))}
	if !m.clean && !m.ending && m.IntN(3) == 0 {
		o.KillAt = 1 + m.IntN(60)
	}
	p, err := rig.Start(o)
	m.must(err)
	m.p = p
}

func (m *model) stop() {
	if m.p != nil {
		m.reap()
	}
}

// ignore excuses what only a process that was killed knew, or a checkpoint that is gone: it may have held a file that has no name
// any more, and not have known yet what is in it, or not have counted it yet.
func (m *model) ignore() {
	for _, c := range m.ruined {
		m.excuse(c.lines, true)
	}
}

// reap ends the process and adds its counters up.
func (m *model) reap() {
	m.Helper()
	m.must(m.p.Stop())
	m.lost += m.p.Lost()
	m.vanished += m.p.Follower.Vanished.Load()
	if m.p.Dead() {
		m.ignore()
	}
	for _, c := range m.ruined {
		c.unheld = true
	}
	m.p = nil
}

func (m *model) kill() {
	if m.p != nil {
		m.must(m.p.Kill())
		m.reap()
	}
}

func (m *model) checkpoint() []string {
	files, _ := filepath.Glob(filepath.Join(m.state, "run.checkpoint*"))
	return slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, ".lock") })
}

// loseCheckpoint deletes it while no process runs: files that were rotated meanwhile are history to the next one.
func (m *model) loseCheckpoint() {
	if m.p != nil {
		return
	}
	for _, f := range m.checkpoint() {
		m.must(os.Remove(f))
	}
	m.forget()
}

func (m *model) saveCheckpoint() {
	synctest.Wait() // a hint may have set the process to work
	m.saved = map[string][]byte{}
	for _, f := range m.checkpoint() {
		data, err := os.ReadFile(f)
		m.must(err)
		m.saved[f] = data
	}
}

func (m *model) restoreCheckpoint() {
	if m.p != nil || m.saved == nil {
		return
	}
	for _, f := range m.checkpoint() {
		m.must(os.Remove(f))
	}
	for f, data := range m.saved {
		m.must(os.WriteFile(f, data, 0o600))
	}
	m.forget()
}

func (m *model) forget() {
	m.looked, m.forgotten = false, true
	m.ignore()
	for name, c := range m.files {
		m.destroy(c)
		if name != log { // what is written to it later is in no file that is followed
			c.gone, c.unheld = true, true
		}
	}
}
