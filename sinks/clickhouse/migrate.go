package clickhouse

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// A migration is one numbered file of statements. Each statement is idempotent, so that a migration that was cut off is
// finished by running it again.
type migration struct {
	number     int
	name       string
	checksum   string
	statements []string
}

func migrations() ([]migration, error) {
	entries, err := migrationFiles.ReadDir("migrations")
	if err != nil {
		return nil, err
	}
	var out []migration
	for _, e := range entries { // sorted by name, hence by number
		text, err := migrationFiles.ReadFile("migrations/" + e.Name())
		if err != nil {
			return nil, err
		}
		m := migration{name: strings.TrimSuffix(e.Name(), ".sql")}
		if _, err := fmt.Sscanf(e.Name(), "%d_", &m.number); err != nil {
			return nil, fmt.Errorf("migration %s has no number", e.Name())
		}
		sum := sha256.Sum256(text)
		m.checksum = hex.EncodeToString(sum[:8])
		for _, s := range strings.Split(string(text), ";\n") {
			if s = strings.TrimSpace(s); s != "" {
				m.statements = append(m.statements, strings.TrimSuffix(s, ";"))
			}
		}
		out = append(out, m)
	}
	return out, nil
}

// Migrate brings the schema to this version, forward only. It refuses a schema that a newer version made. With dryRun it
// changes nothing and writes to w what it would do; else w gets a line a migration. W may be nil.
func (d *DB) Migrate(ctx context.Context, dryRun bool, w io.Writer) error {
	if w == nil {
		w = io.Discard
	}
	all, err := migrations()
	if err != nil {
		return err
	}
	applied, err := d.applied(ctx)
	if err != nil {
		return err
	}
	for n := range applied {
		if n > all[len(all)-1].number {
			return permanent{fmt.Errorf("the schema in database %s was made by a newer bounceline (migration %d, this one knows %d): install that version or a newer one",
				d.options.Auth.Database, n, all[len(all)-1].number)}
		}
	}
	if len(applied) == 0 && !dryRun {
		if err := d.prepare(ctx); err != nil {
			return fmt.Errorf("migrate: %w", explain(err))
		}
	}
	for _, m := range all {
		if _, done := applied[m.number]; done {
			continue
		}
		for _, s := range m.statements {
			if dryRun {
				fmt.Fprintf(w, "%s;\n\n", s)
				continue
			}
			if err := d.conn.Exec(ctx, s); err != nil {
				return fmt.Errorf("migration %s: %w", m.name, explain(err))
			}
		}
		if dryRun {
			continue
		}
		if err := d.conn.Exec(ctx, "INSERT INTO schema_migrations (number, name, checksum) VALUES (?, ?, ?)", m.number, m.name, m.checksum); err != nil {
			return fmt.Errorf("migration %s: record: %w", m.name, explain(err))
		}
		fmt.Fprintf(w, "applied %s\n", m.name)
	}
	return nil
}

// prepare makes the database and the table of migrations.
func (d *DB) prepare(ctx context.Context) error {
	database := d.options.Auth.Database
	quoted := "`" + strings.ReplaceAll(database, "`", "\\`") + "`"
	if err := d.conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+quoted); err != nil {
		return err
	}
	if err := d.connect(ctx, database); err != nil {
		return err
	}
	return d.conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS schema_migrations (number UInt32, name String, checksum String,
		applied DateTime DEFAULT now()) ENGINE = ReplacingMergeTree ORDER BY number`)
}

// applied returns the migrations that the database has had, by number; none where it is not there.
func (d *DB) applied(ctx context.Context) (map[int]string, error) {
	rows, err := d.conn.Query(ctx, "SELECT number, checksum FROM schema_migrations FINAL")
	if err != nil {
		if code := Code(err); code == codeNoSuchTable || code == codeNoSuchDatabase {
			return map[int]string{}, nil
		}
		return nil, explain(err)
	}
	defer rows.Close()
	out := map[int]string{}
	for rows.Next() {
		var n uint32
		var sum string
		if err := rows.Scan(&n, &sum); err != nil {
			return nil, err
		}
		out[int(n)] = sum
	}
	return out, explain(rows.Err())
}
