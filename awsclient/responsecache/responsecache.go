// Package responsecache is the small cache of the specification's connection pool: bytes
// under a key, for a time, in this process's memory. It is for handlers that have no more
// than a name for what they keep, and not the cache of model answers, which is package cache
// by itself, though it stands on that one's memory.
package responsecache

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/cache"
)

const (
	defaultMemory = 16 << 20
	defaultTTL    = time.Hour
	longestTTL    = 30 * 24 * time.Hour
)

// Config configures New.
type Config struct {
	// MemoryBytes bounds the memory of all values with their keys, at least 64 KiB. Zero
	// means 16 MiB.
	MemoryBytes int64
	// MaxValueBytes bounds one value. Zero means an eighth of MemoryBytes.
	MaxValueBytes int64
	// TTL is how long a value is kept that is stored without a time of its own, at most
	// 30 days. Zero means 1 h.
	TTL time.Duration
}

// Cache keeps bytes under names, in this process's memory alone, for a time: what
// has no room pushes out what is least likely to be asked for again. It knows no tenants
// and no users. Whoever keeps something of somebody has to put that into the key, with
// GenerateKey. All methods are safe for concurrent use.
type Cache struct {
	memory *cache.Cache
	ttl    time.Duration
}

// New makes an empty cache. The error lists every fault of cfg. It starts
// nothing; what it holds is freed with it, or by Close.
func New(cfg Config) (*Cache, error) {
	if cfg.TTL < 0 || cfg.TTL > longestTTL {
		return nil, fmt.Errorf("response cache: ttl: %v is not possible; use a duration up to %v", cfg.TTL, longestTTL)
	}
	memory, err := cache.New(cache.Config{
		MemoryBytes: cmp.Or(cfg.MemoryBytes, defaultMemory), MaxEntryBytes: cfg.MaxValueBytes, MaxEntries: -1,
		TenantFloor: -1, // there is one tenant
		StaleFor:    -1, // nobody could be given a stale value
		Jitter:      -1, // what is asked for is what is kept
	})
	if err != nil {
		return nil, fmt.Errorf("response cache: %w", err)
	}
	return &Cache{memory: memory, ttl: cmp.Or(cfg.TTL, defaultTTL)}, nil
}

// Get gives what was stored under key and is not older than its time. The bytes are shared
// by everybody who asks, and must not be changed.
func (c *Cache) Get(key string) ([]byte, bool) {
	entry, outcome := c.memory.Get(nameOf(key), "", time.Now())
	if outcome != cache.Hit {
		return nil, false
	}
	return entry.Body, true
}

// Set stores a copy of value under key, in place of what was there, for ttl, or for the
// configured time where that is zero. It reports whether it did: not where value is too
// large, or ttl is negative or beyond 30 days.
func (c *Cache) Set(key string, value []byte, ttl time.Duration) bool {
	ttl = cmp.Or(ttl, c.ttl)
	if ttl < 0 || ttl > longestTTL {
		return false
	}
	now := time.Now()
	return c.memory.Put(&cache.Entry{
		Key: nameOf(key), Since: c.memory.Generation(), Body: slices.Clone(value), Stored: now, Expires: now.Add(ttl),
	}, now)
}

// Delete removes what is under key, if there is anything.
func (c *Cache) Delete(key string) { c.memory.Delete(nameOf(key)) }

// Stats counts look-ups and what is held.
func (c *Cache) Stats() cache.Stats { return c.memory.Stats() }

// Close frees everything. Later look-ups miss.
func (c *Cache) Close() {
	_ = c.memory.Close(context.Background()) // there is no store that it could wait for
}

// nameOf is a key as package cache has them. No key of a model's answer has this dialect.
func nameOf(key string) cache.Key {
	return cache.KeyOf(cache.Identity{Dialect: "forebay-response-cache"}, []cache.Dimension{cache.Shared}, []byte(key))
}

// GenerateKey makes a key of parts, such as an operation, a user and a text: 64
// hexadecimal digits, the same for the same parts in the same order, and different for
// all others. Each part counts with its length, so that "ab", "c" is not "a", "bc".
func GenerateKey(parts ...string) string {
	h := sha256.New()
	var length [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}
