package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bounceline/pipeline/admin"
	"bounceline/pipeline/config"
	"bounceline/pipeline/dlq"
	"bounceline/pipeline/kafkaconn"
	"bounceline/pipeline/source/kafka"
)

// brokerFlags say how Kafka's brokers are reached.
type brokerFlags struct{ kafkaconn.Config }

func (f *brokerFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringSliceVar(&f.Brokers, "kafka-brokers", nil, "Kafka's brokers, some of them, as HOST:PORT,...")
	fl.BoolVar(&f.TLS, "kafka-tls", false, "reach the brokers over TLS with the system's authorities; the next three imply TLS")
	fl.StringVar(&f.CA, "kafka-tls-ca", "", "PEM file of the authority that signed the brokers' certificates")
	fl.StringVar(&f.Cert, "kafka-tls-cert", "", "PEM file of a client certificate")
	fl.StringVar(&f.Key, "kafka-tls-key", "", "PEM file of its key")
	fl.StringVar(&f.SASL, "kafka-sasl", "", "how to log in: plain, scram-sha-256 or scram-sha-512")
	fl.StringVar(&f.User, "kafka-user", "", "user to log in as")
	fl.StringVar(&f.PasswordFile, "kafka-password-file", "", "file with the user's password; without it "+kafkaconn.PasswordVariable)
}

// configure puts the flags that were given over what the configuration says.
func (f *brokerFlags) configure(given *pflag.FlagSet, c *kafkaconn.Config) {
	override(given, "kafka-brokers", &c.Brokers, f.Brokers)
	override(given, "kafka-tls", &c.TLS, f.TLS)
	override(given, "kafka-tls-ca", &c.CA, f.CA)
	override(given, "kafka-tls-cert", &c.Cert, f.Cert)
	override(given, "kafka-tls-key", &c.Key, f.Key)
	override(given, "kafka-sasl", &c.SASL, f.SASL)
	override(given, "kafka-user", &c.User, f.User)
	override(given, "kafka-password-file", &c.PasswordFile, f.PasswordFile)
}

func override[T any](given *pflag.FlagSet, name string, to *T, value T) {
	if given.Changed(name) {
		*to = value
	}
}

// topicFlags say which topics run reads.
type topicFlags struct {
	brokerFlags
	topics            []string
	group, outOfRange string
	session           time.Duration
}

func (f *topicFlags) register(cmd *cobra.Command) {
	f.brokerFlags.register(cmd)
	c := config.Default().Kafka
	fl := cmd.Flags()
	fl.StringSliceVar(&f.topics, "kafka-topics", nil, "topics to read: names, or regular expressions between slashes")
	fl.StringVar(&f.group, "kafka-group", c.Group, "consumer group; its members share the partitions")
	fl.StringVar(&f.outOfRange, "kafka-out-of-range", c.OutOfRange, "earliest, latest or fail: what to do when records were deleted before they were read")
	fl.DurationVar(&f.session, "kafka-session-timeout", time.Duration(c.SessionTimeout), "how long a member may be silent before its partitions go to others")
}

// used reports whether topics are named.
func (f *topicFlags) used() bool { return len(f.Brokers)+len(f.topics) > 0 }

// configure puts the flags that were given over what the configuration says.
func (f *topicFlags) configure(given *pflag.FlagSet, c *config.Kafka, reading *readingFlags) {
	f.brokerFlags.configure(given, &c.Config)
	override(given, "kafka-topics", &c.Topics, f.topics)
	override(given, "kafka-group", &c.Group, f.group)
	override(given, "kafka-out-of-range", &c.OutOfRange, f.outOfRange)
	override(given, "kafka-session-timeout", &c.SessionTimeout, config.Duration(f.session))
	if f.used() {
		override(given, "parser", &c.Parser, reading.parser)
		override(given, "log-zone", &c.Zone, reading.zone)
		override(given, "log-host", &c.Host, reading.host)
		override(given, "internal-relays", &c.Relays, reading.relays)
	}
}

// topics reads Kafka's topics.
func (d *daemon) topics() (flow, error) {
	k := d.config.Kafka
	if !k.Used() {
		return flow{}, nil
	}
	options, err := k.Options()
	if err != nil {
		return flow{}, usagef("%v", err)
	}
	conn, err := k.Open()
	if err != nil {
		return flow{}, usagef("kafka: %v", err)
	}
	runner := d.runner(nil)
	if runner.Dead, err = d.topicLetters(); err != nil {
		return flow{}, err
	}
	source, err := kafka.New(kafka.Config{Conn: conn, Topics: k.Topics, Group: k.Group, OutOfRange: kafka.OutOfRange(k.OutOfRange), Parser: options,
		Ledger: d.db, Lose: d.lose, Log: slog.Default(), Pipeline: runner, ContextMemory: contextMemory, SessionTimeout: time.Duration(k.SessionTimeout)})
	if err != nil {
		return flow{}, usagef("kafka: %v", err)
	}
	counters := func() []admin.Counter {
		n := &source.Counts
		out := []admin.Counter{
			{Name: "kafka_records_total", Reason: "text", Value: n.Records.Load() - n.Control.Load()},
			{Name: "kafka_records_total", Reason: "control", Value: n.Control.Load()},
			{Name: "kafka_repeated_lines_total", Value: n.Repeated.Load()}, {Name: "kafka_strange_lines_total", Value: n.Strange.Load()},
			{Name: "kafka_newer_origins_total", Value: n.Newer.Load()},
			{Name: "kafka_skipped_offsets_total", Reason: "out_of_range", Value: n.Skipped.Load()},
			{Name: "kafka_skipped_offsets_total", Reason: "unreadable_intent", Value: n.Unreadable.Load()},
			{Name: "kafka_generations_total", Value: n.Rebalances.Load()},
			{Name: "kafka_reconnects_total", Value: n.Reconnects.Load()},
			{Name: "kafka_fenced_batches_total", Value: n.Fenced.Load()},
		}
		n.EachBad(func(reason string, n int64) {
			out = append(out, admin.Counter{Name: "kafka_bad_records_total", Reason: reason, Value: n})
		})
		for _, p := range source.Status() {
			out = append(out, admin.Counter{Name: "kafka_lag_records", Reason: fmt.Sprintf("%s/%d", p.Topic, p.Partition), Value: max(0, p.End-p.Position)})
		}
		return out
	}
	return flow{name: "kafka", run: source.Run, counts: source.Pipeline.Counts, unread: source.Pipeline.Unread, counters: counters}, nil
}

// topicLetters is the dead-letter file for what stands in topics. Who reads topics into a server needs no state directory: where
// there is none that can be written to, the letters go to a temporary folder, which is said.
func (d *daemon) topicLetters() (dlq.File, error) {
	file := deadLetters(d.db.StateDir)
	err := os.MkdirAll(d.db.StateDir, 0o700)
	if err == nil {
		if _, err = file.Bury(nil); err == nil {
			return file, nil
		}
	}
	if d.db.lease != nil {
		return file, fmt.Errorf("state directory: %w", err)
	}
	dir, failed := os.MkdirTemp("", fmt.Sprintf("bounceline-%d-", os.Getpid()))
	if failed != nil {
		return file, fmt.Errorf("dead letters have no place: name a directory that can be written to with --state-dir (%w)", errors.Join(err, failed))
	}
	file = deadLetters(dir)
	slog.Warn("the state directory cannot be written to; dead letters go to a file of this process, see bounceline dlq list --file", "file", file.Path, "error", err)
	return file, nil
}
