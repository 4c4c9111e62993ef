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
// intercept.Provider is the SDK's own way (its endpoint, credentials, signer and HTTP client),
// with one attempt, since one layer retries; other targets may stand beside it.
//
// Inputs are put on the wire, and outputs and errors are read from it, by the SDK itself: a
// second client of it, whose HTTP client is the forebay.Client. So outputs have what the SDK
// fills, and errors are the types of package bedrockruntime/types.
package bedrockmw

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

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
	own := sdk.Options()
	g := &gate{client: client, cfg: cfg, own: own, place: cmp.Or(aws.ToString(own.BaseEndpoint), own.Region)}
	g.cfg.Tenant = cmp.Or(cfg.Tenant, "default")
	g.wire = bedrockruntime.New(bedrockruntime.Options{
		// Of all this nothing leaves the process: the HTTP client answers by itself.
		Region: "local", BaseEndpoint: aws.String("http://forebay.invalid"), HTTPClient: g, Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "none", SecretAccessKey: "none"}, nil
		}),
		AuthSchemePreference: []string{"sigv4"}, // never a token of the environment
	})
	g.real = bedrockruntime.New(own, func(o *bedrockruntime.Options) {
		o.HTTPClient, o.Retryer = hijacker{own.HTTPClient}, aws.NopRetryer{}
		o.APIOptions = append(o.APIOptions, addBody)
	})
	return bedrockruntime.New(own, func(o *bedrockruntime.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Forebay", g.initialize), middleware.Before)
		})
	})
}

// gate takes calls at the Initialize step, and is the HTTP client of those that it makes
// of them.
type gate struct {
	client *forebay.Client
	cfg    Config
	own    bedrockruntime.Options
	place  string                 // endpoint or region: other places have other answers
	wire   *bedrockruntime.Client // puts inputs on the wire, and reads outputs from it
	real   *bedrockruntime.Client // sends originals
}

// inputKey finds the input of a call in its context.
type inputKey struct{}

// initialize runs the calls that it knows through the client.
func (g *gate) initialize(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (out middleware.InitializeOutput, m middleware.Metadata, err error) {
	inner := context.WithValue(ctx, inputKey{}, in.Parameters)
	known, result, m, err := perform(inner, g.wire, in.Parameters)
	if !known {
		return next.HandleInitialize(ctx, in)
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
	req := &llm.Request{
		ID: id(), Tenant: g.cfg.Tenant, User: g.cfg.User, Operation: g.cfg.Operation, Priority: g.cfg.Priority,
		Cache: llm.CacheDirectives{Namespace: g.place},
	}
	input := ctx.Value(inputKey{})
	if !intercept.Read(req, r, body) { // the request path does not know it: it goes its own way, once
		return g.send(ctx, input, req.Model, body)
	}
	answer := intercept.Do(ctx, g.client, intercept.Call{Request: req, Send: func(ctx context.Context, model string, body []byte) (*http.Response, error) {
		return g.send(ctx, input, model, body)
	}})
	answer.Request = r
	return answer, nil
}

// hijackKey finds the answer of an original in the context of its call.
type hijackKey struct{}

// hijacked is an original: what is sent in it, and its answer.
type hijacked struct {
	body   []byte
	answer *http.Response
	err    error
}

// errHijacked ends the SDK's own part of an original: its answer is read elsewhere.
var errHijacked = errors.New("bedrockmw: the answer is read by forebay")

// send makes the original call, by the SDK's own way to the network.
func (g *gate) send(ctx context.Context, input any, model string, body []byte) (*http.Response, error) {
	h := &hijacked{body: body}
	// The answer's body is read after the SDK's call has returned, which ends contexts of its own only.
	_, _, _, err := perform(context.WithValue(ctx, hijackKey{}, h), g.real, withModel(input, model))
	switch {
	case h.answer != nil:
		return h.answer, nil
	case h.err != nil:
		return nil, h.err
	case err == nil:
		err = errors.New("the call was answered before it was sent")
	}
	// Credentials, region, validation: nothing was sent.
	return nil, &llm.Error{Kind: llm.ProviderAuthFailed, Message: "the SDK could not send the call", Err: err}
}

// hijacker is the user's HTTP client, with the answers taken out.
type hijacker struct{ bedrockruntime.HTTPClient }

// Do implements bedrockruntime.HTTPClient.
func (h hijacker) Do(r *http.Request) (*http.Response, error) {
	call, ok := r.Context().Value(hijackKey{}).(*hijacked)
	if !ok {
		return h.HTTPClient.Do(r)
	}
	if call.answer, call.err = h.HTTPClient.Do(r); call.err != nil {
		call.answer = nil
	}
	return nil, errHijacked
}

// addBody puts the body of an original in place of what was serialized, before it is
// signed: the request path may have changed it.
func addBody(stack *middleware.Stack) error {
	return stack.Serialize.Add(middleware.SerializeMiddlewareFunc("ForebayBody", func(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (middleware.SerializeOutput, middleware.Metadata, error) {
		call, ok := ctx.Value(hijackKey{}).(*hijacked)
		if !ok {
			return next.HandleSerialize(ctx, in)
		}
		r, ok := in.Request.(*smithyhttp.Request)
		if !ok {
			return middleware.SerializeOutput{}, middleware.Metadata{}, fmt.Errorf("a request of type %T", in.Request)
		}
		r, err := r.SetStream(bytes.NewReader(call.body))
		if err != nil {
			return middleware.SerializeOutput{}, middleware.Metadata{}, err
		}
		in.Request = r
		return next.HandleSerialize(ctx, in)
	}), middleware.After)
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
