package envelope

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"bounceline/pipeline/record"
)

// A Clock turns stamps into times. What a stamp does not say it takes from the line before: the year that brings it
// nearest, and of an hour that comes twice the one that goes on from there. The first year is inferred from a reference.
type Clock struct {
	zone    *time.Location
	assumed bool
	last    int64 // time of the line before, Unix milliseconds; 0 if there is none
	ref     int64 // reference for the first year, Unix milliseconds

	stamp   [32]byte // the previous stamp, and what it gave
	low     uint64   // the first and the last eight bytes of a stamp of 15, to compare it quickly
	high    uint64
	length  int
	value   int64
	flags   record.TimeFlags
	plain   plainDay
	day     [10]byte // the previous ISO day, and its midnight
	dayTime int64
}

// A plainDay is the day of the previous stamp without a year, if it has 24 hours: stamps of the same day are then reckoned
// from its midnight.
type plainDay struct {
	month    time.Month // 0 is none
	day      int
	midnight int64
}

// SetReference sets what the first inferred year is reckoned from, and what a stamp may be ahead of: a file's mtime, or now
// for a live one.
func (c *Clock) SetReference(t time.Time) { c.ref = t.UnixMilli() }

// Renew sets the reference anew, where the year no longer depends on it.
func (c *Clock) Renew(now time.Time) {
	if c.last != 0 {
		c.ref = max(c.ref, now.UnixMilli())
	}
}

// Anchor is what times of later lines depend on besides their bytes.
func (c *Clock) Anchor() string { return string(c.AppendAnchor(nil)) }

// AppendAnchor appends what Anchor gives.
func (c *Clock) AppendAnchor(dst []byte) []byte {
	dst = append(strconv.AppendInt(dst, c.last, 10), ' ')
	dst = append(strconv.AppendInt(dst, c.ref, 10), ' ')
	dst = append(strconv.AppendBool(dst, c.assumed), ' ')
	return append(dst, c.zone.String()...)
}

// Restore sets the state to what Anchor gave.
func (c *Clock) Restore(anchor string) error {
	f := strings.SplitN(anchor, " ", 4)
	if len(f) != 4 {
		return fmt.Errorf("anchor %q has not four parts", anchor)
	}
	last, err1 := strconv.ParseInt(f[0], 10, 64)
	ref, err2 := strconv.ParseInt(f[1], 10, 64)
	assumed, err3 := strconv.ParseBool(f[2])
	if err := errors.Join(err1, err2, err3); err != nil {
		return fmt.Errorf("anchor: %w", err)
	}
	zone, err := time.LoadLocation(f[3])
	if err != nil {
		return fmt.Errorf("anchor: %w", err)
	}
	c.last, c.ref, c.assumed, c.zone, c.length, c.low, c.high, c.plain = last, ref, assumed, zone, 0, 0, 0, plainDay{}
	return nil
}

const dayMillis = 24 * 60 * 60 * 1000

// bsd reads "Nov 22 05:13:01" of a given year, or of the one that it infers if year is 0.
func (c *Clock) bsd(stamp []byte, year int) (int64, record.TimeFlags, bool) {
	if year == 0 && c.length == len(stamp) && bytes.Equal(stamp, c.stamp[:c.length]) {
		return c.value, c.flags, true
	}
	if len(stamp) < 14 {
		return 0, 0, false
	}
	month := monthOf(stamp)
	i := 4
	for i < len(stamp) && stamp[i] == ' ' {
		i++
	}
	begin := i
	for i < len(stamp) && digit(stamp[i]) {
		i++
	}
	d, ok := number(stamp[begin:i])
	clock := stamp[min(i+1, len(stamp)):]
	if month == 0 || !ok || d < 1 || d > 31 || len(clock) != 8 || clock[2] != ':' || clock[5] != ':' {
		return 0, 0, false
	}
	h, ok1 := number(clock[:2])
	m, ok2 := number(clock[3:5])
	s, ok3 := number(clock[6:8])
	if !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || s > 60 {
		return 0, 0, false
	}
	t, flags, ok := c.date(year, month, d, h, m, s)
	if !ok {
		return 0, 0, false
	}
	if year == 0 && len(stamp) <= len(c.stamp) {
		c.length = copy(c.stamp[:], stamp)
		c.value, c.flags = t, flags
		c.low, c.high = 0, 0
		if len(stamp) == 15 {
			c.low, c.high = binary.LittleEndian.Uint64(stamp), binary.LittleEndian.Uint64(stamp[7:])
		}
	}
	return t, flags, true
}

// date gives the time of a date and time of day without a zone, of the year that it infers if year is 0.
func (c *Clock) date(year int, month time.Month, d, h, m, s int) (int64, record.TimeFlags, bool) {
	var flags record.TimeFlags
	if c.assumed {
		flags |= record.ZoneAssumed
	}
	var t int64
	if year != 0 {
		date := time.Date(year, month, d, h, m, s, 0, c.zone)
		if date.Month() != month && s != 60 {
			return 0, 0, false
		}
		t = c.nearest(date)
		flags |= c.ahead(t)
	} else {
		flags |= record.YearInferred
		var ok bool
		if t, ok = c.infer(month, d, h, m, s); !ok {
			return 0, 0, false
		}
	}
	c.last = t
	return t, flags, true
}

// infer finds the year. A 29 February stands in leap years only.
func (c *Clock) infer(month time.Month, d, h, m, s int) (int64, bool) {
	if p := &c.plain; p.month == month && p.day == d && c.last-p.midnight < dayMillis && p.midnight <= c.last {
		return p.midnight + int64((h*60+m)*60+s)*1000, true
	}
	base := c.last
	if base == 0 {
		base = c.ref
	}
	year := time.UnixMilli(base).In(c.zone).Year()
	best, found := int64(0), false
	for y := year - 1; y <= year+1; y++ {
		date := time.Date(y, month, d, h, m, s, 0, c.zone)
		if date.Month() != month && !(s == 60) {
			continue
		}
		t := c.nearest(date)
		switch {
		case c.last == 0 && t <= base+dayMillis: // the latest that is not more than a day ahead
			best, found = t, true
		case c.last != 0 && (!found || distance(t, base) < distance(best, base)):
			best, found = t, true
		}
	}
	if !found { // a 29 February with no leap year near
		for y := year - 2; y >= year-8 && !found; y-- {
			if date := time.Date(y, month, d, h, m, s, 0, c.zone); date.Month() == month {
				best, found = date.UnixMilli(), true
			}
		}
	}
	if found {
		c.remember(best)
	}
	return best, found
}

// remember notes the day that a time lies in.
func (c *Clock) remember(ms int64) {
	c.plain = plainDay{}
	year, month, day := time.UnixMilli(ms).In(c.zone).Date()
	from, to := time.Date(year, month, day, 0, 0, 0, 0, c.zone), time.Date(year, month, day+1, 0, 0, 0, 0, c.zone)
	if from.Hour() == 0 && to.Sub(from) == 24*time.Hour {
		_, a := from.Zone()
		_, b := to.Add(-time.Millisecond).Zone()
		if a == b {
			c.plain = plainDay{month, day, from.UnixMilli()}
		}
	}
}

// jitter is how much earlier than the line before a line may be in the hour that comes twice: daemons and relays do not log
// strictly in order.
const jitter = 2 * 60 * 1000

// nearest gives, of an hour that comes twice in autumn, the first one until the lines before have passed it.
func (c *Clock) nearest(t time.Time) int64 {
	ms := t.UnixMilli()
	for _, hour := range [2]time.Duration{-time.Hour, time.Hour} {
		o := t.Add(hour)
		if o.Hour() != t.Hour() || o.Minute() != t.Minute() {
			continue
		}
		first, second := min(ms, o.UnixMilli()), max(ms, o.UnixMilli())
		if c.last != 0 && first < c.last-jitter && c.last < second+dayMillis {
			return second
		}
		return first
	}
	return ms
}

func distance(a, b int64) int64 {
	if a < b {
		return b - a
	}
	return a - b
}

// absolute takes in the time of a stamp that says year and zone.
func (c *Clock) absolute(ms int64) (int64, record.TimeFlags) {
	c.last = ms
	return ms, c.ahead(ms)
}

// ahead flags a time that is more than a day after the reference.
func (c *Clock) ahead(ms int64) record.TimeFlags {
	if c.ref != 0 && ms > c.ref+dayMillis {
		return record.AheadOfTime
	}
	return 0
}

// Now is the best guess for a line that has no time at all: that of the line before, else the reference.
func (c *Clock) Now() (int64, record.TimeFlags) {
	flags := record.FromEnvelope
	if c.last != 0 {
		return c.last, flags
	}
	return c.ref, flags
}

// unix reads seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size, with or without a
// fraction; 0 is none.
func unix(b []byte) int64 {
	whole, fractional := b, []byte(nil)
	if i := bytes.IndexByte(b, '.'); i >= 0 {
		whole, fractional = b[:i], b[i:]
	}
	if len(whole) < 9 || len(whole) > 19 {
		return 0
	}
	n := int64(0)
	for _, c := range whole {
		if !digit(c) || n > (1<<63-1-9)/10 {
			return 0
		}
		n = n*10 + int64(c-'0')
	}
	ms := int64(0)
	if len(fractional) > 1 {
		used := 0
		if ms, used = fraction(fractional); used != len(fractional) {
			return 0
		}
	}
	switch {
	case n < 1e11:
		return n*1000 + ms
	case n < 1e14:
		return n
	case n < 1e17:
		return n / 1000
	}
	return n / 1e6
}

// local gives the time of a stamp without a zone; civil is what the stamp would be in UTC, fraction included.
func (c *Clock) local(civil int64, stamp []byte) (int64, record.TimeFlags) {
	var flags record.TimeFlags
	if c.assumed {
		flags = record.ZoneAssumed
	}
	if c.length == 19 && bytes.Equal(stamp, c.stamp[:19]) {
		return c.value + civil%1000, c.flags
	}
	t := time.UnixMilli(civil).UTC()
	whole := c.nearest(time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, c.zone))
	flags |= c.ahead(whole)
	c.length = copy(c.stamp[:], stamp)
	c.low, c.high = 0, 0
	c.value, c.flags, c.last = whole, flags, whole
	return whole + civil%1000, flags
}

// civil reads "2026-11-22T05:13:01", with any byte between, as if it were UTC.
func (c *Clock) civil(b []byte) (int64, bool) {
	if b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	if !bytes.Equal(b[:10], c.day[:]) {
		if b[4] != '-' || b[7] != '-' {
			return 0, false
		}
		y, ok1 := number(b[:4])
		m, ok2 := number(b[5:7])
		d, ok3 := number(b[8:10])
		if !ok1 || !ok2 || !ok3 || m < 1 || m > 12 || d < 1 || d > 31 {
			return 0, false
		}
		c.dayTime = time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC).UnixMilli()
		copy(c.day[:], b[:10])
	}
	h, ok1 := number(b[11:13])
	m, ok2 := number(b[14:16])
	s, ok3 := number(b[17:19])
	if !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || s > 60 {
		return 0, false
	}
	return c.dayTime + int64((h*60+m)*60+s)*1000, true
}

// fraction reads ".123456" and returns milliseconds and bytes used.
func fraction(b []byte) (ms int64, used int) {
	scale := int64(100)
	for used = 1; used < len(b) && digit(b[used]); used++ {
		ms += scale * int64(b[used]-'0')
		scale /= 10
	}
	return ms, used
}

// offset reads "Z", "+02:00" or "+0200" and returns milliseconds and bytes used.
func offset(b []byte) (ms int64, used int, ok bool) {
	if len(b) > 0 && (b[0] == 'Z' || b[0] == 'z') {
		return 0, 1, true
	}
	if len(b) < 3 || b[0] != '+' && b[0] != '-' {
		return 0, 0, false
	}
	if len(b) == 3 || b[3] == ' ' { // "+02"
		h, ok := number(b[1:3])
		return int64(h) * 3_600_000 * sign(b[0]), 3, ok
	}
	if len(b) < 5 {
		return 0, 0, false
	}
	minutes, used := b[3:5], 5
	if b[3] == ':' {
		if len(b) < 6 {
			return 0, 0, false
		}
		minutes, used = b[4:6], 6
	}
	h, ok1 := number(b[1:3])
	m, ok2 := number(minutes)
	if !ok1 || !ok2 {
		return 0, 0, false
	}
	return int64(h*60+m) * 60_000 * sign(b[0]), used, true
}

func sign(b byte) int64 {
	if b == '-' {
		return -1
	}
	return 1
}

func monthOf(b []byte) time.Month {
	switch string(b[:3]) {
	case "Jan":
		return time.January
	case "Feb":
		return time.February
	case "Mar":
		return time.March
	case "Apr":
		return time.April
	case "May":
		return time.May
	case "Jun":
		return time.June
	case "Jul":
		return time.July
	case "Aug":
		return time.August
	case "Sep":
		return time.September
	case "Oct":
		return time.October
	case "Nov":
		return time.November
	case "Dec":
		return time.December
	}
	return 0
}

func digit(b byte) bool { return '0' <= b && b <= '9' }

func number(b []byte) (int, bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	n := 0
	for _, d := range b {
		if !digit(d) {
			return 0, false
		}
		n = n*10 + int(d-'0')
	}
	return n, true
}

// Time reads a whole stamp that a dialect has inside its text: "2026-11-22 05:34:55", T for the blank, with or without
// fraction and offset. Without an offset it is taken as UTC. It does not touch any clock.
func Time(b []byte) (ms int64, ok bool) {
	if len(b) < 19 || b[10] != ' ' && b[10] != 'T' {
		return 0, false
	}
	var c Clock
	if ms, ok = c.civil(b[:19]); !ok {
		return 0, false
	}
	rest := b[19:]
	if len(rest) > 0 && rest[0] == '.' {
		f, used := fraction(rest)
		ms, rest = ms+f, rest[used:]
	}
	if off, _, ok := offset(rest); ok {
		ms -= off
	}
	return ms, true
}
