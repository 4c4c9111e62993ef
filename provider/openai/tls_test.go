package openai_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/openai"
)

// certificates makes a certificate for host that ends at notAfter, and the roots that
// vouch for it.
func certificates(t *testing.T, host string, notAfter time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: notAfter.Add(-24 * time.Hour), NotAfter: notAfter, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, roots
}

// Faults of TLS are told apart, fail closed, and are not tried again where another try
// cannot help.
func TestTLS(t *testing.T) {
	hour := time.Now().Add(time.Hour)
	for _, c := range []struct {
		name, host string
		until      time.Time
		unknown    bool
		config     *tls.Config
		says       string
		noRetry    bool
	}{
		{name: "well", host: "127.0.0.1", until: hour},
		{name: "expired", host: "127.0.0.1", until: time.Now().Add(-time.Hour), says: "certificate", noRetry: true},
		{name: "another host's", host: "example.com", until: hour, says: "certificate", noRetry: true},
		{name: "unknown authority", host: "127.0.0.1", until: hour, unknown: true, says: "certificate", noRetry: true},
		{name: "old version", host: "127.0.0.1", until: hour, config: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, says: "handshake", noRetry: true},
		{name: "wants a certificate of ours", host: "127.0.0.1", until: hour, config: &tls.Config{MaxVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert}, says: "handshake", noRetry: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			certificate, roots := certificates(t, c.host, c.until)
			srv := httptest.NewUnstartedServer(answer("application/json", wholeBody))
			srv.Config.ErrorLog = silent()
			if srv.TLS = c.config; c.config == nil {
				srv.TLS = &tls.Config{}
			}
			srv.TLS.Certificates = []tls.Certificate{certificate}
			srv.StartTLS()
			defer srv.Close()
			p := open(t, openai.Config{BaseURL: srv.URL, APIKey: key})
			if !c.unknown {
				openai.Trust(p, roots)
			}
			_, err := collect(t, p, chat(false))
			if c.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			e := want(t, err, llm.ProviderConnectionFailed)
			if !strings.Contains(e.Message, c.says) || e.NoRetry != c.noRetry {
				t.Errorf("%q, no retry %v: %v", e.Message, e.NoRetry, e.Err)
			}
		})
	}
}

// A handshake that stalls is given up within its bound, and may be tried again.
func TestTLSHandshakeStalls(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := open(t, openai.Config{BaseURL: "https://" + l.Addr().String(), ConnectTimeout: soon})
	_, err = collect(t, p, chat(false))
	if e := want(t, err, llm.ProviderConnectionFailed); e.Limit != "connect_timeout" || e.Value != soon.String() || e.NoRetry || !strings.Contains(e.Message, "handshake") {
		t.Errorf("%+v", e)
	}
}
