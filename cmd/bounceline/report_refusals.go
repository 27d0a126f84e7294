package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"bounceline/pipeline/classify"
)

// A refusal is one reason for which somebody refuses or slows down the sending side, with the newest reply that says so.
type refusal struct {
	by, list, category, kind, hosts string
	recipients, bounced, deferrals  uint64
	expired                         uint64 // messages that were deferred so, and given up in the end
	last                            time.Time
	reply                           string
	back                            wayBack
}

// refusals reads who refuses the sending side and why, those with the most replies first, and says how many there are.
func (r *report) refusals(ctx context.Context, limit uint64) ([]refusal, uint64, error) {
	g, err := newGuides()
	if err != nil {
		return nil, 0, err
	}
	where, params := r.filter.where("event_time")
	rows, err := r.query(ctx, `WITH argMaxIf(({{reply}}, smtp_code, toString(enhanced_code), toString(provider)), (event_time, stream, pos, row), {{reply}} != '') AS newest
SELECT {{refuser}} AS refused_by, toString(list_name) AS list, toString(bounce_category) AS category, toString(bounce_type) AS type,
       arrayStringConcat(arraySort(topKIf(3)(toString(host), host != '')), ', '), uniq(recipient),
       countIf(outcome = 'bounced') AS bounced, countIf(outcome = 'deferred') AS deferrals, max(event_time),
       newest.1, newest.2, newest.3, newest.4,
       uniqExactIf((queue_id, recipient), outcome = 'deferred' AND (queue_id, recipient) IN (
           SELECT queue_id, recipient FROM delivery_events WHERE `+where+` AND {{counted}} AND outcome = 'expired')),
       count() OVER () AS labels
FROM delivery_events
WHERE `+where+` AND {{counted}} AND {{refused}}
GROUP BY refused_by, list, category, type
ORDER BY bounced + deferrals DESC, refused_by, list, category, type`+limited(limit), params)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	var out []refusal
	var all uint64
	for rows.Next() {
		var x refusal
		var code uint16
		var enhanced, provider string
		if err := rows.Scan(&x.by, &x.list, &x.category, &x.kind, &x.hosts, &x.recipients, &x.bounced, &x.deferrals, &x.last,
			&x.reply, &code, &enhanced, &provider, &x.expired, &all); err != nil {
			return nil, 0, err
		}
		x.back = g.back(x.kind, provider, x.list, x.reply, code, enhanced)
		out = append(out, x)
	}
	return out, all, rows.Err()
}

// refused prints the refusals: for people each with what to do, for programs a row for each.
func (r *report) refused(ctx context.Context, out *screen, output string, limit uint64) error {
	list, all, err := r.refusals(ctx, limit)
	if err != nil {
		return err
	}
	if output != "table" {
		return r.refusalRows(out, output, list)
	}
	if err := r.heading(ctx, out); err != nil {
		return err
	}
	for i, x := range list {
		paragraph(out, fmt.Sprintf("%2d. ", i+1), escapeTerminal([]byte(x.category+" ("+x.kind+") at "+x.who()))+": "+meaning(x.category))
		paragraph(out, "    ", escapeTerminal([]byte(r.figures(x))))
		if x.reply != "" {
			paragraph(out, "    > ", excerpt(x.reply))
		}
		if advice := classify.Advice(x.category); advice != "" {
			paragraph(out, "    = ", advice)
		}
		x.back.print(out)
	}
	return r.footing(ctx, out, output, len(list), all)
}

// who names who refuses, and the blocklist that it asked.
func (x *refusal) who() string {
	by := cmp.Or(x.by, "(no host named)")
	if x.list != "" {
		by += ", by " + x.list
	}
	return by
}

// figures says how much is refused, on the way from which hosts, and until when.
func (r *report) figures(x refusal) string {
	from := ""
	if x.hosts != "" {
		from = " from " + x.hosts
	}
	deferrals := plural(x.deferrals, "deferral", "deferrals")
	if x.expired > 0 {
		deferrals += " (" + thousands(x.expired) + " given up in the end)"
	}
	return fmt.Sprintf("%s bounced, %s, %s%s; last %s", thousands(x.bounced), deferrals, plural(x.recipients, "recipient", "recipients"), from,
		x.last.In(r.zone).Format(time.DateTime))
}

// refusalRows prints the refusals as rows.
func (r *report) refusalRows(out *screen, output string, list []refusal) error {
	w := newRowWriter(out, output, []string{"refused_by", "blocklist", "category", "type", "hosts", "recipients", "bounced", "deferrals", "expired", "last_seen", "reply",
		"advice", "meaning", "steps", "page", "blocklist_page", "zone"})
	for _, x := range list {
		var meaning, steps, page, listPage any
		if way := x.back.way; way != nil {
			meaning, steps, page = way.Meaning, strings.Join(way.Steps, "; "), way.Page
		}
		if l := x.back.list; l != nil {
			listPage = l.Page
		}
		if err := w.Write([]any{x.by, x.list, x.category, x.kind, x.hosts, x.recipients, x.bounced, x.deferrals, x.expired, x.last.In(r.zone), x.reply,
			classify.Advice(x.category), meaning, steps, page, listPage, r.zone.String()}); err != nil {
			return err
		}
	}
	return w.Close()
}
