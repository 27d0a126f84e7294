package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bounceline/pipeline/classify"
	"bounceline/sinks/clickhouse/queries"
)

type suppressOptions struct {
	db           databaseFlags
	zone         zoneFlag
	output       string
	since, until string
	confidence   []string
	min, repeats uint
	days         uint
	fullDays     uint
	limit        uint
}

func newSuppressCommand() *cobra.Command {
	var o suppressOptions
	cmd := &cobra.Command{
		Use:   "suppress",
		Short: "List addresses to stop mailing, with the evidence for each",
		Long: `Suppress lists the addresses that should get no more mail, each with why, how often and since when it failed, and the last
reply; mailed_as is what it was mailed as, where an alias led to it. An address is listed for one of three reasons, counted
since the last delivery to it, however its capitals are written:

  hard      it bounced because the address or its domain does not take mail, and the reply's words or a trustworthy code say so
  repeated  the same was said of it in temporary replies, again and again over days
  full      its mailbox has been full for weeks

A refusal of the sender or its content lists nobody; blocklists that refused it are told below the table, with their own pages.
Nor does a basic code such as 550 by itself, an enhanced one that servers give for much else (codes tells which is proof), or
words that only make a reason likely: --confidence provider,text,dsn,code would believe those too, and lose good addresses.

In CSV a cell that a spreadsheet would take for a formula, as the address -ann@example.org, begins with an apostrophe; programs
read NDJSON, which has each address as it is.`,
		Example: `  bounceline suppress
  bounceline suppress --since 30d --output csv > suppress.csv
  bounceline suppress --output ndjson | jq -r 'select(.what_to_do == "suppress_address") | .recipient'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.db.register(cmd)
	o.zone.register(cmd)
	registerOutput(cmd, &o.output)
	fl := cmd.Flags()
	fl.StringVar(&o.since, "since", "", "from this time on: 2006-01-02, 2006-01-02T15:04, or how long ago, as 24h or 7d")
	fl.StringVar(&o.until, "until", "", "to before this time")
	fl.StringSliceVar(&o.confidence, "confidence", []string{classify.ByProvider, classify.ByText, classify.ByDSN}, "what counts as proof: provider, text, dsn, code, none")
	fl.UintVar(&o.min, "min", 1, "how many hard bounces are enough")
	fl.UintVar(&o.repeats, "repeats", 3, "how many softer failures are enough")
	fl.UintVar(&o.days, "days", 3, "over how many days softer failures must go on")
	fl.UintVar(&o.fullDays, "full-days", 14, "over how many days a mailbox must be full")
	fl.UintVar(&o.limit, "limit", 1_000_000, "at most so many addresses")
	return cmd
}

// suppressForm keeps the addresses, why and what the far side said of them.
var suppressForm = tableForm{optional: []string{"mailed_as", "messages", "first_failure", "rule_id", "evidence", "provider_name", "code", "failures", "what_to_do", "last_failure", "why"}}

// values are the parameters of the library's query.
func (o *suppressOptions) values() (map[string]string, error) {
	known := []string{classify.ByProvider, classify.ByText, classify.ByDSN, classify.ByCode, classify.ByNothing}
	for _, c := range o.confidence {
		if !slices.Contains(known, c) {
			return nil, usagef("--confidence %s: it is of %s%s", c, strings.Join(known, ", "), didYouMean(c, known))
		}
	}
	v := map[string]string{"confidence": strings.Join(o.confidence, ",")}
	for name, n := range map[string]uint{"min": o.min, "repeats": o.repeats, "days": o.days, "full_days": o.fullDays, "limit": o.limit} {
		v[name] = strconv.FormatUint(uint64(n), 10)
	}
	if o.since != "" {
		v["since"] = o.since
	}
	if o.until != "" {
		v["until"] = o.until
	}
	return v, nil
}

func (o *suppressOptions) run(cmd *cobra.Command) error {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	values, err := o.values()
	if err != nil {
		return err
	}
	zone, err := o.zone.location()
	if err != nil {
		return err
	}
	all, err := queries.All()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(q queries.Query) bool { return q.Name == "suppress" })
	bound, err := all[i].Bind(values, zone, time.Now())
	if err != nil {
		return usagef("%w", err)
	}
	db, err := o.db.openReader(cmd.Context())
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.Query(cmd.Context(), all[i].SQL, bound)
	if err != nil {
		return err
	}
	out := newScreen(cmd.OutOrStdout())
	n, err := printRows(rows, zone, func(columns []string) rowWriter {
		if o.output == "table" {
			return newTable(out, suppressForm, columns...)
		}
		return newRowWriter(out, o.output, columns)
	})
	if err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if n == 0 {
		stored, err := db.Number(cmd.Context(), "SELECT count() FROM delivery_events")
		if err != nil {
			return err
		}
		if stored == 0 {
			_, err := fmt.Fprintln(cmd.ErrOrStderr(), nothingStored(db.where()))
			return err
		}
	}
	if o.output == "table" {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s to stop mailing\n", plural(uint64(n), "address", "addresses"))
	}
	if n > 0 && uint(n) == o.limit {
		fmt.Fprintf(cmd.ErrOrStderr(), "the list stops at %s; raise --limit, or take it in parts with --since and --until\n", plural(uint64(n), "address", "addresses"))
	}
	if o.output == "table" {
		return tellBlocklists(cmd.Context(), db, cmd.ErrOrStderr(), bound)
	}
	return nil
}

// tellBlocklists says which blocklists refused mail in the same time, so that nobody looks for those recipients in the list: it
// is the sender who must act there.
func tellBlocklists(ctx context.Context, db *database, out io.Writer, bound map[string]string) error {
	lists, err := classify.NewBlocklists()
	if err != nil {
		return err
	}
	sql, err := queries.Expand(`SELECT toString(list_name) AS list, count() AS failures
FROM delivery_events
WHERE event_time >= {since:DateTime64(3, 'UTC')} AND event_time < {until:DateTime64(3, 'UTC')} AND {{counted}} AND outcome IN ('bounced', 'deferred') AND list_name != ''
GROUP BY list
ORDER BY failures DESC, list
LIMIT 3`)
	if err != nil {
		return err
	}
	rows, err := db.Query(ctx, sql, map[string]string{"since": bound["since"], "until": bound["until"]})
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var failures uint64
		if err := rows.Scan(&name, &failures); err != nil {
			return err
		}
		advice := "ask there to be removed"
		if b := lists.Find(name); b != nil {
			advice = b.Advice()
		}
		fmt.Fprintf(out, "not the addresses' fault: %s named %s; %s\n", plural(failures, "failure", "failures"), escapeTerminal([]byte(name)), advice)
	}
	return rows.Err()
}
