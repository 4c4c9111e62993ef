package forebay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/llm"
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
	res, err := c.do(ctx, req, func(ctx context.Context, _ *target, _ *llm.Request) (llm.Stream, error) {
		value, err := fn(ctx, task.Payload)
		if err != nil {
			return nil, functionError(ctx, err)
		}
		body, err := json.Marshal(value)
		if err != nil {
			return nil, llm.Errorf(llm.ProviderMalformed, "the result has no JSON form: %v", err)
		}
		return &wholeAnswer{chunk: llm.Chunk{Raw: body, Events: 1, Last: true, Useful: true}}, nil
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
	payload, err := json.Marshal(t.Payload)
	if err != nil {
		return nil, llm.Errorf(llm.CallerInvalidRequest, "the payload of operation %q has no JSON form: %v", t.Operation, err)
	}
	return &llm.Request{
		ID: t.ID, Tenant: t.Tenant, User: t.User, Persona: t.Persona, Operation: t.Operation,
		Priority: t.Priority, Timeout: t.Timeout, Cache: t.Cache,
		Endpoint: llm.Function, Dialect: payloadDialect{}, Body: payload,
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

// payloadDialect is the format of functions: a payload in, a value out, both JSON.
type payloadDialect struct{}

func (payloadDialect) Name() string { return "payload" }

func (payloadDialect) Canonical(dst []byte, req *llm.Request, _ bool) ([]byte, error) {
	v := jsontext.Value(append(dst, req.Body...))
	if err := v.Canonicalize(jsontext.CanonicalizeRawInts(false)); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	return v, nil
}

func (payloadDialect) Covers(*llm.Request, []byte, bool) bool { return true }

func (payloadDialect) Reshape(_ *llm.Request, answer []byte, _ bool) ([]byte, error) {
	return answer, nil
}

func (payloadDialect) Compose(_ *llm.Request, text string) []byte {
	b, err := json.Marshal(text)
	if err != nil {
		return nil // not reachable: every string has a JSON form
	}
	return b
}

// functionTargets are the targets of functions: one for each operation, made at
// its first call, so that each has a limit and a breaker of its own.
type functionTargets struct {
	cfg Config

	mu     sync.Mutex // guards byName and closed
	byName map[string]*model
	closed bool
}

func newFunctionTargets(cfg Config) *functionTargets {
	return &functionTargets{cfg: Config{Limits: cfg.Limits, Queue: cfg.Queue, Breaker: cfg.Breaker}, byName: map[string]*model{}}
}

// model gives the model of op's functions. Operations come from configuration, so
// there is a bounded number of them.
func (f *functionTargets) model(op *operation, c *Client) *model {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, ok := f.byName[op.name]
	if !ok {
		t := newTarget("function/"+op.label, f.cfg, c.breakerChanged)
		t.providerName, t.family = "function", "function"
		m = &model{name: "function", targets: []*target{t}}
		if f.closed {
			t.line.Drain()
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
			t.line.Drain()
		}
	}
}
