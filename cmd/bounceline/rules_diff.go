package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"bounceline/pipeline/classify"
	"bounceline/pipeline/record"
	"bounceline/sinks/clickhouse/queries"
)

func newRulesDiffCommand() *cobra.Command {
	var rules ruleFlags
	var db databaseFlags
	var zone zoneFlag
	var filter reportFilter
	var output string
	var limit uint64
	cmd := &cobra.Command{
		Use:   "diff",
		Short: "Show which stored failures the rules of today would judge otherwise",
		Long: `Diff judges the stored bounces, deferrals and expirations again, by the shipped rules and yours, and shows where type or category
would be another than the row has: how many rows, by which rule, and the newest reply. So it tells what a rule does before the
daemon reads it, and what an upgrade changed. It changes nothing: rows keep the verdict that they were stored with.`,
		Example: `  bounceline rules diff --since 7d --rules my-rules.yaml
  bounceline rules diff --category user_unknown --output csv`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			in, err := zone.location()
			if err != nil {
				return err
			}
			if err := filter.resolve(in, time.Now()); err != nil {
				return err
			}
			engine, err := rules.engine()
			if err != nil {
				return err
			}
			d, err := db.openReader(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			changes, judged, err := changedVerdicts(cmd.Context(), d, engine, &filter)
			if err != nil {
				return err
			}
			out := newScreen(cmd.OutOrStdout())
			columns := []string{"failures", "type_stored", "category_stored", "rule_stored", "type_now", "category_now", "rule_now", "confidence_now", "newest_reply"}
			w := newRowWriter(out, output, columns)
			if output == "table" {
				w = newTable(out, tableForm{optional: []string{"confidence_now", "rule_stored", "type_stored", "type_now"}}, columns...)
			}
			changed := uint64(0)
			for i, c := range changes {
				changed += c.failures
				if limit > 0 && uint64(i) >= limit {
					continue
				}
				if err := w.Write([]any{c.failures, c.typeStored, c.categoryStored, c.ruleStored, c.typeNow, c.categoryNow, c.ruleNow, c.confidenceNow, c.reply}); err != nil {
					return err
				}
			}
			if err := w.Close(); err != nil {
				return err
			}
			if err := out.Flush(); err != nil {
				return err
			}
			differs := "all as they are stored"
			if changed > 0 {
				differs = fmt.Sprintf("%s otherwise than stored, in %s", thousands(changed), plural(uint64(len(changes)), "way", "ways"))
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s judged by rule set %s: %s\n", plural(judged, "failure", "failures"), engine.Version(), differs)
			return nil
		},
	}
	rules.register(cmd)
	db.register(cmd)
	zone.register(cmd)
	filter.register(cmd)
	registerOutput(cmd, &output)
	cmd.Flags().Uint64Var(&limit, "limit", 50, "at most so many ways in which verdicts differ, those with the most rows; 0 is all")
	return cmd
}

// A verdictChange is what verdicts were stored as and what they would be today.
type verdictChange struct {
	typeStored, categoryStored, ruleStored       string
	typeNow, categoryNow, ruleNow, confidenceNow string
}

// A changeCount is how many rows changed so, and the newest reply among them.
type changeCount struct {
	verdictChange
	failures uint64
	newest   time.Time
	reply    string
}

// changedVerdicts judges the stored failures again, and returns the ways in which type or category differ, those with the most rows first, and
// how many were judged.
func changedVerdicts(ctx context.Context, d *database, engine *classify.Engine, filter *reportFilter) ([]*changeCount, uint64, error) {
	where, params := filter.where("event_time")
	sql, err := queries.Expand(`SELECT event_time, toString(event_type), toString(outcome), toString(status), toString(mta), toString(relay_host), recipient, toString(smtp_command), smtp_code,
       toString(enhanced_code), toString(dsn), response_text, remote_text, toString(last_category), toString(bounce_type), toString(bounce_category), toString(rule)
FROM delivery_events
WHERE outcome IN ('bounced', 'deferred', 'expired') AND ` + where)
	if err != nil {
		return nil, 0, err
	}
	rows, err := d.Query(ctx, sql, params)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	judged, changes := uint64(0), map[verdictChange]*changeCount{}
	for rows.Next() {
		var r record.Row
		var at time.Time
		var event, outcome, status, relay, recipient, enhanced, dsn, response, remote string
		var c verdictChange
		if err := rows.Scan(&at, &event, &outcome, &status, &r.MTA, &relay, &recipient, &r.SMTPCommand, &r.SMTPCode, &enhanced, &dsn, &response, &remote, &r.LastCategory,
			&c.typeStored, &c.categoryStored, &c.ruleStored); err != nil {
			return nil, 0, err
		}
		r.EventType, r.Outcome = record.EventType(slices.Index(record.EventTypes, event)), record.Outcome(slices.Index(record.Outcomes, outcome))
		r.Status, r.RelayHost, r.Recipient, r.EnhancedCode, r.DSN = []byte(status), []byte(relay), []byte(recipient), []byte(enhanced), []byte(dsn)
		r.ResponseText, r.RemoteText = []byte(response), []byte(remote)
		judged++
		v := engine.Classify(&r)
		if v.BounceType == c.typeStored && v.Category == c.categoryStored {
			continue
		}
		c.typeNow, c.categoryNow, c.ruleNow, c.confidenceNow = v.BounceType, v.Category, v.Rule, v.Confidence
		n := changes[c]
		if n == nil {
			n = &changeCount{verdictChange: c}
			changes[c] = n
		}
		n.failures++
		if !at.Before(n.newest) {
			n.newest, n.reply = at, cmp.Or(remote, response)
		}
	}
	list := slices.SortedFunc(maps.Values(changes), func(a, b *changeCount) int {
		return cmp.Or(cmp.Compare(b.failures, a.failures), cmp.Compare(a.categoryStored, b.categoryStored), cmp.Compare(a.ruleStored, b.ruleStored), cmp.Compare(a.categoryNow, b.categoryNow),
			cmp.Compare(a.ruleNow, b.ruleNow))
	})
	return list, judged, rows.Err()
}
