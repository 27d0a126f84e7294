package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"bounceline/pipeline/kafkaconn"
	"bounceline/sinks/kafka"
)

// Ship says to which topic the inputs' lines go instead of a database.
type Ship struct {
	kafkaconn.Config `yaml:",inline"`

	Topic       string `yaml:"topic"`
	Host        string `yaml:"host"`        // key of the records, and host of lines that carry none; empty: the machine's name
	Compression string `yaml:"compression"` // one of kafka.Compressions
}

// Used reports whether lines are to be shipped at all.
func (s Ship) Used() bool { return len(s.Brokers) > 0 || s.Topic != "" }

func (s Ship) validate(c Config) error {
	if !s.Used() {
		return nil
	}
	var errs []error
	bad := func(err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("ship: %w", err))
		}
	}
	if err := s.Config.Validate(); err != nil {
		for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
			bad(e)
		}
	}
	if s.Topic == "" {
		bad(errors.New("topic: is missing"))
	} else {
		bad(kafka.ValidTopic(s.Topic))
	}
	if !slices.Contains(kafka.Compressions(), s.Compression) {
		bad(fmt.Errorf("compression: %q is none of %s", s.Compression, strings.Join(kafka.Compressions(), ", ")))
	}
	if len(s.Host) > 255 {
		bad(errors.New("host: is longer than 255 bytes"))
	}
	if c.Kafka.Used() {
		bad(errors.New("topics cannot be read and shipped by one run: leave out kafka, or ship"))
	}
	if c.ClickHouse.DSN != "" {
		bad(errors.New("lines go to a topic or to a database: leave out clickhouse, or ship"))
	}
	for i, in := range c.Inputs {
		if len(in.Name) > 255 || len(in.Host) > 255 {
			bad(fmt.Errorf("inputs[%d]: name and host may have 255 bytes", i))
		}
	}
	return errors.Join(errs...)
}
