package pipeline

import (
	"bytes"
	"slices"
	"strings"
	"sync"
)

// Bounds on what is kept of lines that were not understood.
const (
	unreadReasons = 32  // reasons; they come from a small closed set
	unreadLines   = 8   // lines of each reason, the last ones
	unreadBytes   = 512 // bytes of each line, the first ones
)

// Unread keeps the last lines that were not understood, a few for each reason, for people to look at. It may be read while
// lines are added. The zero value is empty and ready.
type Unread struct {
	mu      sync.Mutex
	reasons []unreadReason
}

type unreadReason struct {
	name  string
	count int64
	lines [unreadLines]UnreadLine // a ring: the next one goes to count % unreadLines
}

// An UnreadLine is one line that was not understood. Line is hostile: it is to be escaped before a terminal shows it.
type UnreadLine struct {
	Stream string
	Pos    int64
	Line   []byte // cut
}

// UnreadKind is how often lines were not understood for one reason, and the last of them, the latest first.
type UnreadKind struct {
	Reason string
	Count  int64
	Lines  []UnreadLine
}

func (u *Unread) add(reason, stream string, pos int64, line []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	i := slices.IndexFunc(u.reasons, func(r unreadReason) bool { return r.name == reason })
	if i < 0 {
		if len(u.reasons) == unreadReasons {
			return
		}
		i = len(u.reasons)
		u.reasons = append(u.reasons, unreadReason{name: reason})
	}
	r := &u.reasons[i]
	kept := &r.lines[r.count%unreadLines]
	r.count++
	kept.Stream, kept.Pos = stream, pos
	kept.Line = append(kept.Line[:0], line[:min(len(line), unreadBytes)]...)
}

// Kinds returns what is kept, by reason.
func (u *Unread) Kinds() []UnreadKind {
	u.mu.Lock()
	defer u.mu.Unlock()
	var kinds []UnreadKind
	for i := range u.reasons {
		r := &u.reasons[i]
		k := UnreadKind{Reason: r.name, Count: r.count}
		for n := r.count - 1; n >= max(0, r.count-unreadLines); n-- {
			l := r.lines[n%unreadLines]
			l.Line = bytes.Clone(l.Line)
			k.Lines = append(k.Lines, l)
		}
		kinds = append(kinds, k)
	}
	slices.SortFunc(kinds, func(a, b UnreadKind) int { return strings.Compare(a.Reason, b.Reason) })
	return kinds
}
