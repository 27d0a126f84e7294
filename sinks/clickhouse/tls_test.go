package clickhouse

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bounceline/sinks/clickhouse/local/localtest"
)

// secured puts TLS that demands a client certificate before the engine, and writes authority, certificate and key to files.
func secured(t *testing.T, dsn string) (address string, c Config) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	maker := httptest.NewUnstartedServer(nil) // only for its certificate, which is its own authority
	maker.StartTLS()
	t.Cleanup(maker.Close)
	pair := maker.TLS.Certificates[0]
	behind := u.Host
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := net.Dial("tcp", behind)
				if err != nil {
					return
				}
				defer out.Close()
				go func() {
					_, _ = io.Copy(out, in)
					_ = out.Close()
				}()
				_, _ = io.Copy(in, out)
			}()
		}
	}()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	u.Host, u.RawQuery = l.Addr().String(), "secure=true"
	return u.Host, Config{DSN: u.String(), CA: file("ca.pem", "CERTIFICATE", pair.Certificate[0]), Cert: file("cert.pem", "CERTIFICATE", pair.Certificate[0]),
		Key: file("key.pem", "PRIVATE KEY", key)}
}

func TestTLS(t *testing.T) {
	address, c := secured(t, localtest.Engine(t).DSN())
	d, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Migrate(t.Context(), false, nil); err != nil {
		t.Fatal(err)
	}
	b := sample(10)
	if err := d.Write(t.Context(), b, b.ID); err != nil {
		t.Fatal(err)
	}
	var n uint64
	if err := d.conn.QueryRow(t.Context(), "SELECT count() FROM delivery_events").Scan(&n); err != nil || n != 10 {
		t.Errorf("%d rows of 10 came through TLS (%v)", n, err)
	}
	for name, broken := range map[string]struct {
		c    Config
		says string
	}{
		"authority unknown":     {Config{DSN: c.DSN, Cert: c.Cert, Key: c.Key}, "--clickhouse-ca"},
		"no client certificate": {Config{DSN: c.DSN, CA: c.CA}, "--clickhouse-cert"},
		"no TLS here":           {Config{DSN: strings.Replace(c.DSN, "secure=true", "", 1)}, "secure=true"},
		"key is missing":        {Config{DSN: c.DSN, CA: c.CA, Cert: c.Cert}, "--clickhouse-key"},
		"authority is no file":  {Config{DSN: c.DSN, CA: filepath.Join(t.TempDir(), "none.pem")}, "none.pem"},
	} {
		_, err := Open(t.Context(), broken.c)
		if err == nil || !strings.Contains(err.Error(), broken.says) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.Contains(broken.c.DSN, address) && name != "authority is no file" && name != "key is missing" && !strings.Contains(err.Error(), address) {
			t.Errorf("%s: does not say where: %v", name, err)
		}
		if name != "no TLS here" && Retryable(err) {
			t.Errorf("%s: would be tried for ever: %v", name, err)
		}
	}
}
