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
	"github.com/forebay-ai/forebay/store/sqlite"
)

// Stores are the open stores of a file. They are closed after the client that uses them.
type Stores struct {
	store *sqlite.Store
	cache *cache.Persistent // nil where answers are kept in memory only
}

// masterKeyFile is the master key's place in the directory of the stores.
const masterKeyFile = "master.key"

// OpenStores opens what the file's store section names and takes the directory for
// this process. Without a directory there is nothing to open, and what it returns
// attaches nothing. The logger gets what the stores find damaged; nil means no log.
func (f *File) OpenStores(ctx context.Context, log *slog.Logger) (*Stores, error) {
	dir := f.path("store", "dir")
	if dir == "" {
		return &Stores{}, nil
	}
	v := f.values
	store, err := sqlite.Open(ctx, sqlite.Config{Dir: dir, CacheBytes: v.Int("cache", "disk"), Logger: log})
	if err != nil {
		return nil, fmt.Errorf("store.dir: %w", err)
	}
	s := &Stores{store: store}
	if v.Bool("cache", "enabled") && v.Bool("cache", "persist") {
		if s.cache, err = f.persistentCache(ctx, dir, store.Cache()); err != nil {
			return nil, errors.Join(err, store.Close())
		}
	}
	return s, nil
}

// persistentCache is the cache's second tier over an open store.
func (f *File) persistentCache(ctx context.Context, dir string, store *sqlite.Cache) (*cache.Persistent, error) {
	masters, err := f.masters(dir)
	if err != nil {
		return nil, err
	}
	v := f.values
	keys, err := envelope.New(ctx, envelope.Config{Masters: masters, Keys: store, NoCompression: !v.Bool("cache", "compression")})
	if err != nil {
		return nil, fmt.Errorf("store.key_file: %w", err)
	}
	return &cache.Persistent{
		Store: store, Journal: store, Keys: keys,
		Timeout: v.Duration("cache", "store_timeout"), Buffer: v.Int("cache", "write_buffer"),
	}, nil
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
func (s *Stores) Attach(cfg *forebay.Config) { cfg.Cache.Persistent = s.cache }

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
