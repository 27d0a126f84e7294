package envelope

import (
	"bytes"
	"strings"
	"time"
	"unicode/utf8"

	"bounceline/pipeline/record"
)

// loose reads the stamp in what stands before a tag, whatever its form: a time of day, and a date in numbers or words. It
// returns 0 where there is none, and where the date could mean two days. Known is false where there is one whose month has
// a name that is not known: the line is not to be read at another time.
func (c *Clock) loose(b []byte) (ms int64, flags record.TimeFlags, known bool) {
	var d looseDate
	for len(b) > 0 {
		n := 0
		for n < len(b) && !mark[b[n]] && b[n] != '[' && b[n] != '<' && b[n] != '(' || n > 0 && n < len(b) && (b[n] == '-' || b[n] == '/' || b[n] == ':' || b[n] == '.') {
			n++
		}
		if n > 0 {
			d.word(b[:n])
		}
		b = b[min(n+1, len(b)):]
	}
	if d.month == 0 || d.day == 0 || !d.timed {
		return 0, 0, !d.unknown || d.month != 0
	}
	ms, flags, ok := c.date(d.year, d.month, d.day, d.hour, d.minute, d.second)
	if !ok {
		return 0, 0, true
	}
	return ms + d.millis, flags, true
}

// A looseDate is what the words of a stamp of unknown form have said so far.
type looseDate struct {
	year                 int
	month                time.Month
	day                  int
	hour, minute, second int
	millis               int64
	timed                bool
	before               kind // what the word before was
	unknown              bool // a day and a time of day follow a word that is no known month
}

// kind is what a word of a stamp is.
type kind uint8

const (
	_ kind = iota
	strange
	strangeDay // a number behind a strange word
)

// word takes in one word: "05:06:07.123", "2026/03/04", "04.03.2026", "04-Mar-2026", "20260304", "Mar", "März", "4", "2026".
func (d *looseDate) word(w []byte) {
	before := d.before
	d.before = 0
	if n := bytes.IndexByte(w, ':'); n > 0 {
		if d.clock(w, n); d.timed && before == strangeDay {
			d.unknown = true
		}
		return
	}
	sep := bytes.IndexAny(w, "-/.")
	if sep > 0 && sep < len(w)-1 && digit(w[0]) {
		second := w[sep+1:]
		if next := bytes.IndexByte(second, w[sep]); next > 0 {
			d.numbers(w[:sep], second[:next], second[next+1:], w[sep])
			return
		}
	}
	if n, ok := number(w); ok {
		switch {
		case len(w) == 8:
			d.set(n/10000, time.Month(n/100%100), n%100)
		case len(w) == 4 && n > 1980 && n < 2200:
			d.year = n
		case len(w) <= 2 && n >= 1 && n <= 31 && d.day == 0:
			if d.day = n; before == strange {
				d.before = strangeDay
			}
		}
		return
	}
	switch m := monthName(w); {
	case m != 0:
		d.month = m
	case d.timed && len(w) == 2 && (string(w) == "PM" || string(w) == "pm"):
		if d.hour < 12 {
			d.hour += 12
		}
	case d.timed && len(w) == 2 && (string(w) == "AM" || string(w) == "am"):
		d.hour %= 12
	default:
		d.before = strange
	}
}

func (d *looseDate) clock(w []byte, n int) {
	if d.timed || len(w) < n+6 || w[n+3] != ':' {
		return
	}
	h, ok1 := number(w[:n])
	m, ok2 := number(w[n+1 : n+3])
	s, ok3 := number(w[n+4 : n+6])
	if !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || s > 60 {
		return
	}
	d.hour, d.minute, d.second, d.timed = h, m, s, true
	if rest := w[n+6:]; len(rest) > 1 && (rest[0] == '.' || rest[0] == ',') {
		d.millis, _ = fraction(rest)
	}
}

// numbers reads a date of three parts. Of two numbers that may both be the month, the order is known by the separator alone:
// day first with dots and hyphens, unknown with slashes.
func (d *looseDate) numbers(a, b, c []byte, sep byte) {
	x, ok1 := number(a)
	z, ok2 := number(c)
	if !ok1 || !ok2 {
		return
	}
	y, ok := number(b)
	if !ok {
		y = int(monthName(b))
		if len(c) == 4 {
			d.set(z, time.Month(y), x)
		}
		return
	}
	switch {
	case len(a) == 4:
		d.set(x, time.Month(y), z)
	case len(c) != 4:
	case sep != '/' && y <= 12, x > 12:
		d.set(z, time.Month(y), x)
	case y > 12:
		d.set(z, time.Month(x), y)
	}
}

func (d *looseDate) set(year int, month time.Month, day int) {
	if month >= 1 && month <= 12 && day >= 1 && day <= 31 {
		d.year, d.month, d.day = year, month, day
	}
}

// monthName knows the names of months, whole and cut, of the locales that people run syslog and journalctl under. It returns
// 0 for other words.
func monthName(w []byte) time.Month {
	w = bytes.TrimRight(w, ".,")
	if len(w) > 16 || len(w) == 0 {
		return 0
	}
	var buf [64]byte
	if !utf8.Valid(w) { // as Latin-1 has it
		utf := buf[:0]
		for _, c := range w {
			utf = utf8.AppendRune(utf, rune(c))
		}
		w = utf
	}
	for i, names := range months {
		for known := range strings.FieldsSeq(names) {
			name, prefix := strings.CutSuffix(known, "*")
			if len(w) == len(name) || prefix && len(w) > len(name) {
				if strings.EqualFold(string(w[:len(name)]), name) {
					return time.Month(i + 1)
				}
			}
		}
	}
	return 0
}

// months is what names of a month begin with (*) or are: English, German, Dutch, French, Spanish, Italian, Portuguese,
// Scandinavian, Polish, Czech, Russian, Chinese and Japanese.
var months = [12]string{
	"jan* gen ene janv* sty led янв* 1月",
	"feb* fév* fev* lut úno фев* 2月",
	"mar mär* mrz mrt mars march märz bře мар* 3月",
	"apr* avr* abr kwi dub апр* 4月",
	"may mai mei mag maj maio kvě май мая 5月",
	"jun* juin giu cze čer июн* 6月",
	"jul* juil* lug lip čec июл* 7月",
	"aug* aoû* ago sie srp авг* 8月",
	"sep* sett* set wrz zář сен* 9月",
	"oct* okt* ott out paź říj окт* 10月",
	"nov* lis ноя* 11月",
	"dec* dez* déc* dic dez gru pro дек* 12月",
}
