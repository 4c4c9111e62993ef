package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// Store is a directory of databases, held by this process alone. Its methods may be
// called concurrently.
type Store struct {
	lock  *os.File // free once it is closed
	cache *Cache
}

// Open opens the store in cfg.Dir, or makes it. Where another Store has it, here or
// in another process, Open fails within a second and says which. The error lists
// every fault of cfg. Close frees what Open takes.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	dir, err := filepath.Abs(cfg.Dir) // the files stay where they are if the process moves
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	cfg.Dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("sqlite: make the store's directory: %w", err)
	}
	lock, err := lockFile(ctx, dir, filepath.Join(dir, "lock"))
	if err != nil {
		return nil, err
	}
	s := &Store{lock: lock}
	if s.cache, err = openCacheAnyway(cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	// Without this a power cut could take the files themselves.
	if err := errors.Join(syncDir(dir), syncDir(filepath.Dir(dir))); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: %w", err), s.Close())
	}
	return s, nil
}

// openCacheAnyway opens the cache. A damaged one is set aside, and a new one begun.
func openCacheAnyway(cfg Config) (*Cache, error) {
	path := filepath.Join(cfg.Dir, "cache.db")
	cause := fmt.Errorf("%w: found while it was in use", ErrDamaged)
	if !suspected(path) {
		c, err := openCache(path, cfg)
		if !errors.Is(err, ErrDamaged) {
			return c, err
		}
		cause = err
	}
	aside, err := setAside(path, time.Now())
	if err != nil {
		return nil, fmt.Errorf("sqlite: set the damaged %s aside: %w", path, err)
	}
	cfg.Logger.Error("the cache's database was damaged: it was set aside and a new one begun",
		slog.String("path", path), slog.String("aside", aside), slog.Any("error", cause))
	return openCache(path, cfg)
}

// Cache is the part of the store that keeps the cache: entries, invalidations and
// keys. It works until Close.
func (s *Store) Cache() *Cache { return s.cache }

// Close waits for the operations in progress, copies the logs into their databases,
// and frees the directory. Operations that begin later fail with ErrClosed. It may
// be called more than once.
func (s *Store) Close() error {
	var err error
	if s.cache != nil {
		err = s.cache.close()
	}
	// Last: whoever opens the store next finds everything written.
	if e := s.lock.Close(); !errors.Is(e, os.ErrClosed) {
		err = errors.Join(err, e)
	}
	return err
}
