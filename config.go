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
	"github.com/forebay-ai/forebay/pace"
	"github.com/forebay-ai/forebay/queue"
	"github.com/forebay-ai/forebay/route"
	"github.com/forebay-ai/forebay/similar"
	"github.com/forebay-ai/forebay/upstream"
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
	// Adaptive moves the bound of each target between 1 and its limit, by what the
	// target's answers show of its load.
	Adaptive limit.ControllerConfig
	Breaker  breaker.Config
	Retry    Retry
	Degrade  degrade.Config
	Jobs     Jobs // none unless it has a store

	// Monitor records what happens. Nil means one of the client's own: of Metrics, with
	// the names of operations, models, providers and targets filled in.
	Monitor *monitor.Monitor
	Metrics monitor.Config
	// Ledger keeps what calls cost. Nil means one in memory.
	Ledger Ledger
	// Privacy inspects calls for personal data. Nil means no inspection.
	Privacy Privacy
	// Auditor is told of every change that an operator makes. Nil means no audit.
	Auditor Auditor
	// Observer is told of every call. Nil means nobody.
	Observer Observer
	// Logger gets warnings and errors of the request path, never prompts or
	// answers. Nil means no log.
	Logger *slog.Logger
}

// Model is a name that callers may ask for.
type Model struct {
	// Strategy says which target is tried first: in the order of the list (the zero
	// value), by weight, the fastest or the cheapest. The others follow when it fails.
	Strategy route.Strategy
	// Targets are where the model runs: 1 to 64. The first one is the one whose answers
	// are stored in the cache.
	Targets []Target
}

// Target is one place where a model runs.
type Target = upstream.Place

// Operation is the configuration of one kind of call.
type Operation struct {
	// Model is used where the call names none; a name in Config.Models.
	Model string
	// Deadline bounds the whole call: waiting, attempts and fallbacks. Zero means
	// the default operation's, and 45 s there (DEFAULT_TIMEOUT_MS).
	Deadline time.Duration
	// Cache says whether and for whom answers are kept.
	Cache CachePolicy
	// Pace bounds the wait for a stream's first useful chunk, and from there on how
	// slow it may be. Zero values mean the default operation's.
	Pace pace.Config
	// Hold is how many useful chunks of a stream are held back before the first one is
	// passed on: until then a failing target is replaced unseen. HoldAll holds all of it,
	// up to 1 MiB, so that no broken stream is ever seen, at the price of the time to
	// the first token. Zero means the default operation's, and 1 there.
	Hold int
	// Residency is the area that calls must not leave, such as eu. Empty means the
	// default operation's. Calls may ask for one of their own beside it.
	Residency string
	// Simplified is what the fallback "simplified" asks. The zero value means the
	// default operation's.
	Simplified Simplified
	// Fallback lists what is tried, in order, when every target failed. Nil means
	// the default operation's, and degrade.Error alone there: who asked for a model
	// and nothing else gets an honest error rather than a prepared text.
	Fallback []degrade.Strategy
	// Prompt is the system prompt of POST /v1/operations/{operation}.
	Prompt string
	// PromptVersion is part of the cache key, so that a new prompt gets new answers.
	PromptVersion string
}

// HoldAll is the value of Operation.Hold that holds a whole stream back.
const HoldAll = -1

// Simplified is a lesser answer than the one that was asked for. See Client.Simplify
// for answers of the caller's own.
type Simplified struct {
	// Model is asked in place of the call's; a name in Config.Models. Empty means no
	// other model: with MaxTokens, the same one is asked for less.
	Model string
	// MaxTokens bounds the answer. Zero means as the call says.
	MaxTokens int
}

// Retry bounds repeated attempts. A call goes to each fit target once, without a
// pause; then attempts are repeated at the one that is fit best. Waits between attempts grow
// exponentially from Base to Cap, each drawn uniformly from zero to that (full
// jitter), and a longer Retry-After of the provider is obeyed.
type Retry struct {
	// Max is the number of repeated attempts of one call. -1 means none. Zero means 3 (MAX_RETRIES).
	Max int
	// Budget is the share of calls that may be repeated, over all calls of a target and
	// again over all calls of a tenant: 0.1 lets retries add a tenth. Zero means 0.1;
	// negative means no budget.
	Budget float64
	// Base is the first wait. Zero means 100 ms.
	Base time.Duration
	// Cap bounds each wait. Zero means 5 s.
	Cap time.Duration
}

// Ledger keeps what calls cost. One that also has the method ReserveOrDegrade(ctx,
// *llm.Request) (bool, error) is asked that in Reserve's place, and answers whether the
// call should get its operation's simplified answer. Reserve runs before the call, unless the
// cache has its answer. Settle runs after it, for every call: one that reached no target has no usage.
// Usage and price of an attempt are settled exactly once, for the caller that caused it, also when
// that caller has left and others take the answer. Both are called on the request's path and must not
// block on I/O.
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
