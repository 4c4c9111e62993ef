package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/config/internal/settings"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/store/sqlite"
)

// Stores are the open stores of a file. They are closed after the client that uses them.
type Stores struct {
	store *sqlite.Store
	cache *cache.Persistent // nil where answers are kept in memory only
	keys  *envelope.Keyring // nil where nothing is stored
	jobs  forebay.Jobs      // without a store where there are no durable jobs
}

// masterKeyFile is the master key's place in the directory of the stores.
const masterKeyFile = "master.key"

// StoreDir is the directory of what lasts; empty for none.
func (f *File) StoreDir() string { return f.path("store", "dir") }

// OpenStores opens what the file's store section names and takes the directory for
// this process. Without a directory there is nothing to open, and what it returns
// attaches nothing. The logger gets what the stores find damaged; nil means no log.
func (f *File) OpenStores(ctx context.Context, log *slog.Logger) (*Stores, error) {
	dir := f.StoreDir()
	if dir == "" {
		return &Stores{}, nil
	}
	v := f.values
	store, err := sqlite.Open(ctx, sqlite.Config{Dir: dir, CacheBytes: v.Int("cache", "disk"), Backlog: v.Bool("jobs", "enabled"), Log: true, Logger: log})
	if err != nil {
		return nil, fmt.Errorf("store.dir: %w", err)
	}
	s := &Stores{store: store}
	if s.keys, err = f.keyring(ctx, dir, store.Keys()); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	if v.Bool("cache", "enabled") && v.Bool("cache", "persist") {
		s.cache = &cache.Persistent{
			Store: store.Cache(), Journal: store.Cache(), Keys: s.keys,
			Timeout: v.Duration("cache", "store_timeout"), Buffer: v.Int("cache", "write_buffer"),
		}
	}
	if v.Bool("jobs", "enabled") {
		s.jobs = forebay.Jobs{Store: store.Backlog(), Keys: s.keys}
		if s.jobs.Hooks, err = f.hooks(s.keys); err != nil {
			return nil, errors.Join(err, store.Close())
		}
	}
	return s, nil
}

// keyring seals what the stores keep.
func (f *File) keyring(ctx context.Context, dir string, store envelope.KeyStore) (*envelope.Keyring, error) {
	masters, err := f.masters(dir)
	if err != nil {
		return nil, err
	}
	keys, err := envelope.New(ctx, envelope.Config{Masters: masters, Keys: store, NoCompression: !f.values.Bool("cache", "compression")})
	if err != nil {
		return nil, fmt.Errorf("store.key_file: %w", err)
	}
	return keys, nil
}

// masters are the master keys: those of the environment or the file's own text, those
// of a file that is named, or those beside the data, made where there are none.
func (f *File) masters(dir string) ([]envelope.Master, error) {
	if text := f.values.Secret("store", "master_key"); text.Reveal() != "" {
		masters, err := envelope.ParseMasters(text.Reveal())
		if err != nil {
			return nil, fmt.Errorf("store.master_key: %w", err)
		}
		return masters, nil
	}
	path := f.MasterKeyFile()
	read := envelope.EnsureMasters
	if f.values.Text("store", "key_file") != "" {
		read = envelope.ReadMasters // one that is named was made by somebody
	}
	masters, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("store.key_file: %w", err)
	}
	return masters, nil
}

// MasterKeyFile is where the master key is kept; empty where it does not come from a
// file.
func (f *File) MasterKeyFile() string {
	if f.path("store", "dir") == "" || f.values.Secret("store", "master_key").Reveal() != "" {
		return ""
	}
	return cmp.Or(f.path("store", "key_file"), filepath.Join(f.path("store", "dir"), masterKeyFile))
}

// Attach lets the client of cfg use the stores.
func (s *Stores) Attach(cfg *forebay.Config) {
	cfg.Cache.Persistent = s.cache
	cfg.Jobs.Store, cfg.Jobs.Keys, cfg.Jobs.Hooks = s.jobs.Store, s.jobs.Keys, s.jobs.Hooks
}

// Log is where the log of calls, series and alarms are kept; nil where nothing is stored.
func (s *Stores) Log() *sqlite.Log {
	if s.store == nil {
		return nil
	}
	return s.store.Log()
}

// Ledger is where the books are kept; nil where nothing is stored.
func (s *Stores) Ledger() ledger.Store {
	if s.store == nil {
		return nil
	}
	return s.store.Ledger()
}

// HookSecrets gives what webhooks of a tenant are signed with: 32 bytes that come from
// the store's own key. It is nil where there are no webhooks.
func (s *Stores) HookSecrets() func(tenant string) []byte {
	if s.jobs.Hooks == nil {
		return nil
	}
	return func(tenant string) []byte { return hookSecret(s.keys, tenant) }
}

// Close closes the stores and frees the directory.
func (s *Stores) Close() error {
	if s.store == nil {
		return nil
	}
	return s.store.Close()
}

// Warmup opens the file of requests to begin with, and says how many to make at once.
// It is nil where there is none.
func (f *File) Warmup() (file *os.File, concurrency int, err error) {
	path := f.path("cache", "warmup")
	if path == "" {
		return nil, 0, nil
	}
	if file, err = os.Open(path); err != nil {
		return nil, 0, fmt.Errorf("cache.warmup: %w", err)
	}
	return file, int(f.values.Int("cache", "warmup_concurrency")), nil
}

// path is the value of a key that names a file: relative to the configuration's file
// where that says it, else to the working directory.
func (f *File) path(key ...string) string {
	s := f.values.Get(key...)
	if s == nil {
		return ""
	}
	path := s.Value.(string)
	if path == "" || filepath.IsAbs(path) || s.From.Rank != settings.FromFile {
		return path
	}
	return f.resolve(path)
}
