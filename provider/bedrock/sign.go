package bedrock

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/aws/smithy-go/encoding/httpbinding"

	dialect "github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/internal/exchange"
)

// service is the name that requests to bedrock-runtime are signed for.
const service = "bedrock"

// longestModel is the bound of the API reference on modelId.
const longestModel = 2048

// action is the end of the path for req, or what is wrong with req.
func (p *Provider) action(req *llm.Request) (string, *llm.Error) {
	switch id := req.Model; {
	case id == "":
		return "", llm.Errorf(llm.CallerInvalidRequest, "no model is named")
	case len(id) > longestModel:
		return "", llm.Errorf(llm.CallerInvalidRequest, "the model's id has %d bytes, and Bedrock takes %d at most", len(id), longestModel)
	case id == "." || id == "..": // a server may take these for steps of the path
		return "", llm.Errorf(llm.CallerInvalidRequest, "%q is not the id of a model", id)
	}
	name := "no dialect"
	if req.Dialect != nil {
		name = req.Dialect.Name()
	}
	switch {
	case (name == dialect.NameConverse || name == dialect.NameInvoke) && req.Endpoint == llm.CountTokens:
		return "count-tokens", nil
	case name == dialect.NameConverse && req.Endpoint == llm.Chat && req.Stream:
		return "converse-stream", nil
	case name == dialect.NameConverse && req.Endpoint == llm.Chat:
		return "converse", nil
	case name == dialect.NameInvoke && req.Endpoint == llm.Chat && req.Stream:
		return "invoke-with-response-stream", nil
	case name == dialect.NameInvoke && (req.Endpoint == llm.Chat || req.Endpoint == llm.Embeddings):
		return "invoke", nil
	case name == dialect.NameConverse || name == dialect.NameInvoke:
		return "", llm.Errorf(llm.ForebayInternal, "provider %s cannot serve the endpoint %q in the dialect %s", p.name, req.Endpoint, name)
	}
	return "", llm.Errorf(llm.ForebayInternal, "provider %s speaks the dialects %s and %s and was given a request in %s",
		p.name, dialect.NameConverse, dialect.NameInvoke, name)
}

// open makes the call for req with a body, and checks the head of the answer. An error
// leaves nothing to release.
func (p *Provider) open(ctx context.Context, action string, req *llm.Request, body []byte) (*exchange.Exchange, error) {
	call := exchange.Call{Model: req.Model, Request: p.request(req.Model, action), Header: p.fixed, Body: body}
	var id *identity
	if p.keys != nil {
		var err *llm.Error
		if id, err = p.keys.get(ctx); err != nil {
			return nil, p.line.About(req.Model, err)
		}
		call.Secrets = id.secrets
	}
	x := p.line.Begin(ctx, call)
	for name, value := range req.Settings.All() {
		if strings.HasPrefix(name, settingPrefix) {
			x.Request().Header[name] = []string{value}
		}
	}
	if id != nil {
		if err := id.sign(ctx, x.Request(), body, p.region); err != nil {
			return nil, abandon(x, x.Failed(err))
		}
	}
	// What is added from here on is not signed, so that proxies may change it.
	if !req.Stream {
		x.Request().Header["Accept"] = acceptJSON
	}
	x.Identify(req)
	if err := x.Send(); err != nil {
		return nil, err
	}
	if err := x.Accepted(); err != nil {
		if err.Kind == llm.ProviderAuthFailed && id != nil {
			p.keys.refuse(id)
		}
		return nil, abandon(x, err)
	}
	if err := checkMedia(x, req.Stream); err != nil {
		return nil, abandon(x, err)
	}
	return x, nil
}

// settingPrefix begins the headers in which InvokeModel has what Converse has in its body:
// guardrail, trace, latency and service tier.
const settingPrefix = "X-Amzn-Bedrock-"

// abandon releases an exchange and returns why.
func abandon(x *exchange.Exchange, err *llm.Error) error {
	x.Release()
	return err
}

// sign adds the headers of Signature Version 4, which covers what is in the header by
// now. The error is of no request's making.
func (id *identity) sign(ctx context.Context, r *http.Request, body []byte, region string) error {
	sum := sha256.Sum256(body)
	return id.signer.SignHTTP(ctx, id.credentials, r, hex.EncodeToString(sum[:]), service, region, time.Now())
}

// acceptJSON is shared by all calls; nobody changes it.
var acceptJSON = []string{jsonMedia}

// request is the request line of a call. The id is escaped as the AWS SDKs do it, a
// colon and a slash included; the signer escapes the escaped path once more, as
// Signature Version 4 has it for every service but S3.
func (p *Provider) request(model, action string) *http.Request {
	u := *p.base
	escaped := u.EscapedPath()
	u.Path += "/model/" + model + "/" + action
	u.RawPath = escaped + "/model/" + httpbinding.EscapePath(model, true) + "/" + action
	return &http.Request{
		Method: http.MethodPost, URL: &u, Host: u.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}
