package clickhouse

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
)

// A reason is why a connection failed, below what the server itself says.
type reason struct {
	is        func(error) bool
	hint      string
	permanent bool // trying again cures nothing
}

// reasons are looked at in this order.
var reasons = []reason{
	{as[x509.UnknownAuthorityError], "the server's certificate is signed by an unknown authority: name its PEM file with --clickhouse-ca", true},
	{as[x509.HostnameError], "the server's certificate is for another name: use the name that it is for in the DSN", true},
	{as[x509.CertificateInvalidError], "the server's certificate is not valid: renew it, or check this machine's clock", true},
	{says("tls: certificate required"), "the server wants a client certificate: give --clickhouse-cert and --clickhouse-key", true},
	{says("tls: bad certificate"), "the server does not accept the client certificate: check --clickhouse-cert and --clickhouse-key", true},
	{as[tls.RecordHeaderError], "the port does not speak TLS: use the secure port (9440), or leave secure=true out of the DSN", true},
	{target(syscall.ECONNREFUSED), "nothing listens there: check that the server runs and that the DSN has its native port (9000, or 9440 with ?secure=true)", false},
	{as[*net.DNSError], "the name cannot be resolved: check it in the DSN, and this machine's name servers", false},
	{target(syscall.EHOSTUNREACH), "no route leads there: check the address and the network", false},
	{timedOut, "it does not answer in time: check the address and that no firewall drops the connection", false},
	{func(err error) bool { return errors.Is(err, io.EOF) && strings.Contains(err.Error(), "handshake") },
		"the port is not ClickHouse's native one, or wants TLS: check the port, and add ?secure=true for a TLS port", false},
}

func as[E error](err error) bool { var e E; return errors.As(err, &e) }

func target(wanted error) func(error) bool {
	return func(err error) bool { return errors.Is(err, wanted) }
}

// says looks for the text of an alert: crypto/tls has no type for those that come from the other side.
func says(text string) func(error) bool {
	return func(err error) bool { return strings.Contains(err.Error(), text) }
}

func timedOut(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// explainTransport adds what can be done about a connection that failed, and marks what no retry cures.
func explainTransport(err error) error {
	for _, r := range reasons {
		if !r.is(err) {
			continue
		}
		err = fmt.Errorf("%w (%s)", err, r.hint)
		if r.permanent {
			return permanent{err}
		}
		return err
	}
	return err
}
