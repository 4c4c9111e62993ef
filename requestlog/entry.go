package requestlog

import (
	"context"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Entry is one finished call.
type Entry struct {
	// Seq orders entries: the store gives each a number above all before. 0 until then.
	Seq int64 `json:"seq"`
	// ID is the call's request id; not necessarily unique, since callers may bring it.
	ID string `json:"id"`
	// Start is when the call arrived.
	Start time.Time `json:"start"`

	Tenant    string `json:"tenant"`
	User      string `json:"user,omitempty"`
	Key       string `json:"key,omitempty"` // the name of the caller's key
	Operation string `json:"operation"`     // as a metric label: configured, or "default"
	Persona   string `json:"persona,omitempty"`
	Endpoint  string `json:"endpoint"`
	// Model is what was asked for, in the name of configuration.
	Model    string `json:"model"`
	Priority string `json:"priority"`
	Stream   bool   `json:"stream,omitempty"`
	Job      bool   `json:"job,omitempty"` // it ran as a durable job

	// Provider, Answered and Region say who answered; empty where nobody did.
	Provider string `json:"provider,omitempty"`
	Answered string `json:"answered,omitempty"` // the provider's own name of the model
	Region   string `json:"region,omitempty"`

	// Outcome is in the words of package monitor, ErrorType an llm.Kind or empty.
	Outcome   string   `json:"outcome"`
	ErrorType llm.Kind `json:"error_type,omitempty"`
	// Cache is the status, CacheReason why there was no hit, CacheDetail what is special
	// about a hit, Stored whether the answer was kept.
	Cache       string `json:"cache"`
	CacheReason string `json:"cache_reason,omitempty"`
	CacheDetail string `json:"cache_detail,omitempty"`
	Stored      bool   `json:"stored,omitempty"`
	CacheKey    string `json:"cache_key,omitempty"` // hexadecimal; empty where there was none
	Fallback    string `json:"fallback,omitempty"`
	Template    string `json:"template,omitempty"`

	// Duration is the whole call. The others are parts of it, from its start on: Lookup
	// the look-up in the cache, Queue all waiting for slots, Upstream from the last
	// attempt's start to its first chunk, FirstToken from the arrival to the first
	// useful chunk, Overhead what Forebay added.
	Duration   time.Duration `json:"duration_ns"`
	Lookup     time.Duration `json:"lookup_ns,omitempty"`
	Queue      time.Duration `json:"queue_ns,omitempty"`
	Upstream   time.Duration `json:"upstream_ns,omitempty"`
	FirstToken time.Duration `json:"first_token_ns,omitempty"`
	Overhead   time.Duration `json:"overhead_ns,omitempty"`

	Usage     llm.Usage `json:"usage"`
	Estimated bool      `json:"estimated,omitempty"`
	// MicroUSD is the price of all attempts, SavedMicroUSD what a hit or a shared call
	// did not cost; in millionths of a dollar.
	MicroUSD      int64 `json:"micro_usd"`
	SavedMicroUSD int64 `json:"saved_micro_usd,omitempty"`

	// Trace is the W3C traceparent of the call, with the span that its answer named;
	// TraceParent that of the caller. Both may be empty.
	Trace       string `json:"trace,omitempty"`
	TraceParent string `json:"trace_parent,omitempty"`

	Attempts []Attempt `json:"attempts,omitempty"`
}

// Attempt is one call of a provider.
type Attempt struct {
	Target string `json:"target"` // provider/model
	Region string `json:"region,omitempty"`
	// Start is when it began, counted from the call's start; Waited how long it waited
	// for a slot before that; Duration to its end.
	Start      time.Duration `json:"start_ns"`
	Waited     time.Duration `json:"waited_ns,omitempty"`
	Duration   time.Duration `json:"duration_ns"`
	FirstToken time.Duration `json:"first_token_ns,omitempty"` // from its own start
	ErrorType  llm.Kind      `json:"error_type,omitempty"`
}

// Lost is the time of those attempts that failed.
func Lost(attempts []Attempt) (d time.Duration) {
	for i := range attempts {
		if attempts[i].ErrorType != "" {
			d += attempts[i].Duration
		}
	}
	return d
}

// Filter chooses entries. Zero members choose all.
type Filter struct {
	From, To                            time.Time // of Start; To is exclusive
	Tenant, User, Key, Operation, Model string
	Provider, Outcome, ErrorType, Cache string
	Fallback, ID                        string
	MinDuration                         time.Duration
	MinMicroUSD                         int64
	// Failed chooses those whose outcome is error or refused.
	Failed bool
}

// Query asks for a page of entries, newest first.
type Query struct {
	Filter
	// Before is the Seq of the last entry of the page before; 0 begins with the newest.
	Before int64
	// Limit bounds the page: 1 to 500; 0 means 50.
	Limit int
}

// Page is the answer to a Query.
type Page struct {
	Entries []Entry
	// Next is Query.Before of the next page; 0 where this is the last. A page may have
	// fewer entries than its limit, or none, and still not be the last: a store looks
	// through a bounded number of entries for each page.
	Next int64
}

// ErasedUser is the user of entries whose user was erased.
const ErasedUser = "erased"

// Store keeps entries. Its methods may be called concurrently.
type Store interface {
	// AppendRequests keeps entries, all or none, in their order, and sets their Seq.
	AppendRequests(ctx context.Context, entries []Entry) error
	// Requests returns a page. Attempts are left out of it.
	Requests(ctx context.Context, q Query) (Page, error)
	// Request returns the entry with this Seq, attempts included; false for none.
	Request(ctx context.Context, seq int64) (Entry, bool, error)
	// PruneRequests removes entries that started before t, and the oldest beyond keep
	// (negative: no bound). It returns how many.
	PruneRequests(ctx context.Context, t time.Time, keep int64) (int64, error)
	// EraseRequests gives the entries of a tenant's user the user ErasedUser. Where it
	// fails, some of them may have it already, and to call it again is enough.
	EraseRequests(ctx context.Context, tenant, user string) error
}
