package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// escapeTerminal makes text from outside safe to show: control characters (C0, DEL and C1), line and paragraph separators,
// the characters that turn the direction of writing (Unicode Standard Annex #9) or show nothing, and invalid UTF-8 become
// visible escapes, as in Go's string literals. All other text stays as it is.
func escapeTerminal(v []byte) string { return escape(v, "") }

// escapeLines does the same for a message of ours, in which newlines stay.
func escapeLines(s string) string { return escape([]byte(s), "\n") }

// escape leaves the characters of keep as they are.
func escape(v []byte, keep string) string {
	var b strings.Builder
	start := 0
	for i := 0; i < len(v); {
		if c := v[i]; c >= 0x20 && c < 0x7f {
			i++
			continue
		}
		r, n := utf8.DecodeRune(v[i:])
		if !unsafeRune(r, n) || n == 1 && strings.IndexByte(keep, v[i]) >= 0 {
			i += n
			continue
		}
		b.Write(v[start:i])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, v[i])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += n
		start = i
	}
	if start == 0 {
		return string(v)
	}
	b.Write(v[start:])
	return b.String()
}

func unsafeRune(r rune, size int) bool {
	return r == utf8.RuneError && size <= 1 || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// outputs are the values of --output of commands that print rows.
var outputs = []string{"table", "csv", "ndjson"}

// registerOutput adds --output to a command.
func registerOutput(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVarP(to, "output", "o", "table", "table, csv or ndjson")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
}

func checkOutput(value string) error {
	if !slices.Contains(outputs, value) {
		return usagef("--output %s: it is table, csv or ndjson", value)
	}
	return nil
}

// rowWriter prints rows of values in one of the outputs. Write takes as many values as there are columns.
type rowWriter interface {
	Write(values []any) error
	Close() error
}

// newRowWriter returns the writer of an output.
func newRowWriter(w io.Writer, output string, columns []string) rowWriter {
	switch output {
	case "csv":
		c := &csvWriter{w: csv.NewWriter(w)}
		for _, name := range columns {
			c.cells = append(c.cells, csvCell(name))
		}
		c.err = c.w.Write(c.cells)
		return c
	case "ndjson":
		return &ndjsonWriter{w: w, columns: columns}
	}
	return newTable(w, tableForm{}, columns...)
}

// csvWriter writes RFC 4180.
type csvWriter struct {
	w     *csv.Writer
	cells []string
	err   error
}

func (c *csvWriter) Write(values []any) error {
	if c.err != nil {
		return c.err
	}
	c.cells = c.cells[:0]
	for _, v := range values {
		s := formatValue(v)
		if _, free := v.(string); free || !isNumber(v) {
			s = csvCell(s)
		}
		c.cells = append(c.cells, s)
	}
	return c.w.Write(c.cells)
}

func (c *csvWriter) Close() error {
	c.w.Flush()
	if c.err != nil {
		return c.err
	}
	return c.w.Error()
}

// csvCell keeps a spreadsheet from taking text for a formula: it gets an apostrophe in front (OWASP, CSV Injection); and a terminal from obeying
// it: RFC 4180 has no control characters in text.
func csvCell(s string) string {
	s = escape([]byte(strings.ToValidUTF8(s, "\uFFFD")), "\n\t")
	if s != "" && strings.IndexByte("=+-@\t\n", s[0]) >= 0 {
		return "'" + s
	}
	for _, wide := range []string{"＝", "＋", "－", "＠"} { // some spreadsheets fold the full-width forms
		if strings.HasPrefix(s, wide) {
			return "'" + s
		}
	}
	return s
}

// ndjsonWriter writes one JSON object a line.
type ndjsonWriter struct {
	w       io.Writer
	columns []string
	buf     []byte
}

func (n *ndjsonWriter) Write(values []any) error {
	b := append(n.buf[:0], '{')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, []byte(n.columns[i])), ':')
		b = appendJSON(b, v)
	}
	n.buf = append(b, '}', '\n')
	_, err := n.w.Write(n.buf)
	return err
}

func (n *ndjsonWriter) Close() error { return nil }

func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case float32:
		return appendJSONFloat(b, float64(v), 32)
	case float64:
		return appendJSONFloat(b, v, 64)
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, e)
		}
		return append(b, ']')
	}
	if isNumber(v) {
		return append(b, formatValue(v)...)
	}
	return appendString(b, []byte(formatValue(v)))
}

func appendJSONFloat(b []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(b, "null"...)
	}
	return strconv.AppendFloat(b, f, 'g', -1, bits)
}

// plural writes a count with the word for one or for many.
func plural(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// unread says that a file is hardly one of those that can be read, or nothing. Told are lines that belong to deliveries.
func unread(path string, lines, told, malformed int64) string {
	switch {
	case lines == 0:
		return ""
	case malformed*2 > lines:
		return fmt.Sprintf("most of it could not be understood: bounceline parse --malformed %s says why", escapeTerminal([]byte(path)))
	case told == 0:
		return "no line of it tells of a delivery: is it the log of a mail server?"
	}
	return ""
}

func isNumber(v any) bool {
	switch v.(type) {
	case int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64, amount, percentage:
		return true
	}
	return false
}

// formatFloat writes a number in full; what is no number is nothing.
func formatFloat(f float64, bits int) string {
	if math.IsNaN(f) {
		return ""
	}
	return strconv.FormatFloat(f, 'f', -1, bits)
}

// formatValue writes a value of a query's answer as text: times by RFC 3339, an absent address or time and null as nothing.
func formatValue(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return string(v)
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.Format("2006-01-02T15:04:05.999Z07:00")
	case net.IP:
		if v.IsUnspecified() {
			return ""
		}
		return v.String()
	case float32:
		return formatFloat(float64(v), 32)
	case float64:
		return formatFloat(v, 64)
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = formatValue(e)
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(v)
}
