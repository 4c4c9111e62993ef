package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/table"
)

// The machine behind the gateway: ten slots, calls of 50 to 150 ms, so a hundred a
// second.
const (
	slots       = 10
	meanService = 100 * time.Millisecond
	capacity    = float64(slots) / 0.1 // calls a second
	deadline    = 2 * time.Second
	// As long as it takes the line to see that an overload lasts (queue.interval is ten
	// seconds at this deadline).
	warmup = 12 * time.Second
)

// source is one stream of calls.
type source struct {
	rate     float64 // calls a second
	tenant   int
	band     string
	deadline time.Duration
	class    string
}

// poisson makes the calls of sources: random arrivals, as of many callers.
func poisson(rng *rand.Rand, total time.Duration, sources ...source) []request {
	var load []request
	for _, s := range sources {
		for at := time.Duration(0); ; {
			at += time.Duration(rng.ExpFloat64() / s.rate * float64(time.Second))
			if at >= total {
				break
			}
			load = append(load, request{
				at: at, service: meanService/2 + rand.N(meanService), tenant: s.tenant, band: s.band,
				deadline: s.deadline, class: s.class, warm: at < warmup,
			})
		}
	}
	slices.SortStableFunc(load, func(a, b request) int { return int(a.at - b.at) })
	return load
}

// point is one measurement of the curve.
type point struct {
	Offered float64 // times the capacity
	Goodput float64 // calls a second that were answered in time
	sum
	use
}

// curve measures goodput at each load.
func (b *bench) curve(ctx context.Context, loads []float64) ([]point, error) {
	var points []point
	for _, x := range loads {
		all, used, err := b.run(ctx, poisson(b.rng(), warmup+b.length, source{rate: x * capacity, tenant: 1, band: "normal", deadline: deadline}))
		if err != nil {
			return nil, err
		}
		s := tally(all, "")
		points = append(points, point{Offered: x, Goodput: goodput(all, warmup, b.length), sum: s, use: used})
	}
	return points, nil
}

// goodput is how many answers a second came in time within a part of the run. It goes by
// when they came: whose wait reaches across an end of the part is counted once.
func goodput(all []outcome, from, length time.Duration) float64 {
	n := 0
	for _, o := range all {
		if end := o.at + o.took; o.inTime() && end >= from && end < from+length {
			n++
		}
	}
	return float64(n) / length.Seconds()
}

// judgeCurve compares the curve with its peak.
func judgeCurve(points []point) []table.Verdict {
	peak := 0.0
	for _, p := range points {
		peak = max(peak, p.Goodput)
	}
	var all []table.Verdict
	for _, p := range points {
		least := 0.0
		switch {
		case p.Offered > 10:
			least = 0.90
		case p.Offered >= 1.5:
			least = 0.95
		}
		share := p.Goodput / peak
		if least > 0 {
			all = append(all, table.Verdict{
				What: fmt.Sprintf("goodput at %g times the capacity", p.Offered), Seen: fmt.Sprintf("%.1f %% of its peak", 100*share),
				Wanted: fmt.Sprintf(">= %.0f %%", 100*least), OK: share >= least,
			})
			all = append(all, table.Verdict{
				What: fmt.Sprintf("refusals at %g times, p99", p.Offered), Seen: fmt.Sprintf("%v at the door, %v all", ms(p.DoorP99), ms(p.RefusedP99)),
				Wanted: "<= 10 ms at the door", OK: p.DoorP99 <= 10*time.Millisecond,
			})
		}
	}
	return all
}

func ms(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// critical measures critical calls beside ten times the capacity of low ones.
func (b *bench) critical(ctx context.Context) (table.Verdict, error) {
	all, _, err := b.run(ctx, poisson(b.rng(), warmup+b.length,
		source{rate: 0.5 * capacity, tenant: 1, band: "critical", deadline: deadline, class: "critical"},
		source{rate: 10 * capacity, tenant: 2, band: "low", deadline: deadline, class: "low"}))
	s := tally(all, "critical")
	return table.Verdict{
		What: "critical calls in time beside 10 times the capacity of low ones",
		Seen: fmt.Sprintf("%.2f %% of %d, p99 %v", 100*s.share(), s.Sent, ms(s.InTime99)), Wanted: ">= 99.9 %", OK: s.share() >= 0.999,
	}, err
}

// low measures how long low calls wait while critical ones never stop.
func (b *bench) low(ctx context.Context) (table.Verdict, error) {
	const bound = 60 * time.Second
	all, _, err := b.run(ctx, poisson(b.rng(), bound+15*time.Second,
		source{rate: 2 * capacity, tenant: 1, band: "critical", deadline: deadline, class: "critical"},
		source{rate: 0.2 * capacity, tenant: 2, band: "low", deadline: 120 * time.Second, class: "low"}))
	s := tally(all, "low")
	return table.Verdict{
		What: "low calls under endless critical ones: longest time to a start or a refusal",
		Seen: fmt.Sprintf("%v (%d answered, %d refused)", s.WaitMax.Round(time.Millisecond), s.InTime+s.Late, s.Refused), Wanted: "<= 60 s",
		OK: s.WaitMax <= bound+2*meanService && s.InTime+s.Late > 0 && s.Other == 0,
	}, err
}

// noisy measures what one tenant at a hundred times its share costs the others.
func (b *bench) noisy(ctx context.Context) (table.Verdict, error) {
	const tenants, part = 20, 0.045 // 90 % of the capacity in all
	var quiet []source
	for t := range tenants {
		quiet = append(quiet, source{rate: part * capacity, tenant: 1 + t, band: "normal", deadline: deadline, class: "others"})
	}
	seed := b.seed
	before, _, err := b.run(ctx, poisson(rand.New(rand.NewPCG(seed, 1)), warmup+2*b.length, quiet...))
	if err != nil {
		return table.Verdict{}, err
	}
	after, _, err := b.run(ctx, poisson(rand.New(rand.NewPCG(seed, 1)), warmup+2*b.length,
		append(quiet, source{rate: 100 * part * capacity, tenant: 0, band: "normal", deadline: deadline, class: "noisy"})...))
	x, y := tally(before, "others"), tally(after, "others")
	lost := x.share() - y.share()
	return table.Verdict{
		What: "20 tenants at 90 % of the capacity: goodput lost to one more at 100 times its share",
		Seen: fmt.Sprintf("%.2f points (%.2f %% before, %.2f %% beside it)", 100*lost, 100*x.share(), 100*y.share()), Wanted: "<= 1 %", OK: lost <= 0.01,
	}, err
}
