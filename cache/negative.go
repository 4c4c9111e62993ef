package cache

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// The bounds of cached refusals: their number, and how long one is kept.
const (
	maxRefusals   = 10_000
	maxRefusalTTL = time.Hour
)

// refusals are the requests that were refused for what they are, such as a model's
// validation errors, so that those who repeat them need not be told by the model.
// They are kept in memory alone. The oldest go when there are too many.
type refusals struct {
	count atomic.Int64 // len(byKey), for look-ups that need no lock

	mu    sync.Mutex // guards what follows
	byKey map[Key]*refusal
	queue []Key // in the order of storing; some may have left
}

type refusal struct {
	key          Key
	tenant, user string
	tags         Tags
	since        uint64
	expires      time.Time
	err          error
}

func (r *refusals) put(n *refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byKey == nil {
		r.byKey = make(map[Key]*refusal)
	}
	if r.byKey[n.key] == nil {
		r.queue = append(r.queue, n.key)
	}
	r.byKey[n.key] = n
	if len(r.queue) > maxRefusals {
		delete(r.byKey, r.queue[0])
		r.queue = r.queue[1:]
	}
	r.count.Store(int64(len(r.byKey)))
}

// get returns the refusal of a key, or nil.
func (r *refusals) get(k Key) *refusal {
	if r.count.Load() == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byKey[k]
}

// drop removes a refusal: the request got an answer after all, or its time is over.
func (r *refusals) drop(k Key) {
	if r.count.Load() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byKey, k)
	r.count.Store(int64(len(r.byKey)))
}

// purge removes the refusals that m matches.
func (r *refusals) purge(m Match) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.byKey, func(k Key, n *refusal) bool { return m.Matches(k, n.tags) })
	r.count.Store(int64(len(r.byKey)))
}

// StoreRefusal notes that q was refused with err, so that look-ups get err as it is
// until ttl (at most an hour) has passed, q.Now being now. since is Generation as it
// was before the request was sent: a refusal that was invalidated meanwhile is not
// stored. Refusals are kept in memory, at most 10,000 of them.
func (c *Cache) StoreRefusal(q Query, since uint64, err error, ttl time.Duration) {
	if c.memory == nil || c.closed.Load() || ttl <= 0 || err == nil {
		return
	}
	n := &refusal{key: q.Key, tags: c.tagsOf(&q.Labels), since: since, expires: q.Now.Add(min(ttl, maxRefusalTTL)), err: err}
	owned := Entry{Tenant: q.Tenant, User: q.User}
	owned.rename(q.Tenant + q.User)
	n.tenant, n.user = owned.Tenant, owned.User
	if c.generations.admits(since, n.key, &n.tags) {
		c.refusals.put(n)
	}
}

// refused is the error with which q was refused a while ago, or nil.
func (c *Cache) refused(q *Query) error {
	r := c.refusals.get(q.Key)
	if r == nil || r.tenant != q.Tenant || r.user != q.User {
		return nil
	}
	if !q.Now.Before(r.expires) || !c.generations.admits(r.since, r.key, &r.tags) {
		c.refusals.drop(q.Key)
		return nil
	}
	return r.err
}
