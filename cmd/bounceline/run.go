package main

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"bounceline/pipeline"
	"bounceline/pipeline/classify"
	"bounceline/pipeline/config"
	"bounceline/pipeline/source/tail"
	"bounceline/sinks/clickhouse"
	"bounceline/sinks/clickhouse/local"
)

func newRunCommand() *cobra.Command {
	var db databaseFlags
	var reading readingFlags
	var topics topicFlags
	var file, listen string
	var rules []string
	var followJournal bool
	var journalDirectory string
	cmd := &cobra.Command{
		Use:   "run [FILES...]",
		Short: "Follow logs and store each delivery event once",
		Long: `Run follows log files, through rotation and restarts, and stores the delivery events in them. A named pipe is read too;
what goes through one cannot be read again, so a killed run loses what was on its way. Run takes its inputs from a
configuration file, or follows the files and globs that are named, with the defaults. It runs until it is told to stop:
SIGTERM or SIGINT lets it store what it has read, a second one ends it at once. SIGHUP makes it read its rules again.

Run reads Kafka topics too, beside files or instead of them, as a member of a consumer group. Start as many as there is work
for: they share the topics' partitions, and take over from one that dies without losing or doubling a line. They need no
state but the database: members on one machine may share a state directory, members on several need a ClickHouse server.`,
		Example: `  bounceline run /var/log/mail.log
  bounceline run --journal
  bounceline run --config /etc/bounceline.yaml
  bounceline run --clickhouse clickhouse://writer@db.example.org:9000 '/var/log/exim4/mainlog'
  bounceline run --kafka-brokers kafka1:9092,kafka2:9092 --kafka-topics maillog
  bounceline run --kafka-brokers kafka1:9094 --kafka-topics '/mail-.*/' --kafka-group bounces --kafka-tls-ca ca.pem \
      --kafka-sasl scram-sha-512 --kafka-user bounceline --kafka-password-file kafka.password`,
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := reading.options()
			if err != nil {
				return err
			}
			c := config.Default()
			switch {
			case file != "" && len(args) > 0:
				return usagef("name files or a configuration, not both: add the files to inputs in %s", file)
			case file != "":
				if c, err = config.Load(file); err != nil {
					return usagef("%v", err)
				}
			case len(args) == 0 && !topics.used() && !followJournal:
				return usagef("name the files to follow, the journal with --journal, topics with --kafka-brokers and --kafka-topics, or a configuration with --config")
			default:
				for _, a := range args {
					c.Inputs = append(c.Inputs, config.Input{Name: filepath.Base(a), Paths: []string{a}, Parser: options.Dialect, Zone: reading.zone, Host: options.Host, Relays: options.InternalRelays})
				}
			}
			loaded := c
			c.Journal.Follow = c.Journal.Follow || followJournal
			override(cmd.Flags(), "journal-directory", &c.Journal.Directory, journalDirectory)
			override(cmd.Flags(), "internal-relays", &c.Journal.Relays, reading.relays)
			topics.configure(cmd.Flags(), &c.Kafka, &reading)
			if listen != "" {
				c.Listen = listen
			}
			c.Rules = append(rules, c.Rules...)
			if err := c.Validate(); err != nil {
				if file != "" {
					err = config.InFile(file, err)
				}
				return usagef("%v", err)
			}
			if c.Ship.Used() {
				if db.dsn != "" {
					return usagef("lines go to a topic or to a database: leave out --clickhouse and BOUNCELINE_CLICKHOUSE, or ship in %s", file)
				}
				c.StateDir = cmp.Or(db.stateDir, c.StateDir)
				return ship(cmd.Context(), &daemon{config: c, loaded: loaded, buffers: pipeline.NewBuffers(8)})
			}
			db.configure(c.StateDir, c.ClickHouse.DSN, c.ClickHouse.PasswordFile)
			return follow(cmd.Context(), &daemon{config: c, loaded: loaded, buffers: pipeline.NewBuffers(8)}, file, &db)
		},
	}
	db.register(cmd)
	reading.register(cmd)
	topics.register(cmd)
	cmd.Flags().BoolVar(&followJournal, "journal", false, "follow systemd's journal")
	cmd.Flags().StringVar(&journalDirectory, "journal-directory", "", "where the journal's files are (default: the system's journal)")
	cmd.Flags().StringVar(&listen, "listen", os.Getenv("BOUNCELINE_LISTEN"), "HOST:PORT where /healthz, /readyz, /status and /metrics are answered (BOUNCELINE_LISTEN; default: nowhere)")
	cmd.Flags().StringSliceVar(&rules, "rules", nil, "files or folders of rules that are tried before the shipped ones")
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration file (YAML)")
	return cmd
}

// follow runs the daemon until ctx is done. The file is the configuration's, if it has one.
func follow(ctx context.Context, d *daemon, file string, flags *databaseFlags) error {
	var err error
	if d.engine, err = classify.New(classify.Options{Program: versionName(), UserRules: d.config.Rules}); err != nil {
		return usagef("%v", err)
	}
	inputs, err := d.config.TailInputs()
	if err != nil {
		return usagef("%v", err)
	}
	listener, err := listen(d.config.Listen)
	if err != nil {
		return err
	}
	d.reloadOnHangup(ctx, file)
	defer d.close()
	if flags.dsn == "" { // what is in it is believed
		if err := local.PrivateDir(flags.directory()); err != nil {
			return err
		}
	}
	follower, err := d.follower(ctx, inputs, flags.directory())
	if err != nil {
		return err
	}
	if d.db, err = openHolding(ctx, flags, follower); err != nil || d.db == nil {
		return err
	}
	defer d.db.Close()
	files, err := d.files(ctx, follower)
	if err != nil {
		return err
	}
	entries, err := d.journal(ctx)
	if err != nil {
		return err
	}
	topics, err := d.topics()
	if err != nil {
		return err
	}
	return d.run(ctx, listener, files, d.pipes(inputs), entries, topics)
}

// openHolding opens the database as openPatiently does, and holds the follower's files meanwhile.
func openHolding(ctx context.Context, flags *databaseFlags, f *tail.Follower) (*database, error) {
	if f != nil {
		defer hold(ctx, f)()
	}
	return openPatiently(ctx, flags)
}

// openPatiently opens the database, and waits for a server that does not answer yet. It returns nil if ctx is done first.
func openPatiently(ctx context.Context, flags *databaseFlags) (*database, error) {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		db, err := flags.open(ctx, false)
		if err == nil || !clickhouse.Retryable(err) {
			return db, err
		}
		slog.Warn("the database does not answer yet; waiting for it", "error", err, "again_in", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, nil
		}
	}
}
