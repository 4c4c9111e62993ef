package forebay

import (
	"context"
	"fmt"
	"time"

	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/internal/near"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/upstream"
)

// TargetStatus is the state of one target, for people and for the control API.
type TargetStatus = upstream.Status

// Targets describes every target, in the order of their names.
func (c *Client) Targets() []TargetStatus {
	now := time.Now()
	all := make([]TargetStatus, 0, len(c.targets))
	for _, t := range c.targets {
		all = append(all, t.Status(now, c.regions))
	}
	return all
}

// BreakerAction is what an operator does to a breaker.
type BreakerAction string

// The actions.
const (
	BreakerOpen  BreakerAction = "open"  // no call passes until it is reset
	BreakerClose BreakerAction = "close" // every call passes until it is reset
	BreakerReset BreakerAction = "reset" // closed, with nothing counted, and on its own again
)

// SetBreaker forces a target's breaker open or closed, or leaves it to itself again.
// actor says who did it and reason why; both go to the auditor before the effect, whose
// error stops it. The error is an *llm.Error.
func (c *Client) SetBreaker(ctx context.Context, actor, name string, action BreakerAction, reason string) error {
	t := upstream.Named(c.targets, name)
	if t == nil {
		return &llm.Error{
			Kind: llm.CallerNotFound, Param: "target", Message: fmt.Sprintf("unknown target %.100q", name), Fix: near.OneOf("Use", upstream.Names(c.targets)),
		}
	}
	switch action {
	case BreakerOpen, BreakerClose, BreakerReset:
	default:
		return &llm.Error{
			Kind: llm.CallerInvalidRequest, Param: "action", Message: fmt.Sprintf("unknown action %.100q", string(action)),
			Fix: "Use one of open, close, reset.",
		}
	}
	if c.auditor != nil {
		details := map[string]string{"target": name, "action": string(action), "reason": reason}
		if err := c.auditor.Audit(ctx, actor, "breaker."+string(action), details); err != nil {
			return &llm.Error{Kind: llm.ForebayUnavailable, Message: "the change could not be recorded and was not made", Err: err}
		}
	}
	c.log.Warn("breaker changed by hand", "target", name, "action", string(action), "actor", actor, "reason", reason)
	now := time.Now()
	switch action {
	case BreakerOpen:
		t.Breaker.ForceOpen(now, reason)
	case BreakerClose:
		t.Breaker.ForceClosed(now, reason)
	case BreakerReset:
		t.Breaker.Reset(now)
	}
	return nil
}

// Upstreams are the targets with their guards, in the order of their names, for who shares those with other gateways.
func (c *Client) Upstreams() []*upstream.Target { return append([]*upstream.Target(nil), c.targets...) }

// SetTemplates replaces personas and prepared texts, all of them or, where there is
// anything wrong with cfg, none. Calls in progress take either.
func (c *Client) SetTemplates(cfg degrade.Config) error {
	d, err := degrade.New(cfg)
	if err != nil {
		return err
	}
	c.degrader.Store(d)
	return nil
}
