package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// A screen is where a command prints for people: buffered, and as wide as the terminal; the width is 0 where that is none. One that
// is plain shows ASCII only.
type screen struct {
	*bufio.Writer
	width int
	plain bool
}

func newScreen(w io.Writer) *screen { return screenOf(w, bufio.NewWriter(w)) }

// screenOf is the screen behind w, written to through b.
func screenOf(w io.Writer, b *bufio.Writer) *screen {
	return &screen{b, terminalWidth(w), plainTerminal(w)}
}

// plainTerminal reports whether the terminal behind w has another character set than UTF-8, by the locale (POSIX, 8.2). Files, and
// terminals without a locale, get UTF-8.
func plainTerminal(w io.Writer) bool {
	if s, ok := w.(*screen); ok {
		return s.plain
	}
	locale := strings.ToUpper(cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG")))
	return terminalWidth(w) > 0 && locale != "" && !strings.Contains(locale, "UTF-8") && !strings.Contains(locale, "UTF8")
}

// terminalWidth is how many columns the terminal behind w has, or 0.
func terminalWidth(w io.Writer) int {
	switch w := w.(type) {
	case *screen:
		return w.width
	case *os.File:
		if width, _, err := term.GetSize(int(w.Fd())); err == nil {
			return width
		}
	}
	return 0
}

// What running text is printed in: lines of at most so many columns, and of no less however narrow the terminal is.
const (
	widestText    = 110
	narrowestText = 40
)

// paragraph prints text behind a mark, in lines that fit the screen.
func paragraph(out *screen, mark, s string) {
	width := widestText
	if out.width > 0 {
		width = max(min(width, out.width), narrowestText)
	}
	indent := text.StringWidth(mark)
	for i, l := range strings.Split(text.WrapSoft(s, width-indent), "\n") {
		if i > 0 {
			mark = strings.Repeat(" ", indent)
		}
		fmt.Fprintln(out, mark+strings.TrimRight(l, " "))
	}
}

// amount and percentage are numbers as people read them in a table: for programs they are plain ones.
type amount uint64

func (a amount) String() string { return thousands(uint64(a)) }

type percentage struct {
	value    float64
	decimals int
}

func (p percentage) String() string { return strconv.FormatFloat(p.value, 'f', p.decimals, 64) }

const (
	tableRows    = 5000 // bounds what a table holds before it is printed and a new one begun
	widestCell   = 100
	roomyCell    = 36 // what a column of text keeps as long as there are columns that may be left out
	narrowCell   = 16
	longestWhole = 20 // a word up to this length is not broken
	frame        = 3  // columns that a cell's frame takes
)

// A tableForm says how a table is fitted to the terminal.
type tableForm struct {
	optional []string       // columns that are left out where there is no room, the first ones first
	widest   map[string]int // how wide a column is at most, where that is not widestCell
}

// tableWriter prints rows as a table that fits the terminal: what may be left out is left out, then columns of text get narrow.
// Where that is not enough each row is a record of a line for each column.
type tableWriter struct {
	w       io.Writer
	form    tableForm
	columns []string
	rows    [][]string // that are not printed yet; nil is a line between rows
	numeric []bool
	needs   []need // of the columns, in this table

	shown   []int  // widths of the columns of the table that is open on the screen, nil where none is
	bottom  string // what closes that
	records int    // how many rows were printed as records
}

// A need is how wide a column's widest cell is, and its longest word.
type need struct{ cell, word int }

// newTable returns the writer of a table in the form.
func newTable(w io.Writer, form tableForm, columns ...string) *tableWriter {
	t := &tableWriter{w: w, form: form}
	for _, c := range columns {
		t.columns = append(t.columns, escapeTerminal([]byte(c)))
	}
	t.begin()
	return t
}

// begin begins a table.
func (t *tableWriter) begin() {
	t.numeric, t.needs = make([]bool, len(t.columns)), make([]need, len(t.columns))
	for i, c := range t.columns {
		t.needs[i].grow(c)
	}
}

func (n *need) grow(s string) {
	n.cell, n.word = max(n.cell, text.StringWidth(s)), max(n.word, longestWord(s))
}

func (t *tableWriter) Write(values []any) error {
	row := make([]string, len(values))
	for i, v := range values {
		t.numeric[i] = isNumber(v) || t.numeric[i] && v == nil
		row[i] = escapeTerminal([]byte(formatValue(v)))
		t.needs[i].grow(row[i])
	}
	t.rows = append(t.rows, row)
	if len(t.rows) < tableRows {
		return nil
	}
	return t.Close()
}

// separate draws a line below the last row.
func (t *tableWriter) separate() { t.rows = append(t.rows, nil) }

// Flush prints the rows so far and leaves the table open for more. Where these need more room, a new one begins below.
func (t *tableWriter) Flush() error { return t.print(true) }

// Close prints the rows that are left and the end of the table. What is written then is another one.
func (t *tableWriter) Close() error {
	err := errors.Join(t.print(false), t.end())
	t.begin()
	return err
}

// print prints the rows so far. Open says that more may come: then the columns keep their widths.
func (t *tableWriter) print(open bool) error {
	if len(t.rows) == 0 {
		return nil
	}
	defer func() { t.rows = nil }()
	widths := t.layout(terminalWidth(t.w))
	if t.shown != nil && !slices.Equal(widths, t.shown) {
		if err := t.end(); err != nil {
			return err
		}
	}
	if widths == nil {
		return t.printRecords(terminalWidth(t.w))
	}
	lines := t.render(widths, open || t.shown != nil)
	first := 0
	if t.shown != nil {
		first = 1 // behind the line above, which is the one below the header there
	}
	t.shown, t.bottom = widths, lines[len(lines)-1]
	_, err := fmt.Fprintln(t.w, strings.Join(lines[first:len(lines)-1], "\n"))
	return err
}

// end prints the end of the table that is open.
func (t *tableWriter) end() error {
	if t.shown == nil {
		return nil
	}
	var left []string
	for i, width := range t.shown {
		if width == 0 {
			left = append(left, t.columns[i])
		}
	}
	t.shown = nil
	if _, err := fmt.Fprintln(t.w, t.bottom); err != nil || left == nil {
		return err
	}
	_, err := fmt.Fprintf(t.w, "A wider terminal shows more: %s.\n", strings.Join(left, ", "))
	return err
}

// render returns the lines of a table of the rows, with the header unless it is on the screen already. Where the widths are fixed no
// column is narrower.
func (t *tableWriter) render(widths []int, fixed bool) []string {
	p := table.NewWriter()
	style := table.StyleLight
	if plainTerminal(t.w) {
		style = table.StyleDefault
	}
	style.Format.Header = text.FormatDefault
	p.SetStyle(style)
	if t.shown == nil {
		p.AppendHeader(cells(t.columns))
	}
	var configs []table.ColumnConfig
	for i, width := range widths {
		c := table.ColumnConfig{Number: i + 1, WidthMax: width, WidthMaxEnforcer: text.WrapSoft, Hidden: width == 0}
		if fixed {
			c.WidthMin = width
		}
		if t.numeric[i] {
			c.Align, c.AlignHeader = text.AlignRight, text.AlignRight
		}
		configs = append(configs, c)
	}
	p.SetColumnConfigs(configs)
	for _, row := range t.rows {
		if row == nil {
			p.AppendSeparator()
			continue
		}
		p.AppendRow(cells(row))
	}
	return strings.Split(p.Render(), "\n")
}

func cells(row []string) table.Row {
	out := make(table.Row, len(row))
	for i, s := range row {
		out[i] = s
	}
	return out
}

// layout says how wide each column may be so that the table has the width at most, which is no limit if it is 0. A column that is
// left out is 0 wide. Where the table cannot be so narrow it returns nil.
func (t *tableWriter) layout(width int) []int {
	natural, roomy, narrow := t.wants()
	if width == 0 {
		return natural
	}
	shown := slices.Clone(natural)
	for dropped := 0; ; dropped++ {
		if shrink(shown, roomy, width) {
			return shown
		}
		if dropped == len(t.form.optional) {
			break
		}
		if i := slices.Index(t.columns, t.form.optional[dropped]); i >= 0 {
			natural[i] = 0
		}
		copy(shown, natural)
	}
	if shrink(shown, narrow, width) {
		return shown
	}
	return nil
}

// shrink makes the widest columns narrower, none than its least, until the table has the width. It reports whether it does.
func shrink(columns, least []int, width int) bool {
	for {
		total, widest := 1, -1
		for i, n := range columns {
			if n == 0 {
				continue
			}
			total += n + frame
			if n > least[i] && (widest < 0 || n > columns[widest]) {
				widest = i
			}
		}
		if total <= width {
			return true
		}
		if widest < 0 {
			return false
		}
		columns[widest]--
	}
}

// wants measures the columns: how wide each is where there is room, and the least that it may be before and after other columns
// were left out. Words stay whole unless they are long.
func (t *tableWriter) wants() (natural, roomy, narrow []int) {
	for i, c := range t.columns {
		widest, word := t.needs[i].cell, t.needs[i].word
		most := widestCell
		if n := t.form.widest[c]; n > 0 {
			most = n
		}
		n := max(1, min(widest, most))
		natural = append(natural, n)
		if t.numeric[i] {
			roomy, narrow = append(roomy, min(n, word)), append(narrow, min(n, word))
			continue
		}
		roomy, narrow = append(roomy, min(n, roomyCell)), append(narrow, min(n, max(narrowCell, min(word, longestWhole))))
	}
	return natural, roomy, narrow
}

func longestWord(s string) int {
	longest := 0
	for _, w := range strings.Fields(s) {
		longest = max(longest, text.StringWidth(w))
	}
	return longest
}

// printRecords prints each row as lines, one for each column that has a value.
func (t *tableWriter) printRecords(width int) error {
	out := newScreen(t.w)
	line := "─"
	if out.plain {
		line = "-"
	}
	names := 0
	for _, c := range t.columns {
		names = max(names, text.StringWidth(c))
	}
	for _, row := range slices.DeleteFunc(t.rows, func(row []string) bool { return row == nil }) {
		t.records++
		head := line + line + " " + strconv.Itoa(t.records) + " "
		fmt.Fprintln(out, head+strings.Repeat(line, max(3, width-text.StringWidth(head))))
		for i, s := range row {
			if s != "" {
				paragraph(out, text.Pad(t.columns[i], names+2, ' '), s)
			}
		}
	}
	return out.Flush()
}
