// Package clickhouse stores sealed batches in ClickHouse and asks it questions.
//
// Connections, migrations, checks and queries go through clickhouse-go; the insert of a batch is encoded by ch-go, the
// client below it, straight from the batch's columns into one native block.
package clickhouse

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Database is where the tables are.
const Database = "bounceline"

// Config is how the server is reached.
type Config struct {
	DSN          string // clickhouse://user:password@host:port,host:port/database?secure=true&...
	PasswordFile string // instead of a password in the DSN
	CA           string // PEM file of the authority that signed the server's certificate, instead of the system's
	Cert, Key    string // PEM files of a client certificate

	Dial func(context.Context) (net.Conn, error) // optional: connects to where the server is now, instead of to the DSN's addresses
}

// A DB is a server with our tables. It may be used concurrently; inserts go one at a time.
type DB struct {
	conn    driver.Conn
	options *clickhouse.Options

	mu     sync.Mutex
	client *ch.Client // for inserts; nil until the first, and after a failure
	block  *block
}

// parse reads the DSN. Its errors never hold the password.
func (c Config) parse() (*clickhouse.Options, error) {
	o, err := clickhouse.ParseDSN(c.DSN)
	if err != nil {
		shown := Redact(c.DSN)
		if shown == redacted {
			return nil, permanent{errors.New("the ClickHouse DSN is no URL: write clickhouse://user@host:9000/bounceline")}
		}
		return nil, permanent{fmt.Errorf("ClickHouse DSN %s: %v; write clickhouse://user@host:9000/bounceline", shown, strings.ReplaceAll(err.Error(), c.DSN, shown))}
	}
	if o.Protocol == clickhouse.HTTP {
		return nil, permanent{errors.New("ClickHouse DSN: use clickhouse:// and the native port (9000, or 9440 with ?secure=true), not HTTP")}
	}
	if o.Auth.Database == "" || o.Auth.Database == "default" {
		o.Auth.Database = Database
	}
	if c.PasswordFile != "" {
		data, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return nil, permanent{fmt.Errorf("ClickHouse password: %w", err)}
		}
		o.Auth.Password = strings.TrimRight(string(data), "\r\n")
	}
	if c.CA != "" || c.Cert != "" || c.Key != "" {
		if o.TLS == nil {
			o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if err := c.certificates(o.TLS); err != nil {
			return nil, permanent{err}
		}
	}
	o.Compression = &clickhouse.Compression{Method: clickhouse.CompressionLZ4}
	o.DialTimeout = 5 * time.Second
	if c.Dial != nil {
		o.DialContext = func(ctx context.Context, _ string) (net.Conn, error) { return c.Dial(ctx) }
	}
	return o, nil
}

// redacted stands for a password.
const redacted = "redacted"

// addresses are hosts with ports, at the beginning of what follows a DSN's scheme.
var addresses = regexp.MustCompile(`^(?:\[[0-9A-Fa-f:.]+\]|[^][:@/?,]+)(?::\d+)?(?:,[^/?]*)?(?:[/?]|$)`)

// Redact returns the DSN without the passwords in it, to be shown: that of the user, and those of parameters. It need not be a
// valid one, for it is shown where it is not; what has no scheme or no host is left out whole.
func Redact(dsn string) string {
	scheme, rest, ok := strings.Cut(dsn, "://")
	if !ok || scheme == "" {
		return redacted
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 { // a password may hold signs that should have been escaped
		if user, _, has := strings.Cut(rest[:at], ":"); has {
			rest = user + ":" + redacted + rest[at:]
		}
	} else if !addresses.MatchString(rest) {
		return redacted // user:password without a host, perhaps
	}
	rest, query, ok := strings.Cut(rest, "?")
	if !ok {
		return scheme + "://" + rest
	}
	parameters := strings.Split(query, "&")
	for i, p := range parameters {
		key, _, has := strings.Cut(p, "=")
		name, err := url.QueryUnescape(key)
		if name = strings.ToLower(name); has && err == nil && name != "password" && name != "http_proxy" {
			continue
		}
		if parameters[i] = redacted; has {
			parameters[i] = key + "=" + redacted
		}
	}
	return scheme + "://" + rest + "?" + strings.Join(parameters, "&")
}

func (c Config) certificates(t *tls.Config) error {
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return fmt.Errorf("ClickHouse CA: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("ClickHouse CA: %s holds no PEM certificate", c.CA)
		}
	}
	if (c.Cert == "") != (c.Key == "") {
		return errors.New("ClickHouse client certificate: --clickhouse-cert and --clickhouse-key are given together")
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return fmt.Errorf("ClickHouse client certificate: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return nil
}

// Open connects and checks that the server answers. It makes nothing: see Migrate and Check.
func Open(ctx context.Context, c Config) (*DB, error) {
	o, err := c.parse()
	if err != nil {
		return nil, err
	}
	d := &DB{options: o, block: newBlock()}
	if err := d.connectWhereItIs(ctx); err != nil {
		if d.conn != nil {
			d.conn.Close()
		}
		return nil, fmt.Errorf("ClickHouse at %s: %w", strings.Join(o.Addr, ", "), explain(err))
	}
	return d, nil
}

// connectWhereItIs connects to our database if it is there, else to none. The local engine dies of a log-in to a database
// that does not exist, so it is looked for first.
func (d *DB) connectWhereItIs(ctx context.Context) error {
	if err := d.connect(ctx, ""); err != nil {
		return err
	}
	var n uint64
	err := d.conn.QueryRow(ctx, "SELECT count() FROM system.databases WHERE name = ?", d.options.Auth.Database).Scan(&n)
	if err != nil || n == 0 {
		return err
	}
	return d.connect(ctx, d.options.Auth.Database)
}

// connect opens the pool of connections on which unqualified tables are those of the database.
func (d *DB) connect(ctx context.Context, database string) error {
	o := *d.options
	o.Auth.Database = database
	conn, err := clickhouse.Open(&o)
	if err != nil {
		return permanent{err}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := conn.Ping(ctx); err != nil {
		conn.Close()
		return err
	}
	if d.conn != nil {
		d.conn.Close()
	}
	d.conn = conn
	return nil
}

// Close ends all connections.
func (d *DB) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hangUp()
	return d.conn.Close()
}

func (d *DB) hangUp() {
	if d.client != nil {
		_ = d.client.Close()
		d.client = nil
	}
}

// Query runs a statement that reads. Parameters are the server's own, {name:Type}; values are bound by it, never put into
// the text. Unqualified tables are those of our database.
func (d *DB) Query(ctx context.Context, sql string, params map[string]string) (driver.Rows, error) {
	settings := clickhouse.Settings{"readonly": 2}
	rows, err := d.conn.Query(clickhouse.Context(ctx, clickhouse.WithSettings(settings), clickhouse.WithParameters(params)), sql)
	return rows, explain(err)
}

// Number runs a statement that gives one number.
func (d *DB) Number(ctx context.Context, sql string) (n uint64, err error) {
	err = explain(d.conn.QueryRow(ctx, sql).Scan(&n))
	return n, err
}

// Exec runs a statement that changes something.
func (d *DB) Exec(ctx context.Context, sql string) error { return explain(d.conn.Exec(ctx, sql)) }

// QueueIDs implements pipeline.Comparer.
func (d *DB) QueueIDs(ctx context.Context, stream string, from, to int64, limit int) (map[int64]string, error) {
	if err := d.settle(ctx); err != nil {
		return nil, err
	}
	rows, err := d.conn.Query(ctx, `SELECT pos, argMin(queue_id, row) FROM delivery_events WHERE stream = ? AND pos >= ? AND pos < ?
		GROUP BY pos ORDER BY pos LIMIT ?`, stream, uint64(from), uint64(to), uint64(limit))
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	out := map[int64]string{}
	for rows.Next() {
		var pos uint64
		var id string
		if err := rows.Scan(&pos, &id); err != nil {
			return nil, err
		}
		out[int64(pos)] = id
	}
	return out, explain(rows.Err())
}
