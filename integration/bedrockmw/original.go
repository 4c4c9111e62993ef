package bedrockmw

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/forebay-ai/forebay/llm"
)

// original is a call as its caller made it: the rest of its own stack of middlewares, which
// has the options of this call. It may be sent several times, at the same time too: stacks
// keep nothing of the calls that go through them.
type original struct {
	stack *middleware.Stack
	next  middleware.InitializeHandler
	ctx   context.Context //nolint:containedctx // on purpose: what the stack's handlers look up in it
	input any
}

// install puts a gate into the stack of one call.
func (g *gate) install(stack *middleware.Stack) error {
	first := middleware.InitializeMiddlewareFunc("Forebay", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		return g.initialize(ctx, in, &original{stack: stack, next: next, ctx: ctx, input: in.Parameters})
	})
	retries, ok := stack.Finalize.Get(retryID)
	if !ok {
		return errors.New("bedrockmw: the SDK's stack has no step named " + retryID + ", so that its attempts cannot be held to one")
	}
	once := retry.NewAttemptMiddleware(aws.NopRetryer{}, smithyhttp.RequestCloner)
	_, err := stack.Finalize.Swap(retryID, middleware.FinalizeMiddlewareFunc(retryID, func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if sending(ctx) != nil {
			return once.HandleFinalize(ctx, in, next)
		}
		return retries.HandleFinalize(ctx, in, next)
	}))
	return errors.Join(err,
		stack.Initialize.Add(first, middleware.Before),
		stack.Serialize.Add(middleware.SerializeMiddlewareFunc("ForebayBody", setBody), middleware.After),
		stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("ForebayAnswer", takeAnswer), middleware.After))
}

// retryID is the name of the SDK's step that makes attempts.
const retryID = "Retry"

// sentKey finds in a context what is being sent.
type sentKey struct{}

// sent is one sending of an original: what is in it, and its answer.
type sent struct {
	body   []byte
	answer *http.Response
}

func sending(ctx context.Context) *sent {
	s, _ := ctx.Value(sentKey{}).(*sent)
	return s
}

// errTaken ends the SDK's own part of a sending: its answer is read elsewhere.
var errTaken = errors.New("bedrockmw: the answer is read by forebay")

// send sends the original by its own way to the network. It is an intercept.Send.
func (o *original) send(ctx context.Context, model string, body []byte) (*http.Response, error) {
	s := &sent{body: body}
	// The answer's body is read after the stack has returned, which ends contexts of its own only.
	_, _, err := o.next.HandleInitialize(context.WithValue(joined{ctx, o.ctx}, sentKey{}, s), middleware.InitializeInput{Parameters: withModel(o.input, model)})
	if s.answer != nil {
		return s.answer, nil
	}
	var unsent *smithyhttp.RequestSendError
	if errors.As(err, &unsent) || ctx.Err() != nil {
		return nil, err
	}
	if err == nil {
		err = errors.New("the call was answered before it was sent")
	}
	// Credentials, region, validation: nothing was sent.
	return nil, &llm.Error{Kind: llm.ProviderAuthFailed, Message: "the SDK could not send the call", Err: err}
}

// joined is a context that ends like one and has the values of another first: the time is
// that of the attempt, the values are those that the SDK has put there for the call.
type joined struct {
	context.Context //nolint:containedctx // on purpose: it is one
	values          context.Context
}

// Value implements context.Context.
func (j joined) Value(key any) any {
	if v := j.values.Value(key); v != nil {
		return v
	}
	return j.Context.Value(key)
}

// setBody puts the body that is to be sent in place of what was serialized, before it is
// signed: the request path may have changed it.
func setBody(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (out middleware.SerializeOutput, m middleware.Metadata, err error) {
	if s := sending(ctx); s != nil {
		r, ok := in.Request.(*smithyhttp.Request)
		if !ok {
			return out, m, fmt.Errorf("bedrockmw: a request of type %T", in.Request)
		}
		if r, err = r.SetStream(bytes.NewReader(s.body)); err != nil {
			return out, m, err
		}
		in.Request = r
	}
	return next.HandleSerialize(ctx, in)
}

// takeAnswer takes the answer out, next to the HTTP client.
func takeAnswer(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	out, m, err := next.HandleDeserialize(ctx, in)
	s := sending(ctx)
	if s == nil || err != nil {
		return out, m, err
	}
	answer, ok := out.RawResponse.(*smithyhttp.Response)
	if !ok {
		return out, m, fmt.Errorf("bedrockmw: an answer of type %T", out.RawResponse)
	}
	s.answer = answer.Response
	return middleware.DeserializeOutput{}, m, errTaken
}
