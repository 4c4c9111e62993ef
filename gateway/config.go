package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/access/sigv4"
)

// The defaults of Config. The times are those that reliability guides for Go
// servers give: long enough for a poor line, short enough that a hostile client
// gives its connection up.
const (
	defaultMaxBody       = 10 << 20
	defaultMaxHeader     = 32 << 10
	defaultHeaderTimeout = 5 * time.Second
	defaultIdleTimeout   = 60 * time.Second
	defaultBodyTimeout   = 10 * time.Second
	defaultBodyRate      = 1 << 10
	defaultWriteTimeout  = 10 * time.Second
	defaultAnnounce      = 2 * time.Second
)

// Config is what a Gateway needs. Zero values mean the defaults that each field
// states; New reports every fault at once.
type Config struct {
	// Client answers the calls. Required.
	Client *forebay.Client
	// Keys are those who may call. At least one, unless Open is set.
	Keys []access.Key
	// Open serves callers without a key. They belong to the tenant "default", may
	// use every band, and have the scopes call, metrics, cache and jobs. Listen then refuses
	// addresses that are not loopback, and requests that a web page of another
	// origin makes are refused. It cannot be combined with Keys.
	Open bool
	// MaxBody bounds the body of a request in bytes. Zero means 10 MiB, which is
	// about 2.5 million tokens of text.
	MaxBody int64
	// MaxHeader bounds request line and headers in bytes; net/http grants 4 KiB on
	// top. Zero means 32 KiB.
	MaxHeader int
	// HeaderTimeout bounds the time for request line and headers. Zero means 5 s.
	HeaderTimeout time.Duration
	// IdleTimeout bounds how long a connection waits for its next request. Zero
	// means 60 s.
	IdleTimeout time.Duration
	// BodyTimeout is how long a body may take before BodyRate counts. Zero means 10 s.
	BodyTimeout time.Duration
	// BodyRate is the rate in bytes a second that a body has to keep up on average
	// once BodyTimeout is over. Zero means 1024.
	BodyRate int
	// WriteTimeout bounds each write to a client: one that stops reading for so
	// long is cut, and its call cancelled. Writes are cut into pieces of 64 KiB
	// for that. Zero means 10 s. It works on connections of Listen and
	// WrapListener.
	WriteTimeout time.Duration
	// RepeatedSignatures says what is done about requests to the Bedrock door whose
	// signature was seen before. Empty means sigv4.RefuseRepeats.
	RepeatedSignatures sigv4.Repeats
	// Announce is how long a streamed call waits for a slot before its reader is told:
	// then the answer begins, with a comment a second that says where the call stands.
	// A failure after that is an event in the stream, without a status of its own. Zero
	// means 2 s; -1 means never.
	Announce time.Duration
	// WebhookSecret returns the secret that a tenant's webhooks are signed with. It may
	// be called concurrently. Nil means that there are no webhooks.
	WebhookSecret func(tenant string) []byte
	// Endpoints are routes of other packages, served beside the gateway's own.
	Endpoints []Endpoint
	// Session finds what a browser's session grants, for requests without a key: nil
	// where there is none, or an error that refuses the request. It may be called
	// concurrently. Nil means that there are no sessions.
	Session func(*http.Request) (*access.Grant, error)
	// PublicMetrics serves /metrics without a key.
	PublicMetrics bool
	// Logger gets one line for each request, and faults of the gateway's own.
	// Bodies, query strings and secrets are never in it. Nil means no log.
	Logger *slog.Logger
	// LogRequests raises the line for each request from level Debug to Info.
	LogRequests bool
	// Version is what GET / says the version is; may be empty.
	Version string
}

// withDefaults fills what is zero.
func (c Config) withDefaults() Config {
	c.MaxBody = cmp.Or(c.MaxBody, defaultMaxBody)
	c.MaxHeader = cmp.Or(c.MaxHeader, defaultMaxHeader)
	c.HeaderTimeout = cmp.Or(c.HeaderTimeout, defaultHeaderTimeout)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, defaultIdleTimeout)
	c.BodyTimeout = cmp.Or(c.BodyTimeout, defaultBodyTimeout)
	c.BodyRate = cmp.Or(c.BodyRate, defaultBodyRate)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, defaultWriteTimeout)
	c.Announce = cmp.Or(c.Announce, defaultAnnounce)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// validate lists every fault of the numbers and of how keys and Open go together;
// the keys themselves are checked where the ring is made.
func (c *Config) validate() error {
	var faults []error
	positive := func(name string, ok bool) {
		if !ok {
			faults = append(faults, fmt.Errorf("gateway: %s is negative: leave it at zero for the default, or give a positive value", name))
		}
	}
	positive("MaxBody", c.MaxBody > 0)
	positive("MaxHeader", c.MaxHeader > 0)
	positive("HeaderTimeout", c.HeaderTimeout > 0)
	positive("IdleTimeout", c.IdleTimeout > 0)
	positive("BodyTimeout", c.BodyTimeout > 0)
	positive("BodyRate", c.BodyRate > 0)
	positive("WriteTimeout", c.WriteTimeout > 0)
	if c.RepeatedSignatures != "" && !slices.Contains(sigv4.AllRepeats(), c.RepeatedSignatures) {
		faults = append(faults, fmt.Errorf("gateway: RepeatedSignatures is %.32q: one of %v", c.RepeatedSignatures, sigv4.AllRepeats()))
	}
	switch {
	case c.Open && len(c.Keys) > 0:
		faults = append(faults, errors.New("gateway: Open and Keys exclude each other: with keys, every caller needs one"))
	case !c.Open && len(c.Keys) == 0:
		faults = append(faults, errors.New("gateway: no keys: give at least one, or set Open to serve callers on this machine without"))
	}
	return errors.Join(faults...)
}
