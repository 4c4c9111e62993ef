package forebay

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/similar"
)

// CachePolicy says whether, for whom and for how long an operation's answers are
// kept. A field that is zero means the default operation's, and there what the field
// states.
type CachePolicy struct {
	// Off keeps the operation out of the cache.
	Off bool
	// TTL is how long an answer is fresh. Zero means 24 h (CACHE_DEFAULT_TTL_HOURS).
	TTL time.Duration
	// Scope says who shares answers. Nil means tenant, user and persona. The
	// tenant is always part of it unless the scope is cache.Shared alone.
	Scope []cache.Dimension
	// StaleWhileRevalidate is how long after its end an answer is still given, while
	// a new one is fetched behind it (RFC 5861). Negative means not at all. Zero
	// means one minute, far less than the jitter of the default TTL.
	StaleWhileRevalidate time.Duration
	// StaleIfError is how long after its end an answer may stand in when every
	// target failed, at most cache.Config.StaleFor. Where it is positive,
	// degrade.Cached need not stand in Fallback: it comes first then. Negative means
	// not at all. Zero means as long as answers are kept, where Fallback has
	// degrade.Cached.
	StaleIfError time.Duration
	// NegativeTTL is how long a provider's refusal of the request itself (kind
	// provider_rejected) is repeated without asking again. Negative means not at all.
	// Zero means 60 s.
	NegativeTTL time.Duration
	// AlsoStore lists ends of answers that are kept beside those that are complete
	// (llm.FinishStop and llm.FinishLength): llm.FinishToolCalls, llm.FinishRefusal
	// and llm.FinishFilter. Nil means none: what a tool is called with, and what a
	// model would not say, often depends on more than the request.
	AlsoStore []llm.FinishReason
	// Verbatim compares texts byte for byte. Otherwise texts in messages are compared
	// in Unicode's form NFC and without white space around them.
	Verbatim bool
	// Similar says when the answer to a similar request may be given, always marked
	// as such. Empty means never.
	Similar SimilarMode
	// SimilarThreshold is the least similarity for that, up to 1. Zero means
	// similar.DefaultThreshold.
	SimilarThreshold float64
}

// SimilarMode says when answers to similar requests may be given.
type SimilarMode string

// The modes.
const (
	SimilarOff      SimilarMode = "off"
	SimilarDegraded SimilarMode = "degraded" // when every target failed, by the fallback cached
	SimilarAlways   SimilarMode = "always"   // in place of a call
)

// The defaults and bounds of CachePolicy that the specification does not set.
const (
	defaultStaleWhileRevalidate = time.Minute
	defaultNegativeTTL          = time.Minute // validation errors; long enough for a client's retries
	maxNegativeTTL              = 24 * time.Hour
)

// withDefaults is the policy of the default operation with its zero values filled in.
func (p CachePolicy) withDefaults() CachePolicy {
	p.TTL = cmp.Or(p.TTL, defaultTTL)
	if p.Scope == nil {
		p.Scope = cache.DefaultScope()
	}
	p.StaleWhileRevalidate = cmp.Or(p.StaleWhileRevalidate, defaultStaleWhileRevalidate)
	p.NegativeTTL = cmp.Or(p.NegativeTTL, defaultNegativeTTL)
	p.Similar = cmp.Or(p.Similar, SimilarOff)
	p.SimilarThreshold = cmp.Or(p.SimilarThreshold, similar.DefaultThreshold)
	return p
}

// over is p with what is zero taken from the default operation's policy.
func (p CachePolicy) over(d CachePolicy) CachePolicy {
	p.TTL = cmp.Or(p.TTL, d.TTL)
	if p.Scope == nil {
		p.Scope = d.Scope
	}
	p.StaleWhileRevalidate = cmp.Or(p.StaleWhileRevalidate, d.StaleWhileRevalidate)
	p.StaleIfError = cmp.Or(p.StaleIfError, d.StaleIfError)
	p.NegativeTTL = cmp.Or(p.NegativeTTL, d.NegativeTTL)
	if p.AlsoStore == nil {
		p.AlsoStore = d.AlsoStore
	}
	p.Verbatim = p.Verbatim || d.Verbatim
	p.Similar = cmp.Or(p.Similar, d.Similar)
	p.SimilarThreshold = cmp.Or(p.SimilarThreshold, d.SimilarThreshold)
	return p
}

// fallbacks is list with the cache in front where the policy asks for stale answers
// on errors.
func (p CachePolicy) fallbacks(list []degrade.Strategy) []degrade.Strategy {
	if p.StaleIfError <= 0 || slices.Contains(list, degrade.Cached) {
		return list
	}
	return append([]degrade.Strategy{degrade.Cached}, list...)
}

// stores says that an answer with this end may be kept: it is all that the model had
// to say or as much as it was allowed to, or the operation takes it all the same.
func (p CachePolicy) stores(reason llm.FinishReason, endpoint llm.Endpoint) bool {
	if endpoint != llm.Chat || reason == llm.FinishStop || reason == llm.FinishLength {
		return true
	}
	return slices.Contains(p.AlsoStore, reason)
}

// validate reports every fault of the policy that stands at a place of the
// configuration.
func (p CachePolicy) validate(at string) error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf(at+".cache."+format, args...))
	}
	if p.TTL < 0 {
		fault("ttl: %v is negative", p.TTL)
	}
	if err := cache.CheckScope(p.Scope); err != nil {
		fault("scope: %w", err)
	}
	if p.NegativeTTL > maxNegativeTTL {
		fault("negative_ttl: %v is over %v", p.NegativeTTL, maxNegativeTTL)
	}
	for _, reason := range p.AlsoStore {
		switch reason {
		case llm.FinishToolCalls, llm.FinishRefusal, llm.FinishFilter:
		default:
			fault("store: %q is none of %s, %s, %s", reason, llm.FinishToolCalls, llm.FinishRefusal, llm.FinishFilter)
		}
	}
	switch p.Similar {
	case "", SimilarOff, SimilarDegraded, SimilarAlways:
	default:
		fault("similar: %q is none of %s, %s, %s", p.Similar, SimilarOff, SimilarDegraded, SimilarAlways)
	}
	if p.SimilarThreshold < 0 || p.SimilarThreshold > 1 {
		fault("similar_threshold: %v is outside 0 to 1", p.SimilarThreshold)
	}
	return errors.Join(faults...)
}

// validateTogether checks what only shows once the defaults are filled in.
func (p CachePolicy) validateTogether(at string) error {
	if (p.Similar == SimilarDegraded || p.Similar == SimilarAlways) && slices.Equal(p.Scope, []cache.Dimension{cache.Shared}) {
		return fmt.Errorf("%s.cache.similar: not together with the scope shared: one caller could plant the answers that others get", at)
	}
	return nil
}
