package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Account is a row of the books: one day of one combination. Parts that are empty or too
// long are as package cost has them.
type Account struct {
	Day       time.Time `json:"day,omitzero"` // midnight UTC
	Tenant    string    `json:"tenant,omitempty"`
	User      string    `json:"user,omitempty"`
	Key       string    `json:"key,omitempty"`
	Operation string    `json:"operation,omitempty"`
	Provider  string    `json:"provider,omitempty"`
	Model     string    `json:"model,omitempty"`
}

// Amounts are what is summed up.
type Amounts struct {
	Calls int64     `json:"calls"`
	Usage llm.Usage `json:"usage"`
	// MicroUSD is the price of models, Compute and Storage what was told of those.
	MicroUSD        int64 `json:"micro_usd"`
	ComputeMicroUSD int64 `json:"compute_micro_usd,omitempty"`
	StorageMicroUSD int64 `json:"storage_micro_usd,omitempty"`
	// Hits counts calls that cost nothing because an answer was there or shared, and
	// Saved what they would have cost.
	Hits          int64 `json:"hits"`
	SavedMicroUSD int64 `json:"saved_micro_usd"`
	// Estimated is the part of MicroUSD that rests on estimated usage.
	EstimatedMicroUSD int64 `json:"estimated_micro_usd,omitempty"`
}

// Posting is one addition to an account.
type Posting struct {
	Account
	Amounts
}

// Hold is a reservation in progress, as it outlasts the process.
type Hold struct {
	ID string
	Account
	MicroUSD int64
	Expires  time.Time
}

// Batch is what is written at once.
type Batch struct {
	// ID names the batch. One that was not acknowledged is posted again, as it is, under the same ID, before
	// another one of the same Ledger. Empty means that it is not posted again.
	ID       string
	Postings []Posting
	Held     []Hold   // new reservations
	Released []string // those that were settled
}

// Dimension is what sums are grouped by. The set is closed.
type Dimension string

// The dimensions.
const (
	ByDay       Dimension = "day"
	ByMonth     Dimension = "month"
	ByTenant    Dimension = "tenant"
	ByUser      Dimension = "user"
	ByKey       Dimension = "key"
	ByOperation Dimension = "operation"
	ByProvider  Dimension = "provider"
	ByModel     Dimension = "model"
)

// Query asks for sums. Empty filters match all.
type Query struct {
	From, To                                      time.Time // days; To is exclusive
	Tenant, User, Key, Operation, Provider, Model string
	By                                            []Dimension
	// Groups asks for no groups but these: of each, the parts that are grouped by count. Nil means all. It is for
	// what a Ledger asks its Store; a Ledger itself ignores it.
	Groups []Account
	// Limit bounds the rows, most expensive first; 0 means 10,000.
	Limit int
}

// Row is one group: of Account, the parts that were grouped by are set.
type Row struct {
	Account
	Amounts
}

// RefusedError says that a batch was written but for some of its rows, which cannot be written, now or later: they
// are lost.
type RefusedError struct {
	Rows int // postings and reservations that were left out, above 0
	Err  error
}

// Error implements error.
func (e *RefusedError) Error() string { return fmt.Sprintf("%d rows were left out: %v", e.Rows, e.Err) }

// Unwrap gives why the first of them was.
func (e *RefusedError) Unwrap() error { return e.Err }

// Store keeps the books. Its methods may be called concurrently.
type Store interface {
	// Post writes a batch, all of it or nothing. A store that can not write that much at once may leave a part of it
	// written where it returns an error, and show a part while it writes; posted again under its ID the batch is then completed, and nothing of it counts twice. But what cannot be written for reasons of its own must not
	// keep the rest out for ever: a store that finds out leaves it out and returns a *RefusedError. Sums stick at the
	// largest value, as with Amounts.Add.
	Post(ctx context.Context, b Batch) error
	// Holds returns the reservations that were not released.
	Holds(ctx context.Context) ([]Hold, error)
	// Spend returns sums that stick at the largest value, in the order of CompareRows: the first q.Limit of them are those that count.
	Spend(ctx context.Context, q Query) ([]Row, error)
	// ErasePostings removes a user's name from the books: its sums move to the user "erased".
	ErasePostings(ctx context.Context, tenant, user string) error
}

// Sharer is what a Store has beside that several processes use at the same time: their reservations are none of an earlier
// process that died. Only such a store leaves a batch written in part.
type Sharer interface {
	// Abandoned takes over the reservations whose lease ended a minute or longer before now, because whoever made them
	// is gone, and returns them: each of them to one of all who ask. That one books it, and releases it with the batch that does; where
	// it does not within some ten minutes, because it is gone too, another one is given it.
	Abandoned(ctx context.Context, now time.Time) ([]Hold, error)
}
