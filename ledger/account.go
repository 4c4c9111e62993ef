package ledger

import (
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/llm"
)

// maxNameBytes bounds each part of an account's name, as in package cost.
const maxNameBytes = 256

// defaultOperation is how calls are booked that name no operation, as in metrics.
const defaultOperation = "default"

// name is a part of an account as it is booked: valid UTF-8, and Other where it is too long.
func name(part string) string {
	switch {
	case len(part) > maxNameBytes:
		return cost.Other
	case !utf8.ValidString(part):
		return strings.ToValidUTF8(part, "\uFFFD")
	}
	return part
}

func operation(part string) string {
	if part == "" {
		return defaultOperation
	}
	return name(part)
}

// nameless is the account of what lost its names.
func nameless(now time.Time) Account {
	return Account{
		Day: dayOf(now), Tenant: cost.Other, User: cost.Other, Key: cost.Other, Operation: cost.Other,
		Provider: cost.Other, Model: cost.Other,
	}
}

// dayOf is the midnight, in UTC, before or at t.
func dayOf(t time.Time) time.Time {
	year, month, day := t.UTC().Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// owner is whose call it is, as budgets know it.
func owner(a *Account) budget.Account {
	return budget.Account{Tenant: a.Tenant, Key: a.Key, User: a.User, Operation: a.Operation}
}

// clone copies the names, which may be slices of a request.
func (a Account) clone() Account {
	a.Tenant, a.User, a.Key, a.Operation = strings.Clone(a.Tenant), strings.Clone(a.User), strings.Clone(a.Key), strings.Clone(a.Operation)
	a.Provider, a.Model = strings.Clone(a.Provider), strings.Clone(a.Model)
	return a
}

// Add adds b to a, member by member. What is negative counts as zero, and sums stick at the largest value.
func (a *Amounts) Add(b Amounts) {
	a.Calls = addUp(a.Calls, b.Calls)
	a.Usage = llm.Usage{
		Input: addUp(a.Usage.Input, b.Usage.Input), Output: addUp(a.Usage.Output, b.Usage.Output),
		CacheRead: addUp(a.Usage.CacheRead, b.Usage.CacheRead), CacheWrite: addUp(a.Usage.CacheWrite, b.Usage.CacheWrite),
	}
	a.MicroUSD = addUp(a.MicroUSD, b.MicroUSD)
	a.ComputeMicroUSD = addUp(a.ComputeMicroUSD, b.ComputeMicroUSD)
	a.StorageMicroUSD = addUp(a.StorageMicroUSD, b.StorageMicroUSD)
	a.Hits = addUp(a.Hits, b.Hits)
	a.SavedMicroUSD = addUp(a.SavedMicroUSD, b.SavedMicroUSD)
	a.EstimatedMicroUSD = addUp(a.EstimatedMicroUSD, b.EstimatedMicroUSD)
}

// Total is what was paid: models, compute and storage, in micro-dollars.
func (a Amounts) Total() int64 {
	return addUp(addUp(max(a.MicroUSD, 0), a.ComputeMicroUSD), a.StorageMicroUSD)
}

// addUp adds b, or nothing if it is negative, and sticks at the largest value.
func addUp(a, b int64) int64 {
	if b <= 0 {
		return a
	}
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
