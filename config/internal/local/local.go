// Package local opens the embedded store for the configuration. The build for Lambda has
// none: its disk does not outlast a function's environment, and the engine is a fifth of
// the binary.
package local

import (
	"log/slog"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/series"
)

// Config says what to open.
type Config struct {
	// Dir is the directory of the store; it belongs to one process.
	Dir string
	// CacheBytes bounds the answers on disk.
	CacheBytes int64
	// Backlog opens the durable jobs too.
	Backlog bool
	// Logger gets what is found damaged. Nil means no log.
	Logger *slog.Logger
}

// Answers keeps answers and invalidations.
type Answers interface {
	cache.Store
	cache.Journal
}

// Log keeps calls, series and alarms.
type Log interface {
	requestlog.Store
	series.Store
	alarm.Store
}

// Store is an open store. What it has not opened is nil.
type Store struct {
	Answers Answers
	Keys    envelope.KeyStore
	Backlog backlog.Store
	Ledger  ledger.Store
	Log     Log
	// Close frees the directory, after all that uses the store has ended.
	Close func() error
}
