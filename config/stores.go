package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/config/internal/local"
	"github.com/forebay-ai/forebay/config/internal/settings"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/fleet"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/store/dynamo"
)

// Stores are the open stores of a file. They are closed after the client that uses them.
type Stores struct {
	store  *local.Store      // nil without a directory
	shared *dynamo.Store     // nil where the file names no tables of DynamoDB
	cache  *cache.Persistent // nil where answers are kept in memory only
	keys   *envelope.Keyring // nil where nothing is stored
	jobs   forebay.Jobs      // without a store where there are no durable jobs
}

// masterKeyFile is the master key's place in the directory of the stores.
const masterKeyFile = "master.key"

// StoreDir is the directory of what lasts; empty for none.
func (f *File) StoreDir() string { return f.path("store", "dir") }

// OpenStores opens what the file's store section names and takes the directory for
// this process. Without a directory and tables there is nothing to open, and what it returns
// attaches nothing. The logger gets what the stores find damaged; nil means no log.
func (f *File) OpenStores(ctx context.Context, log *slog.Logger) (*Stores, error) {
	s := &Stores{}
	if err := f.openStores(ctx, s, log); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (f *File) openStores(ctx context.Context, s *Stores, log *slog.Logger) (err error) {
	v, dir, tables := f.values, f.StoreDir(), f.tables()
	if s.shared, err = f.openTables(ctx, log); err != nil {
		return err
	}
	if dir != "" {
		s.store, err = local.Open(ctx, local.Config{
			Dir: dir, CacheBytes: v.Int("cache", "disk"), Backlog: v.Bool("jobs", "enabled") && tables.Queue == "", Logger: log,
		})
		if err != nil {
			return fmt.Errorf("store.dir: %w", err)
		}
	}
	if dir == "" && tables.Queue+tables.Cache == "" {
		return nil
	}
	if s.keys, err = f.keyring(ctx, dir, s.keyStore(tables)); err != nil {
		return err
	}
	if v.Bool("cache", "enabled") && v.Bool("cache", "persist") && (dir != "" || tables.Cache != "") {
		s.cache = &cache.Persistent{Keys: s.keys, Timeout: f.storeTimeout(tables.Cache != ""), Buffer: v.Int("cache", "write_buffer")}
		if tables.Cache != "" {
			records := s.shared.Cache()
			s.cache.Store, s.cache.Journal, s.cache.Follow = records, records, f.FleetInterval()
		} else {
			s.cache.Store, s.cache.Journal = s.store.Answers, s.store.Answers
		}
	}
	if !v.Bool("jobs", "enabled") || dir == "" && tables.Queue == "" {
		return nil
	}
	s.jobs = forebay.Jobs{Keys: s.keys}
	if tables.Queue != "" {
		s.jobs.Store = s.shared.Backlog()
	} else {
		s.jobs.Store = s.store.Backlog
	}
	s.jobs.Hooks, err = f.hooks(s.keys)
	return err
}

// keyStore is where the data keys are: with what is sealed under them that is shared, else in the directory.
func (s *Stores) keyStore(t dynamo.Config) envelope.KeyStore {
	if t.Queue+t.Cache != "" {
		return s.shared.Keys()
	}
	return s.store.Keys
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
	dir, file := f.path("store", "dir"), f.path("store", "key_file")
	if dir == "" && (file == "" || f.tables().Control == "") || f.values.Secret("store", "master_key").Reveal() != "" {
		return ""
	}
	return cmp.Or(file, filepath.Join(dir, masterKeyFile))
}

// Attach lets the client of cfg use the stores.
func (s *Stores) Attach(cfg *forebay.Config) {
	cfg.Cache.Persistent = s.cache
	cfg.Jobs.Store, cfg.Jobs.Keys, cfg.Jobs.Hooks = s.jobs.Store, s.jobs.Keys, s.jobs.Hooks
}

// Log is where the log of calls, series and alarms are kept; nil where nothing is stored.
func (s *Stores) Log() local.Log {
	if s.store == nil {
		return nil
	}
	return s.store.Log
}

// Ledger is where the books are kept; nil where nothing is stored.
func (s *Stores) Ledger() ledger.Store {
	if s.shared != nil {
		if books := s.shared.Ledger(); books != nil {
			return books
		}
	}
	if s.store == nil {
		return nil
	}
	return s.store.Ledger
}

// Tables are the tables that gateways share; nil where there are none.
func (s *Stores) Tables() *dynamo.Store { return s.shared }

// Fleet is where gateways meet that share tables; nil where there are none.
func (s *Stores) Fleet() fleet.Store {
	if s.shared == nil {
		return nil
	}
	return s.shared.Control()
}

// FleetInterval is how often they meet.
func (f *File) FleetInterval() time.Duration {
	return f.values.Duration("store", "dynamodb", "interval")
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
	var err error
	if s.store != nil {
		err = s.store.Close()
	}
	if s.shared != nil {
		err = errors.Join(err, s.shared.Close())
	}
	return err
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
