package notify_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/internal/awstest"
	"github.com/forebay-ai/forebay/llm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(awstest.Main{M: m}) }

// notice is one with everything set.
func notice(id string) alarm.Notice {
	at := time.Date(2026, 11, 22, 8, 30, 0, 0, time.UTC)
	return alarm.Notice{
		ID: id, At: at, Severity: alarm.Critical, Title: "errors-high on chat", Source: "gateway-1",
		Items: []alarm.Item{{
			Status: alarm.Status{
				Name: "errors-high", Of: "chat", State: alarm.Firing, Since: at.Add(-time.Minute), Value: 0.12, HasValue: true,
				Reason: "12 % of 340 requests failed in 5 min; the limit is 10 %",
			},
			Severity: alarm.Critical, Message: "Too many calls fail.", Do: "Look at the breakers.", Runbook: "https://example.com/runbooks/errors",
		}},
	}
}

// fake is a notifier that does what it is told, and remembers when.
type fake struct {
	name   string
	notify func(ctx context.Context, n alarm.Notice, attempt int) error

	mu    sync.Mutex // guards the two below
	got   []string
	times []time.Time
}

func (f *fake) Name() string { return f.name }

func (f *fake) Notify(ctx context.Context, n alarm.Notice) error {
	f.mu.Lock()
	f.got = append(f.got, n.ID)
	f.times = append(f.times, time.Now())
	attempt := len(f.got)
	f.mu.Unlock()
	if f.notify == nil {
		return nil
	}
	return f.notify(ctx, n, attempt)
}

func (f *fake) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.got...)
}

// offsets are when the attempts were, after start.
func (f *fake) offsets(start time.Time) []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []time.Duration
	for _, t := range f.times {
		all = append(all, t.Sub(start))
	}
	return all
}

var errDown = errors.New("the receiver is down")

func failing(context.Context, alarm.Notice, int) error { return errDown }

func hanging(ctx context.Context, _ alarm.Notice, _ int) error {
	<-ctx.Done()
	return ctx.Err()
}

// final is an error after which another try is no use.
func final(context.Context, alarm.Notice, int) error {
	return &llm.Error{Kind: llm.ForebayUnavailable, Message: "gone", NoRetry: true}
}

// certificate makes one for names, and the authorities that believe it.
func certificate(t *testing.T, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
