package telemetry

import (
	"errors"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// transport says of connections that failed that this passes, which the standard
// library does not say of refused ones. So an export outlasts a collector's restart.
type transport struct{ *http.Transport }

// newTransport begins with the standard one: proxies of the environment, HTTP/2. Few
// connections do: an export follows the other.
func newTransport() *transport {
	base, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // somebody put another one there
		return &transport{&http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}}
	}
	return &transport{base.Clone()}
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.Transport.RoundTrip(r)
	if connection, ok := errors.AsType[*net.OpError](err); ok && connection.Op == "dial" {
		return nil, passing{err}
	}
	return resp, err
}

// passing is an error after which another try may succeed.
type passing struct{ error }

// Temporary is what package net/url asks of an error.
func (passing) Temporary() bool { return true }

// Unwrap gives the cause.
func (p passing) Unwrap() error { return p.error }

// gatherer hands on what could be gathered, and keeps the error: the bridge behind it
// would tell a global handler, which writes to standard error at each export.
type gatherer struct{ prometheus.Gatherer }

// Gather implements prometheus.Gatherer.
func (g *gatherer) Gather() ([]*dto.MetricFamily, error) {
	families, _ := g.Gatherer.Gather() // what failed is told where metrics are scraped
	return families, nil
}
