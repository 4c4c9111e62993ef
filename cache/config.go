package cache

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/forebay-ai/forebay/envelope"
)

// The defaults, and the bounds of what Validate accepts.
const (
	defaultMemoryBytes   = 256 << 20
	defaultMaxEntries    = 10_000 // MAX_CACHE_SIZE in the specification
	defaultMaxEntryBytes = 4 << 20
	defaultTenantFloor   = 0.5
	defaultStaleFor      = 24 * time.Hour
	defaultJitter        = 0.1
	defaultTimeout       = 5 * time.Millisecond
	defaultBuffer        = 16 << 20
	defaultReaders       = 4

	// Below 64 KiB the bookkeeping of the store outweighs what it stores.
	minMemoryBytes = 64 << 10
	// The store counts weights in 32 bits.
	maxEntryBytes = 1 << 30
	// Far beyond any use, and far from where nanoseconds in 63 bits end.
	maxStaleFor = 10 * 365 * 24 * time.Hour
	maxTTL      = 100 * 365 * 24 * time.Hour
)

// Config is a Cache's. The zero value means the defaults, and no persistent tier.
type Config struct {
	// Off keeps nothing: every look-up misses and nothing is stored.
	Off bool
	// MemoryBytes bounds the memory of all entries together: bodies, keys and
	// bookkeeping. At least 64 KiB. Zero means 256 MiB.
	MemoryBytes int64
	// MaxEntries bounds the number of entries, by charging each one at least
	// MemoryBytes/MaxEntries of the memory. -1 means no bound. Zero means 10,000
	// (MAX_CACHE_SIZE).
	MaxEntries int
	// MaxEntryBytes is the size of the largest body that is stored, at most 1 GiB
	// and at most MemoryBytes. Zero means 4 MiB, or an eighth of MemoryBytes where
	// that is less.
	MaxEntryBytes int64
	// TenantFloor is the share of MemoryBytes that is divided equally among the tenants
	// that have entries: what a tenant keeps within its part, its floor, never makes
	// room for entries of others. What a tenant leaves of its floor is used by all. A
	// floor below the size of an entry keeps nothing. At most 0.9; negative means none.
	// Zero means 0.5.
	TenantFloor float64
	// StaleFor is how long an entry is kept after it expired, so that it can serve
	// as a stale answer. At most ten years; negative means not at all. Zero means 24 h.
	StaleFor time.Duration
	// Jitter spreads lifetimes by this share in both directions, so that entries
	// stored together do not expire together. At most 0.5; negative means none.
	// Zero means 0.1.
	Jitter float64
	// Persistent is the tier behind the memory. Nil means that there is none.
	Persistent *Persistent
	// Logger gets alarms: damaged entries, and a store that fails. At most one of
	// either kind a second, and never a word of what is cached. Nil means none.
	Logger *slog.Logger
}

// Persistent is the configuration of the persistent tier. Store, Journal and Keys
// are needed; they are not closed by the Cache.
type Persistent struct {
	Store   Store
	Journal Journal
	Keys    *envelope.Keyring
	// Timeout is how long a look-up waits for the store at the most. Zero means 5 ms.
	Timeout time.Duration
	// Buffer bounds the memory of the entries that wait to be written, in bytes. An
	// entry that finds no room is not written. Zero means 16 MiB.
	Buffer int64
	// Follow is how often the journal is read for the invalidations of other processes, where several share the
	// store: from 10 ms to a minute. An answer that was asked for before one of them is given
	// here for that long at the most, and the time that the journal takes to answer; while it
	// does not answer nothing is known of them (DiskStats.Behind). Zero means that the store is this process's alone.
	Follow time.Duration
	// Readers is how many look-ups read from the store at once, 1 to 256. Zero means 4.
	Readers int
}

// faults reports what is wrong with p; its defaults need not be filled in.
func (p *Persistent) faults(fault func(format string, args ...any)) {
	if p.Store == nil || p.Journal == nil || p.Keys == nil {
		fault("Persistent needs a Store, a Journal and Keys")
	}
	if p.Timeout < 0 {
		fault("Persistent.Timeout is %v: give a positive duration, or 0 for %v", p.Timeout, defaultTimeout)
	}
	if p.Buffer < 0 {
		fault("Persistent.Buffer is %d: give a number of bytes, or 0 for 16 MiB", p.Buffer)
	}
	if p.Follow != 0 && (p.Follow < 10*time.Millisecond || p.Follow > time.Minute) {
		fault("Persistent.Follow is %v: give 10ms to 1m, or 0 for a store of this process alone", p.Follow)
	}
	if p.Readers < 0 || p.Readers > 256 {
		fault("Persistent.Readers is %d: give 1 to 256, or 0 for %d", p.Readers, defaultReaders)
	}
}

func (p *Persistent) withDefaults() *Persistent {
	d := *p
	if d.Timeout == 0 {
		d.Timeout = defaultTimeout
	}
	if d.Buffer == 0 {
		d.Buffer = defaultBuffer
	}
	if d.Readers == 0 {
		d.Readers = defaultReaders
	}
	return &d
}

// Validate reports every fault of c at once; nil where New will take it.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("cache: "+format, args...)) }
	d := c.withDefaults()
	if d.MemoryBytes < minMemoryBytes {
		fault("MemoryBytes is %d: give at least %d (64 KiB), or 0 for 256 MiB", c.MemoryBytes, minMemoryBytes)
	}
	if c.MaxEntries < -1 {
		fault("MaxEntries is %d: give a number, -1 for no bound, or 0 for %d", c.MaxEntries, defaultMaxEntries)
	} else if _, least := d.bounds(); least > math.MaxUint32 {
		fault("MaxEntries is %d: too few for %d MemoryBytes, give at least %d, or -1 for no bound",
			c.MaxEntries, c.MemoryBytes, d.MemoryBytes/math.MaxUint32+1)
	}
	switch {
	case c.MaxEntryBytes < 0 || c.MaxEntryBytes > maxEntryBytes:
		fault("MaxEntryBytes is %d: give 1 to %d (1 GiB), or 0 for 4 MiB", c.MaxEntryBytes, maxEntryBytes)
	case d.MaxEntryBytes > d.MemoryBytes && d.MemoryBytes >= minMemoryBytes:
		fault("MaxEntryBytes is %d: more than MemoryBytes (%d)", c.MaxEntryBytes, d.MemoryBytes)
	}
	if c.TenantFloor > 0.9 || math.IsNaN(c.TenantFloor) {
		fault("TenantFloor is %v: give at most 0.9, a negative number for none, or 0 for %v", c.TenantFloor, defaultTenantFloor)
	}
	if c.StaleFor > maxStaleFor {
		fault("StaleFor is %v: give at most %v (ten years)", c.StaleFor, maxStaleFor)
	}
	if c.Jitter > 0.5 || math.IsNaN(c.Jitter) {
		fault("Jitter is %v: give at most 0.5, a negative number for none, or 0 for %v", c.Jitter, defaultJitter)
	}
	if c.Persistent != nil {
		c.Persistent.faults(fault)
	}
	return errors.Join(faults...)
}

// withDefaults fills in what is zero and resolves the values that mean "none".
func (c Config) withDefaults() Config {
	if c.MemoryBytes == 0 {
		c.MemoryBytes = defaultMemoryBytes
	}
	if c.MaxEntries == 0 {
		c.MaxEntries = defaultMaxEntries
	}
	if c.MaxEntryBytes == 0 {
		c.MaxEntryBytes = min(defaultMaxEntryBytes, c.MemoryBytes/8)
	}
	switch {
	case c.TenantFloor == 0:
		c.TenantFloor = defaultTenantFloor
	case c.TenantFloor < 0:
		c.TenantFloor = 0
	}
	switch {
	case c.StaleFor == 0:
		c.StaleFor = defaultStaleFor
	case c.StaleFor < 0:
		c.StaleFor = 0
	}
	switch {
	case c.Jitter == 0:
		c.Jitter = defaultJitter
	case c.Jitter < 0:
		c.Jitter = 0
	}
	if c.Persistent != nil {
		c.Persistent = c.Persistent.withDefaults()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// bounds gives what all entries together may weigh, and what each of them weighs at
// the least. Where MaxEntries does not divide MemoryBytes, the first is up to
// MaxEntries bytes above MemoryBytes, so that just MaxEntries of the least fit.
func (c Config) bounds() (total, least int64) {
	n := int64(c.MaxEntries)
	if n < 1 {
		return c.MemoryBytes, 0
	}
	least = (c.MemoryBytes + n - 1) / n
	if least <= entryOverhead {
		return c.MemoryBytes, 0 // memory ends before the number does
	}
	return least * n, least
}
