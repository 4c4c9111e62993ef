package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/table"
)

// phase is a time of a load in which the first target is not well.
type phase struct {
	mode     mode
	from, to time.Duration
}

// measure sends each site its load, all at the same time: what the machine does
// besides disturbs them alike.
func measure(ctx context.Context, load []request, sites []*site, trouble map[*site]phase) error {
	begin := time.Now().Add(100 * time.Millisecond)
	var wg sync.WaitGroup
	for _, s := range sites {
		wg.Go(func() { s.all = append(s.all, fire(ctx, s.addr(), load, begin)...) })
		p, ok := trouble[s]
		if !ok {
			continue
		}
		wg.Go(func() {
			defer s.ups[0].set(well)
			if waitUntil(ctx, begin.Add(p.from)) {
				s.ups[0].set(p.mode)
				waitUntil(ctx, begin.Add(p.to))
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

// outage replays real arrivals: through a Forebay without an outage, through one with
// it, and straight to the target that fails.
func (b *bench) outage(ctx context.Context, out io.Writer) ([]table.Verdict, error) {
	arrivals, err := readTrace(b.trace)
	if err != nil {
		return nil, err
	}
	var rounds []round
	for n := range b.rounds {
		load, err := realLoad(arrivals, b.length, b.share, b.leave, b.seed+uint64(n))
		if err != nil {
			return nil, err
		}
		r, err := b.round(ctx, load)
		if err != nil {
			return nil, err
		}
		rounds = append(rounds, r)
	}
	var verdicts []table.Verdict
	for n, r := range rounds {
		if err := r.print(out, fmt.Sprintf("real arrivals, the first target failing for the middle third of %v (round %d)", b.length, n+1)); err != nil {
			return nil, err
		}
		verdicts = append(verdicts, r.judge()...)
	}
	return verdicts, nil
}

// round is one replay, at each site.
type round struct {
	length              time.Duration
	calm, hit, straight *site
}

// round starts the sites, from the thread that children live with, and loads them.
func (b *bench) round(ctx context.Context, load []request) (r round, err error) {
	r.length = b.length
	sites := []struct {
		at      **site
		name    string
		targets int
		direct  bool
	}{{&r.calm, "no outage", 2, false}, {&r.hit, "outage", 2, false}, {&r.straight, "outage direct", 1, true}}
	var all []*site
	for _, s := range sites {
		started, startErr := b.build(ctx, s.name, s.targets, s.direct)
		if err = errors.Join(err, startErr); started != nil {
			defer started.stop()
			*s.at, all = started, append(all, started)
		}
	}
	if err != nil {
		return r, err
	}
	failure := phase{mode: failing, from: b.length / 3, to: 2 * b.length / 3}
	return r, measure(ctx, load, all, map[*site]phase{r.hit: failure, r.straight: failure})
}

func (r round) print(out io.Writer, title string) error {
	rows := [][]string{{"", "sent", "in time", "late", "refused", "failed", "p50", "p95", "calls", "a request", "429", "left", "for nobody", "cut within, p99"}}
	for _, s := range []*site{r.calm, r.hit, r.straight} {
		u := useOf(s.all, s.ups...)
		for i, part := range []string{"", ", first third", ", outage", ", last third"} {
			from, to := time.Duration(0), r.length+time.Second
			if i > 0 {
				from, to = r.length*time.Duration(i-1)/3, r.length*time.Duration(i)/3
			}
			t := tally(s.all, from, to)
			row := []string{
				s.name + part, fmt.Sprint(t.Sent), fmt.Sprintf("%.2f %%", 100*t.share()), fmt.Sprint(t.Late), fmt.Sprint(t.Refused), fmt.Sprint(t.Failed),
				ms(t.P50), ms(t.P95),
			}
			if i == 0 {
				row = append(row, fmt.Sprint(u.calls), fmt.Sprintf("%.3f", float64(u.calls)/float64(len(s.all))), fmt.Sprint(u.refused),
					fmt.Sprint(u.gone), fmt.Sprint(u.nobody), ms(u.lateBy))
			} else {
				row = append(row, "", "", "", "", "", "")
			}
			rows = append(rows, row)
		}
	}
	return errors.Join(table.Grid(out, title, rows), printRivals(out))
}

// printRivals prints what others gave in a measurement of the same kind: this trace, this
// share of ten slots, this outage, a second target beside. They were not run again here.
func printRivals(out io.Writer) error {
	_, err := fmt.Fprint(out, `
others, from an earlier measurement of the same kind (not in this run)
  direct                 55 % in time
  nginx, Bifrost         95.4 % at 1.45 calls a request
  Bifrost with retries   99.5 % at 2.49 calls a request, and twice the p50
  Bifrost finished 871 of 966 calls whose callers had left
`)
	return err
}

// judge says what has to hold.
func (r round) judge() []table.Verdict {
	whole := r.length + time.Second
	calm, hit := tally(r.calm.all, 0, whole), tally(r.hit.all, 0, whole)
	u := useOf(r.hit.all, r.hit.ups...)
	perRequest := float64(u.calls) / float64(max(len(r.hit.all), 1))
	v := []table.Verdict{
		{
			What: "answered in time with the outage", Seen: fmt.Sprintf("%.2f %% of %d (without: %.2f %%)", 100*hit.share(), hit.Sent, 100*calm.share()),
			Wanted: ">= 99.9 %", OK: hit.share() >= 0.999,
		},
		{What: "calls to the targets a request", Seen: fmt.Sprintf("%.3f", perRequest), Wanted: "<= 1.1", OK: perRequest <= 1.1},
	}
	for _, p := range []struct {
		name       string
		with, calm time.Duration
	}{{"p50", hit.P50, calm.P50}, {"p95", hit.P95, calm.P95}} {
		ratio := float64(p.with) / float64(max(p.calm, 1))
		v = append(v, table.Verdict{
			What: p.name + " with the outage, times that without", Seen: fmt.Sprintf("%.3f (%s, %s)", ratio, ms(p.with), ms(p.calm)),
			Wanted: "<= 1.1", OK: p.calm > 0 && ratio <= 1.1,
		})
	}
	return append(v, table.Verdict{
		What: "calls finished for callers who had left", Seen: fmt.Sprintf("%d of %d, cut within %s (p99)", u.nobody, u.gone, ms(u.lateBy)),
		Wanted: "none, <= 100 ms", OK: u.nobody == 0 && u.started == 0 && u.lateBy <= grace,
	})
}

func ms(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }
