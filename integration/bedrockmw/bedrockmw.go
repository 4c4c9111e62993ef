// Package bedrockmw puts a forebay.Client in front of aws-sdk-go-v2's client for Bedrock
// Runtime, as a middleware of its Initialize step: before anything is serialized, resolved or
// signed. A hit touches no network and no credentials.
//
//	sdk := bedrockruntime.NewFromConfig(cfg)
//	sdk = bedrockmw.Wrap(sdk, client, bedrockmw.Config{})
//	out, err := sdk.Converse(ctx, input) // as ever
//
// Converse, ConverseStream, InvokeModel and InvokeModelWithResponseStream go through the
// client; other operations go on untouched. The client decides where a call goes: a target of
// intercept.Provider is the SDK's own way for this very call, with the options that were given
// for it alone (region, endpoint, credentials, HTTP client), and with one attempt, since one
// layer retries; other targets may stand beside it.
//
// Answers are shared by calls of one region and endpoint. A call with credentials, a token, an
// endpoint resolver, authentication schemes or a preference among them of its own may be
// somebody else's: it is not answered from the cache, not kept in it and not shared, and neither
// is one that goes unsigned, whose options cannot be seen. The same holds for a call with other
// APIOptions or interceptors than its client's: they may ask for what is not in the input, a
// guardrail by its header for one. What all calls are to have belongs to the client that is
// wrapped; there, interceptors that cannot be compared, such as functions, leave nothing to
// share. An HTTP client for one call only carries it: its answer is shared. Who calls for
// several accounts wraps a client for each, with a Tenant of its own. Limits and breakers are
// those of the target, whatever the region.
//
// Inputs are put on the wire, and outputs and errors are read from it, by the SDK itself: a
// second client of it, whose HTTP client is the forebay.Client. So outputs have what the SDK
// fills, and errors are the types of package bedrockruntime/types.
package bedrockmw

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/integration/intercept"
	"github.com/forebay-ai/forebay/llm"
)

// Config says how calls are made. The zero value is ready.
type Config struct {
	// Tenant, User and Operation are those of all calls. An empty tenant is "default".
	Tenant, User, Operation string
	// Priority is the band of all calls.
	Priority llm.Priority
}

// Wrap returns a client like sdk whose calls go through client, which is the caller's to run
// and to close. The SDK's own client is not changed. It starts no goroutine, and the result may be used
// concurrently.
func Wrap(sdk *bedrockruntime.Client, client *forebay.Client, cfg Config) *bedrockruntime.Client {
	g := &gate{client: client, cfg: cfg}
	if g.cfg.Tenant == "" {
		g.cfg.Tenant = "default"
	}
	g.wire = bedrockruntime.New(bedrockruntime.Options{
		// Of all this nothing leaves the process: the HTTP client answers by itself.
		Region: "local", BaseEndpoint: aws.String("http://forebay.invalid"), HTTPClient: g, Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "none", SecretAccessKey: "none"}, nil
		}),
	}, func(o *bedrockruntime.Options) {
		o.AuthSchemePreference = []string{"sigv4"} // never a token of the environment, which New has put first
	})
	own := sdk.Options()
	wrapped := bedrockruntime.New(own, func(o *bedrockruntime.Options) {
		// What New has taken from the environment anew, a program may have decided otherwise.
		o.BearerAuthTokenProvider, o.AuthSchemePreference = own.BearerAuthTokenProvider, own.AuthSchemePreference
		o.APIOptions = append(own.APIOptions, g.install)
		nameable(o)
	})
	g.own = wrapped.Options()
	// The SDK hands these to each call as they are, so that one might write into them.
	g.own.AuthSchemes, g.own.AuthSchemePreference = slices.Clone(g.own.AuthSchemes), slices.Clone(g.own.AuthSchemePreference)
	return wrapped
}

// gate takes calls at the Initialize step, and is the HTTP client of those that it makes
// of them.
type gate struct {
	client *forebay.Client
	cfg    Config
	own    bedrockruntime.Options // of calls without options of their own
	wire   *bedrockruntime.Client // puts inputs on the wire, and reads outputs from it
}

// originalKey finds the original of a call in its context.
type originalKey struct{}

// initialize runs the calls that it knows through the client.
func (g *gate) initialize(ctx context.Context, in middleware.InitializeInput, o *original) (out middleware.InitializeOutput, m middleware.Metadata, err error) {
	inner := context.WithValue(ctx, originalKey{}, o)
	known, result, m, err := perform(inner, g.wire, in.Parameters)
	if !known {
		return o.next.HandleInitialize(ctx, in)
	}
	if err != nil { // what went wrong, without the inner client's own wrapping
		var op *smithy.OperationError
		if errors.As(err, &op) {
			err = op.Unwrap()
		}
		return out, m, err
	}
	out.Result = result
	return out, m, nil
}

// perform makes the call of an input; known is false for other operations.
func perform(ctx context.Context, c *bedrockruntime.Client, input any) (known bool, out any, m middleware.Metadata, err error) {
	switch in := input.(type) {
	case *bedrockruntime.ConverseInput:
		o, err := c.Converse(ctx, in)
		if err != nil {
			return true, nil, m, err
		}
		return true, o, o.ResultMetadata, nil
	case *bedrockruntime.ConverseStreamInput:
		o, err := c.ConverseStream(ctx, in)
		if err != nil {
			return true, nil, m, err
		}
		return true, o, o.ResultMetadata, nil
	case *bedrockruntime.InvokeModelInput:
		o, err := c.InvokeModel(ctx, in)
		if err != nil {
			return true, nil, m, err
		}
		return true, o, o.ResultMetadata, nil
	case *bedrockruntime.InvokeModelWithResponseStreamInput:
		o, err := c.InvokeModelWithResponseStream(ctx, in)
		if err != nil {
			return true, nil, m, err
		}
		return true, o, o.ResultMetadata, nil
	}
	return false, nil, m, nil
}

// Do implements the HTTP client of the wire: it answers a request by running its call.
func (g *gate) Do(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	body := []byte(nil)
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
	}
	o, ok := ctx.Value(originalKey{}).(*original)
	if !ok {
		return nil, errors.New("bedrockmw: a call without an original")
	}
	req := &llm.Request{
		ID: id(), Tenant: g.cfg.Tenant, User: g.cfg.User, Operation: g.cfg.Operation, Priority: g.cfg.Priority,
		Cache: g.directives(o),
	}
	if !intercept.Read(req, r, body) { // the request path does not know it: it goes its own way, once
		return o.send(ctx, req.Model, body)
	}
	answer := intercept.Do(ctx, g.client, intercept.Call{Request: req, Send: o.send})
	answer.Request = r
	return answer, nil
}

// withModel is an input for another model.
func withModel(input any, model string) any {
	switch in := input.(type) {
	case *bedrockruntime.ConverseInput:
		other := *in
		other.ModelId = &model
		return &other
	case *bedrockruntime.ConverseStreamInput:
		other := *in
		other.ModelId = &model
		return &other
	case *bedrockruntime.InvokeModelInput:
		other := *in
		other.ModelId = &model
		return &other
	case *bedrockruntime.InvokeModelWithResponseStreamInput:
		other := *in
		other.ModelId = &model
		return &other
	}
	return input
}

// id is a request's id: unique, and no secret.
func id() string {
	var b [16]byte
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return "req_" + hex.EncodeToString(b[:])
}
