package ledger

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// Analysis compares what was paid with what it would have been without optimisation, in
// micro-dollars: the specification's cost analysis, from what was booked.
type Analysis struct {
	From time.Time `json:"from"` // days; To is exclusive
	To   time.Time `json:"to"`
	// WithMicroUSD is what was paid: models, compute and storage.
	WithMicroUSD int64 `json:"with_micro_usd"`
	// WithoutMicroUSD is that and what was saved.
	WithoutMicroUSD int64 `json:"without_micro_usd"`
	SavedMicroUSD   int64 `json:"saved_micro_usd"`
	// Share is the saved part of what it would have been, 0 to 1.
	Share float64 `json:"share"`

	// What was paid, by what for.
	ModelsMicroUSD  int64 `json:"models_micro_usd"`
	ComputeMicroUSD int64 `json:"compute_micro_usd"`
	StorageMicroUSD int64 `json:"storage_micro_usd"`
	// EstimatedMicroUSD is the part of ModelsMicroUSD that rests on estimated usage.
	EstimatedMicroUSD int64 `json:"estimated_micro_usd"`

	// What was saved, by what.
	CacheMicroUSD   int64 `json:"cache_micro_usd"`
	SharedMicroUSD  int64 `json:"shared_micro_usd"`
	CheaperMicroUSD int64 `json:"cheaper_model_micro_usd"`

	Calls int64 `json:"calls"`
	Hits  int64 `json:"hits"`
	// Users counts those for whom something was booked; 0 where it was not asked for.
	Users int64 `json:"users"`
}

// Analyse adds up rows, which have to be grouped by provider for the parts of what was
// saved to be told apart: without that, all of it counts as saved by the cache.
func Analyse(rows []Row) Analysis {
	var a Analysis
	var all Amounts
	for i := range rows {
		r := &rows[i]
		all.Add(r.Amounts)
		saved := &a.CacheMicroUSD
		switch Saving(r.Provider) {
		case BySharing:
			saved = &a.SharedMicroUSD
		case ByCheaperModel:
			saved = &a.CheaperMicroUSD
		}
		*saved = addUp(*saved, r.SavedMicroUSD)
	}
	a.ModelsMicroUSD, a.ComputeMicroUSD, a.StorageMicroUSD = all.MicroUSD, all.ComputeMicroUSD, all.StorageMicroUSD
	a.EstimatedMicroUSD, a.Calls, a.Hits = all.EstimatedMicroUSD, all.Calls, all.Hits
	a.WithMicroUSD, a.SavedMicroUSD = all.Total(), all.SavedMicroUSD
	a.WithoutMicroUSD = addUp(a.WithMicroUSD, a.SavedMicroUSD)
	if a.WithoutMicroUSD > 0 {
		a.Share = float64(a.SavedMicroUSD) / float64(a.WithoutMicroUSD)
	}
	return a
}

// Analyse compares, for a time and, where it is not empty, a tenant, what was paid with what it would have been.
// The errors are those of Spend.
func (l *Ledger) Analyse(ctx context.Context, from, to time.Time, tenant string) (Analysis, error) {
	q, err := Query{From: from, To: to, Tenant: tenant, By: []Dimension{ByProvider}, Limit: -1}.checked()
	if err != nil {
		return Analysis{}, err
	}
	rows, err := l.Spend(ctx, q)
	if err != nil {
		return Analysis{}, err
	}
	a := Analyse(rows)
	a.From, a.To = q.From, q.To
	q.By = []Dimension{ByTenant, ByUser}
	if rows, err = l.Spend(ctx, q); err != nil {
		return Analysis{}, err
	}
	for i := range rows {
		if rows[i].User != "" {
			a.Users++
		}
	}
	return a, nil
}

// Text is the analysis as a table. show writes an amount of micro-dollars, such as in
// another currency; nil means dollars.
func (a Analysis) Text(show func(microUSD int64) string) string {
	if show == nil {
		show = func(microUSD int64) string { return "$" + dollars(microUSD) }
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(name string, microUSD int64) { fmt.Fprintf(w, "%s\t%s\n", name, show(microUSD)) }
	if !a.From.IsZero() && !a.To.IsZero() {
		fmt.Fprintf(w, "from %s to %s, %d calls\n\n", a.From.Format(time.DateOnly), a.To.AddDate(0, 0, -1).Format(time.DateOnly), a.Calls)
	}
	line("models", a.ModelsMicroUSD)
	line("compute", a.ComputeMicroUSD)
	line("storage", a.StorageMicroUSD)
	line("with optimisation", a.WithMicroUSD)
	line("saved by the cache", a.CacheMicroUSD)
	line("saved by shared calls", a.SharedMicroUSD)
	line("saved by cheaper models", a.CheaperMicroUSD)
	line("without optimisation", a.WithoutMicroUSD)
	fmt.Fprintf(w, "reduction\t%.1f %%\n", 100*a.Share)
	if a.Users > 0 {
		line(fmt.Sprintf("per user (%d)", a.Users), a.WithMicroUSD/a.Users)
	}
	if a.EstimatedMicroUSD > 0 {
		line("of it estimated", a.EstimatedMicroUSD)
	}
	_ = w.Flush() // into memory: it cannot fail
	return b.String()
}

// dollars writes micro-dollars as dollars: two decimals, or as many as it takes to be exact.
func dollars(microUSD int64) string {
	sign, abs := "", uint64(microUSD)
	if microUSD < 0 {
		sign, abs = "-", -abs
	}
	text := fmt.Sprintf("%d.%06d", abs/1_000_000, abs%1_000_000)
	for range 4 {
		text = strings.TrimSuffix(text, "0")
	}
	return sign + text
}
