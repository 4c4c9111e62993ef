package cache

import (
	"context"
	"time"

	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/llm"
)

// Scope says which entries to invalidate or to count: those whose labels agree in
// every field that is set. A tenant alone means all of its entries.
type Scope struct {
	// Tenant is needed, unless AllTenants is set.
	Tenant                            string
	Operation, User, Model, Namespace string
	// Key selects one entry. Nil selects any.
	Key *Key
	// AllTenants selects the entries of every tenant; Tenant is empty then.
	AllTenants bool
}

// Check says what is wrong with s; nil where Invalidate and Count will take it.
func (s Scope) Check() error {
	switch {
	case s.AllTenants && s.Tenant != "":
		return &llm.Error{
			Kind: llm.CallerInvalidRequest, Message: "a scope names either a tenant or all tenants", Param: "tenant",
			Fix: "Leave out one of the two.",
		}
	case !s.AllTenants && s.Tenant == "":
		return &llm.Error{
			Kind: llm.CallerInvalidRequest, Message: "the scope does not say whose entries it is about", Param: "tenant",
			Fix: "Name the tenant, or say that all tenants are meant.",
		}
	}
	return nil
}

// match is a good scope as the store and the journal know it.
func (c *Cache) match(s Scope) Match {
	labels := Labels{Tenant: s.Tenant, Operation: s.Operation, User: s.User, Model: s.Model, Namespace: s.Namespace}
	m := Match{Tags: c.tagsOf(&labels)}
	for f, value := range [Fields]string{s.Tenant, s.Operation, s.User, s.Model, s.Namespace} {
		if value != "" {
			m.Mask |= 1 << f
		}
	}
	if s.Key != nil {
		m.Mask |= 1 << FieldKey
		m.Key = *s.Key
	}
	return m
}

// Generation is the number of the last invalidation. Whoever asks for an answer reads
// it before, and puts it into the entry (Entry.Since).
func (c *Cache) Generation() uint64 { return c.generations.latest.Load() }

// Invalidated says what an invalidation did.
type Invalidated struct {
	// Number is the invalidation's; zero where it could not be recorded.
	Number uint64
	// Entries counts what was deleted from memory and from among the entries that
	// waited to be written. Records in the store are deleted in the background.
	Entries int
	// Durable says that the invalidation outlasts the process and a power cut. It is
	// false without a persistent tier, where no entry outlasts the process either.
	Durable bool
}

// Invalidate makes the entries of s void. Once it has returned without an error, no
// answer that was asked for before it began is ever found again: not one that was
// on its way, nor one that is read from the store later, by this process or by the next.
//
// It waits for the journal. If that fails the entries in memory are deleted all the
// same, but the store's come back: the error, of kind ForebayUnavailable, means
// that Invalidate has to be called again. An error of s is of kind CallerInvalidRequest.
func (c *Cache) Invalidate(ctx context.Context, s Scope) (Invalidated, error) {
	if err := s.Check(); err != nil {
		return Invalidated{}, err
	}
	if c.memory == nil {
		return Invalidated{}, nil
	}
	m := c.match(s)
	if c.disk == nil {
		inv := c.generations.next(m, time.Now())
		return Invalidated{Number: inv.Number, Entries: c.purge(m, inv.Number)}, nil
	}
	inv, err := c.disk.Journal.Invalidate(ctx, m, time.Now())
	if err != nil {
		return Invalidated{Entries: c.purge(m, 0)}, unavailable("the invalidation could not be recorded", err)
	}
	c.generations.note(true, 0, inv)
	done := Invalidated{Number: inv.Number, Entries: c.purge(m, inv.Number), Durable: true}
	signal(c.disk.poke)
	return done, nil
}

// OnShredded has f called after data keys were shredded by any process that shares the store, until Close: see envelope.Keyring's. It does
// nothing without a persistent tier. Call it before Close.
func (c *Cache) OnShredded(f func()) {
	if c.disk == nil {
		return
	}
	forget := c.disk.Keys.OnShredded(f)
	c.disk.mu.Lock()
	defer c.disk.mu.Unlock()
	c.disk.forget = append(c.disk.forget, forget)
}

func unavailable(message string, err error) *llm.Error {
	return &llm.Error{Kind: llm.ForebayUnavailable, Message: message, Fix: "Try again.", Err: err}
}

// purge deletes the entries that m matches and whose Since is below before from what
// this process holds. Zero means all that m matches.
func (c *Cache) purge(m Match, before uint64) (entries int) {
	which := func(e *Entry) bool {
		if !m.Matches(e.Key, e.tags) || before != 0 && e.Since >= before {
			return false
		}
		c.seen.stored(e, true)
		return true
	}
	c.refusals.purge(m)
	if c.disk != nil {
		for _, e := range c.disk.buffer.removeWhere(which) {
			if _, counted := c.memory.get(e.Key); !counted {
				entries++
			}
		}
	}
	return entries + c.memory.deleteAll(which)
}

// Counted is what a Scope would invalidate.
type Counted struct {
	Memory Size // in memory; bytes of memory
	Store  Size // in the store; bytes of records
}

// Count counts the entries of s: what Invalidate would make void. It may take
// seconds for large stores. Errors are as Invalidate's.
func (c *Cache) Count(ctx context.Context, s Scope) (Counted, error) {
	var n Counted
	if err := s.Check(); err != nil || c.memory == nil {
		return n, err
	}
	m := c.match(s)
	c.memory.all(func(e *Entry) bool {
		if m.Matches(e.Key, e.tags) && c.generations.valid(e) {
			n.Memory.Entries++
			n.Memory.Bytes += e.size
		}
		return true
	})
	if c.disk == nil {
		return n, nil
	}
	var err error
	if n.Store, err = c.disk.Store.Count(ctx, Selection{Match: m}); err != nil {
		return n, unavailable("the store's entries could not be counted", err)
	}
	return n, nil
}

// Erase removes what is cached for a user of a tenant, or for all of the tenant where
// user is empty, so that it can be said to be gone: it invalidates the entries, shreds
// the data keys with which they were sealed, and deletes the records. Entries that
// users share are sealed with the tenant's key, which stays; those that were made for
// this user are deleted. It waits for all of that. An error, of kind
// ForebayUnavailable, means that it has to be called again.
func (c *Cache) Erase(ctx context.Context, tenant, user string) error {
	s := Scope{Tenant: tenant, User: user}
	done, err := c.Invalidate(ctx, s)
	if err != nil || c.disk == nil {
		return err
	}
	d := c.disk
	// On the writer's goroutine: a batch that it is at may hold entries of the user. They
	// are sealed with the old key or not at all.
	err = d.do(ctx, func(ctx context.Context) error {
		if err := d.Keys.Shred(ctx, envelope.Owner{Tenant: tenant, User: user}); err != nil {
			return err
		}
		return d.deleteAll(ctx, Selection{Match: c.match(s), Before: done.Number})
	})
	if err != nil {
		return unavailable("what was cached could not be erased", err)
	}
	return nil
}
