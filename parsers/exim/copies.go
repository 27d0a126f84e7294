package exim

import (
	"bytes"

	"bounceline/parsers/reply"
	"bounceline/pipeline/record"
)

// oneLine undoes the line breaks that a copy has put into a record: between the lines of a reply it writes what Exim does, a
// backslash and an n, and elsewhere a blank.
func oneLine(text []byte, out *record.Result) []byte {
	b := out.Rows.Scratch(2 * len(text))[:0]
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte{'\n'})
		text = rest
		if line = bytes.Trim(line, " \t\r"); len(line) == 0 {
			continue
		}
		switch {
		case len(b) == 0:
		case reply.Code(line) != 0 && b[len(b)-1] != ':':
			b = append(b, '\\', 'n')
		default:
			b = append(b, ' ')
		}
		b = append(b, line...)
	}
	return b
}
