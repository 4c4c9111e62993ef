package cost

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Tier is a way in which a provider serves a call at a price of its own. The set is
// closed.
type Tier string

// The tiers.
const (
	// Standard is the tier of a call that asks for none.
	Standard Tier = "standard"
	// Batch is for files of calls that are answered within a day.
	Batch Tier = "batch"
	// Flex is cheaper and slower, and refused first when the provider is full.
	Flex Tier = "flex"
	// Priority is dearer and faster.
	Priority Tier = "priority"
)

// Tiers returns every tier, Standard first.
func Tiers() []Tier { return []Tier{Standard, Batch, Flex, Priority} }

// Band is a price that holds for prompts up to a length.
type Band struct {
	// UpTo is the longest prompt, in tokens, that the band is for. All of the prompt
	// counts: what was read from and written to the provider's cache as well. Zero means
	// no bound, which only the last band of a step has.
	UpTo int64
	Price
}

// Step is what is charged from a moment on.
type Step struct {
	// From is when the prices begin to hold. The zero time of a first step means that
	// they hold since the model exists, as far as is known.
	From time.Time
	// Bands are ordered by UpTo. The whole call is charged by one of them, the first
	// that is long enough: prices do not rise within a call.
	Bands []Band
}

// Tariff is what a model charges over time. The zero Tariff costs nothing. A Tariff is
// not changed by its methods, which may be called concurrently.
type Tariff struct {
	// Steps are the standard prices, ordered by From.
	Steps []Step
	// Variants are the prices of other tiers, each ordered like Steps. A tier that is
	// not here is charged like Standard.
	Variants map[Tier][]Step
}

// Call is what a Tariff needs to know of a call to price it.
type Call struct {
	Usage llm.Usage
	// HourWrites is the part of Usage.CacheWrite that was written to stay for an hour
	// and not for the provider's usual time (five minutes).
	HourWrites int64
	// Tier is how it was served. Empty means Standard.
	Tier Tier
	// At is when the call was made.
	At time.Time
}

// Fixed returns the tariff of a price that always was and does not change.
func Fixed(p Price) Tariff { return Tariff{Steps: []Step{{Bands: []Band{{Price: p}}}}} }

// MicroUSD is the price of u in micro-dollars at the standard prices of the moment at.
// It rounds, saturates and takes negative counts as Price.MicroUSD does, and does not
// allocate.
func (t Tariff) MicroUSD(u llm.Usage, at time.Time) int64 {
	return t.PriceAt(at, promptTokens(u)).MicroUSD(u)
}

// CallMicroUSD is the price of c in micro-dollars, with its tier and its cache writes for
// an hour. It rounds, saturates and takes negative counts as Price.MicroUSD does.
func (t Tariff) CallMicroUSD(c Call) int64 {
	p := t.For(c.Tier).PriceAt(c.At, promptTokens(c.Usage))
	return p.MicroUSDWithHour(c.Usage, c.HourWrites)
}

// PriceAt returns the standard price at a moment for prompts of a length in tokens.
// Before the first step it is that of the first step: the oldest known price is nearer
// to the truth than none.
func (t Tariff) PriceAt(at time.Time, prompt int64) Price {
	if len(t.Steps) == 0 {
		return Price{}
	}
	step := &t.Steps[0]
	for i := range t.Steps {
		if t.Steps[i].From.After(at) {
			break
		}
		step = &t.Steps[i]
	}
	for i := range step.Bands {
		if b := &step.Bands[i]; b.UpTo == 0 || prompt <= b.UpTo {
			return b.Price
		}
	}
	if n := len(step.Bands); n > 0 {
		return step.Bands[n-1].Price
	}
	return Price{}
}

// For returns the tariff of a tier, with that tier's prices as its standard ones. Tiers
// that have no prices of their own are charged like Standard; Has tells.
func (t Tariff) For(tier Tier) Tariff {
	if steps := t.Variants[tier]; len(steps) > 0 {
		return Tariff{Steps: steps}
	}
	return Tariff{Steps: t.Steps}
}

// Has says whether a tier has prices of its own.
func (t Tariff) Has(tier Tier) bool {
	if tier == Standard || tier == "" {
		return len(t.Steps) > 0
	}
	return len(t.Variants[tier]) > 0
}

// IsZero reports whether nothing is known: every call costs nothing.
func (t Tariff) IsZero() bool { return len(t.Steps) == 0 && len(t.Variants) == 0 }

// Estimate is EstimateCall at the standard prices of the moment at. The length of the
// prompt decides the band, as far as it can be guessed.
func (t Tariff) Estimate(promptBytes, maxOutput int, at time.Time) int64 {
	return EstimateCall(t.PriceAt(at, tokens(promptBytes)), promptBytes, maxOutput)
}

// Validate returns every fault of t, joined: dates and bands out of order, a band that
// does not end, negative prices, tiers that are none. Each fault names its place.
func (t Tariff) Validate() error {
	faults := stepFaults(Standard, t.Steps)
	for _, tier := range slices.Sorted(maps.Keys(t.Variants)) {
		if tier == Standard || !slices.Contains(Tiers(), tier) {
			faults = append(faults, fmt.Errorf("%q is not a tier: batch, flex or priority", tier))
			continue
		}
		if len(t.Variants[tier]) == 0 {
			faults = append(faults, fmt.Errorf("%s: no prices", tier))
		}
		faults = append(faults, stepFaults(tier, t.Variants[tier])...)
	}
	return errors.Join(faults...)
}

func stepFaults(tier Tier, steps []Step) (faults []error) {
	for i, s := range steps {
		name := fmt.Sprintf("%s, step %d", tier, i+1)
		if i > 0 && !s.From.After(steps[i-1].From) {
			faults = append(faults, fmt.Errorf("%s: it begins on %s, not after the one before it", name, s.From.Format(time.DateOnly)))
		}
		if len(s.Bands) == 0 {
			faults = append(faults, fmt.Errorf("%s: no prices", name))
		}
		for j, b := range s.Bands {
			last := j == len(s.Bands)-1
			switch {
			case b.UpTo < 0, b.UpTo == 0 && !last:
				faults = append(faults, fmt.Errorf("%s, band %d: only the last band has no bound", name, j+1))
			case last && b.UpTo != 0:
				faults = append(faults, fmt.Errorf("%s, band %d: the last band has no bound", name, j+1))
			case j > 0 && !last && cmp.Compare(b.UpTo, s.Bands[j-1].UpTo) <= 0:
				faults = append(faults, fmt.Errorf("%s, band %d: it ends at %d tokens, not after the one before it", name, j+1, b.UpTo))
			}
			if p := b.Price; min(p.Input, p.Output, p.CacheRead, p.CacheWrite, p.CacheWriteHour) < 0 {
				faults = append(faults, fmt.Errorf("%s, band %d: a price is negative", name, j+1))
			}
		}
	}
	return faults
}

// promptTokens is the length of a prompt, of which the parts that a cache had are parts.
func promptTokens(u llm.Usage) int64 {
	return addUp(addUp(max(u.Input, 0), u.CacheRead), u.CacheWrite)
}
