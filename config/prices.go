package config

import (
	"fmt"
	"os"
	"sync"

	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/cost/prices"
)

// priceList is where prices are looked up.
type priceList struct {
	table *prices.Table
	own   map[string]bool // the providers that the file's prices name
}

// prices are the built-in ones and those of the file that cost.prices names, with the
// exchange rates of that.
func (f *File) prices() (*priceList, cost.Rates, error) {
	list, path := &priceList{table: prices.Embedded(), own: map[string]bool{}}, f.path("cost", "prices")
	if path == "" {
		return list, cost.Rates{}, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, cost.Rates{}, fmt.Errorf("cost.prices: %w", err)
	}
	over, err := prices.ParseOverride(path, text)
	if err != nil {
		return nil, cost.Rates{}, fmt.Errorf("cost.prices: %w", err)
	}
	for _, e := range over.Entries() {
		list.own[e.Provider] = true
	}
	list.table = list.table.With(over)
	return list, over.Rates(), nil
}

// listKind is under which name the prices of a provider stand: its own, where the file of
// prices has it, or that of the service which it is. Empty means that nothing is known.
func (f *File) listKind(list *priceList, provider string) string {
	if list.own[provider] {
		return provider
	}
	if !f.values.Bool("cost", "list_prices") {
		return ""
	}
	return f.listed(provider)
}

// tariff is the list price of a model; nil where there is none that is known.
func (l *priceList) tariff(kind, model, region string) *cost.Tariff {
	tariff, _, ok := l.table.Lookup(kind, model, region)
	if !ok {
		return nil
	}
	return tariff
}

// mostTariffs bounds the models whose tariffs are remembered: callers name them.
const mostTariffs = 1000

// tariffs finds the tariff of whatever model is asked for, and remembers it: a look-up
// takes as long as a third of a cache hit.
func (l *priceList) tariffs(kind, region string) func(model string) *cost.Tariff {
	var mu sync.Mutex // guards known
	known := map[string]*cost.Tariff{}
	return func(model string) *cost.Tariff {
		mu.Lock()
		tariff, ok := known[model]
		mu.Unlock()
		if ok {
			return tariff
		}
		tariff = l.tariff(kind, model, region)
		mu.Lock()
		defer mu.Unlock()
		if len(known) < mostTariffs {
			known[model] = tariff
		}
		return tariff
	}
}
