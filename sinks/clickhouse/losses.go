package clickhouse

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"bounceline/pipeline/checkpoint"
)

// Lose notes losses, so that gaps explain themselves. One may be noted again, and does not keep the lines from being stored if
// somebody has them after all.
func (d *DB) Lose(ctx context.Context, losses ...checkpoint.Loss) error {
	b, err := d.conn.PrepareBatch(withToken(ctx, "lost/"+rand.Text()), "INSERT INTO ingest_losses (stream, from_pos, to_pos, reason)")
	if err != nil {
		return fmt.Errorf("note losses: %w", explain(err))
	}
	for _, l := range losses {
		if err := b.Append(l.Stream, uint64(l.From), uint64(l.To), l.Reason); err != nil {
			return errors.Join(fmt.Errorf("note losses: %w", err), b.Abort())
		}
	}
	if err := b.Send(); err != nil {
		return fmt.Errorf("note losses: %w", explain(err))
	}
	return nil
}

// DropLosses forgets what was noted to be lost of the stream.
func (d *DB) DropLosses(ctx context.Context, stream string) error {
	return explain(d.conn.Exec(ctx, "ALTER TABLE ingest_losses DELETE WHERE stream = ? SETTINGS mutations_sync = 2", stream))
}

// losses finds what was lost and noted, but for what was stored after all.
func (d *DB) losses(ctx context.Context) ([]Finding, error) {
	rows, err := d.conn.Query(ctx, fmt.Sprintf(`SELECT l.stream, l.from_pos, l.to_pos, any(l.reason),
			toInt64(l.to_pos - l.from_pos) - sum(greatest(0, toInt64(least(l.to_pos, b.to_pos)) - toInt64(greatest(l.from_pos, b.from_pos)))) AS n
		FROM ingest_losses AS l FINAL LEFT JOIN (SELECT stream, from_pos, to_pos FROM ingest_batches FINAL) AS b ON l.stream = b.stream
		GROUP BY 1, 2, 3 HAVING n > 0 ORDER BY 1, 2, 3 LIMIT %d`, maxFindings))
	if Code(err) == codeNoSuchTable { // the schema is older: nothing was noted
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", Loss, err)
	}
	defer rows.Close()
	var out []Finding
	for rows.Next() {
		f := Finding{Problem: Loss}
		var from, to uint64
		if err := rows.Scan(&f.Stream, &from, &to, &f.Reason, &f.Count); err != nil {
			return nil, err
		}
		f.From, f.To = int64(from), int64(to)
		out = append(out, f)
	}
	return out, rows.Err()
}

// unexplained leaves of the gaps those that are not wholly lost. The losses are sorted.
func unexplained(gaps, losses []Finding) []Finding {
	return slices.DeleteFunc(gaps, func(g Finding) bool {
		at := g.From
		for _, l := range losses {
			if l.Stream == g.Stream && l.From <= at {
				at = max(at, l.To)
			}
		}
		return at >= g.To
	})
}
