package ledger

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/llm"
)

// Driver is what shared costs are divided by. The set is closed.
type Driver string

// The drivers.
const (
	// ByRequests divides by the number of calls.
	ByRequests Driver = "requests"
	// ByTokens divides by the tokens of models, those of prompts and of answers alike.
	ByTokens Driver = "tokens"
	// ByCompute divides by the cost of computing that Track was told: by GB-seconds, where these have one price.
	ByCompute Driver = "compute"
	// ByWeights divides by numbers from elsewhere, such as GB-seconds: see Allocation.Weights.
	ByWeights Driver = "weights"
)

// Allocation asks how a shared cost is divided.
type Allocation struct {
	From, To time.Time // as in Query
	// MicroUSD is the cost, in micro-dollars.
	MicroUSD int64
	// By says who bears it: one dimension.
	By     Dimension
	Driver Driver
	// Weights are the numbers of each value of By, where Driver is ByWeights.
	Weights map[string]int64
}

// Share is one part of a shared cost.
type Share struct {
	Name     string `json:"name"`
	Driver   int64  `json:"driver"` // requests, tokens, micro-dollars of computing, or as it was given
	MicroUSD int64  `json:"micro_usd"`
}

// Allocate divides total by the numbers of driver, so that the parts add up to exactly
// total: each is its exact share cut to a whole number, and what is left goes, one by
// one, to those whose cut was largest (the method of the largest remainder), of equal ones to the first
// by name. Numbers below zero count as zero. Where none is above zero, all of it goes to "other".
// A total below zero is divided like its opposite.
func Allocate(total int64, driver map[string]int64) map[string]int64 {
	sum := new(big.Int)
	for _, n := range driver {
		sum.Add(sum, big.NewInt(max(n, 0)))
	}
	if sum.Sign() == 0 {
		return map[string]int64{cost.Other: total}
	}
	type remainder struct {
		name string
		left *big.Int
	}
	whole := new(big.Int).Abs(big.NewInt(total))
	rest := new(big.Int).Set(whole)
	parts := make(map[string]int64, len(driver))
	var cuts []remainder
	for _, name := range slices.Sorted(maps.Keys(driver)) {
		product := new(big.Int).Mul(whole, big.NewInt(max(driver[name], 0)))
		part, left := product.QuoRem(product, sum, new(big.Int))
		rest.Sub(rest, part)
		parts[name] = new(big.Int).Mul(part, big.NewInt(int64(cmp.Compare(total, 0)))).Int64()
		cuts = append(cuts, remainder{name, left})
	}
	slices.SortStableFunc(cuts, func(a, b remainder) int { return b.left.Cmp(a.left) })
	for i := range rest.Int64() { // fewer than there are parts
		parts[cuts[i].name] += int64(cmp.Compare(total, 0))
	}
	return parts
}

// Allocated divides a shared cost by what the books say of a time, the largest part first.
// The parts add up to exactly a.MicroUSD. The errors are those of Spend.
func (l *Ledger) Allocated(ctx context.Context, a Allocation) ([]Share, error) {
	driver := a.Weights
	if a.Driver != ByWeights {
		of, err := a.Driver.of()
		if err != nil {
			return nil, err
		}
		rows, err := l.Spend(ctx, Query{From: a.From, To: a.To, By: []Dimension{a.By}, Limit: -1})
		if err != nil {
			return nil, err
		}
		driver = make(map[string]int64, len(rows))
		for i := range rows {
			driver[rows[i].Value(a.By)] += max(of(&rows[i].Amounts), 0)
		}
	}
	var shares []Share
	for name, part := range Allocate(a.MicroUSD, driver) {
		shares = append(shares, Share{Name: name, Driver: max(driver[name], 0), MicroUSD: part})
	}
	slices.SortFunc(shares, func(a, b Share) int {
		return cmp.Or(cmp.Compare(b.MicroUSD, a.MicroUSD), cmp.Compare(b.Driver, a.Driver), cmp.Compare(a.Name, b.Name))
	})
	return shares, nil
}

// of is what the driver counts.
func (d Driver) of() (func(*Amounts) int64, error) {
	switch d {
	case ByRequests:
		return func(a *Amounts) int64 { return a.Calls }, nil
	case ByTokens:
		return func(a *Amounts) int64 {
			return addUp(addUp(addUp(a.Usage.Input, a.Usage.Output), a.Usage.CacheRead), a.Usage.CacheWrite)
		}, nil
	case ByCompute:
		return func(a *Amounts) int64 { return a.ComputeMicroUSD }, nil
	}
	return nil, &llm.Error{
		Kind: llm.CallerInvalidRequest, Param: "driver", Message: fmt.Sprintf("%.40q is not a driver", d),
		Fix: fmt.Sprintf("Use %s, %s, %s or %s.", ByRequests, ByTokens, ByCompute, ByWeights),
	}
}

// Value is the part of an account that a dimension names: a day as 2026-11-22, a month as 2026-11.
func (a Account) Value(d Dimension) string {
	switch d {
	case ByDay:
		return a.Day.UTC().Format(time.DateOnly)
	case ByMonth:
		return a.Day.UTC().Format("2006-01")
	case ByTenant:
		return a.Tenant
	case ByUser:
		return a.User
	case ByKey:
		return a.Key
	case ByOperation:
		return a.Operation
	case ByProvider:
		return a.Provider
	case ByModel:
		return a.Model
	}
	return ""
}
