package openai

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"

	dialect "github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/internal/exchange"
)

// Provider calls one back end. It is safe for concurrent use and starts no
// goroutine but those of net/http; Close ends the idle ones.
type Provider struct {
	name    string
	line    *exchange.Line
	base    *url.URL
	chat    *http.Request // templates: everything that all calls have in common
	vectors *http.Request
	fixed   http.Header       // sent with every call
	secrets *exchange.Secrets // what must not come back
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
	cfg.Name = cmp.Or(cfg.Name, base.Host)
	p := &Provider{name: cfg.Name, base: base, fixed: fixedHeader(&cfg), secrets: cfg.secrets()}
	p.line = exchange.New(exchange.Config{
		Name: cfg.Name, Where: "base_url", Bounds: cfg.bounds(), Plain: base.Scheme == "http",
		ProxyFromEnvironment: cfg.ProxyFromEnvironment, Transport: cfg.Transport,
		Secrets: p.secrets, Decode: dialect.DecodeError,
	})
	p.chat = p.template(http.MethodPost, "/chat/completions")
	p.vectors = p.template(http.MethodPost, "/embeddings")
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
		return nil, p.line.About(model, llm.Errorf(llm.ForebayInternal, "provider %s cannot serve the endpoint %q", p.name, req.Endpoint))
	}
	if model != "" && model != req.Model {
		var err error
		if body, err = dialect.SetModel(body, model); err != nil {
			return nil, p.line.About(model, llm.AsError(err))
		}
	}
	x := p.begin(ctx, cmp.Or(model, req.Model), template, body)
	x.Request().Header["Accept"] = acceptJSON
	if req.Stream {
		x.Request().Header["Accept"] = acceptEvents
	}
	x.Identify(req)
	if err := x.Send(); err != nil {
		return nil, err
	}
	return answer(x, req)
}

// Shared by all calls; nobody changes them.
var (
	acceptJSON   = []string{"application/json"}
	acceptEvents = []string{"text/event-stream"}
)

// begin prepares a call to a model, whose name stands in errors.
func (p *Provider) begin(ctx context.Context, model string, template *http.Request, body []byte) *exchange.Exchange {
	return p.line.Begin(ctx, exchange.Call{Model: model, Request: template, Header: p.fixed, Body: body})
}

// Models lists the models that the back end says it has.
func (p *Provider) Models(ctx context.Context) ([]llm.ModelInfo, error) {
	x := p.begin(ctx, "", p.template(http.MethodGet, "/models"), nil)
	defer x.Release()
	if err := x.Send(); err != nil {
		return nil, err
	}
	if err := x.Accepted(); err != nil {
		return nil, err
	}
	body, err := x.ReadAll(x.Bounds().MaxBody)
	if err != nil {
		return nil, x.Failed(err)
	}
	models, err := dialect.DecodeModels(body)
	if err != nil {
		return nil, x.Failed(err)
	}
	return models, nil
}

// Close closes the idle connections. Calls in progress go on.
func (p *Provider) Close() error { return p.line.Close() }

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
	return p.line.About(req.Model, llm.Errorf(llm.ForebayInternal,
		"provider %s speaks the dialect openai and was given a request in %s", p.name, name))
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
