package sqlite

import (
	"errors"
	"log/slog"
)

// defaultCacheBytes is the bound of cache.db where none is configured.
const defaultCacheBytes = 4 << 30

// leastCacheBytes is the smallest bound: below it the empty tables alone take a
// share of the file that leaves no room to keep a bound by.
const leastCacheBytes = 1 << 20

// Config says where a Store is and how large it may grow.
type Config struct {
	// Dir is the directory. Open makes it, with mode 0700, where it is missing. It
	// must be on a local file system.
	Dir string
	// CacheBytes bounds cache.db on disk, in bytes: when it is full, the records that
	// were written first make room. Zero means 4 GiB, negative no bound; else at
	// least 1 MiB. The file exceeds the bound by a few percent and one batch at most;
	// its write-ahead log comes on top, as a rule with 64 MiB, or a quarter of the
	// bound where that is less. Under a lower bound than before, the file shrinks
	// with the writes that follow.
	CacheBytes int64
	// Backlog has Open open queue.db as well, or make it. Without it, jobs that are in
	// the directory stay as they are.
	Backlog bool
	// Log has Open open log.db and ledger.db as well, or make them.
	Log bool
	// Logger gets what an operator should know: a damaged file that was set aside.
	// Nil means that nobody is told.
	Logger *slog.Logger
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	var faults []error
	if c.Dir == "" {
		faults = append(faults, errors.New("store.dir: is empty; name a directory on a local disk"))
	}
	if c.CacheBytes > 0 && c.CacheBytes < leastCacheBytes {
		faults = append(faults, errors.New("store.cache_bytes: is below 1 MiB; use 0 for 4 GiB, -1 for no bound, or 1 MiB and more"))
	}
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	if c.CacheBytes == 0 {
		c.CacheBytes = defaultCacheBytes
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}
