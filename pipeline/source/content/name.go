package content

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// HeadBytes is how much of a file its name depends on at the most.
const HeadBytes = 64 << 10

// headerStart begins the header row of a PowerMTA accounting file; such a header is the same in all files, so the first
// record counts too.
var headerStart = []byte("type,")

// Head returns the part of a file's first bytes that names it: its first complete record, with a header row before it the
// two together, HeadBytes at the most. It reports false while the record is not complete yet; complete says that nothing
// will follow what is in first.
func Head(first []byte, complete bool) ([]byte, bool) {
	end := recordEnd(first, 0)
	if end > 0 && bytes.HasPrefix(first, headerStart) {
		end = recordEnd(first, end)
	}
	switch {
	case end > 0 && end <= HeadBytes:
		return first[:end], true
	case len(first) >= HeadBytes:
		return first[:HeadBytes], true
	case complete && len(first) > 0:
		return first, true
	}
	return nil, false
}

func recordEnd(b []byte, from int) int {
	i := bytes.IndexByte(b[from:], '\n')
	if i < 0 {
		return 0
	}
	return from + i + 1
}

// Prefix is what the names of all streams with this head begin with.
func Prefix(head []byte) string {
	sum := sha256.Sum256(head)
	return "file-" + hex.EncodeToString(sum[:16]) + "-"
}

// Name is the name of the stream with that prefix and counter.
func Name(prefix string, counter int) string { return fmt.Sprintf("%s%d", prefix, counter) }

// Counter returns the counter of a stream's name that has the prefix.
func Counter(prefix, name string) (int, bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	n := 0
	if _, err := fmt.Sscanf(rest, "%d", &n); err != nil || n < 0 || Name(prefix, n) != name {
		return 0, false
	}
	return n, true
}
