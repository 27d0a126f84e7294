// Package shipped is the header that goes with each log line that is shipped through Kafka. It names the line as the file
// that it comes from does, and says how that file is to be read, so that the consumer stores the row that an import of the
// file would store, however often the line is sent.
package shipped

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// Header is the key of the record header that holds an Origin.
const Header = "bounceline-origin"

// An Origin says where a shipped line comes from. The record's value is the line without its newline; of a line that is
// too long it is the head, so that To is not to be reckoned from the value's length.
type Origin struct {
	Stream   string // name of the file's content
	From, To int64  // the line, its newline included, is [From, To) of the stream
	Marker   string // of the bytes before To, see batch.Marker: what the ledger must have, and a consumer may not be able to compute
	Source   string // the input's configured name
	Host     string // for lines that carry no host, see parsers.Options
	Dialect  string // as in parsers.Options; empty is auto
	Zone     string // the configured zone of stamps without one; empty: the one in Anchor is assumed
	Anchor   string // the parser's state before the line, see parsers.Stream.Anchor; its zone is never "Local"
}

// ErrVersion says that a header was written by a newer version.
var ErrVersion = errors.New("the header is of a version that is not known; update the consumers before the shippers")

// The first byte of an encoded Origin. After it come Stream, From, To-From, Marker, Source, Host, Dialect, Zone, Anchor: numbers
// as unsigned varints (encoding/binary), texts as their length and their bytes, the marker as its 8 bytes. Another layout gets
// another number.
const version = 1

// MaxAnchor is how many bytes an anchor may have: it can hold a table's header row.
const MaxAnchor = 16 << 10

const (
	maxName   = 255 // bytes of each other text
	markerLen = 8
)

// Append appends the encoded origin to dst. The origin must be one that Valid has nothing against.
func Append(dst []byte, o *Origin) []byte {
	var marker [markerLen]byte
	_, _ = hex.Decode(marker[:], []byte(o.Marker))
	return AppendLine(dst, o, o.From, o.To, marker, []byte(o.Anchor))
}

// AppendLine appends the origin of the line [from, to) whose stream, source and options are o's.
func AppendLine(dst []byte, o *Origin, from, to int64, marker [8]byte, anchor []byte) []byte {
	dst = append(dst, version)
	dst = appendText(dst, o.Stream)
	dst = binary.AppendUvarint(dst, uint64(from))
	dst = binary.AppendUvarint(dst, uint64(to-from))
	dst = append(dst, marker[:]...)
	for _, s := range [...]string{o.Source, o.Host, o.Dialect, o.Zone} {
		dst = appendText(dst, s)
	}
	return appendText(dst, anchor)
}

func appendText[T string | []byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// Valid reports what is wrong with an origin: whatever it accepts comes back from Parse as it was.
func (o *Origin) Valid() error {
	switch {
	case o.Stream == "":
		return errors.New("stream: is empty")
	case o.From < 0 || o.To <= o.From:
		return fmt.Errorf("position: [%d, %d) holds nothing", o.From, o.To)
	case len(o.Marker) != 2*markerLen || !isHex(o.Marker):
		return fmt.Errorf("marker: %q is not 16 lower-case hex digits", o.Marker)
	}
	for _, f := range [...]struct {
		name, value string
		limit       int
	}{{"stream", o.Stream, maxName}, {"source", o.Source, maxName}, {"host", o.Host, maxName}, {"dialect", o.Dialect, maxName},
		{"zone", o.Zone, maxName}, {"anchor", o.Anchor, MaxAnchor}} {
		if len(f.value) > f.limit {
			return fmt.Errorf("%s: has %d bytes; %d is the most", f.name, len(f.value), f.limit)
		}
	}
	return nil
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Parse reads an origin. It keeps nothing of b. A header of another version gives ErrVersion.
func Parse(b []byte) (Origin, error) {
	var o Origin
	err := o.Decode(b)
	return o, err
}

// Decode reads an encoded origin into o and keeps nothing of b. Texts that o holds already are not allocated again: lines of
// one stream are best decoded into one Origin. After an error o is not to be used.
func (o *Origin) Decode(b []byte) error {
	if len(b) == 0 {
		return errors.New("the header is empty")
	}
	if b[0] != version {
		return ErrVersion
	}
	d := decoder{b[1:], true}
	d.text(&o.Stream, maxName)
	from, length := d.number(), d.number()
	d.marker(&o.Marker)
	for _, s := range [...]*string{&o.Source, &o.Host, &o.Dialect, &o.Zone} {
		d.text(s, maxName)
	}
	d.text(&o.Anchor, MaxAnchor)
	if !d.ok || len(d.rest) > 0 || from > 1<<62 || length > 1<<62 {
		return errors.New("the header is damaged: lengths and content do not agree")
	}
	o.From, o.To = int64(from), int64(from+length)
	return o.Valid()
}

type decoder struct {
	rest []byte
	ok   bool
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.ok, d.rest = false, nil
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) text(into *string, limit int) {
	n := d.number()
	if n > uint64(limit) || n > uint64(len(d.rest)) {
		d.ok, d.rest = false, nil
		return
	}
	if b := d.rest[:n]; string(b) != *into {
		*into = string(b)
	}
	d.rest = d.rest[n:]
}

func (d *decoder) marker(into *string) {
	if len(d.rest) < markerLen {
		d.ok, d.rest = false, nil
		return
	}
	var text [2 * markerLen]byte
	hex.Encode(text[:], d.rest[:markerLen])
	if string(text[:]) != *into {
		*into = string(text[:])
	}
	d.rest = d.rest[markerLen:]
}
