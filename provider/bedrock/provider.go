package bedrock

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"

	dialect "github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/internal/exchange"
)

// Provider calls one region's endpoint. It is safe for concurrent use. Its goroutines
// are those of net/http and, at times, one that loads credentials: Close ends both.
type Provider struct {
	name   string
	region string
	refuse bool // what the model does not take
	base   *url.URL
	line   *exchange.Line
	fixed  http.Header // sent with every call
	keys   *keyring    // nil with a bearer key
}

var _ llm.Provider = (*Provider)(nil)

// New checks the configuration and reports every fault of it at once. It makes no
// connection and loads no credentials.
func New(cfg Config) (*Provider, error) {
	base, err := cfg.validate()
	if err != nil {
		return nil, fmt.Errorf("bedrock provider %s: %w", cfg.Name, err)
	}
	p := &Provider{
		name: cmp.Or(cfg.Name, "bedrock-"+cfg.Region), region: cfg.Region, base: base,
		refuse: cfg.OnUnsupported == Refuse, fixed: http.Header{"User-Agent": {"forebay"}},
	}
	p.line = exchange.New(exchange.Config{
		Name: p.name, Where: "region and endpoint", Bounds: cfg.bounds(), Plain: base.Scheme == "http",
		ProxyFromEnvironment: cfg.ProxyFromEnvironment, Transport: cfg.Transport,
		Secrets: exchange.Hide([]llm.Secret{cfg.APIKey}, nil), Decode: decodeError, IDHeader: "X-Amzn-Requestid",
	})
	if key := cfg.APIKey.Reveal(); key != "" {
		p.fixed["Authorization"] = []string{"Bearer " + key}
		return p, nil
	}
	source := cfg.Credentials
	if source == nil {
		source = cfg.chain()
	}
	p.keys = newKeyring(source, p.line.Bounds().Connect)
	return p, nil
}

// Call sends req's bytes to model, without the members that the model does not take. It
// returns once the head of the answer says success. Requests of another dialect than
// bedrock-converse and bedrock-invoke are refused with ForebayInternal, and InvokeModel
// bodies for a model of another family with CallerInvalidRequest.
//
// A request for llm.CountTokens is answered as CountTokens does it.
//
// An answer that is neither JSON nor, for a stream, event-stream messages is
// ProviderMalformed. Errors about an answer have Bedrock's request id in their cause.
func (p *Provider) Call(ctx context.Context, model string, req *llm.Request) (llm.Stream, error) {
	asked := req.Model
	req = forModel(req, model)
	action, err := p.action(req)
	if err == nil {
		err = checkFamily(req, asked)
	}
	if err != nil {
		return nil, p.line.About(req.Model, err)
	}
	if req.Endpoint == llm.CountTokens {
		return p.count(ctx, req)
	}
	body, dropped, adapted := dialect.Adapt(req, dialect.CapabilitiesOf(req.Model), p.refuse)
	if adapted != nil {
		return nil, p.line.About(req.Model, llm.AsError(adapted))
	}
	req.Notes.Dropped(dropped...)
	x, failed := p.open(ctx, action, req, body)
	if failed != nil {
		return nil, failed
	}
	return p.answer(x, req), nil
}

// forModel returns req for another model than its own: the model stands in the path,
// and says how an InvokeModel body is to be read.
func forModel(req *llm.Request, model string) *llm.Request {
	if model == "" || model == req.Model {
		return req
	}
	c := *req
	c.Model = model
	return &c
}

// checkFamily refuses a body of InvokeModel that was written for a model of another family
// than req's: it is in the other one's own format. What does not tell its family passes.
func checkFamily(req *llm.Request, asked string) *llm.Error {
	if req.Dialect.Name() != dialect.NameInvoke {
		return nil
	}
	from, to := dialect.Family(asked), dialect.Family(req.Model)
	if from == to || from == "" || to == "" {
		return nil
	}
	e := llm.Errorf(llm.CallerInvalidRequest, "an InvokeModel body for %s cannot be sent to a model of %s", from, to)
	e.Fix = "Use Converse, whose format all models share."
	return e
}

// Close ends the loading of credentials, if it is going on, and closes the idle
// connections. Calls in progress go on. The provider is not used for others afterwards.
func (p *Provider) Close() error {
	if p.keys != nil {
		p.keys.close()
	}
	return p.line.Close()
}
