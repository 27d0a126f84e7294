package model

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/klauspost/compress/gzip"

	"bounceline/pipeline/e2e/rig"
)

// append writes text into the file at name.
func (m *model) append(name, text string) *content {
	f, err := os.OpenFile(m.path(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	m.must(err)
	_, err = f.WriteString(text)
	m.must(err)
	m.must(f.Close())
	c := m.files[name]
	if c == nil {
		c = &content{}
		m.files[name] = c
	}
	c.written = time.Now()
	return c
}

// complete is the rest of the line that the content ends with, if it is not complete.
func (c *content) complete() string {
	if !c.torn {
		return ""
	}
	c.torn = false
	return rig.Line(c.lines[len(c.lines)-1])[half:]
}

// half is how much of a line is written first: too little to say anything.
const half = 40

func (m *model) write(n int) {
	c := m.append(log, "")
	text := []byte(c.complete())
	for range n {
		text = append(text, rig.Line(m.next)...)
		c.lines = append(c.lines, m.next)
		m.next++
	}
	m.append(log, string(text))
}

func (m *model) writeHalf() {
	c := m.append(log, "")
	if c.torn {
		return
	}
	m.append(log, rig.Line(m.next)[:half])
	c.lines, c.torn = append(c.lines, m.next), true
	m.next++
}

func (m *model) writeOld(n int) {
	if m.old == nil {
		return
	}
	c := m.oldName
	late := time.Since(c.written) > rotateWait-time.Second
	if late {
		m.tear(c) // the half has passed for the last line
	}
	text := c.complete()
	fresh := len(c.lines)
	for range n {
		text += rig.Line(m.next)
		c.lines = append(c.lines, m.next)
		m.next++
	}
	if c.gone {
		m.excuse(c.lines[fresh:], late || c.unheld || !m.following())
	}
	c.written = time.Now()
	_, err := m.old.WriteString(text)
	m.must(err)
	if m.IntN(2) == 0 {
		m.old.Close()
		m.old = nil
	}
}

// shift moves the rotated files up by one.
func (m *model) shift() {
	for n := 30; n > 0; n-- {
		for _, ext := range []string{"", ".gz"} {
			from, to := fmt.Sprintf("%s.%d%s", log, n, ext), fmt.Sprintf("%s.%d%s", log, n+1, ext)
			if c := m.files[from]; c != nil {
				m.must(os.Rename(m.path(from), m.path(to)))
				m.files[to] = c
				delete(m.files, from)
			}
		}
	}
}

func (m *model) rotate(keep bool) {
	c := m.files[log]
	if c == nil || len(c.lines) == 0 {
		return
	}
	if m.old != nil {
		m.tear(m.oldName)
		m.old.Close()
		m.old = nil
	}
	m.history(c)
	m.shift()
	if keep {
		var err error
		m.old, err = os.OpenFile(m.path(log), os.O_WRONLY|os.O_APPEND, 0)
		m.must(err)
		m.oldName = c
	} else {
		m.tear(c)
	}
	m.must(os.Rename(m.path(log), m.path(log+".1")))
	m.files[log+".1"] = c
	delete(m.files, log)
}

// history excuses the lines of a content that is moved away before any process that the checkpoint remembers followed
// anything: it is history.
func (m *model) history(c *content) {
	data, err := os.ReadFile(filepath.Join(m.state, "run.checkpoint"))
	if err != nil || !bytes.Contains(data, []byte(`"name":"file-`)) {
		m.looked = false
		m.destroy(c)
		c.gone, c.unheld = true, true
	}
}

// tear gives up the incomplete line at the content's end: nobody will complete it.
func (m *model) tear(c *content) {
	if c.torn {
		last := c.lines[len(c.lines)-1]
		m.excused[last], m.torn[last] = true, true
	}
}

func (m *model) copyTruncate() {
	c := m.files[log]
	if c == nil || len(c.lines) == 0 {
		return
	}
	m.look()
	m.history(c)
	m.shift()
	data, err := os.ReadFile(m.path(log))
	m.must(err)
	m.must(os.WriteFile(m.path(log+".1"), data, 0o600))
	m.must(os.Truncate(m.path(log), 0))
	m.tear(c)
	m.files[log+".1"], m.files[log] = c, &content{}
}

// rotateWait is how long a rotated file must be quiet until it is left, see tail.Config.
const rotateWait = time.Minute

// look lets a process that is to count losses exactly see what is there before it is destroyed.
func (m *model) look() {
	if m.clean && m.down { // a process that is held up sees one thing happen to a file, not several
		m.setDown(false)
		m.pass(time.Minute)
	}
	if m.looked = m.clean || m.IntN(2) == 0; m.looked {
		m.looked = m.following()
		m.pass(3 * time.Second)
		m.looked = m.looked && m.following()
	}
}

func (m *model) compress() {
	for n := 2; n < 30; n++ {
		name := fmt.Sprintf("%s.%d", log, n)
		c := m.files[name]
		if c == nil || m.old != nil && m.oldName == c {
			continue
		}
		data, err := os.ReadFile(m.path(name))
		m.must(err)
		st, err := os.Stat(m.path(name))
		m.must(err)
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(data)
		m.must(z.Close())
		part := packed.Bytes()[:m.IntN(packed.Len())]
		m.must(os.WriteFile(m.path(name+".gz"), part, 0o600))
		if m.IntN(2) == 0 {
			m.pass(time.Second)
		}
		m.must(os.WriteFile(m.path(name+".gz"), packed.Bytes(), 0o600))
		m.must(os.Chtimes(m.path(name+".gz"), st.ModTime(), st.ModTime()))
		m.must(os.Remove(m.path(name)))
		m.files[name+".gz"] = c
		delete(m.files, name)
		return
	}
}

func (m *model) truncate() {
	c := m.files[log]
	if c == nil || len(c.lines) == 0 {
		return
	}
	m.look()
	m.must(os.Truncate(m.path(log), 0))
	m.destroy(c)
	if c.torn {
		m.destroyed += half
		m.tear(c)
	}
	m.files[log] = &content{}
}

func (m *model) remove() {
	c := m.files[log]
	if c == nil {
		return
	}
	m.look()
	m.must(os.Remove(m.path(log)))
	delete(m.files, log)
	if !m.clean { // a process that has it open still reads it to its end
		m.destroy(c)
		c.gone = true
	}
	m.tear(c)
}

func (m *model) removeRotated() {
	var names []string
	for name := range m.files {
		if name != log {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	name := names[m.IntN(len(names))]
	m.look()
	m.destroy(m.files[name])
	m.files[name].gone = true
	m.tear(m.files[name])
	m.must(os.Remove(m.path(name)))
	delete(m.files, name)
}

// destroy excuses the lines of a content that is gone. What no process has seen, none can miss.
func (m *model) destroy(c *content) {
	unknown := m.p == nil || !m.looked
	m.blind = m.blind || unknown
	c.unheld = c.unheld || unknown
	m.ruined = append(m.ruined, c)
	m.excuse(c.lines, unknown)
}

// excuse says that the lines may be missing, and if so, whether anybody can know.
func (m *model) excuse(lines []int, unknown bool) {
	for _, n := range lines {
		m.excused[n] = true
		m.unknown[n] = m.unknown[n] || unknown
	}
}
