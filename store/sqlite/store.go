package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/forebay-ai/forebay/store/sqlite/internal/keydb"
	"github.com/forebay-ai/forebay/store/sqlite/internal/logdb"
	"github.com/forebay-ai/forebay/store/sqlite/internal/queuedb"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// The errors that the parts of a store have in common.
var (
	// ErrClosed is what a store's methods return after Close.
	ErrClosed = sqlfile.ErrClosed
	// ErrDamaged is in the chain of the errors that say that a file is damaged. The
	// store stays open and answers what it still can; the next Open sets cache.db or log.db
	// aside and begins a new one. The others are never set aside.
	ErrDamaged = sqlfile.ErrDamaged
)

// Backlog is queue.db: it implements backlog.Store. All methods may be called
// concurrently.
type Backlog = queuedb.Backlog

// Log is log.db: it implements requestlog.Store, series.Store and alarm.Store. All
// methods may be called concurrently.
type Log = logdb.Log

// Ledger is ledger.db: it implements ledger.Store. All methods may be called concurrently.
type Ledger = logdb.Ledger

// Keys is keys.db: it implements envelope.KeyStore. All methods may be called
// concurrently.
type Keys = keydb.Keys

// Store is a directory of databases, held by this process alone. Its methods may be
// called concurrently.
type Store struct {
	lock    *os.File // free once it is closed
	cache   *Cache
	backlog *Backlog // nil unless it is configured
	keys    *Keys
	log     *Log // nil unless it is configured, as ledger
	ledger  *Ledger
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
	lock, err := sqlfile.Lock(ctx, dir, filepath.Join(dir, "lock"))
	if err != nil {
		return nil, err
	}
	s := &Store{lock: lock}
	if s.keys, err = keydb.Open(filepath.Join(cfg.Dir, "keys.db")); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.openRest(cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	// Without this a power cut could take the files themselves.
	if err := errors.Join(sqlfile.SyncDir(dir), sqlfile.SyncDir(filepath.Dir(dir))); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: %w", err), s.Close())
	}
	return s, nil
}

// openRest opens what is sealed with the keys, and the logs.
func (s *Store) openRest(cfg Config) error {
	var err error
	cachePath, logPath := filepath.Join(cfg.Dir, "cache.db"), filepath.Join(cfg.Dir, "log.db")
	s.cache, err = openAnyway(cachePath, "the cache's database", cfg.Logger, func() (*Cache, error) { return openCache(cachePath, cfg) })
	if err == nil && cfg.Backlog {
		s.backlog, err = queuedb.Open(filepath.Join(cfg.Dir, "queue.db"), cfg.Logger)
	}
	if err == nil && cfg.Log {
		s.ledger, err = logdb.OpenLedger(filepath.Join(cfg.Dir, "ledger.db"), cfg.Logger)
	}
	if err == nil && cfg.Log {
		s.log, err = openAnyway(logPath, "the database of the log of calls", cfg.Logger, func() (*Log, error) { return logdb.OpenLog(logPath) })
	}
	return err
}

// openAnyway opens a database that may be lost. A damaged one is set aside, and a new one
// begun.
func openAnyway[T any](path, what string, log *slog.Logger, open func() (*T, error)) (*T, error) {
	cause := fmt.Errorf("%w: found while it was in use", sqlfile.ErrDamaged)
	if !sqlfile.Suspected(path) {
		one, err := open()
		if !errors.Is(err, sqlfile.ErrDamaged) {
			return one, err
		}
		cause = err
	}
	aside, err := sqlfile.SetAside(path, time.Now())
	if err != nil {
		return nil, fmt.Errorf("sqlite: set the damaged %s aside: %w", path, err)
	}
	log.Error(what+" was damaged: it was set aside and a new one begun",
		slog.String("path", path), slog.String("aside", aside), slog.Any("error", cause))
	return open()
}

// Cache is the part of the store that keeps the cache: entries and invalidations. It
// works until Close.
func (s *Store) Cache() *Cache { return s.cache }

// Keys is the part of the store that keeps the data keys of all others. It works until
// Close.
func (s *Store) Keys() *Keys { return s.keys }

// Backlog is the part of the store that keeps jobs. It is nil unless Config.Backlog asks
// for it. It works until Close.
func (s *Store) Backlog() *Backlog { return s.backlog }

// Log is the part of the store that keeps the log of calls, series and alarms. It is nil
// unless Config.Log asks for it. It works until Close.
func (s *Store) Log() *Log { return s.log }

// Ledger is the part of the store that keeps the books. It is nil unless Config.Log asks
// for it. It works until Close.
func (s *Store) Ledger() *Ledger { return s.ledger }

// Close waits for the operations in progress, copies the logs into their databases,
// and frees the directory. Operations that begin later fail with ErrClosed. It may
// be called more than once.
func (s *Store) Close() error {
	var err error
	if s.backlog != nil {
		err = s.backlog.Close()
	}
	if s.log != nil {
		err = errors.Join(err, s.log.Close())
	}
	if s.ledger != nil {
		err = errors.Join(err, s.ledger.Close())
	}
	if s.cache != nil {
		err = errors.Join(err, s.cache.close())
	}
	if s.keys != nil {
		err = errors.Join(err, s.keys.Close())
	}
	// Last: whoever opens the store next finds everything written.
	if e := s.lock.Close(); !errors.Is(e, os.ErrClosed) {
		err = errors.Join(err, e)
	}
	return err
}
