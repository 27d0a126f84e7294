package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"bounceline/pipeline/classify"
)

const (
	overviewGroups  = 8
	overviewReasons = 8
	exampleLength   = 320 // bytes of a reply that the screen shows
)

// read asks for all that the screen shows.
func (r *report) read(ctx context.Context) (*overview, error) {
	o, err := r.totals(ctx)
	if err != nil || o.rows == 0 {
		return o, err
	}
	if o.providers, _, err = r.by(ctx, "provider", overviewGroups); err != nil {
		return nil, err
	}
	if o.domains, _, err = r.by(ctx, "domain", overviewGroups); err != nil {
		return nil, err
	}
	if o.reasons, err = r.why(ctx, overviewReasons); err != nil || r.describe() != "" {
		return o, err
	}
	o.read = &linesRead{}
	return o, r.one(ctx, "SELECT sum(lines), sum(malformed), sum(dead_lines) FROM ingest_batches FINAL", nil, &o.read.all, &o.read.malformed, &o.read.dead)
}

// why reads the most frequent reasons, each with a reply that has words and the way back that a provider documents for it.
func (r *report) why(ctx context.Context, limit uint64) ([]reason, error) {
	where, params := r.filter.where("event_time")
	where += " AND {{counted}} AND outcome IN ('bounced', 'expired')"
	rows, err := r.query(ctx, `WITH sumMapIf([toString(last_category)], [toUInt64(1)], last_category NOT IN ('', bounce_category)) AS answers,
     arraySlice(arraySort(x -> (-toInt64(x.2), x.1), arrayZip(answers.1, answers.2)), 1, 3) AS most
SELECT toString(bounce_category) AS category, toString(bounce_type) AS type, count() AS failures, most.1, most.2
FROM delivery_events
WHERE `+where+`
GROUP BY category, type
ORDER BY failures DESC, category, type`+limited(limit), params)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []reason
	for rows.Next() {
		var x reason
		if err := rows.Scan(&x.category, &x.kind, &x.failures, &x.before, &x.beforeCounts); err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return out, r.examples(ctx, where, params, out)
}

// examples gives each reason the newest reply of the known provider that gave most of them. If that is less than a tenth, it
// says little about the reason: then it is the newest reply of those who gave most, known or not.
func (r *report) examples(ctx context.Context, where string, params map[string]string, reasons []reason) error {
	g, err := newGuides()
	if err != nil {
		return err
	}
	rows, err := r.query(ctx, `WITH argMaxIf(({{reply}}, smtp_code, toString(enhanced_code), toString(list_name)), (event_time, stream, pos, row), {{reply}} != '') AS newest
SELECT toString(bounce_category) AS category, toString(bounce_type) AS type, toString(provider) AS at, count() AS n, newest.1, newest.2, newest.3, newest.4
FROM delivery_events
WHERE `+where+`
GROUP BY category, type, at
ORDER BY n DESC, at`, params)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var category, kind, at, reply, enhanced, list string
		var n uint64
		var code uint16
		if err := rows.Scan(&category, &kind, &at, &n, &reply, &code, &enhanced, &list); err != nil {
			return err
		}
		for i := range reasons {
			if x := &reasons[i]; x.category == category && x.kind == kind {
				telling := at != "" && x.provider == "" && n*10 >= x.failures
				if telling || x.example == "" && x.provider == "" {
					x.example, x.back = reply, g.back(kind, at, list, reply, code, enhanced)
				}
				if telling {
					x.provider, x.atProvider = at, n
				}
			}
		}
	}
	return rows.Err()
}

func (r *report) overview(ctx context.Context, out *screen, output string) error {
	o, err := r.read(ctx)
	if err != nil {
		return err
	}
	if output == "csv" || output == "ndjson" {
		return r.sections(out, o, output)
	}
	if o.rows == 0 && output == "html" { // no page is written, and no sentence into its file
		return r.nothing(ctx, r.errs, r.describe())
	}
	if o.rows == 0 {
		return r.nothing(ctx, out, r.describe())
	}
	if output == "html" {
		return r.page(ctx, out, o)
	}
	r.screen(out, o)
	return nil
}

// nothing says why there is nothing to show: nothing is stored at all, or not what is asked for, which asked describes.
func (r *report) nothing(ctx context.Context, out io.Writer, asked string) error {
	var stored uint64
	var first, last time.Time
	if err := r.one(ctx, "SELECT count(), min(event_time), max(event_time) FROM delivery_events", nil, &stored, &first, &last); err != nil {
		return err
	}
	if stored == 0 {
		_, err := fmt.Fprintln(out, capital(nothingStored(r.db.where()))+".")
		return err
	}
	_, err := fmt.Fprintf(out, "No rows match.%s What is stored is from %s to %s.\n", asked, first.In(r.zone).Format(time.DateTime), last.In(r.zone).Format(time.DateTime))
	return err
}

// describe says which filters there are, or nothing.
func (r *report) describe() string {
	var parts []string
	for name, at := range map[string]time.Time{"since": r.filter.sinceAt, "until": r.filter.untAt} {
		if !at.IsZero() {
			parts = append(parts, name+" "+at.In(r.zone).Format(time.DateTime))
		}
	}
	for column, values := range r.filter.columns() {
		shown := slices.Clone(values)
		for i, v := range shown {
			shown[i] = cmp.Or(v, emptyLabel(column))
		}
		parts = append(parts, filterNames[column]+" "+strings.Join(shown, " or "))
	}
	if len(parts) == 0 {
		return ""
	}
	slices.Sort(parts)
	return " Only " + escapeTerminal([]byte(strings.Join(parts, ", "))) + "."
}

// span says which rows there are.
func (r *report) span(o *overview) string {
	return fmt.Sprintf("%s to %s, zone %s. %s.%s", o.first.In(r.zone).Format(time.DateTime), o.last.In(r.zone).Format(time.DateTime), r.zone, plural(o.rows, "row", "rows"), r.describe())
}

// headline is the rate of all rows.
func (o *overview) headline() string {
	if o.rate == nil {
		return "Bounce rate: none. " + capital(o.sentence())
	}
	return fmt.Sprintf("BOUNCE RATE %.2f %%: %s", *o.rate, o.sentence())
}

// sentence says what the rate is made of, or why there is none.
func (o *overview) sentence() string {
	switch {
	case o.final() == 0:
		return "no delivery has ended."
	case o.rate == nil:
		return plural(o.failed(), "delivery", "deliveries") + " failed so, and there is no rate: what was delivered has another category."
	}
	return fmt.Sprintf("of %s whose delivery has ended, %s did not get the message.", plural(o.final(), "recipient", "recipients"), thousands(o.failed()))
}

func (r *report) screen(out *screen, o *overview) {
	paragraph(out, "", r.span(o))
	fmt.Fprintln(out)
	paragraph(out, "", o.headline())
	fmt.Fprintln(out)
	t := newTable(out, tableForm{}, "outcome", "count", "% of ended", "")
	line := func(name string, n uint64, part bool, meaning string) {
		var share any
		if part && o.rate != nil {
			share = percentage{100 * float64(n) / float64(o.final()), 1}
		}
		_ = t.Write([]any{name, amount(n), share, meaning}) // errors of the screen are told when it is flushed
	}
	line("delivered", o.delivered, true, "accepted by the next host or the mailbox")
	line("bounced", o.bounced, true, "given up at once")
	line("expired", o.expired, true, "given up after its time in the queue")
	t.separate()
	line("  hard", o.hard, true, "of bounced and expired: the address or its domain takes no mail")
	line("  soft", o.soft, true, "might succeed later, or the address is not the reason")
	line("  block", o.block, true, "the recipient is fine, the sending side was refused")
	if rest := o.failed() - o.hard - o.soft - o.block; rest > 0 {
		line("  other", rest, true, "none of the three")
	}
	t.separate()
	line("deferrals", o.deferrals, false, "tries that failed for now and are repeated; not in the rate")
	_ = t.Close()
	fmt.Fprintln(out)

	groupTable(out, "provider", "Providers with the most failures", o.providers)
	groupTable(out, "domain", "Recipient domains with the most failures", o.domains)
	reasons(out, o)
	leftOutTable(out, o)
	if l := o.read; l != nil {
		paragraph(out, "", l.String())
	}
}

// String says how far the figures can be trusted, and where to look further.
func (l *linesRead) String() string {
	s := plural(l.all, "log line was", "log lines were") + " read"
	if l.malformed > 0 {
		s += "; " + thousands(l.malformed) + " could not be understood: bounceline query ingested says in which files"
	}
	if l.dead > 0 {
		s += "; rows of " + thousands(l.dead) + " could not be stored: bounceline dlq list says why"
	}
	return s + ". That no row is missing or there twice is proved by bounceline verify."
}

func groupTable(out *screen, name, title string, list []group) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(out, title)
	t := newTable(out, rateForm, append([]string{name}, rateColumns...)...)
	for _, g := range list {
		_ = t.Write(append([]any{g.name}, g.cells()...))
	}
	_ = t.Close()
	fmt.Fprintln(out)
}

func reasons(out *screen, o *overview) {
	if len(o.reasons) == 0 {
		return
	}
	fmt.Fprintln(out, "Reasons, with one reply each, and what to do")
	for i, x := range o.reasons {
		at := ""
		if x.provider != "" {
			at = fmt.Sprintf(", %s of them at %s", thousands(x.atProvider), x.provider)
		}
		paragraph(out, fmt.Sprintf("%2d. ", i+1), fmt.Sprintf("%s (%s) %s = %s %%%s: %s", escapeTerminal([]byte(x.category)), escapeTerminal([]byte(x.kind)),
			thousands(x.failures), percent(x.failures, o.failed()), escapeTerminal([]byte(at)), meaning(x.category)))
		if x.example != "" {
			paragraph(out, "    > ", excerpt(x.example))
		}
		if len(x.before) > 0 {
			paragraph(out, "    . ", "The last answers before it: "+escapeTerminal([]byte(x.lastAnswers()))+".")
		}
		if advice := classify.Advice(x.category); advice != "" {
			paragraph(out, "    = ", advice)
		}
		x.back.print(out)
	}
	paragraph(out, "", "Who refuses the sending side, and the way back: bounceline report --by refusal. Whom to stop mailing: bounceline suppress.")
	fmt.Fprintln(out)
}

// lastAnswers says how many of the failures had which last answer before them.
func (x *reason) lastAnswers() string {
	var parts []string
	for i, category := range x.before {
		parts = append(parts, thousands(x.beforeCounts[i])+" "+category)
	}
	return strings.Join(parts, ", ")
}

// capital begins a sentence.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// excerpt is a reply as the screen shows it: its lines, which Exim joins by a backslash and an n, on one, and not too long.
func excerpt(reply string) string {
	reply = strings.ReplaceAll(reply, `\n`, " ")
	if len(reply) > exampleLength {
		reply = strings.ToValidUTF8(reply[:exampleLength], "") + " ..."
	}
	return escapeTerminal([]byte(reply))
}

func leftOutTable(out *screen, o *overview) {
	t := newTable(out, tableForm{}, "left out of the rates", "rows", "")
	for _, l := range o.left {
		if l.rows > 0 {
			_ = t.Write([]any{l.name, amount(l.rows), l.meaning})
		}
	}
	if len(t.rows) == 0 {
		fmt.Fprintln(out, "Nothing was left out of the rates.")
		return
	}
	_ = t.Close()
}

// sections prints the overview as rows, each with the section that it belongs to.
func (r *report) sections(out *screen, o *overview, output string) error {
	columns := append(append([]string{"section", "name"}, countColumns...), "events", "type", "provider", "at_provider", "before", "example", "advice", "from", "to", "zone")
	w := newRowWriter(out, output, columns)
	var failed error
	write := func(section, name string, c *counts, rest ...any) {
		row := []any{section, name}
		if c != nil {
			row = append(row, c.values()...)
		} else {
			row = append(row, make([]any, len(countColumns))...)
		}
		row = append(row, rest...)
		row = append(row, make([]any, len(columns)-len(row))...)
		if err := w.Write(row); err != nil && failed == nil {
			failed = err
		}
	}
	var from, to any
	if o.rows > 0 {
		from, to = o.first.In(r.zone), o.last.In(r.zone)
	}
	write("totals", "all", &o.counts, o.rows, nil, nil, nil, nil, nil, nil, from, to, r.zone.String())
	for _, g := range o.providers {
		write("providers", g.name, &g.counts)
	}
	for _, g := range o.domains {
		write("domains", g.name, &g.counts)
	}
	for _, x := range o.reasons {
		write("reasons", x.category, nil, x.failures, x.kind, x.provider, x.atProvider, strings.Join(x.before, ", "), x.example, classify.Advice(x.category))
	}
	for _, l := range o.left {
		write("left_out", l.name, nil, l.rows)
	}
	if l := o.read; l != nil {
		write("lines", "read", nil, l.all)
		write("lines", "not understood", nil, l.malformed)
		write("lines", "not stored", nil, l.dead)
	}
	if failed != nil {
		return failed
	}
	return w.Close()
}

// thousands writes a number with its digits in threes.
func thousands(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func percent(part, whole uint64) string {
	if whole == 0 {
		return "-"
	}
	return strconv.FormatFloat(100*float64(part)/float64(whole), 'f', 1, 64)
}
