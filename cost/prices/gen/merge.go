package main

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/cost/prices"
	"github.com/forebay-ai/forebay/cost/prices/internal/tables"
)

// row names a row of the result.
type row struct{ provider, model, scope string }

// found is what the tables say of a row, the most trusted first.
type found []*tables.Quote

// merge makes the rows of the result from the tables:
//
//  1. Each model's standard prices are those of genai-prices, the one table with dates;
//     where it is silent, or without a date against the two others, LiteLLM's; where that
//     is silent, Portkey's. What a table says of longer prompts or of caches fills what a
//     more trusted one is silent about.
//  2. For a region or an inference profile, genai-prices counts only where its rule names
//     the area: most of its rules for Bedrock hold for every area alike.
//  3. Tokens of caches about which no table says anything cost what fresh ones cost. Cache
//     writes of Claude for an hour cost twice what fresh tokens do. Portkey's prices of
//     caches of Amazon Nova are not taken: they are the same in all regions, and above
//     those of fresh tokens.
//  4. Batch, flex and priority are LiteLLM's, then Portkey's. Their caches are cheaper or
//     dearer by as much as their input is, where no table says more.
//  5. What no table says of a region or a profile, of caches or tiers, is in the same
//     proportion to its price of input as in the model's general row.
//  6. A table's price for a region or a profile says by how much the area is dearer than
//     that table's general price; where the general price here is another, it is in that
//     proportion to it. Claude is left out of this, for the reason of the function outvoted.
//  7. An area's price from a table without dates changes when the general one does.
//  8. A row that says what a more general one does is left out.
func merge(set *tables.Set) ([]prices.Entry, error) {
	sources := collect(set)
	result := map[row]prices.Entry{}
	for _, at := range slices.SortedFunc(maps.Keys(sources), compareRows) { // general rows first
		everywhere := row{at.provider, at.model, ""}
		general, quotes := result[everywhere].Tariff, sources[at]
		if at != everywhere && !isClaude(at) {
			quotes = relative(quotes, sources[everywhere], general)
		}
		if len(quotes) == 0 {
			continue
		}
		tariff, table := tariffOf(at, quotes, general)
		if len(tariff.Steps) > 0 && tariff.Steps[0].Bands[0].Input > 0 { // zero is how tables write that they know no price
			result[at] = prices.Entry{Provider: at.provider, Model: at.model, Scope: at.scope, Table: table, Tariff: tariff}
		}
	}
	added, err := amendments()
	if err != nil {
		return nil, err
	}
	for _, e := range added {
		result[row{e.Provider, e.Model, e.Scope}] = e
	}
	addFamilies(result)
	thin(result)
	return slices.Collect(func(yield func(prices.Entry) bool) {
		for _, at := range slices.SortedFunc(maps.Keys(result), compareRows) {
			if !yield(result[at]) {
				return
			}
		}
	}), nil
}

func compareRows(a, b row) int {
	return cmp.Or(strings.Compare(a.provider, b.provider), strings.Compare(a.model, b.model), strings.Compare(a.scope, b.scope))
}

// collect finds what each table says of each row.
func collect(set *tables.Set) map[row]found {
	all := map[row]map[string]*tables.Quote{}
	add := func(at row, q *tables.Quote) {
		if q == nil || len(q.Steps) == 0 {
			return
		}
		if all[at] == nil {
			all[at] = map[string]*tables.Quote{}
		}
		if all[at][q.Table] == nil { // several ids of one model say the same, or the first counts
			all[at][q.Table] = q
		}
	}
	for _, id := range tables.IDs(set) {
		at := row{id.Provider, id.Name.Model, id.Scope()}
		if !strings.HasPrefix(at.scope, "us-gov") { // which its rules have at the price of other areas
			add(at, set.GenAI.ForScope(id.Provider, id.ID, at.scope))
		}
		add(at, set.LiteLLM[id.Key])
		add(at, withoutNovaCaches(at, set.Portkey[id.Key]))
	}
	result := map[row]found{}
	for at, quotes := range all {
		for _, table := range [...]string{tables.GenAI, tables.LiteLLM, tables.Portkey} {
			if q := quotes[table]; q != nil {
				result[at] = append(result[at], q)
			}
		}
		if q := result[at]; len(q) == 3 && outvoted(at) && len(q[0].Steps) == 1 && agree(q[1], q[2]) && !agree(q[0], q[1]) {
			result[at] = found{q[1], q[2]}
		}
		if q := result[at]; len(q) == 2 && q[0].Table == tables.LiteLLM && portkeyFirst(at.model) {
			result[at] = found{q[1], q[0]}
		}
	}
	return result
}

// outvoted says whether two tables may be right against genai-prices. They are not about
// Claude on Bedrock: both have the price of the global profile for every area, and some
// areas with the ten per cent more that Amazon charges.
func outvoted(at row) bool { return !isClaude(at) }

// portkeyFirst are models that Amazon made cheaper and of which LiteLLM has the first price.
// genai-prices has them not.
func portkeyFirst(model string) bool {
	return strings.HasPrefix(model, "meta.llama3-1-405b") || strings.HasPrefix(model, "mistral.mistral-large-2407")
}

// agree says whether two tables say the same of short prompts and answers.
func agree(a, b *tables.Quote) bool {
	one, other := a.Steps[len(a.Steps)-1].Bands[0].Amounts, b.Steps[len(b.Steps)-1].Bands[0].Amounts
	return one[tables.Input] == other[tables.Input] && max(one[tables.Output], 0) == max(other[tables.Output], 0)
}

// withoutNovaCaches is a quote of Portkey's that says nothing of Nova's caches.
func withoutNovaCaches(at row, q *tables.Quote) *tables.Quote {
	if q == nil || !strings.HasPrefix(at.model, "amazon.nova") {
		return q
	}
	silent := func(steps []tables.Step) []tables.Step {
		steps = clone(steps)
		for _, s := range steps {
			for i := range s.Bands {
				a := &s.Bands[i].Amounts
				a[tables.CacheRead], a[tables.CacheWrite], a[tables.CacheWriteHour] = tables.Unsaid, tables.Unsaid, tables.Unsaid
			}
		}
		return steps
	}
	copied := &tables.Quote{Table: q.Table, Steps: silent(q.Steps), Variants: map[cost.Tier][]tables.Step{}}
	for tier, steps := range q.Variants {
		copied.Variants[tier] = silent(steps)
	}
	return copied
}
