package forebay

import (
	"context"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/llm"
)

// SimplifyFunc makes a lesser answer without a model: the text that the caller gets.
// It runs when every target failed, within the time that the call has left. An error,
// like an empty text, lets the next fallback have its turn.
type SimplifyFunc func(ctx context.Context, req *llm.Request) (text string, err error)

// Simplify sets the function behind the fallback "simplified" of an operation, in place
// of Operation.Simplified; nil takes it away. The empty name is the default operation.
// It may be called at any time.
func (c *Client) Simplify(operation string, f SimplifyFunc) {
	if f == nil {
		c.simpler.Delete(operation)
		return
	}
	c.simpler.Store(operation, f)
}

// simplifier is the operation's own function; nil where it has none.
func (k *call) simplifier() SimplifyFunc {
	f, ok := k.client.simpler.Load(k.op.name)
	if !ok {
		return nil
	}
	return f.(SimplifyFunc)
}

// shareOfFallback is the part of a call's time that its targets leave for a fallback
// which takes time itself.
const shareOfFallback = 0.2

// simplifies says that the call has a lesser answer that takes time.
func (k *call) simplifies() bool {
	if k.req.NoFallback || k.req.Durable || !slices.Contains(k.op.Fallback, degrade.Simplified) {
		return false
	}
	if k.simplifier() != nil {
		return true
	}
	_, bounds := k.req.Dialect.(llm.OutputBounder)
	return k.op.Simplified != (Simplified{}) && bounds && k.req.Endpoint == llm.Chat
}

// targetsUntil is when the targets' share of the call's time ends.
func (k *call) targetsUntil() time.Time {
	if !k.simplifies() {
		return k.deadline
	}
	return k.deadline.Add(-time.Duration(shareOfFallback * float64(k.deadline.Sub(k.start))))
}

// leaveTime gives the targets' context: it ends earlier where a fallback needs time.
func (k *call) leaveTime(ctx context.Context) (context.Context, degrade.Kept) {
	if until := k.targetsUntil(); !until.Equal(k.deadline) {
		return degrade.Keep(ctx, until)
	}
	return ctx, degrade.Kept{}
}

// simplified is a lesser answer: of the operation's function, or of a smaller model. It
// goes to no target that failed in this call, and repeats nothing.
func (k *call) simplified(ctx context.Context) llm.Stream {
	if f := k.simplifier(); f != nil {
		return k.simplifiedBy(ctx, f)
	}
	s := k.op.Simplified
	d, ok := k.req.Dialect.(llm.OutputBounder)
	if !ok || !k.simplifies() {
		return nil
	}
	req := *k.req
	if s.Model != "" {
		req.Model = s.Model
	}
	body, err := d.Simplify(k.req, req.Model, s.MaxTokens)
	if err != nil {
		return nil
	}
	req.Body, req.ID = body, k.req.ID+"-simplified"
	req.NoFallback, req.Timeout, req.Arrived = true, max(time.Until(k.deadline), time.Millisecond), time.Time{}
	req.Cache = llm.CacheDirectives{NoWrite: true} // those who ask the same share it, and one that is there will do
	req.Residency = k.residency
	req.Background = true // it is a part of this call, which is counted
	answer, err := k.client.run(ctx, &req, nil, append(failures{}, k.failed...))
	if err != nil {
		k.client.log.Warn("the simplified answer failed too", "request_id", k.req.ID, "error_type", string(llm.KindOf(err)), "error", err)
		return nil
	}
	k.lesser = answer
	k.meta.Attempts += answer.Meta().Attempts
	k.meta.Provider, k.meta.Model, k.meta.Region = answer.Meta().Provider, answer.Meta().Model, answer.Meta().Region
	return answer
}

// simplifiedBy runs the operation's own function; one that panics has no answer.
func (k *call) simplifiedBy(ctx context.Context, f SimplifyFunc) (s llm.Stream) {
	defer func() {
		if p := recover(); p != nil {
			k.client.log.Error("panic in the function of a simplified answer", "request_id", k.req.ID, "operation", k.op.label, "panic", p)
			s = nil
		}
	}()
	text, err := f(ctx, k.req)
	if err != nil || text == "" {
		k.client.log.Warn("no simplified answer", "request_id", k.req.ID, "operation", k.op.label, "error", err)
		return nil
	}
	return k.said(text)
}
