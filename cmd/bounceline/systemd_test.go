package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSystemdUnits: the units start commands that there are, and systemd, where it is installed, has nothing against them.
func TestSystemdUnits(t *testing.T) {
	units, err := filepath.Glob("../../configs/systemd/*.service")
	if err != nil || len(units) != 2 {
		t.Fatalf("%v, %v", units, err)
	}
	started := regexp.MustCompile(`(?m)^Exec(?:Start|StartPre|Reload)=/usr/bin/bounceline (.+)$`)
	dir := t.TempDir()
	for _, path := range units {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		commands := started.FindAllStringSubmatch(string(data), -1)
		if len(commands) < 2 {
			t.Errorf("%s: starts %v", path, commands)
		}
		for _, c := range commands {
			cmd, args, err := newRootCommand(nil, nil, nil).Find(strings.Fields(c[1]))
			if err == nil {
				err = cmd.ParseFlags(args)
			}
			if err != nil || cmd.Name() == "bounceline" {
				t.Errorf("%s: bounceline %s: %v", path, c[1], err)
			}
		}
		analyze, err := exec.LookPath("systemd-analyze")
		if err != nil {
			continue
		}
		here := strings.NewReplacer("/usr/bin/bounceline", os.Args[0], "User=bounceline", "User=root", "Group=bounceline", "Group=root").Replace(string(data))
		copied := filepath.Join(dir, filepath.Base(path))
		if err := os.WriteFile(copied, []byte(here), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(analyze, "verify", copied).CombinedOutput(); err != nil || strings.Contains(string(out), copied) {
			t.Errorf("%v: %s", err, out)
		}
	}
}
