package main

import (
	"strings"
	"time"

	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/cost/prices/internal/tables"
)

// tariffOf makes the tariff of a row from what tables say of it, and names the table that
// the standard prices are from.
// general is the model's row for everywhere, where at is for an area.
func tariffOf(at row, quotes found, general cost.Tariff) (cost.Tariff, string) {
	steps := clone(quotes[0].Steps)
	// The third generation of Claude takes no prompts above 200,000 tokens, for which LiteLLM
	// has prices.
	short := strings.Contains(at.model, "claude-3")
	for _, q := range quotes[1:] {
		fill(steps, q, short)
	}
	t := cost.Tariff{}
	for _, s := range steps {
		usual := general.PriceAt(tables.DateOf(quotes[0].Table), 1)
		t.Steps = append(t.Steps, cost.Step{From: s.From, Bands: pricesOf(at, s.Bands, usual)})
	}
	if len(t.Steps) == 1 && len(general.Steps) > 1 {
		t.Steps = likeDated(t.Steps, general, tables.DateOf(quotes[0].Table))
	}
	for _, tier := range [...]cost.Tier{cost.Batch, cost.Flex, cost.Priority} {
		for _, q := range quotes {
			if variant := variantOf(t.Steps, q, tier); variant != nil {
				if t.Variants == nil {
					t.Variants = map[cost.Tier][]cost.Step{}
				}
				t.Variants[tier] = variant
				break
			}
		}
		if !t.Has(tier) && general.Has(tier) {
			if t.Variants == nil {
				t.Variants = map[cost.Tier][]cost.Step{}
			}
			t.Variants[tier] = likeGeneral(t.Steps, general, tier)
		}
	}
	return t, quotes[0].Table
}

// likeDated gives prices of an area, known for one moment, the dates of the general row.
func likeDated(known []cost.Step, general cost.Tariff, when time.Time) []cost.Step {
	here, there := known[0].Bands[0].Price, general.PriceAt(when, 1)
	if there.Input == 0 {
		return known
	}
	var all []cost.Step
	for _, s := range general.Steps {
		step := cost.Step{From: s.From}
		for _, b := range s.Bands {
			step.Bands = append(step.Bands, cost.Band{UpTo: b.UpTo, Price: variantPrice(b.Price, tables.Silent(),
				tables.Amounts{here.Input, here.Output}, tables.Amounts{there.Input, there.Output})})
		}
		all = append(all, step)
	}
	return all
}

// likeGeneral makes the prices of a tier in the proportion of the general row.
func likeGeneral(standard []cost.Step, general cost.Tariff, tier cost.Tier) []cost.Step {
	now := tables.DateOf(tables.GenAI)
	one, other := general.For(tier).PriceAt(now, 1), general.PriceAt(now, 1)
	var all []cost.Step
	for _, s := range standard {
		step := cost.Step{From: s.From}
		for _, b := range s.Bands {
			step.Bands = append(step.Bands, cost.Band{UpTo: b.UpTo, Price: variantPrice(b.Price, tables.Silent(),
				tables.Amounts{one.Input, one.Output}, tables.Amounts{other.Input, other.Output})})
		}
		all = append(all, step)
	}
	return all
}

func clone(steps []tables.Step) []tables.Step {
	var all []tables.Step
	for _, s := range steps {
		all = append(all, tables.Step{From: s.From, Bands: append([]tables.Band(nil), s.Bands...)})
	}
	return all
}

// current is the index of the step that holds at a moment.
func current(n int, from func(int) time.Time, at time.Time) int {
	found := 0
	for i := range n {
		if !from(i).After(at) {
			found = i
		}
	}
	return found
}

// fill adds to the step that held when q was written what it is silent about and q says,
// where q means the same prices or all of them in one proportion, as those of an area are
// to those of another. short models have no prices for long prompts.
func fill(steps []tables.Step, q *tables.Quote, short bool) {
	s := &steps[current(len(steps), func(i int) time.Time { return steps[i].From }, tables.DateOf(q.Table))]
	theirs := q.Steps[len(q.Steps)-1].Bands
	to, from := s.Bands[0].Amounts[tables.Input], theirs[0].Amounts[tables.Input]
	if from <= 0 || max(s.Bands[0].Amounts[tables.Output], 0)*from != max(theirs[0].Amounts[tables.Output], 0)*to {
		return
	}
	if len(s.Bands) == 1 && len(theirs) > 1 && len(steps) == 1 && !short {
		first := s.Bands[0]
		s.Bands = nil
		for _, b := range theirs {
			s.Bands = append(s.Bands, tables.Band{UpTo: b.UpTo, Amounts: tables.Silent()})
		}
		s.Bands[0].Amounts = first.Amounts
	}
	for i := range s.Bands {
		if i >= len(theirs) || len(s.Bands) != len(theirs) || s.Bands[i].UpTo != theirs[i].UpTo {
			return
		}
		for f, amount := range theirs[i].Amounts {
			if s.Bands[i].Amounts[f] == tables.Unsaid && amount != tables.Unsaid {
				s.Bands[i].Amounts[f] = (amount*to + from/2) / from
			}
		}
	}
}

// pricesOf makes prices of amounts, with rules 3 and 5 for what no table says. usual is the
// price of the general row, or zero.
func pricesOf(at row, bands []tables.Band, usual cost.Price) []cost.Band {
	var all []cost.Band
	for _, b := range bands {
		a := b.Amounts
		p := cost.Price{Input: max(a[tables.Input], 0), Output: max(a[tables.Output], 0)}
		p.CacheRead, p.CacheWrite = p.Input, p.Input
		if usual.Input > 0 {
			p.CacheRead = (p.Input*usual.CacheRead + usual.Input/2) / usual.Input
			p.CacheWrite = (p.Input*usual.CacheWrite + usual.Input/2) / usual.Input
			p.CacheWriteHour = (p.Input*usual.CacheWriteHour + usual.Input/2) / usual.Input
		}
		if a[tables.CacheRead] != tables.Unsaid {
			p.CacheRead = a[tables.CacheRead]
		}
		if a[tables.CacheWrite] != tables.Unsaid {
			p.CacheWrite = a[tables.CacheWrite]
			if strings.Contains(at.model, "claude") {
				p.CacheWriteHour = 2 * p.Input
			}
		}
		if a[tables.CacheWriteHour] != tables.Unsaid {
			p.CacheWriteHour = a[tables.CacheWriteHour]
		}
		all = append(all, cost.Band{UpTo: b.UpTo, Price: p})
	}
	return all
}

// variantOf makes the prices of a tier from what q says of it, or nil. q says them for one
// moment; at others, and for longer prompts, they are cheaper or dearer than the standard
// ones by as much.
func variantOf(standard []cost.Step, q *tables.Quote, tier cost.Tier) []cost.Step {
	when := tables.DateOf(q.Table)
	said, theirs := q.At(tier, when), q.At(cost.Standard, when)
	if len(said) == 0 || said[0].Amounts[tables.Input] == tables.Unsaid || theirs[0].Amounts[tables.Input] <= 0 {
		return nil
	}
	now := current(len(standard), func(i int) time.Time { return standard[i].From }, when)
	same := standard[now].Bands[0].Input == theirs[0].Amounts[tables.Input]
	var all []cost.Step
	for i, s := range standard {
		step := cost.Step{From: s.From}
		for j, b := range s.Bands {
			amounts := tables.Silent()
			if i == now && same && j < len(said) && (len(said) == len(s.Bands) || j == 0) {
				amounts = said[j].Amounts
			}
			step.Bands = append(step.Bands, cost.Band{UpTo: b.UpTo, Price: variantPrice(b.Price, amounts, said[0].Amounts, theirs[0].Amounts)})
		}
		all = append(all, step)
	}
	return all
}

// variantPrice is p in a tier: what is said of it, and the rest in the proportion of one
// to the other.
func variantPrice(p cost.Price, said, one, other tables.Amounts) cost.Price {
	for f, into := range map[tables.Field]*int64{
		tables.Input: &p.Input, tables.Output: &p.Output, tables.CacheRead: &p.CacheRead,
		tables.CacheWrite: &p.CacheWrite, tables.CacheWriteHour: &p.CacheWriteHour,
	} {
		switch {
		case said[f] != tables.Unsaid:
			*into = said[f]
		case f == tables.Output && one[f] > 0 && other[f] > 0:
			*into = (*into*one[f] + other[f]/2) / other[f]
		default:
			*into = (*into*one[tables.Input] + other[tables.Input]/2) / other[tables.Input]
		}
	}
	return p
}
