package main

import (
	"bytes"
	"strings"
	"testing"
)

// call runs a command line in this process, with nothing on standard input.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return callWith(t, "", args...)
}

// callWith runs a command line in this process.
func callWith(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args string
		want string
	}{
		{"reprot", "did you mean report?"},
		{"quary", "did you mean query?"},
		{"zzzzzz", `there is no command "zzzzzz"; see`},
		{"checkpoint lst", "checkpoint has no command \"lst\" (did you mean list?); see bounceline checkpoint --help"},
		{"dlq zzzzzz", `dlq has no command "zzzzzz"; see`},
		{"rules lnt", "did you mean lint?"},
		{"help imprt", `there is no command "imprt" (did you mean import?); see bounceline --help`},
		{"help rules lnt", `rules has no command "lnt" (did you mean lint?); see bounceline rules --help`},
		{"help import x", `import has no command "x"; see bounceline import --help`},
		{"help engine-child", `there is no command "engine-child"`},
		{"health", "health takes one argument: the HOST:PORT"},
		{"validate a b", "validate takes one argument: a configuration file"},
		{"report --sinse 7d", "did you mean --since?"},
		{"report --category user_unknwn", "did you mean user_unknown?"},
		{"parse --parser postfx -", `there is no dialect "postfx" (did you mean postfix?); there are auto, postfix, exim`},
		{"codes gogle", "neither a code such as 550"},
		{"codes gogle", "did you mean Google?"},
		{"report --limit x", "--limit x: it is a whole number from 0 on; see bounceline report --help"},
		{"suppress --min -1", "--min -1: it is a whole number from 0 on"},
		{"import --batch-rows x", "invalid argument"},
		{"report --provider gogle", "there is no such provider (did you mean Google?)"},
		{"report extra", `report takes no arguments, but got "extra"`},
		{"report --by domein", "did you mean domain?"},
		{"report --by domain --sort ratee", "did you mean rate?"},
		{"report --by day --sort rate", "--sort is for --by domain, provider, sender or host"},
		{"report --min 10", "--min is for --by domain, provider, sender or host"},
		{"report --output xml", "it is table, csv or ndjson"},
		{"report --since yesterdayish", "is no time"},
		{"report --since 2026-02-01 --until 2026-01-01", "is not before"},
		{"report --zone Mars/Base", "there is no such time zone"},
		{"query supress", "did you mean suppress?"},
		{"query message_trace", "needs --param queue_id=...: the queue ID, as logged"},
		{"query top_reasons --param limit=many", "whole number"},
		{"query top_reasons --param x", "write name=value"},
		{"query a b", "put SQL in quotes"},
		{"forget", "name files, or what they were read as with --source, or streams with --stream"},
		{"forget -", "standard input is not read"},
		{"version --log-level loud", "debug, info, warn or error"},
		{"version --log-format xml", "text or json"},
	}
	for _, tt := range tests {
		code, out, errs := call(t, strings.Fields(tt.args)...)
		if code != exitUsage || out != "" || !strings.Contains(errs, tt.want) || !strings.HasPrefix(errs, "bounceline: ") {
			t.Errorf("%s: exit %d, %q, %q; want exit 2 and %q", tt.args, code, out, errs, tt.want)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	code, out, _ := call(t, "--help")
	if code != exitOK || !strings.Contains(out, "bounceline import /var/log/mail.log*") || strings.Contains(out, "engine-child") {
		t.Errorf("help: exit %d\n%s", code, out)
	}
	for args, want := range map[string]string{"help": "bounceline [command]", "help import": "bounceline import FILES", "help rules lint": "bounceline rules lint", "help help": "bounceline help"} {
		if code, out, errs := call(t, strings.Fields(args)...); code != exitOK || errs != "" || !strings.Contains(out, want) {
			t.Errorf("%s: exit %d, %q, %s", args, code, errs, out)
		}
	}
	commands := newRootCommand(nil, nil, nil).Commands()
	for _, c := range commands {
		if c.Name() != "completion" {
			commands = append(commands, c.Commands()...)
		}
	}
	for _, c := range commands {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		if c.Short == "" || c.Example == "" && c.Name() != "version" {
			t.Errorf("%s has no description or no example", c.Name())
		}
		if c.Args == nil && c.Name() != "run" && c.Name() != "parse" && c.Name() != "classify" {
			t.Errorf("%s does not say which arguments it takes", c.Name())
		}
	}
	if code, _, errs := call(t, "health", "127.0.0.1:1"); code != exitRuntime || !strings.HasPrefix(errs, "bounceline: nobody answers at 127.0.0.1:1, where ") || strings.Contains(errs, "Get ") {
		t.Errorf("health: exit %d, %q", code, errs)
	}
	for _, how := range []string{"version", "--version"} {
		if code, out, _ := call(t, how); code != exitOK || !strings.HasPrefix(out, "bounceline ") || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: exit %d, %q", how, code, out)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if code, out, _ := call(t, "completion", shell); code != exitOK || !strings.Contains(out, "bounceline") {
			t.Errorf("completion %s: exit %d", shell, code)
		}
	}
}
