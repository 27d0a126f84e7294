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

// A name is "file-", 32 hex digits of the head's hash, "-", the tag, and a counter.
const (
	nameStart = "file-"
	hashBytes = 16
	prefixLen = len(nameStart) + 2*hashBytes + 1
)

// Prefix is what the names of all streams with this head begin with.
func Prefix(head []byte) string {
	sum := sha256.Sum256(head)
	return nameStart + hex.EncodeToString(sum[:hashBytes]) + "-"
}

// PrefixOf returns the prefix of a stream's name, or false for what is no file.
func PrefixOf(name string) (string, bool) {
	if len(name) <= prefixLen || !strings.HasPrefix(name, nameStart) || name[prefixLen-1] != '-' {
		return "", false
	}
	return name[:prefixLen], true
}

// Tag stands between prefix and counter in the names that a host gives to what it ships. A shipper cannot ask what is stored:
// logs of two hosts may begin alike, as after one image was cloned, and must not get one name.
func Tag(host string) string {
	sum := sha256.Sum256([]byte(host))
	return "h" + hex.EncodeToString(sum[:6]) + "-" // a letter, so that it is no counter's beginning
}

// Tagged reports whether the stream, whose name has the prefix, was named by a host that shipped it.
func Tagged(prefix, name string) bool {
	_, ok := Counter(prefix, name)
	return !ok
}

// named reports whether a name with the prefix is one that Name makes, with a tag or without. The ledger has what whoever writes to a
// topic calls a stream; a name becomes that of a file in the state directory.
func named(prefix, name string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	if tag, counter, tagged := strings.Cut(rest, "-"); ok && tagged {
		digits, isTag := strings.CutPrefix(tag, "h")
		_, err := hex.DecodeString(digits)
		ok, rest = isTag && err == nil, counter
	}
	_, counted := Counter("", rest)
	return ok && counted
}

// IsName reports whether the name is one that whoever reads files gives a stream.
func IsName(name string) bool {
	prefix, ok := PrefixOf(name)
	return ok && named(prefix, name)
}

// Name is the name of the stream with that prefix, which may have a tag behind it, and counter.
func Name(prefix string, counter int) string { return fmt.Sprintf("%s%d", prefix, counter) }

// Counter returns the counter of a stream's name that has the prefix and nothing else before it.
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
