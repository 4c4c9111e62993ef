package requestlog

import "github.com/forebay-ai/forebay/llm"

// The bounds of a page.
const (
	defaultPage = 50
	largestPage = 500
)

// Size is how many entries a page of this query has at most: Limit within its bounds.
func (q *Query) Size() int {
	if q.Limit <= 0 {
		return defaultPage
	}
	return min(q.Limit, largestPage)
}

// Match reports whether the filter chooses an entry. Texts are compared byte by byte.
func (f *Filter) Match(e *Entry) bool {
	return f.matchNames(e) && f.matchEnd(e) &&
		(f.From.IsZero() || !e.Start.Before(f.From)) &&
		(f.To.IsZero() || e.Start.Before(f.To)) &&
		(f.MinDuration <= 0 || e.Duration >= f.MinDuration) &&
		(f.MinMicroUSD <= 0 || e.MicroUSD >= f.MinMicroUSD)
}

// matchNames compares who asked for what.
func (f *Filter) matchNames(e *Entry) bool {
	return is(f.Tenant, e.Tenant) && is(f.User, e.User) && is(f.Key, e.Key) &&
		is(f.Operation, e.Operation) && is(f.Model, e.Model) && is(f.ID, e.ID)
}

// matchEnd compares how it ended.
func (f *Filter) matchEnd(e *Entry) bool {
	return is(f.Provider, e.Provider) && is(f.Outcome, e.Outcome) && is(f.ErrorType, string(e.ErrorType)) &&
		is(f.Cache, e.Cache) && is(f.Fallback, e.Fallback) &&
		(!f.Failed || Failed(e.Outcome))
}

func is(want, have string) bool { return want == "" || want == have }

// Failed reports whether an outcome is one that Filter.Failed chooses.
func Failed(outcome string) bool { return outcome == "error" || outcome == "refused" }

// The bounds of an entry.
const (
	mostText     = 256 // bytes
	mostAttempts = 64
)

// tidy is a copy of e that shares nothing that its owner may change, and whose texts are
// short and valid: what callers bring must not make the log large, nor have a store refuse
// a whole batch.
func tidy(e *Entry) Entry {
	c := *e
	c.Seq = 0
	c.Start = c.Start.Round(0).UTC()
	for _, s := range []*string{
		&c.ID, &c.Tenant, &c.User, &c.Key, &c.Operation, &c.Persona, &c.Endpoint, &c.Model, &c.Priority,
		&c.Provider, &c.Answered, &c.Region, &c.Outcome, &c.Cache, &c.CacheReason, &c.CacheDetail,
		&c.CacheKey, &c.Fallback, &c.Template, (*string)(&c.ErrorType),
	} {
		*s = short(*s)
	}
	c.Attempts = nil
	if n := min(len(e.Attempts), mostAttempts); n > 0 {
		c.Attempts = append(make([]Attempt, 0, n), e.Attempts[:n]...)
	}
	for i := range c.Attempts {
		a := &c.Attempts[i]
		a.Target, a.Region, a.ErrorType = short(a.Target), short(a.Region), llm.Kind(short(string(a.ErrorType)))
	}
	return c
}
