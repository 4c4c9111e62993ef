package cost

import (
	"cmp"
	"context"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Record is what one call used, as a ledger books it.
type Record struct {
	RequestID string
	// Tenant, User, Key and Operation say for whom and for what the call was made;
	// all but the tenant may be empty.
	Tenant, User, Key, Operation string
	// Provider and Model are the target that answered; empty where none did.
	Provider, Model string
	Usage           llm.Usage
	// Estimated says that Usage is an estimate, because the provider reported none.
	Estimated bool
	// MicroUSD is the price in millionths of a dollar.
	MicroUSD int64
	// Unreserved says that Reserve did not let the call pass: its answer was in the cache,
	// or it was refused. It ends no reservation.
	Unreserved bool
	// Part says that this is about an attempt of a call that was lost: paid for, and no
	// call of its own. Another record of the call follows.
	Part bool
	// Outcome is how the call ended, in the words of package monitor.
	Outcome string
	At      time.Time
}

// Counts are sums over calls. Each sticks at math.MaxInt64 instead of overflowing.
type Counts struct {
	// Calls counts records; Estimated those of them whose usage is an estimate.
	Calls, Estimated int64
	Usage            llm.Usage
	MicroUSD         int64
}

// Total is the sum of one account.
type Total struct {
	Tenant, User, Operation, Model string
	// Overflow marks the account, named Other in all four parts, that holds what
	// had no room in an account of its own.
	Overflow bool
	Counts
}

// Sum is the sum over every account of one tenant or user.
type Sum struct {
	Tenant string
	// User is empty in sums by tenant, and for calls that named no user.
	User string
	// Overflow marks the sum of what had no room in an account of its own.
	Overflow bool
	Counts
}

// Other is the name of the account that takes what has no room elsewhere.
const Other = "other"

const (
	defaultMaxAccounts = 100_000
	// maxNameBytes bounds each part of an account's name, because user names come
	// from callers. Ids in use are far shorter: a UUID has 36 bytes, an e-mail
	// address at most 254 (RFC 5321).
	maxNameBytes = 256
	// shardCount splits the lock, so that a report over 100,000 accounts holds up a
	// call for a sixteenth of its time.
	shardCount = 16
)

// MemoryConfig configures NewMemory.
type MemoryConfig struct {
	// MaxAccounts bounds the accounts, which is to say the memory: about 300 bytes
	// each. Zero or less means 100,000. Calls beyond it are booked on the account Other.
	MaxAccounts int
}

// Memory is a ledger in memory: totals by tenant, user, operation and model since
// the process began. Sums are exact under concurrency. It is safe for concurrent
// use, never blocks on I/O, and runs no goroutine.
type Memory struct {
	max      int64
	seed     maphash.Seed
	accounts atomic.Int64 // in all shards; at most max
	shards   [shardCount]shard
}

type shard struct {
	mu     sync.Mutex // guards the two below
	totals map[account]*Counts
	other  Counts
}

// account names a row of the ledger.
type account struct{ tenant, user, operation, model string }

// NewMemory makes an empty ledger.
func NewMemory(cfg MemoryConfig) *Memory {
	if cfg.MaxAccounts <= 0 {
		cfg.MaxAccounts = defaultMaxAccounts
	}
	m := &Memory{max: int64(cfg.MaxAccounts), seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].totals = make(map[account]*Counts)
	}
	return m
}

// Reserve lets every call pass: this ledger counts and sets no budgets. It always
// returns nil.
func (m *Memory) Reserve(context.Context, *llm.Request) error { return nil }

// Settle books r. A call whose account is new and has no room, or whose names are
// longer than 256 bytes, is booked on the account Other. Negative amounts count as
// zero. Settle does not allocate for a known account.
func (m *Memory) Settle(r Record) {
	key := account{r.Tenant, r.User, r.Operation, r.Model}
	s := &m.shards[maphash.Comparable(m.seed, key)%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := s.totals[key]
	if counts == nil {
		counts = &s.other
		if key.fits() && m.takeRoom() {
			counts = new(Counts)
			s.totals[key.clone()] = counts
		}
	}
	counts.add(Counts{Calls: oneIf(!r.Part), Estimated: oneIf(r.Estimated), Usage: r.Usage, MicroUSD: r.MicroUSD})
}

// takeRoom counts one more account if there is room for it.
func (m *Memory) takeRoom() bool {
	for {
		n := m.accounts.Load()
		if n >= m.max {
			return false
		}
		if m.accounts.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Totals returns every account, by tenant, user, operation and model, and last the
// account Other if it holds anything. Each record is in the result whole or not at all.
func (m *Memory) Totals() []Total {
	all := make([]Total, 0, m.accounts.Load()+1)
	var other Counts
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for key, counts := range s.totals {
			all = append(all, Total{
				Tenant: key.tenant, User: key.user, Operation: key.operation, Model: key.model,
				Counts: *counts,
			})
		}
		other.add(s.other)
		s.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b Total) int {
		return cmp.Or(strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.User, b.User),
			strings.Compare(a.Operation, b.Operation), strings.Compare(a.Model, b.Model))
	})
	if other != (Counts{}) {
		all = append(all, Total{Tenant: Other, User: Other, Operation: Other, Model: Other, Overflow: true, Counts: other})
	}
	return all
}

// ByTenant returns the sum of each tenant, sorted by name, the account Other last.
func (m *Memory) ByTenant() []Sum {
	return m.sums(func(t Total) Sum { return Sum{Tenant: t.Tenant, Overflow: t.Overflow} })
}

// ByUser returns the sum of each user of each tenant, sorted by both, the account
// Other last.
func (m *Memory) ByUser() []Sum {
	return m.sums(func(t Total) Sum { return Sum{Tenant: t.Tenant, User: t.User, Overflow: t.Overflow} })
}

// sums adds up neighbours with the same head; Totals are sorted so that all of
// them are neighbours.
func (m *Memory) sums(head func(Total) Sum) []Sum {
	var sums []Sum
	var last Sum
	for _, t := range m.Totals() {
		if h := head(t); len(sums) == 0 || h != last {
			sums, last = append(sums, h), h
		}
		sums[len(sums)-1].add(t.Counts)
	}
	return sums
}

func (k account) fits() bool {
	return len(k.tenant) <= maxNameBytes && len(k.user) <= maxNameBytes &&
		len(k.operation) <= maxNameBytes && len(k.model) <= maxNameBytes
}

// clone copies the names: they may be slices of a request body, which a ledger
// that lives as long as the process would keep in memory.
func (k account) clone() account {
	return account{strings.Clone(k.tenant), strings.Clone(k.user), strings.Clone(k.operation), strings.Clone(k.model)}
}

func (c *Counts) add(d Counts) {
	c.Calls = addUp(c.Calls, d.Calls)
	c.Estimated = addUp(c.Estimated, d.Estimated)
	c.Usage.Input = addUp(c.Usage.Input, d.Usage.Input)
	c.Usage.Output = addUp(c.Usage.Output, d.Usage.Output)
	c.Usage.CacheRead = addUp(c.Usage.CacheRead, d.Usage.CacheRead)
	c.Usage.CacheWrite = addUp(c.Usage.CacheWrite, d.Usage.CacheWrite)
	c.MicroUSD = addUp(c.MicroUSD, d.MicroUSD)
}

// addUp adds b, or nothing if it is negative, and sticks at the largest value.
func addUp(a, b int64) int64 {
	if b <= 0 {
		return a
	}
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func oneIf(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}
