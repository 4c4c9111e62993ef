package tables

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/cost/prices"
)

// Difference is one amount of a table that the result does not have.
type Difference struct {
	// Table and Key are the table and the model's name in it, with provider and region.
	Table, Key string
	// What is the field, with the tier and the length of the prompt where they matter, and
	// the day from which on it holds.
	What string
	// Theirs and Ours are micro-dollars per million tokens.
	Theirs, Ours int64
}

// String is the difference on one line.
func (d Difference) String() string {
	return fmt.Sprintf("%s %s %s: %d, here %d", d.Table, d.Key, d.What, d.Theirs, d.Ours)
}

// Compare lists every amount that a table says and that t does not have, in order: for
// genai-prices at each of its dates, for the others at the table's own. A model that t
// does not know is a difference of the field "input", with -1 for ours.
func Compare(t *prices.Table, s *Set) []Difference {
	var all []Difference
	for _, id := range IDs(s) {
		for _, q := range [...]*Quote{s.GenAI.ForScope(id.Provider, id.ID, id.Scope()), s.LiteLLM[id.Key], s.Portkey[id.Key]} {
			if q == nil || len(q.Steps) == 0 {
				continue
			}
			tariff, _, ok := t.Lookup(id.Provider, id.ID, id.Region)
			if !ok {
				all = append(all, Difference{q.Table, id.Key, "no such model", 0, -1})
				continue
			}
			all = append(all, compareQuote(tariff, id.Key, q)...)
		}
	}
	slices.SortFunc(all, func(a, b Difference) int {
		return slices.Compare([]string{a.Table, a.Key, a.What}, []string{b.Table, b.Key, b.What})
	})
	return slices.CompactFunc(all, func(a, b Difference) bool { return a == b })
}

func compareQuote(ours *cost.Tariff, key string, q *Quote) []Difference {
	var all []Difference
	for _, tier := range cost.Tiers() {
		steps := q.Steps
		if tier != cost.Standard {
			steps = q.Variants[tier]
		}
		for i, s := range steps {
			at := DateOf(q.Table)
			when := ""
			if len(steps) > 1 {
				at = lastDay(steps, i)
				when = " until " + at.Format(time.DateOnly)
				if i == len(steps)-1 {
					when = " from " + s.From.Format(time.DateOnly)
				}
			}
			if tier != cost.Standard && !ours.Has(tier) {
				all = append(all, Difference{q.Table, key, "no tier " + string(tier), 0, -1})
				continue
			}
			all = append(all, compareBands(ours.For(tier), q.Table, key, place{tier, when, at}, s.Bands)...)
		}
	}
	return all
}

// place is where amounts are compared.
type place struct {
	tier cost.Tier
	when string
	at   time.Time
}

// compareBands compares at the beginning of every band of either side.
func compareBands(ours cost.Tariff, table, key string, p place, theirs []Band) []Difference {
	var all []Difference
	lengths := lengthsOf(ours, theirs)
	if len(theirs) == 1 && len(lengths) > 1 {
		// The table knows no prices for longer prompts: one difference, and not one a field.
		longest := ours.PriceAt(p.at, lengths[len(lengths)-1])
		if longest != ours.PriceAt(p.at, 1) {
			all = append(all, Difference{table, key, string(p.tier) + " longer prompts" + p.when, theirs[0].Amounts[Input], longest.Input})
		}
		lengths = lengths[:1]
	}
	for _, length := range lengths {
		said := saidAt(theirs, length)
		price := ours.PriceAt(p.at, length)
		have := Amounts{price.Input, price.Output, price.CacheRead, price.CacheWrite, price.CacheWriteHour}
		for f, amount := range said {
			if amount != Unsaid && amount != have[f] {
				all = append(all, Difference{table, key, p.what(Field(f), length), amount, have[f]})
			}
		}
	}
	return all
}

// lengthsOf are the shortest prompts of all bands of both sides, in order.
func lengthsOf(ours cost.Tariff, theirs []Band) []int64 {
	lengths := []int64{1}
	for _, b := range theirs {
		lengths = append(lengths, b.UpTo+1)
	}
	for _, s := range ours.Steps {
		for _, b := range s.Bands {
			lengths = append(lengths, b.UpTo+1)
		}
	}
	slices.Sort(lengths)
	return slices.Compact(lengths)
}

// saidAt is what is said of prompts of a length.
func saidAt(bands []Band, length int64) Amounts {
	for _, b := range bands {
		if length <= b.UpTo {
			return b.Amounts
		}
	}
	return bands[len(bands)-1].Amounts
}

// what names a field at this place for prompts of a length.
func (p place) what(f Field, length int64) string {
	what := f.String()
	if p.tier != cost.Standard {
		what = string(p.tier) + " " + what
	}
	if length > 1 {
		what += fmt.Sprintf(" above %d", length-1)
	}
	return what + p.when
}

// lastDay is a moment at which a step holds: its last day, or for the last step long
// after it began.
func lastDay(steps []Step, i int) time.Time {
	if i == len(steps)-1 {
		return steps[i].From.AddDate(0, 0, 1)
	}
	return steps[i+1].From.AddDate(0, 0, -1)
}

// DateOf is when a table was as it is.
func DateOf(table string) time.Time {
	for _, v := range Versions() {
		if at, err := time.Parse(time.DateOnly, v.Date); err == nil && cmp.Compare(v.Name, table) == 0 {
			return at
		}
	}
	return time.Time{}
}
