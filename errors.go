package forebay

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/internal/near"
	"github.com/forebay-ai/forebay/llm"
)

// CallError is a failed call: what is known of it, around the *llm.Error that
// says why.
type CallError struct {
	Meta Meta
	err  *llm.Error
}

// Error is that of the *llm.Error inside.
func (e *CallError) Error() string { return e.err.Error() }

// Unwrap gives the *llm.Error.
func (e *CallError) Unwrap() error { return e.err }

// MetaOf finds what is known of a failed call; the zero Meta where err is of
// another origin.
func MetaOf(err error) Meta {
	var e *CallError
	if errors.As(err, &e) {
		return e.Meta
	}
	return Meta{}
}

// fail closes the books of a call that gets an error for an answer.
func (k *call) fail(err error) error {
	e := k.signed(err)
	k.meta.Timing.Total = time.Since(k.start)
	if k.op != nil && k.model != nil {
		k.meta.Level = k.client.level(k.op, k.model)
	}
	k.close(e)
	return &CallError{Meta: k.meta, err: e}
}

// refuse is fail for a request that did not become a call.
func (c *Client) refuse(req *llm.Request, err error) error {
	k := &call{client: c, req: req}
	return &CallError{Meta: Meta{RequestID: req.ID, Operation: req.Operation}, err: k.signed(err)}
}

// signed is err with the request's id as support id. Errors may be shared between
// calls, so the original stays as it is.
func (k *call) signed(err error) *llm.Error {
	e := *llm.AsError(err)
	e.SupportID = k.req.ID
	return &e
}

func (c *Client) unknownModel(name string) *llm.Error {
	e := &llm.Error{Kind: llm.CallerUnknownModel, Param: "model", Message: fmt.Sprintf("unknown model %.100q", name)}
	if name == "" {
		e.Message = "no model: the request names none, and neither does its operation"
	}
	e.Fix = near.OneOf("Ask for", slices.Sorted(maps.Keys(c.models)))
	return e
}

func (c *Client) unknownOperation(name string) *llm.Error {
	return &llm.Error{
		Kind: llm.CallerUnknownOperation, Param: "operation",
		Message: fmt.Sprintf("unknown operation %.100q", name), Fix: near.OneOf("Use", c.Operations()),
	}
}

// errBudget is why a call is answered more simply while its budget is spent, or not at all.
var errBudget = &llm.Error{
	Kind: llm.PolicyBudgetExceeded, Message: "the budget is spent, and there is no simpler answer",
	Fix: "Raise the budget, or give the operation a simplified answer and allow fallbacks.",
}
