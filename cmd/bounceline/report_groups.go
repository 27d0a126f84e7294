package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"bounceline/pipeline/classify"
	"bounceline/sinks/clickhouse/queries"
)

// groupColumns are the columns behind --by, and what stands for an empty one.
var groupColumns = map[string]struct{ column, empty string }{
	"domain":   {"recipient_domain", ""}, // a recipient without a domain is in no domain's rate
	"provider": {"provider", "(no known provider)"},
	"sender":   {"sender_domain", "(null sender or unknown)"},
	"host":     {"host", "(unknown)"},
}

// emptyLabel is what stands for an empty value of the column, or nothing.
func emptyLabel(column string) string {
	for _, g := range groupColumns {
		if g.column == column {
			return g.empty
		}
	}
	return ""
}

// query expands the SQL and runs it.
func (r *report) query(ctx context.Context, sql string, params map[string]string) (driver.Rows, error) {
	sql, err := queries.Expand(sql)
	if err != nil {
		return nil, err
	}
	return r.db.Query(ctx, sql, params)
}

// one reads the one row of an answer.
func (r *report) one(ctx context.Context, sql string, params map[string]string, to ...any) error {
	rows, err := r.query(ctx, sql, params)
	if err != nil {
		return err
	}
	defer rows.Close()
	if rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return err
		}
	}
	return rows.Err()
}

// limited is the LIMIT of a number where 0 is none.
func limited(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" LIMIT %d", n)
}

// by reads the rates of each value of a column, in the report's order, and says how many values there are.
func (r *report) by(ctx context.Context, name string, limit uint64) ([]group, uint64, error) {
	g := groupColumns[name]
	t := r.filter.source(g.column, false, r.zone)
	where, params := r.filter.where(t.time)
	if g.empty == "" {
		where += " AND " + g.column + " != ''"
	}
	params["empty"] = queries.Escape(g.empty)
	sql := fmt.Sprintf(`SELECT if(%[1]s = '', {empty:String}, toString(%[1]s)) AS label,
       {{rates "%[2]s"}},
       count() OVER () AS labels
FROM %[3]s WHERE %[4]s AND {{counted}}
GROUP BY label
HAVING delivered + bounced + expired >= %[6]d
ORDER BY %[7]s, label%[5]s`, g.column, t.weight, t.name, where, limited(limit), r.least, r.order)
	rows, err := r.query(ctx, sql, params)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	var out []group
	var all uint64
	for rows.Next() {
		var g group
		if err := rows.Scan(append(append([]any{&g.name}, g.fields()...), &all)...); err != nil {
			return nil, 0, err
		}
		r.unrate(&g.counts)
		out = append(out, g)
	}
	return out, all, rows.Err()
}

// times reads the rates of each day or hour of the zone, the newest of them where there is a limit, in order.
func (r *report) times(ctx context.Context, unit string, limit uint64) ([]group, uint64, error) {
	t := r.filter.source("", true, r.zone)
	where, params := r.filter.where(t.time)
	params["zone"] = queries.Escape(r.zone.String())
	// An hour is told by its beginning in UTC, which is clear where clocks are put back, too.
	label := "formatDateTime(toStartOfDay(" + t.time + ", {zone:String}), '%Y-%m-%d', {zone:String})"
	if unit == "hour" {
		label = "toString(toUnixTimestamp(toStartOfHour(" + t.time + ", {zone:String})))"
	}
	sql := fmt.Sprintf(`SELECT * FROM (
SELECT %s AS label,
       {{rates "%s"}},
       count() OVER () AS labels
FROM %s WHERE %s AND {{counted}}
GROUP BY label
ORDER BY label DESC%s) ORDER BY label`, label, t.weight, t.name, where, limited(limit))
	rows, err := r.query(ctx, sql, params)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	var out []group
	var all uint64
	for rows.Next() {
		var g group
		if err := rows.Scan(append(append([]any{&g.name}, g.fields()...), &all)...); err != nil {
			return nil, 0, err
		}
		r.unrate(&g.counts)
		if unit == "hour" {
			var at int64
			if _, err := fmt.Sscan(g.name, &at); err != nil {
				return nil, 0, err
			}
			g.name = time.Unix(at, 0).In(r.zone).Format("2006-01-02T15:04Z07:00")
		}
		out = append(out, g)
	}
	return out, all, rows.Err()
}

// groups prints the rates of each value of a group.
func (r *report) groups(ctx context.Context, out *screen, by, output string, limit uint64, chosen bool) error {
	var list []group
	var all uint64
	var err error
	if by == "day" || by == "hour" {
		if !chosen {
			limit = 0
		}
		list, all, err = r.times(ctx, by, limit)
	} else {
		list, all, err = r.by(ctx, by, limit)
	}
	if err != nil {
		return err
	}
	most := mostFailures(list)
	var w rowWriter
	if output == "table" {
		if err := r.heading(ctx, out); err != nil {
			return err
		}
		w = newTable(out, rateForm, append(append([]string{by}, rateColumns...), "failures")...)
	} else {
		w = newRowWriter(out, output, append(append([]string{by}, countColumns...), "zone"))
	}
	for _, g := range list {
		values := append(append([]any{g.name}, g.values()...), r.zone.String())
		if output == "table" {
			values = append(append([]any{g.name}, g.cells()...), bars(&g.counts, most, shades(out)))
		}
		if err := w.Write(values); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if output == "table" && len(list) > 0 {
		s := shades(out)
		fmt.Fprintf(out, "Failures: %s hard, %s soft, %s block; the longest bar is %s.\n", s[0], s[1], s[2], thousands(most))
	}
	if output == "table" && by == "host" && slices.ContainsFunc(list, func(g group) bool { return g.name == groupColumns[by].empty }) {
		fmt.Fprintln(out, "(unknown): lines that name no host, as those of Exim's own main log. Say which it is with --log-host when they are read.")
	}
	return r.footing(ctx, out, output, len(list), all)
}

// barWidth is how many characters the longest bar takes.
const barWidth = 24

// shades are what the hard, soft and block parts of a bar are drawn with.
func shades(out *screen) [3]string {
	if out.plain {
		return [3]string{"#", "=", "."}
	}
	return [3]string{"█", "▓", "░"}
}

// bars draws the parts of the failures, most of which in one group is drawn in full width. A part ends where the sum up to it
// does, so that rounding adds up.
func bars(c *counts, most uint64, shades [3]string) string {
	var b strings.Builder
	sum, drawn := uint64(0), 0
	for i, n := range [3]uint64{c.hard, c.soft, c.block} {
		sum += n
		end := int((sum*barWidth + most/2) / most)
		b.WriteString(strings.Repeat(shades[i], max(0, end-drawn)))
		drawn = max(drawn, end)
	}
	return b.String()
}

// categories prints the failures and deferrals of each category.
func (r *report) categories(ctx context.Context, out *screen, output string, limit uint64) error {
	t := r.filter.source("bounce_category", false, r.zone)
	where, params := r.filter.where(t.time)
	sql := fmt.Sprintf(`WITH sum(failures) OVER () AS everything
SELECT toString(bounce_category) AS category, toString(bounce_type) AS type,
       sumIf(%[1]s, outcome IN ('bounced', 'expired')) AS failures,
       round(100 * failures / nullIf(everything, 0), 2) AS share,
       sumIf(%[1]s, outcome = 'deferred') AS deferrals,
       count() OVER () AS labels
FROM %[2]s WHERE %[3]s AND {{counted}} AND outcome IN ('bounced', 'expired', 'deferred')
GROUP BY category, type
ORDER BY failures DESC, deferrals DESC, category, type%[4]s`, t.weight, t.name, where, limited(limit))
	rows, err := r.query(ctx, sql, params)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns := []string{"category", "type", "failures", "share", "deferrals", "what to do"}
	w := newRowWriter(out, output, columns)
	if output == "table" {
		if err := r.heading(ctx, out); err != nil {
			return err
		}
		columns[3] = "share %"
		w = newTable(out, tableForm{}, columns...)
	}
	var n int
	var all uint64
	for rows.Next() {
		var category, kind string
		var failures, deferrals uint64
		var share *float64
		if err := rows.Scan(&category, &kind, &failures, &share, &deferrals, &all); err != nil {
			return err
		}
		values := []any{category, kind, failures, nil, deferrals, classify.Advice(category)}
		if share != nil {
			values[3] = *share
		}
		if output == "table" {
			values[2], values[4] = amount(failures), amount(deferrals)
			if share != nil {
				values[3] = percentage{*share, 2}
			}
		}
		if err := w.Write(values); err != nil {
			return err
		}
		n++
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return r.footing(ctx, out, output, n, all)
}

// heading says which rows a table is about, and what all of them together are. Of no rows it says nothing: the footing does.
func (r *report) heading(ctx context.Context, out *screen) error {
	o, err := r.totals(ctx)
	if err != nil || o.rows == 0 {
		return err
	}
	r.headed = true
	paragraph(out, "", r.span(o))
	paragraph(out, "", o.headline())
	return nil
}

// footing says what a table does not show.
func (r *report) footing(ctx context.Context, out *screen, output string, shown int, all uint64) error {
	switch {
	case output != "table":
	case shown == 0 && r.headed && r.least > 0:
		fmt.Fprintf(out, "None has %s that ended (--min).\n", plural(r.least, "delivery", "deliveries"))
	case shown == 0 && r.headed:
		fmt.Fprintln(out, "These rows have none.")
	case shown == 0:
		return r.nothing(ctx, out, r.describe())
	case uint64(shown) < all:
		fmt.Fprintf(out, "%d of %d; --limit 0 shows all.\n", shown, all)
	}
	return nil
}
