package forebay

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/llm"
)

// CacheControl is the client's response cache for those who run it. All methods may
// be used concurrently. Errors are *llm.Error.
type CacheControl struct {
	client *Client
	actor  string
}

// Cache is the control of the client's response cache.
func (c *Client) Cache() CacheControl { return CacheControl{client: c, actor: "library"} }

// By is the same control for the audit of changes that actor makes.
func (cc CacheControl) By(actor string) CacheControl {
	cc.actor = actor
	return cc
}

// Usable refuses the control of a cache that is off.
func (cc CacheControl) Usable() error {
	if cc.client == nil || cc.client.cache == nil {
		return &llm.Error{
			Kind: llm.CallerNotFound, Message: "there is no response cache: it is off",
			Limit: "cache.enabled", Value: "false", Fix: "Set cache.enabled to true.",
		}
	}
	return nil
}

// Invalidate makes the answers that s selects void (the specification's
// invalidateCache). When it has returned, no answer is given any more that was asked
// for before it began, however it got into the cache; with a persistent store that
// holds across restarts. s.Model may be a configured model's name or a provider's.
func (cc CacheControl) Invalidate(ctx context.Context, s cache.Scope) (cache.Invalidated, error) {
	if err := cc.Usable(); err != nil {
		return cache.Invalidated{}, err
	}
	if err := cc.audit(ctx, "cache.invalidate", s); err != nil {
		return cache.Invalidated{}, err
	}
	done, err := cc.client.cache.Invalidate(ctx, cc.resolved(s))
	return done, controlError("invalidate cached answers", err)
}

// Count says how many answers an Invalidate of s would make void. It may take
// seconds where many are stored.
func (cc CacheControl) Count(ctx context.Context, s cache.Scope) (cache.Counted, error) {
	if err := cc.Usable(); err != nil {
		return cache.Counted{}, err
	}
	n, err := cc.client.cache.Count(ctx, cc.resolved(s))
	return n, controlError("count cached answers", err)
}

// Erase removes what the cache has of a user, or of a whole tenant where user is
// empty: it makes the answers void, destroys the keys that they are encrypted with,
// and deletes them from the store before it returns. Durable jobs in the same store are
// sealed under these keys: what they ask for and answered is gone with them.
func (cc CacheControl) Erase(ctx context.Context, tenant, user string) error {
	if err := cc.Usable(); err != nil {
		return err
	}
	if err := cc.audit(ctx, "cache.erase", cache.Scope{Tenant: tenant, User: user}); err != nil {
		return err
	}
	err := cc.client.cache.Erase(ctx, tenant, user)
	// Behind it, when no answer of before is stored any more and its text noted.
	if cc.client.similar != nil {
		cc.client.similar.Clear() // it holds texts, and does not know whose
	}
	return controlError("erase cached answers", err)
}

// CacheStats counts how calls met the cache.
type CacheStats struct {
	cache.Stats
	CacheMeetings // of all operations
	// Operations splits the counts by operation; "default" is the default one.
	Operations map[string]OperationCacheStats
}

// OperationCacheStats counts for one operation.
type OperationCacheStats struct {
	cache.Lookups
	CacheMeetings
}

// CacheMeetings counts calls that the cache's own look-ups do not tell of.
type CacheMeetings struct {
	// Coalesced joined an identical call in progress. StaleHits got an expired answer
	// while a new one was fetched. Bypassed were not to use the cache.
	Coalesced, StaleHits, Bypassed int64
}

// count notes how a call met the cache.
func (o *operation) count(status CacheStatus) {
	switch status {
	case CacheCollapsed:
		o.coalesced.Add(1)
	case CacheStaleHit:
		o.staleHits.Add(1)
	case CacheBypass:
		o.bypassed.Add(1)
	}
}

// Stats counts what the cache holds and did.
func (cc CacheControl) Stats() CacheStats {
	s := CacheStats{Operations: map[string]OperationCacheStats{}}
	if cc.Usable() != nil {
		return s
	}
	c := cc.client
	s.Stats = c.cache.Stats()
	lookups := c.cache.ByOperation()
	for _, o := range append(slices.Collect(maps.Values(c.operations)), c.byDefault) {
		one := OperationCacheStats{Lookups: lookups[o.name], CacheMeetings: CacheMeetings{
			Coalesced: o.coalesced.Load(), StaleHits: o.staleHits.Load(), Bypassed: o.bypassed.Load(),
		}}
		s.Coalesced += one.Coalesced
		s.StaleHits += one.StaleHits
		s.Bypassed += one.Bypassed
		s.Operations[o.label] = one
	}
	return s
}

// Top lists the answers in memory that were given most often, at most n of them and
// at most 100.
func (cc CacheControl) Top(n int) []cache.KeyStats {
	if cc.Usable() != nil {
		return nil
	}
	return cc.client.cache.Top(n, time.Now())
}

// resolved is s with a configured model's name replaced by what the model's
// preferred target calls it, which is what entries are labelled with.
func (cc CacheControl) resolved(s cache.Scope) cache.Scope {
	if m := cc.client.models[s.Model]; s.Model != "" && m != nil && m.targets[0].Place.Model != "" {
		s.Model = m.targets[0].Place.Model
	}
	return s
}

// audit records a change before it takes effect.
func (cc CacheControl) audit(ctx context.Context, action string, s cache.Scope) error {
	a := cc.client.auditor
	if a == nil {
		return nil
	}
	details := map[string]string{
		"tenant": s.Tenant, "operation": s.Operation, "user": s.User, "model": s.Model, "namespace": s.Namespace,
	}
	if s.Key != nil {
		details["key"] = s.Key.String()
	}
	if s.AllTenants {
		details["tenant"] = "*"
	}
	maps.DeleteFunc(details, func(_, value string) bool { return value == "" })
	if err := a.Audit(ctx, cc.actor, action, details); err != nil {
		return controlError("record the change", err)
	}
	return nil
}

// controlError gives an error of the cache its kind.
func controlError(doing string, err error) error {
	var e *llm.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return llm.AsError(err)
	}
	return &llm.Error{
		Kind: llm.ForebayUnavailable, Message: "could not " + doing + ": the store of the cache failed", Err: err,
		Fix: "Try again; the log says what failed.", RetryAfter: time.Second,
	}
}
