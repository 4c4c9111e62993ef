package forebay

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/dialect/payload"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/route"
	"github.com/forebay-ai/forebay/upstream"
)

// Task is a call of a function of the caller's own, as A's processRequest takes it.
type Task[P any] struct {
	// ID identifies the call in logs and errors; may be empty.
	ID string
	// Operation names a configured operation; empty means the default one.
	Operation             string
	Tenant, User, Persona string
	Priority              llm.Priority
	// Timeout bounds waiting, attempts and fallbacks. Zero means the operation's deadline.
	Timeout time.Duration
	Cache   llm.CacheDirectives
	// Payload is what the function gets. Its JSON form is the cache key's main part.
	Payload P
}

// Result is what Process gives.
type Result[V any] struct {
	// Value is what the function returned, or what it returned earlier (Meta.Cache).
	Value V
	// Text is the prepared text where a template answered; Value is zero then.
	Text string
	Meta Meta
}

// Process runs fn through the client's request path: cache, coalescing, queue,
// breaker, retries and fallbacks. V travels as JSON: what JSON cannot carry is
// lost. An error of fn that is an *llm.Error counts by its kind; any other one counts as
// a ProviderError: it is repeated, and it feeds the breaker of the operation.
// The error of Process is a *CallError.
func Process[P, V any](ctx context.Context, c *Client, task Task[P], fn func(context.Context, P) (V, error)) (Result[V], error) {
	var out Result[V]
	req, err := task.request()
	if err != nil {
		return out, err
	}
	res, err := c.do(ctx, req, func(ctx context.Context, _ *upstream.Target, _ *llm.Request) (llm.Stream, error) {
		value, err := fn(ctx, task.Payload)
		if err != nil {
			return nil, functionError(ctx, err)
		}
		body, err := json.Marshal(value)
		if err != nil {
			return nil, llm.Errorf(llm.ProviderMalformed, "the result has no JSON form: %v", err)
		}
		return &llm.OneChunk{Chunk: llm.Chunk{Raw: body, Events: 1, Last: true, Useful: true}}, nil
	})
	if err != nil {
		return out, err
	}
	out.Meta = res.Meta
	if res.Meta.Fallback == degrade.Template {
		return out, json.Unmarshal(res.Body, &out.Text)
	}
	if err := json.Unmarshal(res.Body, &out.Value); err != nil {
		return out, &CallError{Meta: res.Meta, err: llm.Errorf(llm.ForebayInternal, "the result cannot be read back: %v", err)}
	}
	return out, nil
}

// request is the call that t describes.
func (t *Task[P]) request() (*llm.Request, error) {
	body, err := json.Marshal(t.Payload)
	if err != nil {
		return nil, llm.Errorf(llm.CallerInvalidRequest, "the payload of operation %q has no JSON form: %v", t.Operation, err)
	}
	return &llm.Request{
		ID: t.ID, Tenant: t.Tenant, User: t.User, Persona: t.Persona, Operation: t.Operation,
		Priority: t.Priority, Timeout: t.Timeout, Cache: t.Cache,
		Endpoint: llm.Function, Dialect: payload.Dialect{}, Body: body,
	}, nil
}

// functionError gives an error of a caller's function its kind.
func functionError(ctx context.Context, err error) error {
	var e *llm.Error
	if errors.As(err, &e) {
		return err
	}
	if ctx.Err() != nil {
		return llm.AsError(ctx.Err())
	}
	return &llm.Error{Kind: llm.ProviderError, Message: "the function of the operation failed", Err: err}
}

// functionTargets are the targets of functions: one for each operation, made at
// its first call, so that each has a limit and a breaker of its own.
type functionTargets struct {
	guards upstream.Policies
	router *route.Router // among one target

	mu     sync.Mutex // guards byName and closed
	byName map[string]*model
	closed bool
}

func newFunctionTargets(cfg Config) *functionTargets {
	router, err := route.New(route.Ordered, []route.Target{{Name: "function"}})
	if err != nil {
		panic(err) // not reachable: nothing of it is configured
	}
	return &functionTargets{router: router, guards: cfg.guards(), byName: map[string]*model{}}
}

// model gives the model of op's functions. Operations come from configuration, so
// there is a bounded number of them.
func (f *functionTargets) model(op *operation, c *Client) *model {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, ok := f.byName[op.name]
	if !ok {
		t := upstream.New("function/"+op.label, Target{Provider: "function"}, f.guards, c.breakerChanged)
		m = &model{name: "function", targets: []*upstream.Target{t}, router: f.router}
		if f.closed {
			t.Line.Drain()
		}
		f.byName[op.name] = m
	}
	return m
}

// drain refuses what would wait from now on.
func (f *functionTargets) drain() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, m := range f.byName {
		for _, t := range m.targets {
			t.Line.Drain()
		}
	}
}
