// Package kafkaconn says how Kafka's brokers are reached, by the source and the sink alike: addresses, TLS, passwords, and
// what can be done about the errors of connecting.
package kafkaconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// PasswordVariable is the environment variable with the password, where no file is named.
const PasswordVariable = "BOUNCELINE_KAFKA_PASSWORD"

// mechanisms are the ways of SASL that are known; the empty one is none.
var mechanisms = []string{"", "plain", "scram-sha-256", "scram-sha-512"}

// Config is how brokers are reached. The names are those of the configuration file.
type Config struct {
	Brokers      []string `yaml:"brokers"`       // HOST:PORT of some of the cluster's brokers
	TLS          bool     `yaml:"tls"`           // TLS with the system's authorities; the next three imply it
	CA           string   `yaml:"tls_ca"`        // PEM file of the authority that signed the brokers' certificates
	Cert         string   `yaml:"tls_cert"`      // PEM file of a client certificate
	Key          string   `yaml:"tls_key"`       // PEM file of its key
	SASL         string   `yaml:"sasl"`          // one of mechanisms
	User         string   `yaml:"user"`          // for SASL
	PasswordFile string   `yaml:"password_file"` // for SASL; without it PasswordVariable
}

// Validate checks what can be checked without files and network. Its error joins all that is wrong.
func (c Config) Validate() error {
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("brokers: name at least one, as HOST:PORT"))
	}
	for _, b := range c.Brokers {
		if _, port, err := net.SplitHostPort(b); err != nil || port == "" {
			errs = append(errs, fmt.Errorf("brokers: %q is not HOST:PORT", b))
		}
	}
	if (c.Cert == "") != (c.Key == "") {
		errs = append(errs, errors.New("tls_cert and tls_key: name both or none"))
	}
	known := false
	for _, m := range mechanisms {
		known = known || m == c.SASL
	}
	switch {
	case !known:
		errs = append(errs, fmt.Errorf("sasl: %q is none of %s", c.SASL, strings.Join(mechanisms[1:], ", ")))
	case c.SASL != "" && c.User == "":
		errs = append(errs, errors.New("user: is missing; sasl needs one"))
	case c.SASL == "" && (c.User != "" || c.PasswordFile != ""):
		errs = append(errs, errors.New("sasl: is missing; user and password need it"))
	}
	return errors.Join(errs...)
}

// A Conn makes connections to one cluster. It may be used concurrently.
type Conn struct {
	Brokers   []string
	Dialer    *kafka.Dialer
	Transport *kafka.Transport
	Client    *kafka.Client // over Transport
}

// Dial opens a connection to a broker, encrypted and logged in as configured, for requests that the client library has no
// call for, and returns the versions of requests that the broker understands.
//
// The library logs in over a connection that it is given, and nothing has been read beyond the answers when it is done.
func (c *Conn) Dial(ctx context.Context, address string) (net.Conn, []kafka.ApiVersion, error) {
	var conn net.Conn
	d := *c.Dialer
	d.TLS = nil
	d.DialFunc = func(ctx context.Context, network, address string) (_ net.Conn, err error) {
		tcp := &net.Dialer{KeepAlive: d.KeepAlive}
		if c.Dialer.TLS == nil {
			conn, err = tcp.DialContext(ctx, network, address)
		} else {
			conn, err = (&tls.Dialer{NetDialer: tcp, Config: c.Dialer.TLS}).DialContext(ctx, network, address)
		}
		return conn, err
	}
	k, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil, err
	}
	if err = k.SetDeadline(time.Now().Add(timeout)); err == nil {
		var versions []kafka.ApiVersion
		if versions, err = k.ApiVersions(); err == nil {
			return conn, versions, conn.SetDeadline(time.Time{})
		}
	}
	return nil, nil, errors.Join(err, k.Close())
}

// timeout is how long a connection may take, and a request where nothing else is said.
const timeout = 10 * time.Second

// Open reads the files of the configuration; it connects to nothing. Its errors never hold the password. Close the
// transport's idle connections in the end.
func (c Config) Open() (*Conn, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	tlsConfig, err := c.tls()
	if err != nil {
		return nil, err
	}
	mechanism, err := c.mechanism()
	if err != nil {
		return nil, err
	}
	conn := &Conn{Brokers: c.Brokers,
		Dialer:    &kafka.Dialer{ClientID: "bounceline", Timeout: timeout, KeepAlive: 30 * time.Second, TLS: tlsConfig, SASLMechanism: mechanism},
		Transport: &kafka.Transport{ClientID: "bounceline", DialTimeout: timeout, MetadataTTL: 5 * time.Second, TLS: tlsConfig, SASL: mechanism},
	}
	conn.Client = &kafka.Client{Addr: kafka.TCP(c.Brokers...), Timeout: timeout, Transport: conn.Transport}
	return conn, nil
}

func (c Config) tls() (*tls.Config, error) {
	if !c.TLS && c.CA == "" && c.Cert == "" {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("Kafka's authority: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("Kafka's authority: %s holds no PEM certificate", c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("client certificate for Kafka: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

func (c Config) mechanism() (sasl.Mechanism, error) {
	if c.SASL == "" {
		return nil, nil
	}
	password := os.Getenv(PasswordVariable)
	if c.PasswordFile != "" {
		data, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("password for Kafka: %w", err)
		}
		password = strings.TrimRight(string(data), "\r\n")
	}
	if password == "" {
		return nil, fmt.Errorf("the password of Kafka user %s is missing: name a file with it, or set %s", c.User, PasswordVariable)
	}
	switch c.SASL {
	case "scram-sha-256":
		return scram.Mechanism(scram.SHA256, c.User, password)
	case "scram-sha-512":
		return scram.Mechanism(scram.SHA512, c.User, password)
	}
	return plain.Mechanism{Username: c.User, Password: password}, nil
}
