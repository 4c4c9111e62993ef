package cache

import (
	"bytes"
	"math/bits"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Labels say who asked for what. Entries are invalidated by them. They are not part
// of the key: an entry that several users share has the labels of the one for whom
// it was made.
type Labels struct {
	Tenant, Operation, User, Model, Namespace string
}

// Entry is one complete answer. Put copies the struct and its strings and keeps Body
// as it is; what look-ups return is shared by everybody who asks, so neither is ever
// changed.
type Entry struct {
	// checked is the version of the table of invalidations under which the entry was
	// last found to be valid. Atomic; first in the struct for its alignment.
	checked uint64

	// Key, Tenant and User say for whom and for what the entry was stored. Look-ups
	// compare all three with what was asked for. Tenant is what Owner gives: empty for
	// entries that everybody shares. User is the user that the scope separates by,
	// empty where users share.
	Key          Key
	Tenant, User string
	Labels       Labels
	// Digest is a hash of the canonical request without its scope, for telling why a
	// later look-up missed. Zero means unknown.
	Digest uint64
	// Since is Cache.Generation as it was before the answer was asked for.
	Since uint64

	// Body is the answer: a whole body, or the events of a stream where Stream is set.
	Body   []byte
	Stream bool
	hits   uint32 // since the entry came into memory; atomic

	Dialect         string // wire format of Body
	Provider, Model string // the target that made the answer

	// Usage and CostMicroUSD (millionths of a dollar) are what making the answer
	// took, and so what a hit saves.
	Usage        llm.Usage
	CostMicroUSD int64
	Finish       llm.FinishReason

	// Stored is when the answer was complete; Expires is when it stops being fresh,
	// at most a hundred years after Put.
	Stored, Expires time.Time

	tags Tags          // of Labels; set by own
	size int64         // bytes of memory, bookkeeping included; set by own
	keep time.Duration // how long the memory holds it, from own on
}

// entryOverhead is what an entry costs beside its body and names: 416 bytes for
// the Entry, 96 for the store's node with the key, and about 40 for its slot in the
// hash table and the frequency sketch, at the load that the table grows to.
const entryOverhead = 552

// names lists all strings of an entry, in the order of their encoding.
func (e *Entry) names() [nameCount]*string {
	l := &e.Labels
	return [...]*string{
		&e.Tenant, &e.User, &l.Tenant, &l.Operation, &l.User, &l.Model, &l.Namespace,
		&e.Dialect, &e.Provider, &e.Model, (*string)(&e.Finish),
	}
}

const nameCount = 11

// sealed is a copy of e as the cache keeps it from now on.
func (c *Cache) sealed(e *Entry, now time.Time) *Entry {
	s := *e
	s.checked, s.hits = 0, 0
	c.own(&s, now)
	return &s
}

// own makes e an entry that the cache can keep: its strings are copied, since they
// may point into the buffer of a request, and what the cache notes of it is filled in.
func (c *Cache) own(e *Entry, now time.Time) {
	var space [256]byte
	b, names := space[:0], e.names()
	for _, s := range names {
		b = append(b, *s...)
	}
	e.rename(string(b))
	// A body that grew by appending may hold up to twice its length.
	if waste := cap(e.Body) - len(e.Body); waste > len(e.Body)/8+64 {
		e.Body = bytes.Clone(e.Body)
	}
	e.tags = c.tagsOf(&e.Labels)
	e.size = allocated(cap(e.Body)) + allocated(len(b)) + entryOverhead
	if e.Expires.Sub(now) > maxTTL {
		e.Expires = now.Add(maxTTL)
	}
	e.keep = e.Expires.Sub(now) + c.config.StaleFor
}

// rename replaces the names by parts of all that are as long as they were.
func (e *Entry) rename(all string) {
	for _, s := range e.names() {
		n := len(*s)
		*s, all = all[:n], all[n:]
	}
}

// allocated estimates what n bytes take of the heap. The allocator's size classes
// are about an eighth of a power of two apart up to 32 KiB, and whole pages of 8 KiB
// above (runtime/sizeclasses.go).
func allocated(n int) int64 {
	if n <= 0 {
		return 0
	}
	step := 8192
	if n <= 32<<10 {
		step = max(8, 1<<bits.Len(uint(n-1))/16)
	}
	return int64((n + step - 1) / step * step)
}
