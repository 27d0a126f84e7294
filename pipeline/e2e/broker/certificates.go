package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificates makes an authority, and certificates of the broker and of a client.
func (b *Broker) certificates() error {
	b.CA = filepath.Join(b.dir, "ca.pem")
	b.Cert, b.Key = filepath.Join(b.dir, "client.pem"), filepath.Join(b.dir, "client.key")
	authority, authorityKey, err := issue("bounceline test authority", nil, nil)
	if err != nil {
		return err
	}
	server, serverKey, err := issue("broker", authority, authorityKey)
	if err != nil {
		return err
	}
	client, clientKey, err := issue("client", authority, authorityKey)
	if err != nil {
		return err
	}
	serverPEM, err := keyPEM(serverKey)
	if err != nil {
		return err
	}
	clientPEM, err := keyPEM(clientKey)
	if err != nil {
		return err
	}
	for path, data := range map[string][]byte{
		b.CA:                               certificatePEM(authority),
		filepath.Join(b.dir, "server.pem"): append(serverPEM, certificatePEM(server)...),
		b.Cert:                             certificatePEM(client),
		b.Key:                              clientPEM,
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// issue makes a key and its certificate, signed by the parent, or by itself as an authority.
func issue(name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, nil, err
	}
	c := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames: []string{"localhost"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if parent == nil {
		c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
		parent, parentKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, nil, err
	}
	made, err := x509.ParseCertificate(der)
	return made, key, err
}

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// keyPEM encodes a key as PKCS #8, the only form that Kafka reads.
func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
