package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Config says how events are delivered.
type Config struct {
	// Secret returns the signing secret of a tenant: 32 bytes, always the same. It is
	// called for every delivery, concurrently, and must not block. It is required.
	Secret func(tenant string) []byte
	// Allow names what may be reached although it is private, and by plain http: hosts,
	// as "hooks.internal", with or without a port, as "127.0.0.1:8080", and prefixes of
	// addresses, as "10.20.0.0/16". A host that is named is not asked what it resolves
	// to. Empty: nothing private is reached.
	Allow []string
	// Timeout bounds one delivery, from the resolution of the name to the end of the
	// answer. Zero means 10 s.
	Timeout time.Duration
	// MaxBody bounds how much of an answer's body is read, in bytes, before the
	// connection is closed. Nothing is done with it. Zero means 64 KiB.
	MaxBody int64
	// Roots are the authorities whose certificates are believed. Nil means the system's.
	Roots *x509.CertPool
	// Resolve returns the addresses of a host. It has to obey its context. Nil means
	// the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
}

const (
	defaultTimeout = 10 * time.Second
	defaultMaxBody = 64 << 10
	// maxHead bounds the head of an answer; net/http would take ten megabytes.
	maxHead = 64 << 10
	// drainTime is for the answer's body, once its head has said everything. Reading it
	// spares the receiver a reset connection; a slow one is not worth a wait.
	drainTime = time.Second
	// maxID is far above the IDs of jobs.
	maxID     = 128
	userAgent = "forebay-webhook"
)

// Sender delivers events. It may be used concurrently, and holds nothing that would
// have to be closed.
type Sender struct {
	secret  func(tenant string) []byte
	timeout time.Duration
	maxBody int64
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// transport is used without an http.Client: nothing here could follow a redirect.
	transport *http.Transport
	allowList
}

// Message is an event on its way.
type Message struct {
	// Address is where it goes; see Sender.Check.
	Address string
	// Tenant is whose secret signs it.
	Tenant string
	// ID names the event: the same for every attempt, so that receivers can tell a
	// repetition. 1 to 128 letters, digits, dashes and underscores.
	ID string
	// Body is the event, as JSON.
	Body []byte
}

// New returns a Sender, or an error that lists every fault of cfg.
func New(cfg Config) (*Sender, error) {
	s := &Sender{
		secret: cfg.Secret, timeout: cfg.Timeout, maxBody: cfg.MaxBody, resolve: cfg.Resolve,
		allowList: allowList{hosts: map[string]bool{}},
	}
	var faults []error
	if s.secret == nil {
		faults = append(faults, errors.New("webhook: Secret is missing"))
	}
	if s.timeout < 0 || s.maxBody < 0 {
		faults = append(faults, errors.New("webhook: Timeout and MaxBody are not negative"))
	}
	for _, entry := range cfg.Allow {
		if err := s.add(entry); err != nil {
			faults = append(faults, fmt.Errorf("webhook: Allow: %w", err))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if s.timeout == 0 {
		s.timeout = defaultTimeout
	}
	if s.maxBody == 0 {
		s.maxBody = defaultMaxBody
	}
	if s.resolve == nil {
		s.resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	s.transport = s.newTransport(cfg.Roots)
	return s, nil
}

// newTransport returns a transport that reaches what dial lets it reach, and keeps
// nothing.
func (s *Sender) newTransport(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // a proxy would resolve names by itself
		DialContext:            s.dial,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives:      true, // addresses are many and events of one are rare
		DisableCompression:     true, // nothing of the answer is used
		MaxResponseHeaderBytes: maxHead,
	}
}

// Deliver makes one attempt to deliver m. Nil means that the receiver has it: it
// answered with a status from 200 to 299. Otherwise again says whether another
// attempt can help: not where the receiver answered 410 and wants no more events,
// and not where the message itself cannot be sent.
//
// An error of CallerInvalidRequest says that the address, or what its name stands
// for at the moment, is refused. Errors name the host and never the rest of the
// address, which often is a secret. Deliver ends soon after ctx.
func (s *Sender) Deliver(ctx context.Context, m Message) (again bool, err error) {
	t, refusal := s.parse(m.Address)
	if refusal != nil {
		return false, refusal
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := s.request(ctx, t, m)
	if err != nil {
		return false, err
	}
	res, err := s.transport.RoundTrip(req)
	if err != nil {
		return true, fmt.Errorf("webhook: no answer from %s: %w", t.url.Host, err)
	}
	defer res.Body.Close()
	s.drain(res.Body, cancel)
	switch {
	case res.StatusCode >= 200 && res.StatusCode <= 299:
		return false, nil
	case res.StatusCode == http.StatusGone:
		return false, fmt.Errorf("webhook: %s answers 410: it wants no more events", t.url.Host)
	case res.StatusCode >= 300 && res.StatusCode <= 399:
		return true, fmt.Errorf("webhook: %s answers %d: redirects are not followed", t.url.Host, res.StatusCode)
	}
	return true, fmt.Errorf("webhook: %s answers %d", t.url.Host, res.StatusCode)
}

// request is m as a signed request.
func (s *Sender) request(ctx context.Context, t target, m Message) (*http.Request, error) {
	if !validID(m.ID) {
		return nil, &llm.Error{
			Kind: llm.ForebayInternal, Message: "the event's ID cannot be sent",
			Fix: "Use 1 to 128 letters, digits, dashes and underscores.",
		}
	}
	secret := s.secret(m.Tenant)
	if n := len(secret); n < minSecret || n > maxSecret {
		return nil, llm.Errorf(llm.ForebayInternal, "the signing secret has %d bytes, not %d to %d", n, minSecret, maxSecret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url.String(), bytes.NewReader(m.Body))
	if err != nil {
		return nil, refused("Write it like https://example.com/hooks/forebay.", "it is not a URL with a host")
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set(headerID, m.ID)
	req.Header.Set(headerTimestamp, stamp)
	req.Header.Set(headerSignature, sign(secret, m.ID, stamp, m.Body))
	return req, nil
}

// validID says that id can stand in a header, and before the dot of what is signed.
func validID(id string) bool {
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return id != "" && len(id) <= maxID
}

// drain reads the beginning of a body, for a short while; stop ends the request.
func (s *Sender) drain(body io.Reader, stop func()) {
	timer := time.AfterFunc(drainTime, stop)
	defer timer.Stop()
	_, _ = io.Copy(io.Discard, io.LimitReader(body, s.maxBody)) // the head has said everything
}

// dial connects to an address that was resolved here and found to be public or
// allowed. The name is not resolved again behind it.
func (s *Sender) dial(ctx context.Context, network, hostPort string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	ips, err := s.reachable(ctx, host, port)
	if err != nil {
		return nil, err
	}
	// The socket itself asks once more, behind everything that could be wrong above.
	dialer := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return s.check(host, port, at.Addr())
	}}
	var faults []error
	for i, ip := range ips {
		conn, err := dialOne(ctx, &dialer, network, net.JoinHostPort(ip.String(), port), len(ips)-i)
		if err == nil {
			return conn, nil
		}
		faults = append(faults, err)
	}
	return nil, errors.Join(faults...)
}

// dialOne connects to one of the left addresses, in its share of the time that there is:
// one that is dead takes not all of it.
func dialOne(ctx context.Context, d *net.Dialer, network, address string, left int) (net.Conn, error) {
	if until, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(until)/time.Duration(left))
		defer cancel()
	}
	return d.DialContext(ctx, network, address)
}

// maxIPs bounds how many addresses of a name are tried.
const maxIPs = 4

// reachable returns the addresses of host that may be reached, at most maxIPs; where
// there are none, the error says why.
func (s *Sender) reachable(ctx context.Context, host, port string) ([]netip.Addr, error) {
	ips := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = append(ips, ip)
	} else if ips, err = s.resolve(ctx, host); err != nil {
		return nil, err
	}
	var good []netip.Addr
	var refusal error = fmt.Errorf("webhook: %s has no address", host)
	for _, ip := range ips {
		ip = ip.Unmap()
		if err := s.check(host, port, ip); err != nil {
			refusal = err
		} else if len(good) < maxIPs {
			good = append(good, ip)
		}
	}
	if len(good) == 0 {
		return nil, refusal
	}
	return good, nil
}

// check says whether host, which stands for ip, may be reached there.
func (s *Sender) check(host, port string, ip netip.Addr) error {
	ip = ip.Unmap()
	if s.exempt(host, port) || s.exempt(ip.String(), port) || s.exemptIP(ip) {
		return nil
	}
	if why := special(ip); why != "" {
		return refused("Use a name that stands for an address on the public internet.", "%s stands for %s, which is %s", host, ip, why)
	}
	return nil
}
