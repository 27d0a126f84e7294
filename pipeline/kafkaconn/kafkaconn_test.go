package kafkaconn

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"

	"bounceline/pipeline/e2e/broker"
)

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{}, "name at least one"},
		{Config{Brokers: []string{"kafka1"}}, `"kafka1" is not HOST:PORT`},
		{Config{Brokers: []string{"k:9092"}, Cert: "c.pem"}, "name both or none"},
		{Config{Brokers: []string{"k:9092"}, SASL: "gssapi", User: "u"}, "none of plain, scram-sha-256, scram-sha-512"},
		{Config{Brokers: []string{"k:9092"}, SASL: "plain"}, "user: is missing"},
		{Config{Brokers: []string{"k:9092"}, User: "u"}, "sasl: is missing"},
		{Config{Brokers: []string{"k:9092"}}, ""},
	} {
		err := c.config.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v, not %q", c.config, err, c.want)
		}
	}
}

// TestReach connects to a real broker in each way that is right, and in those that are wrong.
func TestReach(t *testing.T) {
	b := broker.Start(t)
	dir := t.TempDir()
	secret := func(text string) string {
		f, err := os.CreateTemp(dir, "password")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text + "\n"); err != nil {
			t.Fatal(err)
		}
		return f.Name()
	}
	sasl := func(kind, user, password string) Config {
		return Config{Brokers: []string{b.SASLAddr}, CA: b.CA, SASL: kind, User: user, PasswordFile: secret(password)}
	}
	for name, c := range map[string]struct {
		config    Config
		want      string // empty: it connects
		permanent bool
	}{
		"plaintext":             {Config{Brokers: []string{b.Addr}}, "", false},
		"TLS":                   {Config{Brokers: []string{b.TLSAddr}, CA: b.CA, Cert: b.Cert, Key: b.Key}, "", false},
		"plain":                 {sasl("plain", broker.PlainUser, broker.PlainPassword), "", false},
		"scram-sha-256":         {sasl("scram-sha-256", broker.ScramUser, broker.ScramPassword), "", false},
		"scram-sha-512":         {sasl("scram-sha-512", broker.ScramUser, broker.ScramPassword), "", false},
		"wrong password":        {sasl("plain", broker.PlainUser, "hunter2"), "user or password is wrong", true},
		"wrong SCRAM password":  {sasl("scram-sha-512", broker.ScramUser, "hunter2"), "user or password is wrong", true},
		"no client certificate": {Config{Brokers: []string{b.TLSAddr}, CA: b.CA}, "refused the client's certificate", true},
		"unknown authority":     {Config{Brokers: []string{b.TLSAddr}, TLS: true, Cert: b.Cert, Key: b.Key}, "nobody vouches", true},
		"TLS to plaintext":      {Config{Brokers: []string{b.Addr}, CA: b.CA}, "does this port want TLS", false},
		"plaintext to TLS":      {Config{Brokers: []string{b.TLSAddr}}, "does this port want TLS", false},
		"nobody there":          {Config{Brokers: []string{"127.0.0.1:1"}}, "connection refused", false},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := c.config.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Transport.CloseIdleConnections()
			dialed, err := conn.Dialer.DialContext(context.Background(), "tcp", c.config.Brokers[0])
			if err == nil {
				_, err = dialed.ReadPartitions()
				dialed.Close()
			}
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if _, err := conn.Client.Metadata(context.Background(), &kafka.MetadataRequest{}); err != nil {
					t.Error(err)
				}
				return
			}
			if err = Explain(err); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("dial: %v, not %q", err, c.want)
			}
			if Permanent(err) != c.permanent {
				t.Errorf("permanent is %v: %v", Permanent(err), err)
			}
			_, err = conn.Client.Metadata(context.Background(), &kafka.MetadataRequest{})
			if err = Explain(err); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("client: %v, not %q", err, c.want)
			}
		})
	}
}

func TestMissingSecrets(t *testing.T) {
	t.Setenv(PasswordVariable, "")
	c := Config{Brokers: []string{"k:9092"}, SASL: "plain", User: "alice"}
	if _, err := c.Open(); err == nil || !strings.Contains(err.Error(), "password of Kafka user alice is missing") {
		t.Error(err)
	}
	c.PasswordFile = filepath.Join(t.TempDir(), "none")
	if _, err := c.Open(); err == nil || !strings.Contains(err.Error(), "password for Kafka") {
		t.Error(err)
	}
	c = Config{Brokers: []string{"k:9092"}, CA: c.PasswordFile}
	if _, err := c.Open(); err == nil || !strings.Contains(err.Error(), "authority") {
		t.Error(err)
	}
}
