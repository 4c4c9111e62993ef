package main

import (
	"strings"

	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/cost/prices/internal/tables"
)

// relative is rule 6: what tables say of an area, as prices beside the general price that
// holds here. A table whose price for the area is its general one says nothing.
func relative(area, everywhere found, general cost.Tariff) found {
	var result found
	for _, q := range area {
		g := ofTable(everywhere, q.Table)
		ours := general.PriceAt(tables.DateOf(q.Table), 1)
		switch {
		case g == nil || q.Table == tables.GenAI || ours.Input == 0:
			result = append(result, q)
		case agree(q, g):
		default:
			result = append(result, scaled(q, g, ours))
		}
	}
	return result
}

func ofTable(quotes found, table string) *tables.Quote {
	for _, q := range quotes {
		if q.Table == table {
			return q
		}
	}
	return nil
}

// scaled is q in the proportion of our general price to the table's.
func scaled(q, general *tables.Quote, ours cost.Price) *tables.Quote {
	theirs := general.Steps[len(general.Steps)-1].Bands[0].Amounts
	same := theirs[tables.Input] == ours.Input && max(theirs[tables.Output], 0) == ours.Output
	if same || theirs[tables.Input] <= 0 {
		return q
	}
	scale := func(steps []tables.Step) []tables.Step {
		steps = clone(steps)
		for _, s := range steps {
			for i := range s.Bands {
				a := &s.Bands[i].Amounts
				for f := range a {
					from, to := theirs[tables.Input], ours.Input
					if tables.Field(f) == tables.Output && theirs[tables.Output] > 0 {
						from, to = theirs[tables.Output], ours.Output
					}
					if a[f] != tables.Unsaid {
						a[f] = (a[f]*to + from/2) / from
					}
				}
			}
		}
		return steps
	}
	copied := &tables.Quote{Table: q.Table, Steps: scale(q.Steps), Variants: map[cost.Tier][]tables.Step{}}
	for tier, steps := range q.Variants {
		copied.Variants[tier] = scale(steps)
	}
	return copied
}

// isClaude says whether a row is one of Anthropic's models on Bedrock.
func isClaude(at row) bool { return strings.HasPrefix(at.model, "anthropic.") }
