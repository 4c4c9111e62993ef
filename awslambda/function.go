package awslambda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/llm"
)

const (
	defaultMargin = 500 * time.Millisecond
	// maxAnswer is the largest answer of a synchronous invocation in bytes, as Lambda's own
	// error message has it; maxBalanced is that of a load balancer's target.
	maxAnswer   = 6291556
	maxBalanced = 1 << 20
)

// Config is what a Function needs. Zero values mean the defaults that each field states;
// New reports every fault at once.
type Config struct {
	// Handler answers HTTP, and direct invocations of operations at
	// /v1/operations/{operation}. Required.
	Handler http.Handler
	// Key is the caller's key of direct invocations, which bring none: who may invoke the
	// function is decided by IAM. Empty means that Handler asks for none.
	Key llm.Secret
	// NeedAuthorizer refuses HTTP that came past no authorizer of AWS (IAM, JWT, Lambda). It
	// is for a Handler that lets everybody in.
	NeedAuthorizer bool
	// BufferedURL answers Function URLs whole: their invoke mode is BUFFERED. Nothing in an
	// event tells; false means RESPONSE_STREAM.
	BufferedURL bool
	// StreamREST streams answers to REST APIs: their integration's response transfer mode is
	// STREAM. Nothing in an event tells; false means BUFFERED.
	StreamREST bool
	// Deadline is how long a call of an operation may take; the empty name is the default
	// operation. Where an invocation has less time than that, less Margin, the call gets
	// what there is, by the header x-forebay-timeout. Nil means that Handler bounds its calls
	// itself.
	Deadline func(operation string) time.Duration
	// Margin is what is kept of an invocation's time for the answer's way out: 10 ms to
	// 10 s. Zero means 500 ms.
	Margin time.Duration
	// Work runs durable jobs until nothing is due, or until soon before ctx ends: when it
	// returns, nothing runs and every lease is done or handed back. Nil means that there are
	// no jobs.
	Work func(ctx context.Context) (Jobs, error)
	// Flush writes what was measured. It is called at the end of each invocation but
	// pings, when the answer is out; ctx ends with the invocation. Nil means nothing to write.
	Flush func(ctx context.Context) error
	// Logger is told what an operator should look at, never contents. Nil means no log.
	Logger *slog.Logger
}

// Jobs counts what Work did.
type Jobs struct {
	Claimed   int `json:"claimed"`
	Completed int `json:"completed"`
	Ended     int `json:"ended"`    // without a result: failed, timed out, cancelled, dead
	Requeued  int `json:"requeued"` // to be tried again, or handed back for want of time
}

// Function is a Lambda function. Make it with New. Invoke may be called concurrently.
type Function struct {
	cfg         Config
	invocations atomic.Int64
}

// New checks cfg and makes a Function. It starts nothing.
func New(cfg Config) (*Function, error) {
	var faults []error
	if cfg.Handler == nil {
		faults = append(faults, errors.New("awslambda: Handler is missing"))
	}
	cfg.Margin = cmp.Or(cfg.Margin, defaultMargin)
	if cfg.Margin < 10*time.Millisecond || cfg.Margin > 10*time.Second {
		faults = append(faults, fmt.Errorf("awslambda: a Margin of %s is not within 10ms and 10s", cfg.Margin))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Function{cfg: cfg}, nil
}

// Invoke answers one event. The answer has to be read to its end and closed: only then is
// the invocation over. The error is an *llm.Error: the event's own form has no way to
// tell it.
func (f *Function) Invoke(ctx context.Context, event []byte) (io.ReadCloser, error) {
	n := f.invocations.Add(1)
	m, err := read(event)
	if err != nil {
		return nil, err
	}
	shape, err := shapeOf(m)
	if err != nil {
		return nil, err
	}
	if shape == Warmup {
		return f.warm(ctx, m, n), nil
	}
	answer, err := f.answer(ctx, shape, m, event)
	if err != nil {
		f.end(ctx)
		return nil, err
	}
	answer.onClose(func() { f.end(ctx) })
	return answer, nil
}

func (f *Function) answer(ctx context.Context, shape Shape, m members, event []byte) (*reply, error) {
	switch shape {
	case Operation:
		return f.operation(ctx, m)
	case Work, Schedule:
		return f.work(ctx)
	case DynamoDBStream:
		return f.records(ctx, m["Records"])
	}
	return f.http(ctx, shape, event)
}

// end is the end of an invocation.
func (f *Function) end(ctx context.Context) {
	if f.cfg.Flush == nil {
		return
	}
	if err := f.cfg.Flush(ctx); err != nil {
		f.cfg.Logger.Warn("what was measured could not be written", "error", err)
	}
}

// within is ctx with an end that leaves keep of the invocation's time.
func within(ctx context.Context, keep time.Duration) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, end.Add(-keep))
	}
	return context.WithCancel(ctx)
}

// Start serves f's invocations. It does not return: Lambda ends the process, and without
// the environment that Lambda gives it ends the process itself, with a message.
func Start(f *Function) {
	lambda.StartWithOptions(func(ctx context.Context, event jsontext.Value) (any, error) {
		answer, err := f.Invoke(ctx, event)
		if err != nil {
			e := llm.AsError(err)
			// Lambda names an error by its Go type; the kind says more.
			return nil, messages.InvokeResponse_Error{Type: string(e.Kind), Message: e.Text()}
		}
		return answer, nil
	})
}
