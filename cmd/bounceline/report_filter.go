package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bounceline/pipeline/classify"
	"bounceline/sinks/clickhouse/queries"
)

// reportFilter is which rows a report is about. Values of one flag are alternatives; flags hold together.
type reportFilter struct {
	since, until   string
	domains        []string
	providers      []string
	senderDomains  []string
	hosts          []string
	categories     []string
	sources        []string
	sinceAt, untAt time.Time // zero: open
}

func (f *reportFilter) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.since, "since", "", "from this time on: 2006-01-02, 2006-01-02T15:04, or how long ago, as 24h or 7d")
	fl.StringVar(&f.until, "until", "", "to before this time")
	fl.StringSliceVar(&f.domains, "domain", nil, "only these recipient domains")
	fl.StringSliceVar(&f.providers, "provider", nil, "only these mailbox providers, by name or domain: google, gmail, gmx.de")
	fl.StringSliceVar(&f.senderDomains, "sender-domain", nil, "only these sender domains")
	fl.StringSliceVar(&f.hosts, "host", nil, "only these mail server hosts")
	fl.StringSliceVar(&f.categories, "category", nil, "only these bounce categories")
	fl.StringSliceVar(&f.sources, "source", nil, "only these inputs, by name")
}

// resolve checks the filter and reads its times in the zone.
func (f *reportFilter) resolve(zone *time.Location, now time.Time) error {
	for _, t := range []struct {
		flag, value string
		to          *time.Time
	}{{"since", f.since, &f.sinceAt}, {"until", f.until, &f.untAt}} {
		if t.value == "" {
			continue
		}
		at, err := queries.Time(t.value, zone, now)
		if err != nil {
			return usagef("--%s: %w", t.flag, err)
		}
		*t.to = at
	}
	for _, c := range f.categories {
		if classify.Lookup(c) == nil {
			return usagef("--category %s: there is no such category%s; bounceline codes lists them", c, didYouMean(c, categoryNames()))
		}
	}
	if err := f.nameProviders(); err != nil {
		return err
	}
	if !f.sinceAt.IsZero() && !f.untAt.IsZero() && !f.sinceAt.Before(f.untAt) {
		return usagef("--since %s is not before --until %s", f.since, f.until)
	}
	return nil
}

// nameProviders puts the names that rows have in the place of what people call providers.
func (f *reportFilter) nameProviders() error {
	if len(f.providers) == 0 {
		return nil
	}
	known, err := classify.NewProviders()
	if err != nil {
		return err
	}
	var names []string
	for _, p := range f.providers {
		if p == groupColumns["provider"].empty {
			names = append(names, "")
			continue
		}
		found := known.About(p)
		if found == nil {
			return usagef("--provider %s: there is no such provider%s; bounceline report --by provider --limit 0 names those that are stored", p, didYouMean(p, known.Names()))
		}
		names = append(names, found...)
	}
	f.providers = names
	return nil
}

// filterNames are the filter's columns as its flags name them.
var filterNames = map[string]string{"recipient_domain": "domain", "provider": "provider", "sender_domain": "sender domain", "host": "host",
	"bounce_category": "category", "source": "source"}

// columns are the columns that the filter looks at, besides the time.
func (f *reportFilter) columns() map[string][]string {
	all := map[string][]string{"recipient_domain": lowered(f.domains), "provider": f.providers, "sender_domain": lowered(f.senderDomains),
		"host": slices.Clone(f.hosts), "bounce_category": f.categories, "source": f.sources}
	for name, values := range all {
		if len(values) == 0 {
			delete(all, name)
		}
		for i, v := range values {
			if label := emptyLabel(name); label != "" && v == label { // as reports name it
				values[i] = ""
			}
		}
	}
	return all
}

func lowered(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(lowerASCII([]byte(v)))
	}
	return out
}

// where is the filter as a condition on a table, and its parameters. TimeColumn is the table's column of time.
func (f *reportFilter) where(timeColumn string) (string, map[string]string) {
	params := map[string]string{}
	var all []string
	for name, at := range map[string]time.Time{"since": f.sinceAt, "until": f.untAt} {
		if at.IsZero() {
			continue
		}
		operator := map[string]string{"since": ">=", "until": "<"}[name]
		all = append(all, fmt.Sprintf("%s %s {%s:DateTime64(3, 'UTC')}", timeColumn, operator, name))
		params[name] = queries.FormatTime(at)
	}
	for column, values := range f.columns() {
		all = append(all, column+" IN ({"+column+":Array(String)})")
		params[column] = queries.EscapeArray(values)
	}
	if len(all) == 0 {
		return "1", params
	}
	slices.Sort(all)
	return strings.Join(all, " AND "), params
}

// A reportTable is one that a report can be counted from: rows of it weigh so much each.
type reportTable struct {
	name, time, weight string
}

var rawTable = reportTable{"delivery_events", "event_time", "1"}

// rollups are the tables of counts by the hour, and the columns that each can group and filter by.
var rollups = []struct {
	reportTable
	columns []string
}{
	{reportTable{"rollup_domain_hourly", "hour", "events"}, []string{"recipient_domain", "provider", "host", "bounce_category"}},
	{reportTable{"rollup_sender_hourly", "hour", "events"}, []string{"sender_domain"}},
}

// source chooses where a report by the column is counted: in a rollup where that gives the same figures, else in the rows
// themselves. ByTime says that rows are grouped by time, in the zone.
func (f *reportFilter) source(column string, byTime bool, zone *time.Location) reportTable {
	if !wholeHour(f.sinceAt) || !wholeHour(f.untAt) || byTime && !wholeHours(zone) {
		return rawTable
	}
	needed := []string{}
	if column != "" {
		needed = append(needed, column)
	}
	for name := range f.columns() {
		needed = append(needed, name)
	}
	for _, r := range rollups {
		if !slices.ContainsFunc(needed, func(n string) bool { return !slices.Contains(r.columns, n) }) {
			return r.reportTable
		}
	}
	return rawTable
}

func wholeHour(t time.Time) bool { return t.IsZero() || t.Equal(t.Truncate(time.Hour)) }

// wholeHours reports whether the zone has always been whole hours from UTC since there are logs to be read, so that an
// hour of it is an hour of the rollups.
func wholeHours(zone *time.Location) bool {
	for at := time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2100; at = at.AddDate(0, 1, 0) {
		if _, offset := at.In(zone).Zone(); offset%3600 != 0 {
			return false
		}
	}
	return true
}
