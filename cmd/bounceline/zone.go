package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// zoneFlag is the one time zone of a command's filters, groups and output.
type zoneFlag struct{ name string }

func (f *zoneFlag) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.name, "zone", "", "time zone of filters, groups and output, as Europe/Berlin (default: TZ, else the system's)")
}

// location is the flag's zone, else that of TZ, else the system's. It has a name of the IANA time zone database, so that
// the server knows it too.
func (f *zoneFlag) location() (*time.Location, error) {
	if f.name != "" {
		zone, err := time.LoadLocation(f.name)
		if err != nil || f.name == "Local" {
			return nil, usagef("--zone %s: there is no such time zone: write it as Europe/Berlin or UTC", f.name)
		}
		return zone, nil
	}
	if tz, ok := os.LookupEnv("TZ"); ok {
		name := zoneName(strings.TrimPrefix(tz, ":"))
		if filepath.IsAbs(name) { // another link, as /etc/localtime
			return systemZone(name, "/etc/timezone")
		}
		zone, err := time.LoadLocation(name)
		if err != nil {
			return nil, usagef("TZ=%s names no zone of the time zone database: say which with --zone", tz)
		}
		return zone, nil
	}
	return systemZone("/etc/localtime", "/etc/timezone")
}

// systemZone reads the zone's name where systems keep it: behind the link localtime (man 5 localtime), or in Debian's
// file timezone.
func systemZone(link, file string) (*time.Location, error) {
	names := []string{}
	if target, err := os.Readlink(link); err == nil {
		names = append(names, zoneName(target))
	}
	if text, err := os.ReadFile(file); err == nil {
		names = append(names, strings.TrimSpace(string(text)))
	}
	for _, n := range names {
		if n == "" {
			continue
		}
		if zone, err := time.LoadLocation(n); err == nil {
			return zone, nil
		}
	}
	if _, err := os.Stat(link); err != nil {
		return time.UTC, nil // a system without a zone is on UTC
	}
	return nil, usagef("the system's time zone has no name that can be found: say which with --zone, for example --zone Europe/Berlin")
}

// zoneName is the zone's name in the path of its file, or the name itself.
func zoneName(path string) string {
	if _, name, ok := strings.Cut(path, "zoneinfo/"); ok {
		path = name
	}
	for _, variant := range []string{"posix/", "right/"} {
		path = strings.TrimPrefix(path, variant)
	}
	return path
}
