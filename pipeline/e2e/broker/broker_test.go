package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// TestListeners reaches the broker in every way, keeps what was written through a kill, and is refused where it must be.
func TestListeners(t *testing.T) {
	b := Start(t)
	b.CreateTopic(t, "lines", 1)
	pem, err := os.ReadFile(b.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	pair, err := tls.LoadX509KeyPair(b.Cert, b.Key)
	if err != nil {
		t.Fatal(err)
	}
	sha256, err := scram.Mechanism(scram.SHA256, ScramUser, ScramPassword)
	if err != nil {
		t.Fatal(err)
	}
	sha512, err := scram.Mechanism(scram.SHA512, ScramUser, ScramPassword)
	if err != nil {
		t.Fatal(err)
	}
	read := func(addr string, c *tls.Config, m sasl.Mechanism) error {
		d := &kafka.Dialer{Timeout: 10 * time.Second, TLS: c, SASLMechanism: m}
		conn, err := d.DialLeader(context.Background(), "tcp", addr, "lines", 0)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.ReadLastOffset()
		return err
	}
	check := func() {
		t.Helper()
		for name, err := range map[string]error{
			"plaintext":     read(b.Addr, nil, nil),
			"TLS":           read(b.TLSAddr, &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}, nil),
			"PLAIN":         read(b.SASLAddr, &tls.Config{RootCAs: pool}, plain.Mechanism{Username: PlainUser, Password: PlainPassword}),
			"SCRAM-SHA-256": read(b.SASLAddr, &tls.Config{RootCAs: pool}, sha256),
			"SCRAM-SHA-512": read(b.SASLAddr, &tls.Config{RootCAs: pool}, sha512),
		} {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	check()
	if err := read(b.TLSAddr, &tls.Config{RootCAs: pool}, nil); err == nil {
		t.Error("the broker took a client without certificate")
	}
	if err := read(b.SASLAddr, &tls.Config{RootCAs: pool}, plain.Mechanism{Username: PlainUser, Password: "wrong"}); err == nil {
		t.Error("the broker took a wrong password")
	}
	b.Kill()
	if err := b.Restart(); err != nil {
		t.Fatal(err)
	}
	check()
}
