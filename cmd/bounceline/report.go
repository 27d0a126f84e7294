package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// groups are the values of --by.
var groups = []string{"domain", "provider", "sender", "host", "category", "refusal", "day", "hour"}

type reportOptions struct {
	db     databaseFlags
	zone   zoneFlag
	filter reportFilter
	by     string
	limit  uint64
	least  uint64
	sort   string
	output string
}

// groupOrders are the values of --sort, each with how it orders groups.
var groupOrders = map[string]string{
	"failures": "bounced + expired DESC, bounce_rate DESC, deferrals DESC",
	"rate":     "bounce_rate DESC NULLS LAST, bounced + expired DESC, deferrals DESC",
	"volume":   "delivered + bounced + expired DESC, deferrals DESC",
}

// sorted says whether the groups are ones that --sort and --min are for.
func (o *reportOptions) sorted() bool {
	_, ok := groupColumns[o.by]
	return ok
}

func newReportCommand() *cobra.Command {
	var o reportOptions
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Bounce rates, and what is behind them",
		Long: `Report shows on one screen how much mail bounced, at which providers and domains, for which reasons, and what to do about
each. With --by it shows the rates of each domain, provider, sender domain, host, category, day or hour; --by refusal shows who
refuses or slows down the sending side, why, and the way back that they document.

The bounce rate is (bounced + expired) / (delivered + bounced + expired): of the recipients whose delivery has ended, the
part that did not get the message. Deferrals are tries that will be repeated; they, address probes, discarded mail and hops
inside the site are not in it. Hard, soft and block are its parts: the address takes no mail; it might later; the sending
side was refused.`,
		Example: `  bounceline report
  bounceline report --since 7d --by day
  bounceline report --by domain --provider Google --limit 50
  bounceline report --by domain --sort rate --min 100            the worst, of those with a hundred deliveries or more
  bounceline report --by refusal --since 24h
  bounceline report --since 2026-11-01 --until 2026-12-01 --by sender --output csv > november.csv
  bounceline report --since 30d --output html > report.html      with charts, for a browser`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.db.register(cmd)
	o.zone.register(cmd)
	o.filter.register(cmd)
	registerOutput(cmd, &o.output)
	cmd.Flag("output").Usage += ", or html for the whole report as a page with charts"
	cmd.Flags().StringVar(&o.by, "by", "", strings.Join(groups[:len(groups)-1], ", ")+" or "+groups[len(groups)-1])
	cmd.Flags().Uint64Var(&o.limit, "limit", 20, "at most so many groups, the first ones, or the newest days; 0 is all")
	cmd.Flags().StringVar(&o.sort, "sort", "failures", "which domains, providers, senders or hosts come first: those with the most failures, the highest rate, or the largest volume")
	cmd.Flags().Uint64Var(&o.least, "min", 0, "only domains, providers, senders or hosts with so many deliveries that have ended")
	_ = cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(slices.Sorted(maps.Keys(groupOrders)), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("by", cobra.FixedCompletions(groups, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o *reportOptions) run(cmd *cobra.Command) error {
	if o.output == "html" && o.by != "" {
		return usagef("--output html is the whole report on a page: leave --by out")
	}
	if err := checkOutput(o.output); err != nil && o.output != "html" {
		return err
	}
	if o.by != "" && !slices.Contains(groups, o.by) {
		return usagef("--by %s: it is %s%s", o.by, strings.Join(groups, ", "), didYouMean(o.by, groups))
	}
	if orders := slices.Sorted(maps.Keys(groupOrders)); groupOrders[o.sort] == "" {
		return usagef("--sort %s: it is %s%s", o.sort, strings.Join(orders, ", "), didYouMean(o.sort, orders))
	}
	for _, flag := range []string{"sort", "min"} {
		if cmd.Flags().Changed(flag) && !o.sorted() {
			return usagef("--%s is for --by domain, provider, sender or host", flag)
		}
	}
	zone, err := o.zone.location()
	if err != nil {
		return err
	}
	if err := o.filter.resolve(zone, time.Now()); err != nil {
		return err
	}
	db, err := o.db.open(cmd.Context(), true)
	if err != nil {
		return err
	}
	defer db.Close()
	r := &report{db: db, zone: zone, filter: &o.filter, order: groupOrders[o.sort], least: o.least, errs: cmd.ErrOrStderr()}
	out := newScreen(cmd.OutOrStdout())
	switch {
	case o.by == "refusal":
		err = r.refused(cmd.Context(), out, o.output, o.limit)
	case o.by == "category":
		err = r.categories(cmd.Context(), out, o.output, o.limit)
	case o.by != "":
		err = r.groups(cmd.Context(), out, o.by, o.output, o.limit, cmd.Flags().Changed("limit"))
	default:
		err = r.overview(cmd.Context(), out, o.output)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// A report asks the database for what it shows.
type report struct {
	db     *database
	zone   *time.Location
	filter *reportFilter
	order  string    // of groups, in SQL
	least  uint64    // deliveries that have ended in a group
	errs   io.Writer // for what is no part of the report
	headed bool      // a heading has told of rows
}

// counts are the columns of the library's rates.
type counts struct {
	delivered, bounced, expired, deferrals uint64
	rate                                   *float64 // percent; nil where nothing is final, or see unrate
	hard, soft, block                      uint64
}

func (c *counts) fields() []any {
	return []any{&c.delivered, &c.bounced, &c.expired, &c.deferrals, &c.rate, &c.hard, &c.soft, &c.block}
}

func (c *counts) values() []any {
	var rate any
	if c.rate != nil {
		rate = *c.rate
	}
	return []any{c.delivered, c.bounced, c.expired, c.deferrals, rate, c.hard, c.soft, c.block}
}

// rateColumns are the same columns as people read them, and rateForm what of them a narrow terminal does not show.
var (
	rateColumns = []string{"bounce rate %", "delivered", "bounced", "expired", "hard", "soft", "block", "deferrals"}
	rateForm    = tableForm{optional: []string{"failures", "expired", "bounced", "deferrals"}}
)

// cells are the values of rateColumns.
func (c *counts) cells() []any {
	var rate any
	if c.rate != nil {
		rate = percentage{*c.rate, 2}
	}
	return []any{rate, amount(c.delivered), amount(c.bounced), amount(c.expired), amount(c.hard), amount(c.soft), amount(c.block), amount(c.deferrals)}
}

var countColumns = []string{"delivered", "bounced", "expired", "deferrals", "bounce_rate", "hard", "soft", "block"}

// failed and final are the numerator and the denominator of the rate.
func (c *counts) failed() uint64 { return c.bounced + c.expired }
func (c *counts) final() uint64  { return c.delivered + c.bounced + c.expired }

// An overview is what the screen shows.
type overview struct {
	first, last time.Time
	rows        uint64
	counts
	left      []leftOut
	read      *linesRead // nil where there is a filter: the ledger does not know what lines are about
	providers []group
	domains   []group
	reasons   []reason
}

// leftOut is a kind of row that is in no rate.
type leftOut struct {
	name, meaning string
	rows          uint64
}

// linesRead is what became of the log lines that were read, by the ledger.
type linesRead struct{ all, malformed, dead uint64 }

// A group is one line of a table of rates.
type group struct {
	name string
	counts
}

// A reason is a category of failures.
type reason struct {
	category, kind string
	failures       uint64
	provider       string   // the known provider that gave most of them, empty if none is known
	atProvider     uint64   // how many it gave
	before         []string // the categories of the recipients' last real answers, where the reason is none of them: the most frequent ones,
	beforeCounts   []uint64 // and how often each
	example        string
	back           wayBack // from what the example says
}

// unrate takes away the rate where the filter is one of categories: what was delivered is in none of them, so that it would be 100 %.
func (r *report) unrate(c *counts) {
	if len(r.filter.categories) > 0 {
		c.rate = nil
	}
}

// totals reads what all rows together are.
func (r *report) totals(ctx context.Context) (*overview, error) {
	o := &overview{}
	t := r.filter.source("", false, r.zone)
	where, params := r.filter.where(t.time)
	o.left = []leftOut{
		{name: "internal hop", meaning: "the mail stays inside the site and is logged again"},
		{name: "suspended", meaning: "put off without a try, because an earlier one failed"},
		{name: "probe", meaning: "an address was tested, no mail was sent"},
		{name: "discard", meaning: "thrown away by configuration"},
		{name: "suppressed", meaning: "not tried by configuration"},
		{name: "autoreply", meaning: "an automatic reply"},
		{name: "other", meaning: "an attempt with no outcome that is known"},
	}
	sql := fmt.Sprintf(`SELECT sum(%[1]s) AS everything,
       {{rates "%[1]s"}},
       sumIf(%[1]s, internal_hop = 1 AND event_type IN ('attempt', 'expiration')),
       sumIf(%[1]s, event_type = 'suspended'),
       sumIf(%[1]s, event_type = 'probe'),
       sumIf(%[1]s, event_type = 'discard'),
       sumIf(%[1]s, event_type = 'suppressed'),
       sumIf(%[1]s, event_type = 'autoreply'),
       sumIf(%[1]s, {{counted}} AND outcome = 'other')
FROM %[2]s WHERE %[3]s`, t.weight, t.name, where)
	fields := append([]any{&o.rows}, o.fields()...)
	for i := range o.left {
		fields = append(fields, &o.left[i].rows)
	}
	if err := r.one(ctx, sql, params, fields...); err != nil {
		return nil, err
	}
	r.unrate(&o.counts)
	where, params = r.filter.where("event_time")
	return o, r.one(ctx, "SELECT min(event_time), max(event_time) FROM delivery_events WHERE "+where, params, &o.first, &o.last)
}
