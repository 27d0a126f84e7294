package clickhouse

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
)

// Isolate is a pipeline.Isolate. It halves the batch in a twin of the table, which has its columns and constraints and no
// views, until each row that is refused is alone.
func (d *DB) Isolate(ctx context.Context, b *batch.Batch) (bad []int, err error) {
	twin := "delivery_events_twin_" + strings.ToLower(rand.Text())
	if err := d.conn.Exec(ctx, "CREATE TABLE "+twin+" AS delivery_events"); err != nil {
		return nil, explain(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		_ = d.conn.Exec(ctx, "DROP TABLE IF EXISTS "+twin)
	}()
	var halve func(from, to int) error
	halve = func(from, to int) error {
		err := d.insert(ctx, twin, b, from, to, rand.Text())
		switch {
		case err == nil || !errors.Is(err, pipeline.ErrPoison):
			return err
		case to-from == 1:
			bad = append(bad, from)
			return nil
		}
		middle := from + (to-from)/2
		if err := halve(from, middle); err != nil {
			return err
		}
		return halve(middle, to)
	}
	return bad, halve(0, b.Rows)
}
