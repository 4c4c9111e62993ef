package telemetry

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/forebay-ai/forebay/llm"
)

// Config configures Start.
type Config struct {
	// Endpoint is the collector's base URL, such as http://127.0.0.1:4318, to which
	// /v1/metrics and /v1/traces are added; or host:port alone, which means HTTPS unless
	// Insecure is set. It is needed.
	Endpoint string
	// Headers go with each request, for collectors that want a key. The names Content-*
	// and Host are not to be set.
	Headers map[string]llm.Secret
	// Insecure sends without TLS where Endpoint names no scheme.
	Insecure bool
	// ServiceName and Version describe this process to the collector. An empty name
	// means forebay, or what the environment says (OTEL_SERVICE_NAME,
	// OTEL_RESOURCE_ATTRIBUTES).
	ServiceName, Version string
	// Interval is between two exports of metrics, 1 s to 1 h. 0 means 30 s.
	Interval time.Duration
	// Gatherer gives the metrics of Prometheus. Nil sends the gen_ai ones alone.
	Gatherer prometheus.Gatherer
	// SampleRatio is the share of calls without a caller's trace that are traced, from
	// 0 to 1, chosen by their trace id. 0 means all, a negative one none. With a caller's
	// trace it is the caller who decides, by the sampled flag of its traceparent.
	SampleRatio float64
	// OnDrop is told of n calls whose spans were given up. It is called from the request
	// path, several times at once, and must not block. Nil is not told.
	OnDrop func(n int64)
	// Logger takes what goes wrong, at most once a minute for each of metrics and
	// traces. Nil means none.
	Logger *slog.Logger
}

const (
	defaultInterval = 30 * time.Second
	minInterval     = time.Second
	maxInterval     = time.Hour
	defaultService  = "forebay"
)

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
	if c.SampleRatio == 0 {
		c.SampleRatio = 1
	}
	if c.OnDrop == nil {
		c.OnDrop = func(int64) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// check reports every fault, each with its key.
func (c Config) check() error {
	var faults []error
	if _, err := c.base(); err != nil {
		faults = append(faults, fmt.Errorf("endpoint: %w", err))
	}
	if c.Interval < minInterval || c.Interval > maxInterval {
		faults = append(faults, fmt.Errorf("interval: %v: from %v to %v", c.Interval, minInterval, maxInterval))
	}
	if !(c.SampleRatio <= 1) { // NaN too
		faults = append(faults, fmt.Errorf("sample_ratio: %v: at most 1", c.SampleRatio))
	}
	for name, value := range c.Headers {
		canonical := http.CanonicalHeaderKey(name)
		if name == "" || strings.Trim(name, headerChars) != "" || strings.HasPrefix(canonical, "Content-") || canonical == "Host" {
			faults = append(faults, fmt.Errorf("headers: %.64q cannot be set", name))
		}
		if strings.ContainsAny(value.Reveal(), "\r\n\x00") {
			faults = append(faults, fmt.Errorf("headers: the value of %.64q has a line break", name))
		}
	}
	return errors.Join(faults...)
}

// headerChars may stand in a header's name (RFC 9110, token).
const headerChars = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// base is Endpoint as a URL without a slash at its end.
func (c Config) base() (string, error) {
	if c.Endpoint == "" {
		return "", errors.New("give the collector's URL, such as http://127.0.0.1:4318")
	}
	raw := c.Endpoint
	if !strings.Contains(raw, "://") {
		scheme := "https://"
		if c.Insecure {
			scheme = "http://"
		}
		raw = scheme + raw
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", errors.New("it is not a URL") // the error would repeat it, secrets included
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("the scheme %.16q: http or https", u.Scheme)
	case u.Hostname() == "":
		return "", errors.New("it names no host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("it has a user, a query or a fragment: use headers for keys")
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}
