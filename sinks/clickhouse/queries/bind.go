package queries

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Escape writes a value as the server's protocol wants a parameter's: as a field of tab-separated text (ClickHouse manual,
// format TabSeparated).
func Escape(value string) string { return escaper.Replace(value) }

var escaper = strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`, "\x00", `\0`)

// Bind checks values by the query's parameters and returns them as the server takes them, defaults filled in. Times are
// read by [Time]; a parameter of type Zone that is not given is the zone's name. Its errors name the parameter.
func (q Query) Bind(values map[string]string, zone *time.Location, now time.Time) (map[string]string, error) {
	bound := make(map[string]string, len(q.Params))
	for _, p := range q.Params {
		v, given := values[p.Name]
		switch {
		case !given && p.Required:
			return nil, fmt.Errorf("query %s needs --param %s=...: %s", q.Name, p.Name, p.Meaning)
		case !given && p.Type == "Zone":
			v = zone.String()
		case !given:
			v = p.Default
		}
		b, err := p.bind(v, zone, now)
		if err != nil {
			return nil, fmt.Errorf("query %s: parameter %s: %w", q.Name, p.Name, err)
		}
		bound[p.Name] = b
	}
	for name := range values {
		if _, ok := bound[name]; !ok {
			return nil, fmt.Errorf("query %s has no parameter %q; it has %s", q.Name, name, q.names())
		}
	}
	return bound, nil
}

func (q Query) names() string {
	if len(q.Params) == 0 {
		return "none"
	}
	names := make([]string, len(q.Params))
	for i, p := range q.Params {
		names[i] = p.Name
	}
	return strings.Join(names, ", ")
}

func (p Param) bind(v string, zone *time.Location, now time.Time) (string, error) {
	switch p.Type {
	case "UInt64":
		if _, err := strconv.ParseUint(v, 10, 64); err != nil {
			return "", fmt.Errorf("%q is no whole number from 0 on", v)
		}
	case "Zone":
		if _, err := time.LoadLocation(v); err != nil {
			return "", fmt.Errorf("%q is no time zone", v)
		}
	case "DateTime64(3, 'UTC')":
		t, err := Time(v, zone, now)
		if err != nil {
			return "", err
		}
		return FormatTime(t), nil
	}
	return Escape(v), nil
}

// FormatTime writes a time as the value of a parameter of type DateTime64(3, 'UTC').
func FormatTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

var layouts = []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"}

// Time reads a point in time as people give it: a date or a date and time in the zone, a time with its own offset
// (RFC 3339), now, or how long ago it was: 90s, 30m, 24h, 7d, 4w.
func Time(s string, zone *time.Location, now time.Time) (time.Time, error) {
	if s == "now" {
		return now, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return inRange(s, t)
	}
	for _, l := range layouts {
		if t, err := time.ParseInLocation(l, s, zone); err == nil {
			return inRange(s, t)
		}
	}
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if n := len(s) - 1; n > 0 {
		if unit, ok := units[s[n]]; ok {
			count, err := strconv.ParseUint(s[:n], 10, 32)
			if err == nil && count <= uint64((200*365*24*time.Hour)/unit) {
				return inRange(s, now.Add(-time.Duration(count)*unit))
			}
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: write 2006-01-02, 2006-01-02T15:04, or how long ago it was, as 24h or 7d", s)
}

// inRange keeps times where a DateTime64 is exact (ClickHouse manual: 1900 to 2299).
func inRange(s string, t time.Time) (time.Time, error) {
	if y := t.UTC().Year(); y < 1900 || y > 2298 {
		return t, fmt.Errorf("%q is out of range: years 1900 to 2298", s)
	}
	return t, nil
}

// EscapeArray writes texts as the value of a parameter of type Array(String).
func EscapeArray(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "'"
	}
	return Escape("[" + strings.Join(quoted, ",") + "]")
}
