//go:build !lambda.norpc

package local

import (
	"context"

	"github.com/forebay-ai/forebay/store/sqlite"
)

// Open opens the store, which is SQLite.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s, err := sqlite.Open(ctx, sqlite.Config{Dir: cfg.Dir, CacheBytes: cfg.CacheBytes, Backlog: cfg.Backlog, Log: true, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	store := &Store{Answers: s.Cache(), Keys: s.Keys(), Ledger: s.Ledger(), Log: s.Log(), Close: s.Close}
	if cfg.Backlog {
		store.Backlog = s.Backlog()
	}
	return store, nil
}
