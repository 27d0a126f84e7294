package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bounceline/parsers"
)

func load(t *testing.T, text string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err == nil {
		err = c.Validate()
	}
	return c, err
}

func TestWrongConfigurations(t *testing.T) {
	const input = "inputs:\n  - name: a\n    paths: [x]\n"
	for text, want := range map[string]string{
		"":                                               "inputs: name at least one",
		"inputs:\n  - paths: [x]\n":                      "inputs[0].name: is missing",
		"inputs:\n  - name: a\n":                         "inputs[0].paths: name at least one",
		input + "    exclude: ['[']\n":                   `"[" is no valid glob`,
		input + "    parser: qmail\n":                    `there is no dialect "qmail"`,
		input + "    zone: Mars/Base\n":                  "inputs[0]: zone: unknown time zone Mars/Base",
		input + "    hosts: b\n":                         `line 4: unknown key "hosts"; did you mean "host"?`,
		input + "batch:\n  max_row: 5\n":                 `line 5: unknown key "max_row"; did you mean "max_rows"?`,
		input + "files: [x]\n":                           `line 4: unknown key "files"; those known here are state_dir, `,
		input + "batch: {max_rows: 0}\n":                 "batch.max_rows: 0 is not between",
		input + "poll: soon\n":                           `line 4: "soon" is no duration`,
		input + "poll: 0s\n":                             "must be longer than nothing",
		input + "listen: here\n":                         `listen: "here" is no HOST:PORT`,
		input + "state_dir: ${NOT_THERE_AT_ALL}\n":       "${NOT_THERE_AT_ALL}: the environment has no such variable",
		input + "state_dir: ${file:/not/there/at/all}\n": "no such file",
		"inputs: [\n":                                    "line 1",
	} {
		if _, err := load(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, not %q", text, err, want)
		}
	}
}

// TestEveryMistakeNamesTheFile: a message of several lines is read by people who look for one of them.
func TestEveryMistakeNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte("files: []\ninput: []\nbatsh: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path)
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Fatalf("%v", err)
	}
	for line := range strings.Lines(err.Error()) {
		if !strings.HasPrefix(line, path+": line ") {
			t.Errorf("%q does not name the file", line)
		}
	}
}

func TestConfiguration(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BOUNCELINE_TEST_HOST", "mx9")
	c, err := load(t, `
state_dir: ${BOUNCELINE_TEST_NONE:-/var/lib/x}
inputs:
  - name: mail
    paths: [mail.log, "/logs/${BOUNCELINE_TEST_HOST}/*.log"]
    host: ${BOUNCELINE_TEST_HOST}
    zone: Europe/Berlin
    internal_relays: [filter.example.org]
clickhouse:
  dsn: clickhouse://writer:${file:`+secret+`}@db.example.org:9440/bounceline?secure=true&password=s3cret
`)
	if err != nil {
		t.Fatal(err)
	}
	if c.StateDir != "/var/lib/x" || c.Batch.MaxRows != 100_000 || time.Duration(c.Poll) != 250*time.Millisecond {
		t.Errorf("%+v", c)
	}
	inputs, err := c.TailInputs()
	if err != nil {
		t.Fatal(err)
	}
	in := inputs[0]
	if !filepath.IsAbs(in.Paths[0]) || in.Paths[1] != "/logs/mx9/*.log" || in.Parser.Host != "mx9" || in.Parser.Zone.String() != "Europe/Berlin" ||
		len(in.Parser.InternalRelays) != 1 {
		t.Errorf("%+v", in)
	}
	if _, err := parsers.NewStream(in.Parser); err != nil {
		t.Error(err)
	}
	if !strings.Contains(c.ClickHouse.DSN, ":s3cret@") {
		t.Errorf("DSN %s", c.ClickHouse.DSN)
	}
	shown, err := c.Redacted()
	if err != nil || strings.Contains(string(shown), "s3cret") || !strings.Contains(string(shown), "writer:redacted@") || !strings.Contains(string(shown), "poll: 250ms") ||
		!strings.Contains(string(shown), "parser: auto") || strings.Contains(string(shown), `parser: ""`) || inputs[0].Parser.Dialect != "auto" {
		t.Errorf("%v\n%s", err, shown)
	}
}
