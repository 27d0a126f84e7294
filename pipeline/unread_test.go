package pipeline

import (
	"fmt"
	"strings"
	"testing"
)

// The last lines of each reason are kept, the latest first, and no more than the bounds allow.
func TestUnread(t *testing.T) {
	var u Unread
	for i := range 20 {
		u.add("no known envelope", "s", int64(i), []byte(fmt.Sprint(i, strings.Repeat("x", 1000))))
	}
	u.add("cut", "s", 99, []byte("short"))
	for i := range 2 * unreadReasons {
		u.add(fmt.Sprint("reason ", i), "s", 0, nil)
	}
	kinds := u.Kinds()
	if len(kinds) != unreadReasons {
		t.Errorf("there are %d reasons", len(kinds))
	}
	if k := kinds[0]; k.Reason != "cut" || k.Count != 1 || len(k.Lines) != 1 || string(k.Lines[0].Line) != "short" || k.Lines[0].Pos != 99 {
		t.Errorf("the first is %+v", k)
	}
	k := kinds[1]
	if k.Reason != "no known envelope" || k.Count != 20 || len(k.Lines) != unreadLines {
		t.Fatalf("the second is %s, %d times, %d lines", k.Reason, k.Count, len(k.Lines))
	}
	for i, l := range k.Lines {
		if want := int64(19 - i); l.Pos != want || !strings.HasPrefix(string(l.Line), fmt.Sprint(want)) || len(l.Line) != unreadBytes {
			t.Errorf("line %d is %d: %s", i, l.Pos, l.Line)
		}
	}
}
