package openai

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/internal/exchange"
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
	base, err := exchange.ParseBase("base_url", "https://api.openai.com/v1", c.BaseURL)
	faults := []error{err}
	if !exchange.ValidValue(c.APIKey.Reveal()) {
		faults = append(faults, errors.New("api_key: holds a character that no HTTP header can carry; is there a line break in it?"))
	}
	for name, value := range c.Headers {
		if fault := checkHeader(name, value); fault != nil {
			faults = append(faults, fault)
		}
	}
	faults = append(faults, c.bounds().Check())
	return base, errors.Join(faults...)
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
	if !exchange.ValidValue(value.Reveal()) {
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

// bounds are those of every call.
func (c *Config) bounds() exchange.Bounds {
	return exchange.Bounds{
		Connect: c.ConnectTimeout, FirstByte: c.FirstByteTimeout, Idle: c.IdleTimeout,
		MaxBody: c.MaxBody, MaxStream: c.MaxStream, MaxEvent: c.MaxEvent,
		MaxIdleConns: c.MaxIdleConns, MaxConns: c.MaxConns,
	}
}
