package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/spf13/cobra"

	"bounceline/sinks/clickhouse"
	"bounceline/sinks/clickhouse/queries"
)

// maxAnswer is how many rows the local engine gives to a reader before it stops.
const maxAnswer = 1_000_000

type queryOptions struct {
	db     databaseFlags
	zone   zoneFlag
	output string
	params []string
	show   bool
}

func newQueryCommand() *cobra.Command {
	var o queryOptions
	cmd := &cobra.Command{
		Use:   "query [NAME|SQL]",
		Short: "Ask the stored rows, by a named query or in SQL",
		Long: `Query runs a query of the library by its name, or SQL: an argument with a space in it is SQL. It only reads.
Unqualified table names are those of database bounceline: delivery_events, ingest_batches, rollup_domain_hourly and
rollup_sender_hourly. Without an argument it lists the library.

Parameters of type DateTime64 take a date, a date and time, or how long ago it was (24h, 7d).`,
		Example: `  bounceline query                                                    what there is
  bounceline query suppress --param since=30d --output csv > suppress.csv
  bounceline query message_trace --param queue_id=4jXHTQ3LgGz1ZtNh
  bounceline query top_reasons --show                                 the query's SQL
  bounceline query "SELECT provider, count() FROM delivery_events GROUP BY provider"
  bounceline query "SELECT count() FROM delivery_events WHERE recipient = {r:String}" --param r=ann@example.org`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("one query at a time: put SQL in quotes")
			}
			return nil
		},
		ValidArgsFunction: completeQuery,
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) },
	}
	o.db.register(cmd)
	o.zone.register(cmd)
	registerOutput(cmd, &o.output)
	cmd.Flags().StringArrayVarP(&o.params, "param", "p", nil, "a parameter's value, as name=value; may be repeated")
	cmd.Flags().BoolVar(&o.show, "show", false, "print the named query's SQL instead of running it")
	return cmd
}

func completeQuery(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	all, err := queries.All()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, q := range all {
		names = append(names, q.Name+"\t"+q.Description)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (o *queryOptions) run(cmd *cobra.Command, args []string) error {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	all, err := queries.All()
	if err != nil {
		return err
	}
	out := newScreen(cmd.OutOrStdout())
	if len(args) == 0 {
		return listQueries(out, all, o.output)
	}
	zone, err := o.zone.location()
	if err != nil {
		return err
	}
	values, err := o.values()
	if err != nil {
		return err
	}
	sql, params, err := o.statement(args[0], all, values, zone)
	if err != nil {
		return err
	}
	if o.show {
		fmt.Fprintln(out, sql)
		return out.Flush()
	}
	db, err := o.db.openReader(cmd.Context())
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.Query(cmd.Context(), sql, params)
	if err != nil {
		return queryError(err, db.lease != nil)
	}
	n, err := printRows(rows, zone, func(columns []string) rowWriter { return newRowWriter(out, o.output, columns) })
	if err != nil {
		return queryError(err, db.lease != nil)
	}
	if n >= maxAnswer && db.lease != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "the answer stops at %d rows; ask for a part, or connect a ClickHouse client (see bounceline engine --help)\n", n)
	}
	if n == 0 && o.output == "table" {
		fmt.Fprintln(cmd.ErrOrStderr(), "no rows")
	}
	return out.Flush()
}

// queryError says what the error of a query means to whoever typed it. Reader says that it ran as the user who may only read.
func queryError(err error, reader bool) error {
	switch code := clickhouse.Code(err); {
	case code == clickhouse.CodeAccessDenied && reader:
		var refused *driver.Exception
		if errors.As(err, &refused) {
			err = refused // without the advice to those who write
		}
		return fmt.Errorf("%w (query only reads, and nothing but bounceline's tables)", err)
	case code == clickhouse.CodeNoParameter:
		return fmt.Errorf("%w (give it with --param NAME=value)", err)
	}
	return err
}

// values reads the --param flags.
func (o *queryOptions) values() (map[string]string, error) {
	values := make(map[string]string, len(o.params))
	for _, p := range o.params {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, usagef("--param %s: write name=value", p)
		}
		if _, twice := values[name]; twice {
			return nil, usagef("--param %s is given twice", name)
		}
		values[name] = value
	}
	return values, nil
}

// statement is the SQL that an argument means, and its bound parameters.
func (o *queryOptions) statement(arg string, all []queries.Query, values map[string]string, zone *time.Location) (string, map[string]string, error) {
	if strings.ContainsAny(arg, " \t\r\n") {
		if o.show {
			return "", nil, usagef("--show is for queries of the library")
		}
		for name, v := range values {
			values[name] = queries.Escape(v)
		}
		return strings.TrimRight(arg, "; \t\r\n"), values, nil
	}
	var names []string
	for _, q := range all {
		if q.Name != arg {
			names = append(names, q.Name)
			continue
		}
		if o.show {
			return q.SQL, nil, nil
		}
		bound, err := q.Bind(values, zone, time.Now())
		if err != nil {
			return "", nil, usagef("%w", err)
		}
		return q.SQL, bound, nil
	}
	return "", nil, usagef("there is no query %q%s; bounceline query lists them, and SQL has a space in it", arg, didYouMean(arg, names))
}

// listQueries prints the library.
func listQueries(out *screen, all []queries.Query, output string) error {
	w := newRowWriter(out, output, []string{"query", "what it answers", "parameters"})
	for _, q := range all {
		var params []string
		for _, p := range q.Params {
			s := p.Name
			if p.Required {
				s += " (needed)"
			}
			params = append(params, s)
		}
		if err := w.Write([]any{q.Name, q.Description, strings.Join(params, ", ")}); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return out.Flush()
}

// openReader opens the database for what people type: in the local engine as the user that may only read.
func (f *databaseFlags) openReader(ctx context.Context) (*database, error) {
	d, err := f.open(ctx, true)
	if err != nil || d.lease == nil {
		return d, err
	}
	reader, err := clickhouse.Open(ctx, clickhouse.Config{DSN: d.lease.ReaderDSN(), Dial: d.dial})
	if err != nil {
		d.Close()
		return nil, err
	}
	_ = d.DB.Close()
	d.DB = reader
	return d, nil
}
