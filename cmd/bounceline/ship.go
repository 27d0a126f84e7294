package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"bounceline/parsers"
	"bounceline/pipeline"
	"bounceline/pipeline/admin"
	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/config"
	"bounceline/pipeline/kafkaconn"
	"bounceline/pipeline/source/content"
	"bounceline/pipeline/source/stream"
	"bounceline/pipeline/source/tail"
	"bounceline/pipeline/spell"
	"bounceline/sinks/kafka"
)

func newShipCommand() *cobra.Command {
	var brokers brokerFlags
	var reading readingFlags
	c := config.Default()
	var once bool
	cmd := &cobra.Command{
		Use:   "ship FILES...",
		Args:  cobra.ArbitraryArgs,
		Short: "Follow logs and send their lines to a Kafka topic",
		Long: `Ship follows log files, through rotation and restarts, and sends each line to a Kafka topic, where run --kafka-topics reads it.
Each record is one line and says in a header which one: the run that reads the topic stores what an import of the file would
store, however often a line is sent, and importing the file there as well adds nothing.

All lines go to one partition, in their order. Its number is chosen by the host's name and kept in the state directory. A line
counts as sent when all replicas in sync have it. Lines that the brokers refuse are kept in the state directory, see dlq. While the
brokers do not answer, ship waits; nothing is queued but in the log itself.

A named pipe is read too; what goes through one cannot be read again, so a killed ship loses what was on its way.

With --once it sends what is in the files now, compressed ones and standard input (-) too, and ends.`,
		Example: `  bounceline ship --kafka-brokers kafka1:9092,kafka2:9092 --kafka-topic maillog /var/log/mail.log
  bounceline ship --kafka-brokers kafka1:9092 --kafka-topic maillog --once /var/log/mail.log.*
  bounceline ship --kafka-brokers kafka1:9094 --kafka-topic maillog --kafka-tls-ca ca.pem --kafka-sasl scram-sha-512 \
      --kafka-user mx1 --kafka-password-file kafka.password /var/log/exim4/mainlog`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("name the files to ship")
			}
			if _, err := reading.options(); err != nil {
				return err
			}
			c.Ship.Config = brokers.Config
			for _, a := range args {
				c.Inputs = append(c.Inputs, config.Input{Name: sourceName(a), Paths: []string{a}, Parser: reading.parser, Zone: reading.zone, Host: reading.host})
			}
			if c.Ship.Topic == "" {
				return usagef("name the topic with --kafka-topic")
			}
			if err := c.Validate(); err != nil {
				return usagef("%v", err)
			}
			if once {
				return shipOnce(cmd.Context(), c, args, standardInput(cmd), cmd.OutOrStdout())
			}
			return ship(cmd.Context(), &daemon{config: c, loaded: c, buffers: pipeline.NewBuffers(8)})
		},
	}
	brokers.register(cmd)
	reading.register(cmd)
	_ = cmd.Flags().MarkHidden("internal-relays") // it is for whoever reads the topic
	fl := cmd.Flags()
	fl.StringVar(&c.Ship.Topic, "kafka-topic", "", "topic to send to")
	fl.StringVar(&c.Ship.Compression, "kafka-compression", c.Ship.Compression, "one of "+strings.Join(kafka.Compressions(), ", "))
	fl.StringVar(&c.Ship.Host, "host", "", "key of the records, and host of lines that carry none (default: this machine's name)")
	fl.StringVar(&c.StateDir, "state-dir", os.Getenv("BOUNCELINE_STATE_DIR"), "directory of the checkpoint (BOUNCELINE_STATE_DIR; default "+defaultStateDir()+")")
	fl.Lookup("state-dir").DefValue = ""
	fl.StringVar(&c.Listen, "listen", os.Getenv("BOUNCELINE_LISTEN"), "HOST:PORT where /healthz, /readyz, /status and /metrics are answered (BOUNCELINE_LISTEN; default: nowhere)")
	fl.BoolVar(&once, "once", false, "send what is in the files now, and end")
	_ = cmd.RegisterFlagCompletionFunc("kafka-compression", cobra.FixedCompletions(kafka.Compressions(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// ship follows the inputs and sends their lines until ctx is done.
func ship(ctx context.Context, d *daemon) error {
	signal.Ignore(syscall.SIGHUP) // there is nothing to read again, and it would end the process
	inputs, err := d.config.TailInputs()
	if err != nil {
		return usagef("%v", err)
	}
	for i := range inputs {
		if inputs[i].Parser, err = abroad(inputs[i].Parser, d.config.Ship.Host); err != nil {
			return err
		}
	}
	listener, err := listen(d.config.Listen)
	if err != nil {
		return err
	}
	store, err := openShipping(d.config)
	if err != nil {
		return err
	}
	store.WhenFull(waitForRoom(ctx))
	follower := tail.New(tail.Config{Inputs: inputs, Ledger: kafka.Ledger{Store: store}, Store: store, Buffers: d.buffers, Watch: true, Log: slog.Default(),
		Lock: func(string) (func(), error) { return func() {}, nil }, // the checkpoint's keeps other shippers out
		Same: func(context.Context, io.Reader, parsers.Options, string) (bool, error) { return false, nil },
		Poll: time.Duration(d.config.Poll), RotateWait: time.Duration(d.config.RotateWait), Horizon: kafka.Horizon})
	d.opened = append(d.opened, follower, store)
	defer d.close()
	end := hold(ctx, follower)
	s, err := openShipper(ctx, d.config, store, d.buffers)
	end()
	if err != nil || s == nil {
		return err
	}
	follower.Tag = content.Tag(s.Host)
	pipes := d.pipeReader(inputs)
	source := func(ctx context.Context, out chan<- pipeline.Chunk) error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return follower.Run(ctx, out) })
		g.Go(func() error { return pipes.Run(ctx, out) })
		return g.Wait()
	}
	return d.run(ctx, listener, flow{name: "ship", counts: &s.Counts, unread: &pipeline.Unread{}, counters: func() []admin.Counter { return tailCounters(follower) },
		run:     func(ctx context.Context) error { return pipeline.Pump(ctx, source, s.Run, d.buffers) },
		streams: func() []admin.Stream { return followed(store) }})
}

// shipDirectory is the state directory of a shipper.
func shipDirectory(c config.Config) string { return (&databaseFlags{stateDir: c.StateDir}).directory() }

// openShipping opens the checkpoint of a shipper.
func openShipping(c config.Config) (*checkpoint.Store, error) {
	dir := shipDirectory(c)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	return openCheckpoint(filepath.Join(dir, "ship.checkpoint"), "another bounceline ships from "+dir)
}

// openShipper opens a shipper. It returns nil if ctx is done before the brokers answer.
func openShipper(ctx context.Context, c config.Config, store *checkpoint.Store, buffers *pipeline.Buffers) (*kafka.Shipper, error) {
	host, err := hostName(c.Ship.Host)
	if err != nil {
		return nil, err
	}
	conn, err := c.Ship.Open()
	if err != nil {
		return nil, usagef("ship: %v", err)
	}
	clearPassword(c.Ship.Config)
	s, err := kafka.Open(ctx, kafka.Config{Conn: conn, Topic: c.Ship.Topic, Host: host, Compression: c.Ship.Compression, Store: store,
		Dead: deadLetters(shipDirectory(c)), Buffers: buffers, Log: slog.Default()})
	switch {
	case err == nil:
		return s, nil
	case ctx.Err() != nil:
		return nil, nil
	}
	return nil, fmt.Errorf("ship: %w", err)
}

// shipOnce sends what is in the files and ends.
func shipOnce(ctx context.Context, c config.Config, paths []string, stdin io.Reader, out io.Writer) error {
	paths, err := importOrder(paths)
	if err != nil {
		return err
	}
	inputs, err := c.TailInputs()
	if err != nil {
		return usagef("%v", err)
	}
	options, err := abroad(inputs[0].Parser, c.Ship.Host)
	if err != nil {
		return err
	}
	store, err := openShipping(c)
	if err != nil {
		return err
	}
	defer store.Close()
	s, err := openShipper(ctx, c, store, pipeline.NewBuffers(6))
	switch {
	case err != nil:
		return err
	case s == nil:
		return context.Cause(ctx)
	}
	spool := &importer{stdin: stdin, state: shipDirectory(c)}
	for _, path := range paths {
		if err := shipFile(ctx, s, spool, path, options, out); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// shipFile sends what is in one file and not in the topic yet. It returns when the brokers have it.
func shipFile(ctx context.Context, s *kafka.Shipper, spool *importer, path string, options parsers.Options, out io.Writer) error {
	in, err := spool.open(path)
	if err != nil {
		return err
	}
	defer in.close()
	if in.head == nil {
		fmt.Fprintf(out, "%s: empty\n", escapeTerminal([]byte(path)))
		return nil
	}
	if looksBinary(in.read) {
		return errBinary
	}
	known, err := content.Resolve(ctx, kafka.Ledger{Store: s.Store}, in.head, content.Tag(s.Host), "", in.markers, func(string) (bool, error) { return false, nil })
	if err != nil {
		return err
	}
	if err := in.rewind(); err != nil {
		return err
	}
	st := &pipeline.Stream{Name: known.Name, Source: sourceName(path), Path: path, Parser: options, Reference: in.modified}
	before, dead := s.Counts.Lines.Load(), s.Counts.Dead.Load()
	source := func(ctx context.Context, chunks chan<- pipeline.Chunk) error {
		return stream.Send(ctx, in.file, st, s.Buffers, chunks, !in.growing)
	}
	if err := pipeline.Pump(ctx, source, s.Run, s.Buffers); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %s sent", escapeTerminal([]byte(path)), spell.Count(s.Counts.Lines.Load()-before, "line", "lines"))
	if n := s.Counts.Dead.Load() - dead; n > 0 {
		fmt.Fprintf(out, ", %d of them refused by the brokers and kept: see bounceline dlq list", n)
	}
	fmt.Fprintln(out)
	return nil
}

// abroad gives options that mean elsewhere what they mean here: the system's time zone gets its name, and lines without a host
// get this one's.
func abroad(o parsers.Options, host string) (parsers.Options, error) {
	if o.Zone == nil {
		zone, err := (&zoneFlag{}).location()
		if err != nil {
			return o, usagef("this machine's time zone has no name that can be found: say which with --log-zone, or with zone in the inputs")
		}
		o.AssumedZone = zone
	}
	var err error
	if o.Host == "" {
		o.Host, err = hostName(host)
	}
	return o, err
}

// hostName is the configured name, or the machine's.
func hostName(configured string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "", usagef("this machine has no name: give one with --host, or with host under ship (%v)", err)
	}
	return name, nil
}

// clearPassword warns where a password goes over the wire as it is.
func clearPassword(c kafkaconn.Config) {
	if c.SASL == "plain" && !c.TLS && c.CA == "" && c.Cert == "" {
		slog.Warn("the password goes to the brokers unencrypted: use TLS, or SCRAM", "brokers", c.Brokers)
	}
}
