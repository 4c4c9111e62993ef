package ledger

import (
	"context"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Saving is how money was saved. It stands where a provider's name does in the books: it
// is what answered in the provider's place. The set is closed.
type Saving string

// The savings.
const (
	// ByCache is an answer that was there already.
	ByCache Saving = "forebay:cache"
	// BySharing is an answer of a call that somebody else had in progress.
	BySharing Saving = "forebay:shared"
	// ByCheaperModel is an answer of a cheaper model than the one that was asked for: what is saved
	// is the difference.
	ByCheaperModel Saving = "forebay:cheaper-model"
)

// Savings lists all ways to save.
func Savings() []Saving { return []Saving{ByCache, BySharing, ByCheaperModel} }

// Saved books answers that did not have to be paid: what they would have cost, in
// micro-dollars, and their number. A zero day is today. It counts as saved by the
// cache, unless a.Provider is one of Savings: see SavedBy. Calls are counted by Settle. Amounts below zero count as zero.
func (l *Ledger) Saved(a Account, microUSD, hits int64) {
	now := time.Now()
	a = a.booked(now)
	sum := Amounts{Hits: max(hits, 0), SavedMicroUSD: max(microUSD, 0)}
	if sum == (Amounts{}) {
		return
	}
	l.mu.Lock()
	dropped, first := l.bookLocked(a, sum, now)
	l.mu.Unlock()
	l.booked(dropped, first)
}

// SavedBy is Saved with the way in which it was saved, which takes the place of a's provider.
func (l *Ledger) SavedBy(s Saving, a Account, microUSD, hits int64) {
	a.Provider = string(s)
	l.Saved(a, microUSD, hits)
}

// Track books costs of a user's work beyond those of calls through Forebay, in
// micro-dollars: of models, of computing and of storage (the specification's trackCostMetrics). A zero day is
// today. Those of models count against budgets. An amount below zero gives an *llm.Error of kind
// CallerInvalidRequest, and books nothing.
func (l *Ledger) Track(a Account, ai, compute, storage int64) error {
	for _, part := range []struct {
		name  string
		value int64
	}{{"ai_usd", ai}, {"compute_usd", compute}, {"storage_usd", storage}} {
		if part.value < 0 {
			return &llm.Error{
				Kind: llm.CallerInvalidRequest, Param: part.name, Message: "a cost is below zero", Fix: "Send amounts of zero and above.",
			}
		}
	}
	now := time.Now()
	a = a.booked(now)
	sum := Amounts{MicroUSD: ai, ComputeMicroUSD: compute, StorageMicroUSD: storage}
	if sum == (Amounts{}) {
		return nil
	}
	l.mu.Lock()
	dropped, first := l.bookLocked(a, sum, now)
	l.mu.Unlock()
	if l.budgets != nil {
		l.budgets.SettleFor(owner(&a), ai, a.Day)
	}
	l.booked(dropped, first)
	return nil
}

// Erase removes a user's name from the books: its sums move to the user "erased". What was booked
// before it is written first, so that it is all of it; what calls in progress cost is booked later, under the
// user's name. Budgets in memory keep it until their period ends, so that nobody gets rid of what was
// spent. The error is an *llm.Error.
func (l *Ledger) Erase(ctx context.Context, tenant, user string) error {
	if user == "" {
		return &llm.Error{Kind: llm.CallerInvalidRequest, Param: "user", Message: "no user is named", Fix: "Name the user whose sums are to lose their name."}
	}
	if err := l.gate.write(ctx); err != nil {
		return unavailable("the books are in use", err)
	}
	defer l.gate.doneWriting()
	if err := l.postGated(ctx); err != nil {
		return unavailable("the last bookings were not written", err)
	}
	l.mu.Lock()
	for w := range l.watches {
		w.dirty = true
	}
	l.mu.Unlock()
	if err := l.store.ErasePostings(ctx, name(tenant), name(user)); err != nil {
		return unavailable("the books were not changed", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.others.erase(name(tenant), name(user), &l.pending)
	return nil
}

// booked is the account as it is booked.
func (a Account) booked(now time.Time) Account {
	if a.Day.IsZero() {
		a.Day = now
	}
	return Account{
		Day: dayOf(a.Day), Tenant: name(a.Tenant), User: name(a.User), Key: name(a.Key), Operation: operation(a.Operation),
		Provider: name(a.Provider), Model: name(a.Model),
	}
}
