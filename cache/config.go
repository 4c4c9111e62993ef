package cache

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// The defaults, and the bounds of what Validate accepts.
const (
	defaultMemoryBytes   = 256 << 20
	defaultMaxEntries    = 10_000 // MAX_CACHE_SIZE in the specification
	defaultMaxEntryBytes = 4 << 20
	defaultStaleFor      = 24 * time.Hour
	defaultJitter        = 0.1

	// Below 64 KiB the bookkeeping of the store outweighs what it stores.
	minMemoryBytes = 64 << 10
	// The store counts weights in 32 bits.
	maxEntryBytes = 1 << 30
	// Far beyond any use, and far from where nanoseconds in 63 bits end.
	maxStaleFor = 10 * 365 * 24 * time.Hour
	maxTTL      = 100 * 365 * 24 * time.Hour
)

// Config is the memory tier's. The zero value means the defaults.
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
	// StaleFor is how long an entry is kept after it expired, so that it can serve
	// as a stale answer. At most ten years; negative means not at all. Zero means 24 h.
	StaleFor time.Duration
	// Jitter spreads lifetimes by this share in both directions, so that entries
	// stored together do not expire together. At most 0.5; negative means none.
	// Zero means 0.1.
	Jitter float64
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
	if c.StaleFor > maxStaleFor {
		fault("StaleFor is %v: give at most %v (ten years)", c.StaleFor, maxStaleFor)
	}
	if c.Jitter > 0.5 || math.IsNaN(c.Jitter) {
		fault("Jitter is %v: give at most 0.5, a negative number for none, or 0 for %v", c.Jitter, defaultJitter)
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
