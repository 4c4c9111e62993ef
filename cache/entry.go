package cache

import (
	"bytes"
	"math/bits"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Entry is one complete answer. Put copies the struct and keeps Body as it is; what
// Get returns is shared by everybody who asks, so neither is ever changed.
type Entry struct {
	// Key and Tenant say for whom and for what the entry was stored. Get compares
	// both with what was asked for. Tenant is what Owner gives: empty for entries
	// that everybody shares.
	Key    Key
	Tenant string

	// Body is the answer: a whole body, or the events of a stream where Stream is set.
	Body   []byte
	Stream bool

	Dialect         string // wire format of Body
	Provider, Model string // the target that made the answer

	// Usage and CostMicroUSD (millionths of a dollar) are what making the answer
	// took, and so what a hit saves.
	Usage        llm.Usage
	CostMicroUSD int64
	Finish       llm.FinishReason

	// Stored is when the answer was complete; Expires is when it stops being fresh.
	Stored, Expires time.Time

	size int64         // bytes of memory, bookkeeping included; set by Put
	keep time.Duration // how long the store holds it, from Put on
}

// entryOverhead is what an entry costs beside its body and tenant: 288 bytes for
// the Entry, 96 for the store's node with the key, and about 40 for its slot in the
// hash table and the frequency sketch, at the load that the table grows to.
const entryOverhead = 424

// sealed is a copy of e as the store keeps it.
func (e *Entry) sealed(now time.Time, staleFor time.Duration) *Entry {
	s := *e
	// A body that grew by appending may hold up to twice its length.
	if waste := cap(s.Body) - len(s.Body); waste > len(s.Body)/8+64 {
		s.Body = bytes.Clone(s.Body)
	}
	s.size = allocated(cap(s.Body)) + int64(len(s.Tenant)) + entryOverhead
	s.keep = min(s.Expires.Sub(now), maxTTL) + staleFor
	return &s
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
