// Package config reads the daemon's configuration: YAML with strict keys, checked as a whole before anything starts.
package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"bounceline/parsers"
	"bounceline/pipeline/source/kafka"
	"bounceline/pipeline/source/tail"
	"bounceline/pipeline/spell"
	"bounceline/sinks/clickhouse"
	shipper "bounceline/sinks/kafka"
)

// Config is the whole configuration. Its zero values are not its defaults: begin with Default.
type Config struct {
	StateDir   string     `yaml:"state_dir"`   // empty: the command's default
	StoreRaw   bool       `yaml:"store_raw"`   // keep each whole line in column raw
	Poll       Duration   `yaml:"poll"`        // how often files are looked at
	RotateWait Duration   `yaml:"rotate_wait"` // how long a rotated file must be quiet before it is left
	Listen     string     `yaml:"listen"`      // HOST:PORT of the pages for whoever watches; empty: no port is opened
	Rules      []string   `yaml:"rules"`       // files or folders of rules that are tried before the shipped ones
	Inputs     []Input    `yaml:"inputs"`
	Journal    Journal    `yaml:"journal"`
	Kafka      Kafka      `yaml:"kafka"`
	Ship       Ship       `yaml:"ship"`
	Batch      Batch      `yaml:"batch"`
	ClickHouse ClickHouse `yaml:"clickhouse"`
}

// Input is a set of files that are read alike.
type Input struct {
	Name    string   `yaml:"name"`            // column source
	Paths   []string `yaml:"paths"`           // files and globs
	Exclude []string `yaml:"exclude"`         // globs of files not to follow
	Parser  string   `yaml:"parser"`          // auto, or a dialect
	Zone    string   `yaml:"zone"`            // time zone of stamps without one
	Host    string   `yaml:"host"`            // for lines that carry no host
	Relays  []string `yaml:"internal_relays"` // hosts and addresses inside the site that hand mail on
}

// Journal says whether systemd's journal is followed, and how it is read.
type Journal struct {
	Follow    bool     `yaml:"follow"`
	Directory string   `yaml:"directory"` // where its files are; empty: the system's journal
	Parser    string   `yaml:"parser"`
	Relays    []string `yaml:"internal_relays"`
}

// Options are those of the journal's lines, which carry their own host and time.
func (j Journal) Options() (parsers.Options, error) {
	return Input{Parser: j.Parser, Relays: j.Relays}.options()
}

// Batch says when rows are sent.
type Batch struct {
	MaxRows  int      `yaml:"max_rows"`
	MaxDelay Duration `yaml:"max_delay"`
}

// ClickHouse says where the rows go; empty is the local engine.
type ClickHouse struct {
	DSN          string `yaml:"dsn"`
	PasswordFile string `yaml:"password_file"`
}

// automatic is the parser where none is named: each line's own.
const automatic = "auto"

// Duration is a time.Duration written as in "1.5s" or "5m".
type Duration time.Duration

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: %q is no duration such as 500ms, 1s or 5m", n.Line, n.Value)
	}
	*d = Duration(v)
	return nil
}

// Default is the configuration of a run without a file, but for its inputs.
func Default() Config {
	return Config{Poll: Duration(250 * time.Millisecond), RotateWait: Duration(time.Minute),
		Kafka: Kafka{Group: "bounceline", OutOfRange: string(kafka.Earliest), SessionTimeout: Duration(45 * time.Second)},
		Ship:  Ship{Compression: shipper.Compressions()[0]},
		Batch: Batch{MaxRows: 100_000, MaxDelay: Duration(time.Second)}}
}

// Load reads a file over the defaults; strings in it may refer to the environment and to files, see expand. Its errors name
// the file, and the line where there is one.
func Load(path string) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, err
	}
	c := Default()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, InFile(path, explain(err))
	}
	if err := expand(reflect.ValueOf(&c).Elem()); err != nil {
		return Config{}, InFile(path, err)
	}
	return c, nil
}

// InFile puts the name of the file before each line of an error about it.
func InFile(path string, err error) error {
	if err == nil {
		return nil
	}
	lines := strings.Split(err.Error(), "\n")
	for i, l := range lines {
		lines[i] = path + ": " + l
	}
	return errors.New(strings.Join(lines, "\n"))
}

// Redacted returns the configuration as YAML with its defaults and without its secrets.
func (c Config) Redacted() ([]byte, error) {
	c.Inputs = slices.Clone(c.Inputs)
	for i := range c.Inputs {
		c.Inputs[i].Parser = cmp.Or(c.Inputs[i].Parser, automatic)
	}
	c.Journal.Parser, c.Kafka.Parser = cmp.Or(c.Journal.Parser, automatic), cmp.Or(c.Kafka.Parser, automatic)
	if c.ClickHouse.DSN != "" {
		c.ClickHouse.DSN = clickhouse.Redact(c.ClickHouse.DSN)
	}
	return yaml.Marshal(c)
}

// MarshalYAML implements yaml.Marshaler.
func (d Duration) MarshalYAML() (any, error) { return time.Duration(d).String(), nil }

// Validate checks the values. Its error joins all that is wrong, each with its place.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Inputs) == 0 && !c.Kafka.Used() && !c.Journal.Follow {
		bad("inputs: name at least one, or say journal: {follow: true}, or brokers under kafka")
	}
	if _, err := c.Journal.Options(); err != nil {
		bad("journal: %v", err)
	}
	errs = append(errs, c.Kafka.validate(), c.Ship.validate(c))
	for i, in := range c.Inputs {
		where := fmt.Sprintf("inputs[%d]", i)
		if in.Name == "" {
			bad("%s.name: is missing; it is stored in column source", where)
		}
		if len(in.Paths) == 0 {
			bad("%s.paths: name at least one file or glob", where)
		}
		for _, p := range append(append([]string(nil), in.Paths...), in.Exclude...) {
			if _, err := filepath.Match(p, ""); err != nil {
				bad("%s: %q is no valid glob", where, p)
			}
		}
		if _, err := in.options(); err != nil {
			bad("%s: %v", where, err)
		}
	}
	if c.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Listen); err != nil {
			bad("listen: %q is no HOST:PORT such as 127.0.0.1:9311", c.Listen)
		}
	}
	if c.Batch.MaxRows < 1 || c.Batch.MaxRows > 1_000_000 {
		bad("batch.max_rows: %d is not between 1 and 1000000", c.Batch.MaxRows)
	}
	if c.Batch.MaxDelay <= 0 || c.Poll <= 0 || c.RotateWait <= 0 {
		bad("batch.max_delay, poll and rotate_wait: must be longer than nothing")
	}
	return errors.Join(errs...)
}

func (in Input) options() (parsers.Options, error) {
	o := parsers.Options{Dialect: cmp.Or(in.Parser, automatic), AssumedZone: time.Local, Host: in.Host, InternalRelays: in.Relays}
	if in.Zone != "" {
		zone, err := time.LoadLocation(in.Zone)
		if err != nil {
			return o, fmt.Errorf("zone: %w", err)
		}
		o.Zone = zone
	}
	_, err := parsers.NewStream(o)
	return o, err
}

// TailInputs gives the inputs as the follower wants them.
func (c Config) TailInputs() ([]tail.Input, error) {
	var out []tail.Input
	for _, in := range c.Inputs {
		o, err := in.options()
		if err != nil {
			return nil, err
		}
		paths := make([]string, len(in.Paths))
		for i, p := range in.Paths {
			abs, err := filepath.Abs(p)
			if err != nil {
				return nil, err
			}
			paths[i] = abs
		}
		out = append(out, tail.Input{Name: in.Name, Paths: paths, Exclude: in.Exclude, Parser: o})
	}
	return out, nil
}

var unknownField = regexp.MustCompile(`line (\d+): field (\S+) not found in type config\.(\w+)`)

// explain gives an unknown key's error the nearest key that exists there, or all of them where none is near.
func explain(err error) error {
	var typed *yaml.TypeError
	if !errors.As(err, &typed) {
		return err
	}
	var errs []error
	for _, e := range typed.Errors {
		m := unknownField.FindStringSubmatch(e)
		if m == nil {
			errs = append(errs, errors.New(e))
			continue
		}
		known := keys(m[3])
		if near := spell.Nearest(m[2], known); near != "" {
			errs = append(errs, fmt.Errorf("line %s: unknown key %q; did you mean %q?", m[1], m[2], near))
		} else {
			errs = append(errs, fmt.Errorf("line %s: unknown key %q; those known here are %s", m[1], m[2], strings.Join(known, ", ")))
		}
	}
	return errors.Join(errs...)
}

// keys lists the keys of one of the configuration's types.
func keys(name string) []string {
	for _, v := range []any{Config{}, Input{}, Journal{}, Kafka{}, Ship{}, Batch{}, ClickHouse{}} {
		t := reflect.TypeOf(v)
		if t.Name() != name {
			continue
		}
		var out []string
		for _, f := range reflect.VisibleFields(t) {
			if key, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); key != "" {
				out = append(out, key)
			}
		}
		return out
	}
	return nil
}
