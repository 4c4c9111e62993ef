package openai

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// The defaults, and the bounds that are not worth a configuration key.
const (
	// defaultConnect: a SYN that nobody answers is given up before its second
	// repetition (at 1 s and 3 s on Linux).
	defaultConnect = 3 * time.Second
	// defaultFirstByte: the slowest of 280 recorded whole chats took 27.7 s
	// (openai-processing-ms); reasoning models of today take about four times that.
	defaultFirstByte = 120 * time.Second
	// defaultIdle: tokens come every 16 ms (median of the same recordings), and
	// servers that think longer send comments at least every 15 s.
	defaultIdle = 30 * time.Second

	defaultMaxBody   = 32 << 20  // 2,048 vectors of 1,536 numbers are 30 MB of JSON
	defaultMaxStream = 256 << 20 // a million chunks
	defaultMaxIdle   = 1024      // more than the calls that two cores keep in progress

	idleConnTimeout = 50 * time.Second // below the 60 s after which AWS load balancers hang up
	maxHeaderBytes  = 64 << 10         // answers of OpenAI have 2 KB of headers
	maxErrorBody    = 64 << 10         // error bodies are read this far and cut there
	longestError    = 2 * time.Second  // and this long: they come with their head, or a packet later
	readBuffer      = 8 << 10          // an answer of 4 KB with its head in one read; net/http has 4 KB
	pingAfter       = 15 * time.Second // finds dead HTTP/2 connections within defaultIdle
)

// Config says which back end to call and within which bounds. Zero values mean
// the defaults that each field states.
type Config struct {
	// Name is the provider's name in errors. Empty means the host of BaseURL.
	Name string
	// BaseURL is what the protocol's paths are appended to, version included:
	// https://api.openai.com/v1. Only http and https, without user, query and
	// fragment. Required.
	BaseURL string
	// APIKey is sent as bearer token, to BaseURL's host only. May be empty.
	APIKey llm.Secret
	// Headers are sent with every call, for back ends that want the key elsewhere
	// (api-key) or an organisation. They replace User-Agent and Authorization. They
	// cannot be headers that frame the message, nor idempotency keys, which would
	// let net/http repeat calls.
	Headers map[string]llm.Secret

	// ConnectTimeout bounds the TCP connection, and again the TLS handshake.
	// Zero means 3 s. It has no effect with a Transport of your own.
	ConnectTimeout time.Duration
	// FirstByteTimeout bounds the time from the start of a call to the head of its
	// answer, waiting for a connection included. -1 means no bound. Zero means 120 s.
	FirstByteTimeout time.Duration
	// IdleTimeout bounds the silence within an answer, from its head on. Each read
	// starts it anew, and time that the caller takes between reads does not count.
	// -1 means no bound. Zero means 30 s.
	IdleTimeout time.Duration

	// MaxBody bounds a whole answer in bytes. Zero means 32 MiB.
	MaxBody int64
	// MaxStream bounds a streamed answer in bytes. Zero means 256 MiB.
	MaxStream int64
	// MaxEvent bounds one event of a stream in bytes. Zero means 1 MiB.
	MaxEvent int
	// MaxIdleConns bounds the idle connections that are kept. Zero means 1,024.
	MaxIdleConns int
	// MaxConns bounds the connections; calls over it wait for one. Zero means no bound.
	MaxConns int

	// ProxyFromEnvironment honours HTTPS_PROXY and its like.
	ProxyFromEnvironment bool
	// Transport makes the calls. Nil means a transport of the provider's own, with
	// the bounds above. One of your own must not follow redirects or retry calls
	// of which it has sent anything; an http.Transport does neither, because calls over
	// https cannot be repeated by it.
	Transport http.RoundTripper
}

// notConfigurable are the headers that frame a message, choose its encoding or
// make net/http believe that a call may be repeated.
var notConfigurable = []string{
	"Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host",
	"Idempotency-Key", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "X-Idempotency-Key",
}

// validate returns the parsed base URL, or every fault at once.
func (c *Config) validate() (*url.URL, error) {
	base, err := parseBase(c.BaseURL)
	faults := []error{err}
	if !validValue(c.APIKey.Reveal()) {
		faults = append(faults, errors.New("api_key: holds a character that no HTTP header can carry; is there a line break in it?"))
	}
	for name, value := range c.Headers {
		if fault := checkHeader(name, value); fault != nil {
			faults = append(faults, fault)
		}
	}
	for _, d := range []struct {
		key   string
		value time.Duration
		least time.Duration
	}{
		{"connect_timeout", c.ConnectTimeout, 0},
		{"first_byte_timeout", c.FirstByteTimeout, -1},
		{"idle_timeout", c.IdleTimeout, -1},
	} {
		if d.value < d.least {
			faults = append(faults, fmt.Errorf("%s: %v is below zero", d.key, d.value))
		}
	}
	for _, n := range []struct {
		key   string
		value int64
	}{
		{"max_body_bytes", c.MaxBody},
		{"max_stream_bytes", c.MaxStream},
		{"max_event_bytes", int64(c.MaxEvent)},
		{"max_idle_conns", int64(c.MaxIdleConns)},
		{"max_conns", int64(c.MaxConns)},
	} {
		if n.value < 0 {
			faults = append(faults, fmt.Errorf("%s: %d is below zero", n.key, n.value))
		}
	}
	return base, errors.Join(faults...)
}

// parseBase never repeats a URL that has a user in it: that may be a password.
func parseBase(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("base_url: missing; for example https://api.openai.com/v1")
	}
	base, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("base_url: not a URL; for example https://api.openai.com/v1")
	}
	switch {
	case base.User != nil:
		return nil, errors.New("base_url: must not hold a user or password; use api_key or headers")
	case base.Scheme != "http" && base.Scheme != "https":
		return nil, fmt.Errorf("base_url: %q: only http and https", raw)
	case base.Hostname() == "":
		return nil, fmt.Errorf("base_url: %q has no host", raw)
	case base.RawQuery != "" || base.ForceQuery || base.Fragment != "":
		return nil, errors.New("base_url: must not have a query or a fragment")
	}
	base.Path = strings.TrimRight(base.Path, "/")
	base.RawPath = strings.TrimRight(base.RawPath, "/")
	return base, nil
}

func checkHeader(name string, value llm.Secret) error {
	if !validName(name) {
		return fmt.Errorf("headers: %q is not the name of a header", name)
	}
	for _, framed := range notConfigurable {
		if strings.EqualFold(name, framed) {
			return fmt.Errorf("headers: %s cannot be configured", name)
		}
	}
	if !validValue(value.Reveal()) {
		return fmt.Errorf("headers: the value of %s holds a character that no HTTP header can carry", name)
	}
	return nil
}

// validName says whether name is a token of RFC 9110.
func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return name != ""
}

// validValue says whether value is printable ASCII, which is all that keys and ids need.
func validValue(value string) bool {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return false
		}
	}
	return true
}

// withDefaults fills in what is zero.
func (c Config) withDefaults(base *url.URL) Config {
	if c.Name == "" {
		c.Name = base.Host
	}
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, defaultConnect)
	c.FirstByteTimeout = cmp.Or(c.FirstByteTimeout, defaultFirstByte)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, defaultIdle)
	c.MaxBody = cmp.Or(c.MaxBody, defaultMaxBody)
	c.MaxStream = cmp.Or(c.MaxStream, defaultMaxStream)
	c.MaxIdleConns = cmp.Or(c.MaxIdleConns, defaultMaxIdle)
	return c
}

// transport makes the provider's own transport. Compression is off: it would
// cost more than loopback and data centre links save, and a small body could
// unpack to a large one. handshake is told of every TLS handshake.
func (c *Config) transport(handshake func(tls.ConnectionState) error) *http.Transport {
	t := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: c.ConnectTimeout, KeepAlive: pingAfter}).DialContext,
		TLSHandshakeTimeout:    c.ConnectTimeout,
		DisableCompression:     true,
		MaxIdleConns:           c.MaxIdleConns,
		MaxIdleConnsPerHost:    c.MaxIdleConns,
		MaxConnsPerHost:        c.MaxConns,
		IdleConnTimeout:        idleConnTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		ReadBufferSize:         readBuffer,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, VerifyConnection: handshake},
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingAfter},
	}
	if c.ProxyFromEnvironment {
		t.Proxy = http.ProxyFromEnvironment
	}
	return t
}
