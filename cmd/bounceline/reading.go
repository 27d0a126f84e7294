package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bounceline/parsers"
)

// readingFlags say how log lines are to be read.
type readingFlags struct {
	parser string
	zone   string
	host   string
	relays []string
}

func (f *readingFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.parser, "parser", "auto", "auto, or one of "+strings.Join(dialectNames(), ", "))
	cmd.Flags().StringVar(&f.zone, "log-zone", "", "time zone of stamps without one, for example Europe/Berlin (default: the system's)")
	cmd.Flags().StringVar(&f.host, "log-host", "", "host name for lines that carry none, as in Exim's own main log")
	cmd.Flags().StringSliceVar(&f.relays, "internal-relays", nil, "hosts and addresses inside the site that hand mail on: what is delivered to them is in no rate")
	_ = cmd.RegisterFlagCompletionFunc("parser", cobra.FixedCompletions(append([]string{"auto"}, dialectNames()...), cobra.ShellCompDirectiveNoFileComp))
}

// options checks the flags. Its errors are usage errors.
func (f *readingFlags) options() (parsers.Options, error) {
	o := parsers.Options{Dialect: f.parser, AssumedZone: time.Local, Host: f.host, InternalRelays: f.relays}
	if f.zone != "" {
		zone, err := time.LoadLocation(f.zone)
		if err != nil {
			return o, usagef("--log-zone: %v", err)
		}
		o.Zone = zone
	}
	if _, err := parsers.NewStream(o); err != nil {
		names := append([]string{"auto"}, dialectNames()...)
		return o, usagef("--parser %s: %v%s; there are %s", f.parser, err, didYouMean(f.parser, names), strings.Join(names, ", "))
	}
	return o, nil
}

func dialectNames() []string {
	var names []string
	for _, d := range parsers.Dialects() {
		names = append(names, d.Name())
	}
	return names
}
