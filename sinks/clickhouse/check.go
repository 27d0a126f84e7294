package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"bounceline/pipeline/record"
)

// Check looks at the tables before the first row is sent: that each column is there, that the engines deduplicate, and
// that several addresses are not several separate servers. Its errors say what to do.
func (d *DB) Check(ctx context.Context) error {
	rows, err := d.conn.Query(ctx, "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'delivery_events'")
	if err != nil {
		return fmt.Errorf("check: %w", explain(err))
	}
	defer rows.Close()
	have := map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		have[name] = true
	}
	if err := rows.Err(); err != nil { // the server went away meanwhile: nothing is known of the columns
		return fmt.Errorf("check: %w", explain(err))
	}
	var missing []string
	for i := range record.Columns {
		if !have[record.Columns[i].Name] {
			missing = append(missing, record.Columns[i].Name)
		}
	}
	if len(missing) > 0 {
		return permanent{fmt.Errorf("table delivery_events lacks %s: run bounceline migrate", strings.Join(missing, ", "))}
	}
	return d.checkEngines(ctx)
}

// viewTarget finds the table that a materialised view writes to.
var viewTarget = regexp.MustCompile(`^CREATE MATERIALIZED VIEW \S+ TO (?:\S+\.)?(\w+)`)

// ttlExpressions are those of a table, up to its settings.
var ttlExpressions = regexp.MustCompile(` TTL (.+?)(?: SETTINGS |$)`)

// deletes reports whether the engine's definition has a TTL that deletes rows rather than move or compress them.
func deletes(engine string) bool {
	m := ttlExpressions.FindStringSubmatch(engine)
	return m != nil && !regexp.MustCompile(` (?:TO DISK|TO VOLUME|RECOMPRESS|GROUP BY) `).MatchString(m[1])
}

// checkEngines looks at our tables and at the target of every view over the raw table, also those that users made.
func (d *DB) checkEngines(ctx context.Context) error {
	rows, err := d.conn.Query(ctx, "SELECT name, engine, engine_full, create_table_query FROM system.tables WHERE database = currentDatabase()")
	if err != nil {
		return fmt.Errorf("check: %w", explain(err))
	}
	defer rows.Close()
	type table struct{ engine, full, create string }
	tables := map[string]table{}
	written := map[string]bool{"delivery_events": true, "ingest_batches": true}
	for rows.Next() {
		var name string
		var t table
		if err := rows.Scan(&name, &t.engine, &t.full, &t.create); err != nil {
			return err
		}
		tables[name] = t
		if m := viewTarget.FindStringSubmatch(t.create); m != nil && strings.Contains(t.create, "delivery_events") {
			written[m[1]] = true
		}
	}
	errs := []error{explain(rows.Err())}
	if deletes(tables["delivery_events"].full) {
		errs = append(errs, permanent{errors.New("table delivery_events has a TTL that deletes rows: an insert drops what is older and says nothing, and the rollups count it. " +
			"ALTER TABLE delivery_events REMOVE TTL, and drop whole months instead: ALTER TABLE delivery_events DROP PARTITION 202501")})
	}
	for name := range written {
		t, ok := tables[name]
		switch {
		case !ok: // a view's target in another database: its owner's business
		case !strings.HasSuffix(t.engine, "MergeTree"):
			errs = append(errs, permanent{fmt.Errorf("table %s has engine %s, which does not deduplicate: it must be of the MergeTree family", name, t.engine)})
		case strings.HasPrefix(t.engine, "Replicated"):
		case len(d.options.Addr) > 1:
			errs = append(errs, permanent{fmt.Errorf("table %s is not replicated, and %d addresses are given: each would hold a part; name one server", name, len(d.options.Addr))})
		case !strings.Contains(t.create, "non_replicated_deduplication_window"):
			errs = append(errs, permanent{fmt.Errorf("table %s has no deduplication window: ALTER TABLE %s MODIFY SETTING non_replicated_deduplication_window = 100000", name, name)})
		}
	}
	return errors.Join(errs...)
}
