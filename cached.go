package forebay

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/coalesce"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/similar"
)

// lookUp asks the cache. It returns nil where the call has to be made.
func (k *call) lookUp(ctx context.Context) (*cache.Entry, error) {
	c, d := k.client, &k.req.Cache
	if c.cache == nil || k.op.Cache.Off || (d.NoRead && d.NoWrite) {
		return nil, k.mustBeCached(nil)
	}
	began := time.Now()
	// Before anything is asked for, so that an invalidation from now on voids it.
	k.since = c.cache.Generation()
	if err := k.makeKey(); err != nil {
		return nil, err
	}
	k.cacheable = true
	if d.NoRead {
		return nil, k.mustBeCached(nil)
	}
	found := c.cache.Find(ctx, k.query())
	k.meta.Timing.Cache = time.Since(began)
	k.meta.Cache.Reason = found.Reason
	if e, err := k.take(ctx, found); e != nil || err != nil {
		return e, err
	}
	if k.op.Cache.Similar == SimilarAlways {
		if e := k.findSimilar(ctx); e != nil {
			k.meta.Cache.Detail = DetailSimilar
			return e, nil
		}
	}
	return nil, k.mustBeCached(k.stale)
}

// take decides whether what was found is the answer. It notes an expired entry for
// those who can use it later.
func (k *call) take(ctx context.Context, found cache.Found) (*cache.Entry, error) {
	e := found.Entry
	switch {
	case found.Err != nil:
		k.meta.Cache.Status, k.meta.Cache.Detail = CacheHit, DetailNegative
		return nil, found.Err
	case found.Outcome == cache.Hit && k.serves(e):
		return e, nil
	case found.Outcome == cache.Stale && k.servesStale(e):
		k.refreshBehind(ctx)
		return e, nil
	case e == nil, found.Outcome == cache.Hit && !k.covers(e):
		k.meta.Cache.Status = CacheMiss
	default:
		k.meta.Cache.Status, k.stale = CacheExpired, e
	}
	return nil, nil
}

// query is what the cache is asked.
func (k *call) query() cache.Query {
	return cache.Query{
		Key: k.key, Digest: k.digest, Labels: k.labels(), Now: k.start,
		Tenant: cache.Owner(k.op.Cache.Scope, k.req.Tenant), User: cache.OwnerUser(k.op.Cache.Scope, k.req.User),
	}
}

// labels are what the call's entry can be invalidated by.
func (k *call) labels() cache.Labels {
	return cache.Labels{
		Tenant: k.req.Tenant, Operation: k.op.name, User: k.req.User,
		Model: k.model.targets[0].ModelFor(k.req), Namespace: k.req.Cache.Namespace,
	}
}

// serves says that a fresh entry is within the age that the caller accepts, and
// has all that the caller asks for.
func (k *call) serves(e *cache.Entry) bool {
	return (k.req.Cache.MaxAge == 0 || k.start.Sub(e.Stored) <= k.req.Cache.MaxAge) && k.covers(e)
}

// servesStale says that an expired entry may be given while a new answer is fetched
// behind it.
func (k *call) servesStale(e *cache.Entry) bool {
	return k.start.Sub(e.Expires) < k.op.Cache.StaleWhileRevalidate && !k.req.Cache.NoWrite && k.serves(e)
}

func (k *call) covers(e *cache.Entry) bool { return k.req.Dialect.Covers(k.req, e.Body, e.Stream) }

// mustBeCached fails a call that may only be answered from the cache.
func (k *call) mustBeCached(e *cache.Entry) error {
	if !k.req.Cache.OnlyIfCached {
		return nil
	}
	message := "no cached answer to this request"
	if e != nil {
		message = "the cached answer to this request is too old"
	}
	return &llm.Error{
		Kind: llm.CallerNotCached, Message: message, Param: "Cache-Control",
		Fix: "Send the request without only-if-cached.",
	}
}

// makeKey fixes the cache key. It names the target that is preferred, so that an
// answer of another model is never found under it.
func (k *call) makeKey() error {
	buf := k.client.scratch.Get().(*[]byte)
	defer k.client.scratch.Put(buf)
	canonical, err := k.req.Dialect.Canonical((*buf)[:0], k.req, k.op.Cache.Verbatim)
	if err != nil {
		return llm.AsError(err)
	}
	*buf = canonical[:0]
	k.key, k.digest = cache.KeyAndDigest(k.identity(), k.op.Cache.Scope, canonical)
	return nil
}

// identity is what an answer depends on beside the request itself.
func (k *call) identity() cache.Identity {
	t := k.model.targets[0]
	return cache.Identity{
		Dialect: k.req.Dialect.Name(), Endpoint: string(k.req.Endpoint) + string(k.req.Settings), Operation: k.op.name,
		Family: t.Place.Family, Model: t.ModelFor(k.req), PromptVersion: k.op.PromptVersion,
		Namespace: k.req.Cache.Namespace, Tenant: k.req.Tenant, User: k.req.User, Persona: k.req.Persona,
	}
}

// flightKey separates streamed from whole calls, since their answers have different
// forms until they are stored, and calls before an invalidation from those after it:
// who asks after it must not join an answer that was asked for before. Calls that must
// not leave an area do not join one that may.
func (k *call) flightKey() coalesce.Key {
	key := coalesce.Key(k.key)
	if k.residency != "" {
		area := sha256.Sum256([]byte(k.residency))
		for i := range key {
			key[i] ^= area[i%len(area)]
		}
	}
	if k.req.Stream {
		key[0] ^= 1
	}
	for i := range 8 {
		key[len(key)-1-i] ^= byte(k.since >> (8 * i))
	}
	return key
}

// mayStore says that the caller and the operation let an answer be kept.
func (k *call) mayStore() bool { return k.cacheable && !k.req.Cache.NoWrite }

// keep puts a complete answer into the cache and reports whether it is there.
func (k *call) keep(e *cache.Entry) bool {
	c := k.client
	ttl := k.op.Cache.TTL
	if k.req.Cache.TTL > 0 {
		ttl = k.req.Cache.TTL
	}
	q := k.query()
	now := time.Now()
	e.Key, e.Digest, e.Labels, e.Since = k.key, k.digest, q.Labels, k.since
	e.Tenant, e.User, e.Dialect, e.Stream = q.Tenant, q.User, k.req.Dialect.Name(), k.req.Stream
	e.Stored, e.Expires = now, c.cache.Expiry(now, ttl)
	if !c.cache.Put(e, now) {
		return false
	}
	c.monitor.CacheStored(len(e.Body))
	k.index(e.Expires)
	return true
}

// remember keeps a provider's refusal of the request itself for a moment: clients
// that repeat what cannot succeed are common, and each repetition takes a slot.
func (k *call) remember(err *llm.Error) {
	if err.Kind == llm.ProviderRejected && k.mayStore() && k.op.Cache.NegativeTTL > 0 {
		q := k.query()
		q.Now = time.Now()
		k.client.cache.StoreRefusal(q, k.since, err, k.op.Cache.NegativeTTL)
	}
}

// index lets the answer that was just stored be found for similar requests.
func (k *call) index(expires time.Time) {
	if group, text, ok := k.lastTurn(); ok {
		k.client.similar.Add(group, k.key, text, expires)
	}
}

// maxSimilarTries bounds how many texts are tried whose answers are gone.
const maxSimilarTries = 4

// findSimilar finds a fresh answer to a request that differs from this one in the
// wording of its last message alone, and not in what that says as far as can be told.
func (k *call) findSimilar(ctx context.Context) *cache.Entry {
	group, text, ok := k.lastTurn()
	if !ok || k.req.Cache.NoRead {
		return nil
	}
	q := k.query()
	for range maxSimilarTries {
		match, ok := k.client.similar.Find(group, text, k.op.Cache.SimilarThreshold, k.start)
		if !ok {
			return nil
		}
		q.Key = match.Key
		if found := k.client.cache.Find(ctx, q); found.Outcome == cache.Hit && found.Entry != nil {
			if !k.serves(found.Entry) {
				return nil
			}
			return found.Entry
		}
		k.client.similar.Remove(match.Key) // invalidated or dropped meanwhile
	}
	return nil
}

// lastTurn splits the request into the text of its last message and the group of
// requests that agree in all else: scope, model, parameters and the conversation
// before. It is false where the operation takes no similar answers, or where the
// request is of a kind that has none.
func (k *call) lastTurn() (group similar.Group, text string, ok bool) {
	if !k.cacheable || k.op.Cache.Similar == SimilarOff {
		return group, "", false
	}
	d, ok := k.req.Dialect.(llm.TurnSplitter)
	if !ok {
		return group, "", false
	}
	text, rest, ok := d.LastTurn(k.req)
	if !ok {
		return group, "", false
	}
	return similar.Group(cache.KeyOf(k.identity(), k.op.Cache.Scope, rest)), text, true
}
