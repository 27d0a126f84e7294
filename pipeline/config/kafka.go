package config

import (
	"errors"
	"fmt"
	"slices"

	"bounceline/parsers"
	"bounceline/pipeline/kafkaconn"
	"bounceline/pipeline/source/kafka"
)

// Kafka says which topics are read, and how.
type Kafka struct {
	kafkaconn.Config `yaml:",inline"`

	Topics         []string `yaml:"topics"` // names, or regular expressions between slashes
	Group          string   `yaml:"group"`
	OutOfRange     string   `yaml:"out_of_range"` // earliest, latest or fail
	SessionTimeout Duration `yaml:"session_timeout"`
	Parser         string   `yaml:"parser"` // auto, or a dialect
	Zone           string   `yaml:"zone"`   // time zone of stamps without one; UTC, since they come from many hosts
	Host           string   `yaml:"host"`   // for lines that carry no host
	Relays         []string `yaml:"internal_relays"`
}

// Used reports whether topics are to be read at all.
func (k Kafka) Used() bool { return len(k.Brokers) > 0 || len(k.Topics) > 0 }

func (k Kafka) validate() error {
	if !k.Used() {
		return nil
	}
	var errs []error
	bad := func(err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("kafka: %w", err))
		}
	}
	if err := k.Config.Validate(); err != nil {
		for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
			bad(e)
		}
	}
	bad(kafka.ValidTopics(k.Topics))
	if k.Group == "" {
		bad(errors.New("group: is empty; members of one group share the partitions"))
	}
	if policies := []kafka.OutOfRange{kafka.Earliest, kafka.Latest, kafka.Fail}; !slices.Contains(policies, kafka.OutOfRange(k.OutOfRange)) {
		bad(fmt.Errorf("out_of_range: %q is none of earliest, latest, fail", k.OutOfRange))
	}
	if k.SessionTimeout <= 0 {
		bad(errors.New("session_timeout: must be longer than nothing"))
	}
	_, err := k.Options()
	bad(err)
	return errors.Join(errs...)
}

// Options gives how the topics' lines are read.
func (k Kafka) Options() (parsers.Options, error) {
	o, err := Input{Parser: k.Parser, Zone: k.Zone, Host: k.Host, Relays: k.Relays}.options()
	o.AssumedZone = nil
	return o, err
}
