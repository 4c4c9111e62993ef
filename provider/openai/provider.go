package openai

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	dialect "github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/failure"
	"github.com/forebay-ai/forebay/llm"
)

// Provider calls one back end. It is safe for concurrent use and starts no
// goroutine but those of net/http; Close ends the idle ones.
type Provider struct {
	cfg     Config
	base    *url.URL
	chat    *http.Request // templates: everything that all calls have in common
	vectors *http.Request
	fixed   http.Header // sent with every call
	secrets []string    // what must not appear in an error
	keys    []string    // what must not appear in an answer either
	http2   atomic.Bool // the back end speaks HTTP/2

	ownTransport bool // tells http2

	// Why a call of ours was cancelled; compared by identity, returned as copies.
	noFirstByte, idle, closed *llm.Error
}

var (
	_ llm.Provider    = (*Provider)(nil)
	_ llm.ModelLister = (*Provider)(nil)
)

// New checks the configuration and reports every fault of it at once. It makes no
// connection.
func New(cfg Config) (*Provider, error) {
	base, err := cfg.validate()
	if err != nil {
		return nil, fmt.Errorf("openai provider %s: %w", cfg.Name, err)
	}
	p := &Provider{cfg: cfg.withDefaults(base), base: base, fixed: fixedHeader(&cfg)}
	for _, secret := range append([]llm.Secret{cfg.APIKey}, headerValues(cfg.Headers)...) {
		// Short values are settings, not keys; removing them would maul the text.
		if value := strings.TrimPrefix(secret.Reveal(), "Bearer "); len(value) >= shortestKey {
			p.secrets = append(p.secrets, value)
		}
	}
	p.keys = keysIn(&cfg)
	if p.cfg.Transport == nil {
		p.cfg.Transport, p.ownTransport = p.cfg.transport(p.shookHands), true
	}
	p.chat = p.template(http.MethodPost, "/chat/completions")
	p.vectors = p.template(http.MethodPost, "/embeddings")
	p.noFirstByte = timeoutError(failure.HeaderTimeout, "the provider did not begin to answer in time", "first_byte_timeout", p.cfg.FirstByteTimeout)
	p.idle = timeoutError(failure.Idle, "the provider fell silent within its answer", "idle_timeout", p.cfg.IdleTimeout)
	p.closed = llm.Errorf(llm.CallerCancelled, "the stream was closed")
	return p, nil
}

// Call sends req's bytes to the back end, with another model in them only where
// model differs from req.Model. It returns once the head of the answer says
// success. Requests of another dialect are refused with ForebayInternal.
//
// An answer in the other form than the one asked for (some compatible servers
// ignore "stream") is read whole and reshaped. Pages of HTML, redirects, unasked
// encodings and everything else that is not the protocol are ProviderMalformed.
func (p *Provider) Call(ctx context.Context, model string, req *llm.Request) (llm.Stream, error) {
	if req.Dialect == nil || req.Dialect.Name() != dialect.Name {
		return nil, p.foreign(req)
	}
	template, body := p.chat, req.Body
	if req.Endpoint == llm.Embeddings {
		template = p.vectors
	} else if req.Endpoint != llm.Chat {
		return nil, p.about(model, llm.Errorf(llm.ForebayInternal, "provider %s cannot serve the endpoint %q", p.cfg.Name, req.Endpoint))
	}
	if model != "" && model != req.Model {
		var err error
		if body, err = dialect.SetModel(body, model); err != nil {
			return nil, p.about(model, llm.AsError(err))
		}
	}
	x := p.begin(ctx, template, body)
	x.model = cmp.Or(model, req.Model)
	x.describe(req)
	if err := x.send(); err != nil {
		return nil, err
	}
	return x.answer(req)
}

// Models lists the models that the back end says it has.
func (p *Provider) Models(ctx context.Context) ([]llm.ModelInfo, error) {
	x := p.begin(ctx, p.template(http.MethodGet, "/models"), nil)
	defer x.release()
	if err := x.send(); err != nil {
		return nil, err
	}
	if err := x.accepted(); err != nil {
		return nil, err
	}
	body, err := x.readAll(p.cfg.MaxBody)
	if err != nil {
		return nil, x.failed(err)
	}
	models, err := dialect.DecodeModels(body)
	if err != nil {
		return nil, x.failed(err)
	}
	return models, nil
}

// Close closes the idle connections. Calls in progress go on.
func (p *Provider) Close() error {
	if t, ok := p.cfg.Transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
	return nil
}

// shookHands notes which protocol was agreed on.
func (p *Provider) shookHands(s tls.ConnectionState) error {
	if s.NegotiatedProtocol == "h2" {
		p.http2.Store(true)
	}
	return nil
}

// mayRepeat says whether net/http may be given the means to send a call's body again.
// Over HTTP/1 it uses them for one thing: a kept connection that was found dead before a
// byte was written. Over HTTP/2 it sends up to seven times, waiting in between, and also
// where a server that has seen the call resets it with PROTOCOL_ERROR: that is for the
// one layer that retries to decide. Of a transport that is not ours nobody knows what
// it speaks over TLS.
func (p *Provider) mayRepeat() bool {
	return !p.http2.Load() && (p.base.Scheme == "http" || p.ownTransport)
}

// template makes what calls of one method and path have in common. Calls copy it
// and share its URL, which nobody changes.
func (p *Provider) template(method, path string) *http.Request {
	u := *p.base
	u.Path += path
	if u.RawPath != "" { // the base is escaped in a way of its own
		u.RawPath += (&url.URL{Path: path}).EscapedPath()
	}
	return &http.Request{
		Method: method, URL: &u, Host: u.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}

func (p *Provider) foreign(req *llm.Request) *llm.Error {
	name := "no dialect"
	if req.Dialect != nil {
		name = req.Dialect.Name()
	}
	return p.about(req.Model, llm.Errorf(llm.ForebayInternal,
		"provider %s speaks the dialect openai and was given a request in %s", p.cfg.Name, name))
}

// fixedHeader has the headers of every call. Its values are shared by all calls.
func fixedHeader(cfg *Config) http.Header {
	h := http.Header{"User-Agent": {"forebay"}}
	if key := cfg.APIKey.Reveal(); key != "" {
		h["Authorization"] = []string{"Bearer " + key}
	}
	for name, value := range cfg.Headers {
		h[http.CanonicalHeaderKey(name)] = []string{value.Reveal()}
	}
	return h
}

func headerValues(headers map[string]llm.Secret) []llm.Secret {
	values := make([]llm.Secret, 0, len(headers))
	for _, v := range headers {
		values = append(values, v)
	}
	return values
}
