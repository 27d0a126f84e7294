package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
	"bounceline/sinks/clickhouse"
	"bounceline/sinks/clickhouse/local"
)

// databaseFlags say where the rows are: in a server, or in the local engine of a state directory.
type databaseFlags struct {
	stateDir     string
	dsn          string
	passwordFile string
	ca           string
	cert, key    string
}

// registerState adds the one flag of commands that need no database, or only the local engine.
func (f *databaseFlags) registerState(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.stateDir, "state-dir", os.Getenv("BOUNCELINE_STATE_DIR"), "directory of local engine and checkpoints (BOUNCELINE_STATE_DIR; default "+defaultStateDir()+")")
	cmd.Flags().Lookup("state-dir").DefValue = "" // the environment is no place for the values that help prints
}

func (f *databaseFlags) register(cmd *cobra.Command) {
	f.registerState(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.dsn, "clickhouse", os.Getenv("BOUNCELINE_CLICKHOUSE"), "server, as clickhouse://user@host:9000/bounceline, instead of the local engine (BOUNCELINE_CLICKHOUSE)")
	fl.StringVar(&f.passwordFile, "clickhouse-password-file", os.Getenv("BOUNCELINE_CLICKHOUSE_PASSWORD_FILE"), "file with the server's password (BOUNCELINE_CLICKHOUSE_PASSWORD_FILE)")
	fl.StringVar(&f.ca, "clickhouse-ca", "", "PEM file of the authority that signed the server's certificate")
	fl.StringVar(&f.cert, "clickhouse-cert", "", "PEM file of a client certificate")
	fl.StringVar(&f.key, "clickhouse-key", "", "PEM file of its key")
	fl.Lookup("clickhouse").DefValue = ""
	fl.Lookup("clickhouse-password-file").DefValue = ""
}

// configure fills in what a configuration file says, where no flag and no environment variable does.
func (f *databaseFlags) configure(stateDir, dsn, passwordFile string) {
	for _, p := range []struct {
		to   *string
		from string
	}{{&f.stateDir, stateDir}, {&f.dsn, dsn}, {&f.passwordFile, passwordFile}} {
		if *p.to == "" {
			*p.to = p.from
		}
	}
}

// defaultStateDir is where a service, or a user, keeps what survives restarts (XDG Base Directory Specification).
func defaultStateDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/bounceline"
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "bounceline")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(os.TempDir(), fmt.Sprintf("bounceline-%d", os.Geteuid()))
	}
	return filepath.Join(home, ".local", "state", "bounceline")
}

func (f *databaseFlags) directory() string {
	if f.stateDir != "" {
		return f.stateDir
	}
	return defaultStateDir()
}

// A database is an open one, with a lease on the local engine where that is it.
type database struct {
	*clickhouse.DB
	StateDir string
	mu       sync.Mutex // of lease
	lease    *local.Lease
}

// Write implements pipeline.Sink. If the local engine has died it starts it again, for the next try. Where its disk is nearly
// full it writes nothing.
func (d *database) Write(ctx context.Context, b *batch.Batch, token string) error {
	if err := d.room(); err != nil {
		return err
	}
	return d.revive(ctx, d.written(ctx, d.DB.Write(ctx, b, token)))
}

// WriteLedger implements pipeline.Sink, as Write does.
func (d *database) WriteLedger(ctx context.Context, b *batch.Batch) error {
	if err := d.room(); err != nil {
		return err
	}
	return d.revive(ctx, d.written(ctx, d.DB.WriteLedger(ctx, b)))
}

// written returns the error of what was asked of the database. Of the local engine it makes sure, first, that it could write
// its files; if not, it waits for the engine's end, since what is stored is known after its next start.
func (d *database) written(ctx context.Context, err error) error {
	lease := d.leased()
	if lease == nil {
		return err
	}
	failed, asked := d.Number(ctx, local.FailedWrites)
	switch {
	case asked != nil && (err == nil || errors.Is(err, pipeline.ErrKnown)):
		return asked
	case asked != nil || failed == 0:
		return err
	}
	select {
	case <-lease.Gone():
	case <-ctx.Done():
	}
	return fmt.Errorf("%w: the local engine could not write its files; free some space where %s is", local.ErrFull, d.StateDir)
}

func (d *database) leased() *local.Lease {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lease
}

// dial connects to the local engine, wherever it is when it was started again: it keeps its port only if nobody took that meanwhile.
func (d *database) dial(ctx context.Context) (net.Conn, error) { return d.leased().Dial(ctx) }

// room returns an error where the local engine's disk is nearly full.
func (d *database) room() error {
	if d.leased() == nil {
		return nil
	}
	if err := local.Room(d.StateDir); err != nil {
		return fmt.Errorf("%w: %w", err, pipeline.ErrNotStored)
	}
	return nil
}

// Present implements pipeline.Auditor, as Write does the sink.
func (d *database) Present(ctx context.Context, stream string, from, to int64) (map[batch.Place]struct{}, error) {
	out, err := d.DB.Present(ctx, stream, from, to)
	return out, d.revive(ctx, d.written(ctx, err))
}

// Mend implements pipeline.Auditor.
func (d *database) Mend(ctx context.Context, first, last int64) error {
	return d.revive(ctx, d.written(ctx, d.DB.Mend(ctx, first, last)))
}

// Ledger asks DB.Ledger, and again if the local engine died over it.
func (d *database) Ledger(ctx context.Context, prefix string) (out []batch.Range, err error) {
	err = d.ask(ctx, func() error { out, err = d.DB.Ledger(ctx, prefix); return err })
	return out, err
}

// Reach asks DB.Reach, as Ledger does.
func (d *database) Reach(ctx context.Context, prefix string) (out map[string]int64, err error) {
	err = d.ask(ctx, func() error { out, err = d.DB.Reach(ctx, prefix); return err })
	return out, err
}

// QueueIDs implements pipeline.Comparer, as Ledger does content.Ledger.
func (d *database) QueueIDs(ctx context.Context, stream string, from, to int64, limit int) (out map[int64]string, err error) {
	err = d.ask(ctx, func() error { out, err = d.DB.QueueIDs(ctx, stream, from, to, limit); return err })
	return out, err
}

// ask repeats a question as often as the local engine died over it, up to a limit. A server that does not answer is the
// asker's business: it may wait, or give up.
func (d *database) ask(ctx context.Context, question func() error) (err error) {
	for range attempts {
		err = question()
		lease := d.leased()
		if err == nil || lease == nil || ctx.Err() != nil || !clickhouse.Retryable(err) {
			return err
		}
		awaitDeath(ctx, lease, err)
		err = d.revive(ctx, err)
	}
	return err
}

// dying is how long an engine may take to die: one that a fault of its own ends answers nobody while it writes down where it was.
const dying = 10 * time.Second

// awaitDeath waits for the end of the local engine over which a call failed, for dying where the error looks like it: connections are gone, and
// calls are refused, before the engine is known to be dead.
func awaitDeath(ctx context.Context, lease *local.Lease, err error) {
	limit := time.Second
	if code := clickhouse.Code(err); code == 0 || code == clickhouse.CodeAborted {
		limit = dying
	}
	select {
	case <-lease.Gone():
	case <-time.After(limit):
	case <-ctx.Done():
	}
}

// revive starts the local engine again if it is dead; it keeps its passwords, and dial finds it. It returns
// the error that it was given, with pipeline.ErrRestarted or what went wrong with starting.
func (d *database) revive(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lease == nil {
		return err
	}
	select {
	case <-d.lease.Gone():
	default:
		return err
	}
	lease, failed := local.Acquire(ctx, d.StateDir, "")
	if failed != nil {
		return errors.Join(err, failed)
	}
	slog.Warn("the local engine had died; it was started again", "log", filepath.Join(d.StateDir, "engine", "engine.log"))
	d.lease = lease
	return fmt.Errorf("%w (%w)", err, pipeline.ErrRestarted)
}

// Close ends the connection and gives the lease back.
func (d *database) Close() {
	_ = d.DB.Close()
	if d.lease != nil {
		_ = d.lease.Close()
	}
}

// attempts is how often the local engine is tried: one that dies just now is followed by another.
const attempts = 5

// open opens the database; for writing it is brought to this version's schema and checked. Its errors say what to do.
func (f *databaseFlags) open(ctx context.Context, readOnly bool) (d *database, err error) {
	for range attempts {
		d, err = f.openOnce(ctx, readOnly)
		if err == nil || f.dsn != "" || ctx.Err() != nil || !clickhouse.Retryable(err) {
			return d, err
		}
	}
	return nil, err
}

func (f *databaseFlags) openOnce(ctx context.Context, readOnly bool) (*database, error) {
	d := &database{StateDir: f.directory()}
	if _, err := os.Stat(filepath.Join(d.StateDir, "engine")); readOnly && f.dsn == "" && errors.Is(err, os.ErrNotExist) {
		return nil, errors.New(nothingStored(d.StateDir)) // a mistyped directory is not made
	}
	c := clickhouse.Config{DSN: f.dsn, PasswordFile: f.passwordFile, CA: f.ca, Cert: f.cert, Key: f.key}
	if c.DSN == "" {
		lease, err := local.Acquire(ctx, d.StateDir, "")
		if err != nil {
			return nil, err
		}
		d.lease, c = lease, clickhouse.Config{DSN: lease.DSN(), Dial: d.dial}
	}
	var err error
	if d.DB, err = clickhouse.Open(ctx, c); err == nil {
		if err = d.prepare(ctx, readOnly); err == nil {
			return d, nil
		}
		_ = d.DB.Close()
	}
	if d.lease != nil {
		if clickhouse.Retryable(err) {
			awaitDeath(ctx, d.lease, err)
		}
		_ = d.lease.Close()
	}
	return nil, err
}

// nothingStored says that there are no rows there yet, and how they come.
func nothingStored(where string) string {
	return "nothing is stored yet in " + where + ": bounceline import FILES stores finished logs, bounceline run FILES follows them"
}

// where names what the rows are in.
func (d *database) where() string {
	if d.lease != nil {
		return d.StateDir
	}
	return "the server"
}

func (d *database) prepare(ctx context.Context, readOnly bool) error {
	if readOnly && d.lease == nil {
		return nil
	}
	if err := d.Migrate(ctx, false, nil); err != nil {
		return err
	}
	if readOnly {
		return nil
	}
	if err := d.Check(ctx); err != nil {
		return err
	}
	streams, err := d.FinishRemovals(ctx)
	for _, s := range streams {
		slog.Info("a removal that was interrupted is finished", "stream", s)
	}
	return err
}

func newMigrateCommand() *cobra.Command {
	var db databaseFlags
	var dry bool
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema to this version",
		Example: `  bounceline migrate
  bounceline migrate --dry-run --clickhouse clickhouse://admin@db.example.org:9000`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var lease *local.Lease
			c := clickhouse.Config{DSN: db.dsn, PasswordFile: db.passwordFile, CA: db.ca, Cert: db.cert, Key: db.key}
			if c.DSN == "" {
				var err error
				if lease, err = local.Acquire(cmd.Context(), db.directory(), ""); err != nil {
					return err
				}
				defer lease.Close()
				c.DSN = lease.DSN()
			}
			d, err := clickhouse.Open(cmd.Context(), c)
			if err != nil {
				return err
			}
			defer d.Close()
			var out strings.Builder
			if err := d.Migrate(cmd.Context(), dry, &out); err != nil {
				return err
			}
			if out.Len() == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "the schema is up to date")
				return nil
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), out.String())
			return err
		},
	}
	db.register(cmd)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print what would be done, and do nothing")
	return cmd
}
