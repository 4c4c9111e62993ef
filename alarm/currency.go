package alarm

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// rupeesPerUSD is the rate of the specification: its three conversions between dollars
// and rupees (65 and 5,395, 150 and 12,450, 0.065 and 5.40) agree on it.
const rupeesPerUSD = 83

// rates says how many of a currency a US dollar is.
type rates map[string]float64

func ratesOf(perUSD map[string]float64) (rates, error) {
	all := rates{"USD": 1, "INR": rupeesPerUSD}
	var faults []error
	for _, currency := range slices.Sorted(maps.Keys(perUSD)) {
		rate := perUSD[currency]
		if !(rate > 0) || math.IsInf(rate, 0) {
			faults = append(faults, fmt.Errorf("alarms: %v %s for a US dollar is not possible; use a rate above 0", rate, currency))
			continue
		}
		all[currency] = rate
	}
	return all, errors.Join(faults...)
}

// of is the rate of a definition's currency, 1 where it has none.
func (r rates) of(d Definition) (float64, error) {
	currency := d.Currency()
	if currency == "" {
		return 1, nil
	}
	rate, ok := r[currency]
	if !ok {
		return 1, fmt.Errorf("alarms.definitions.%s.unit: there is no rate for %s; use USD, or a currency whose rate is configured", d.Name, currency)
	}
	return rate, nil
}

// InDollars returns the definitions with thresholds of other currencies converted to US
// dollars, for those who compare them with the metric itself, as exported rules do. perUSD
// is as in Config. Currencies without a rate are an error that names the definitions.
func InDollars(definitions []Definition, perUSD map[string]float64) ([]Definition, error) {
	rates, err := ratesOf(perUSD)
	faults := []error{err}
	all := slices.Clone(definitions)
	for i := range all {
		d := &all[i]
		rate, err := rates.of(*d)
		faults = append(faults, err)
		if rate != 1 {
			d.Threshold, d.Clear, d.Unit = d.Threshold/rate, d.Clear/rate, "USD"
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return all, nil
}
