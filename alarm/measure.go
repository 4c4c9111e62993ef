package alarm

import (
	"math"
	"slices"
	"time"
)

// reading is what one judgement of one label's value goes by.
type reading struct {
	of string
	// value is compared with Threshold and Clear; shown is what people are told, which
	// differs for burn rates alone.
	value, shown float64
	count        int64
	ok           bool
	pair         int // of a burn rate: the pair that value is of
}

// measure asks src for what d is about. Not called under a lock.
func measure(d Definition, src Source, now time.Time) []reading {
	switch {
	case len(d.Burn) > 0:
		return measureBurn(d, src, now)
	case d.Over != "":
		return usable(d, measureRatio(d.Measure, src, now))
	}
	samples := src.Measure(d.Measure, now)
	all := make([]reading, 0, len(samples))
	for _, s := range samples {
		all = append(all, reading{of: s.Of, value: s.Value, shown: s.Value, count: s.Count, ok: s.OK})
	}
	return usable(d, all)
}

// usable marks as not measured what must not be judged: too few measurements, and values
// that are no numbers.
func usable(d Definition, all []reading) []reading {
	for i := range all {
		r := &all[i]
		if r.count < d.MinCount || math.IsNaN(r.value) || math.IsInf(r.value, 0) {
			r.ok = false
		}
	}
	return all
}

// measureRatio divides sums, for each value of the label that the divisor has. What the
// numerator does not have is zero: a counter that was never raised.
func measureRatio(m Measure, src Source, now time.Time) []reading {
	var all []reading
	part := m
	part.Metric, part.Over, part.Stat = m.Over, "", "sum"
	for _, s := range src.Measure(part, now) {
		if s.OK && s.Value > 0 {
			all = append(all, reading{of: s.Of, shown: s.Value, count: int64(min(s.Value, math.MaxInt32)), ok: true})
		}
	}
	part.Metric = m.Metric
	for _, s := range src.Measure(part, now) {
		if i := slices.IndexFunc(all, func(r reading) bool { return r.of == s.Of }); i >= 0 && s.OK {
			all[i].value = s.Value
		}
	}
	for i := range all {
		all[i].value /= all[i].shown // which was the divisor until here
		all[i].shown = all[i].value
	}
	return all
}

// measureBurn gives, for each value of the label, the ratio in units of the factor: of each
// pair the smaller of its two ratios, and of these the one that is worst against its factor.
// It is above the budget when one pair breaks.
func measureBurn(d Definition, src Source, now time.Time) []reading {
	var all []reading
	for i, pair := range d.Burn {
		long, short := d.Measure, d.Measure
		long.Window, short.Window = pair.Long, pair.Short
		inLong := usable(d, measureRatio(long, src, now))
		for _, s := range usable(d, measureRatio(short, src, now)) {
			j := slices.IndexFunc(inLong, func(l reading) bool { return l.of == s.of })
			r := reading{of: s.of, count: s.count, pair: i}
			if j >= 0 && s.ok && inLong[j].ok {
				both := min(s.value, inLong[j].value)
				r.value, r.shown, r.ok = both/pair.Factor, both/d.Threshold, true
			}
			all = worst(all, r)
		}
	}
	return all
}

// worst adds r, or puts it in the place of a better reading of the same label's value.
func worst(all []reading, r reading) []reading {
	i := slices.IndexFunc(all, func(a reading) bool { return a.of == r.of })
	if i < 0 {
		return append(all, r)
	}
	if r.ok && (!all[i].ok || r.value > all[i].value) {
		all[i] = r
	}
	return all
}
