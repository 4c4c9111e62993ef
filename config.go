package forebay

import (
	"context"
	"log/slog"
	"time"

	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/queue"
	"github.com/forebay-ai/forebay/similar"
)

// Config is everything that a Client needs. Zero values mean the defaults that
// each field states; New reports every fault at once and starts nothing.
type Config struct {
	// Providers are the back ends, by the name that targets use. At least one,
	// unless the client only runs functions (Process).
	Providers map[string]llm.Provider
	// Models says what a caller may ask for and who answers. The name "*" stands
	// for every model that is not named.
	Models map[string]Model
	// Operations are the named kinds of calls. A call without an operation uses Defaults.
	Operations map[string]Operation
	// Defaults fills what an operation leaves at zero, and is the operation of
	// calls that name none.
	Defaults Operation

	Cache   cache.Config
	Similar similar.Config // of the index of similar requests, where an operation has one
	Queue   queue.Config
	Limits  limit.Config
	Breaker breaker.Config
	Retry   Retry
	Degrade degrade.Config
	Jobs    Jobs // none unless it has a store

	// Monitor records what happens. Nil means one of the client's own.
	Monitor *monitor.Monitor
	// Ledger keeps what calls cost. Nil means one in memory.
	Ledger Ledger
	// Privacy inspects calls for personal data. Nil means no inspection.
	Privacy Privacy
	// Auditor is told of every change that an operator makes. Nil means no audit.
	Auditor Auditor
	// Logger gets warnings and errors of the request path, never prompts or
	// answers. Nil means no log.
	Logger *slog.Logger
}

// Model is a name that callers may ask for.
type Model struct {
	// Targets are tried in this order. At least one.
	Targets []Target
}

// Target is one place where a model runs: the unit of limits and breakers.
type Target struct {
	// Provider is a name in Config.Providers.
	Provider string
	// Model is the provider's own name of the model. Empty means the name that
	// the caller asked for.
	Model string
	// Family says whose answers are interchangeable: answers of the same model and
	// family share cache entries. Empty means the provider's name.
	Family string
	// Price is what the target charges. The zero price counts tokens and costs nothing.
	Price cost.Price
}

// Operation is the configuration of one kind of call.
type Operation struct {
	// Model is used where the call names none; a name in Config.Models.
	Model string
	// Deadline bounds the whole call: waiting, attempts and fallbacks. Zero means
	// the default operation's, and 45 s there (DEFAULT_TIMEOUT_MS).
	Deadline time.Duration
	// Cache says whether and for whom answers are kept.
	Cache CachePolicy
	// Fallback lists what is tried, in order, when every target failed. Nil means
	// the default operation's, and degrade.Error alone there: who asked for a model
	// and nothing else gets an honest error rather than a prepared text.
	Fallback []degrade.Strategy
	// Prompt is the system prompt of POST /v1/operations/{operation}.
	Prompt string
	// PromptVersion is part of the cache key, so that a new prompt gets new answers.
	PromptVersion string
}

// Retry bounds repeated attempts at one target. Waits between attempts grow
// exponentially from Base to Cap, each drawn uniformly from zero to that (full
// jitter), and a longer Retry-After of the provider is obeyed.
type Retry struct {
	// Max is the number of attempts after the first. -1 means none. Zero means 3 (MAX_RETRIES).
	Max int
	// Budget is the share of calls that may be repeated, over all calls of a
	// target: 0.1 lets retries add a tenth. Zero means 0.1; negative means no budget.
	Budget float64
	// Base is the first wait. Zero means 100 ms.
	Base time.Duration
	// Cap bounds each wait. Zero means 5 s.
	Cap time.Duration
}

// Ledger keeps what calls cost. Reserve runs before the call. Settle runs after
// it, for every call: a call that reached no target has no usage. Usage and price of
// an attempt are settled exactly once, for the caller that caused it, also when that
// caller has left and others take the answer. Both are called on the request's path and must not block on I/O.
type Ledger interface {
	// Reserve refuses the call with an *llm.Error of kind PolicyBudgetExceeded, or
	// lets it pass.
	Reserve(ctx context.Context, req *llm.Request) error
	// Settle books what the call used.
	Settle(cost.Record)
}

// Privacy inspects a call before anything else sees it.
type Privacy interface {
	// Inspect returns the request to go on with (the same, or a redacted copy), or
	// an *llm.Error of kind PolicyBlocked.
	Inspect(ctx context.Context, req *llm.Request) (*llm.Request, error)
}

// Auditor records an operator's change before it takes effect. An error stops the change.
type Auditor interface {
	Audit(ctx context.Context, actor, action string, details map[string]string) error
}
