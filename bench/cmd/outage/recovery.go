package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/table"
)

// The times of a recovery.
const (
	calmFor      = 20 * time.Second // before the trigger, the first half of it not counted
	watchFor     = 30 * time.Second // behind its end
	recoverIn    = 10 * time.Second // what is wanted
	recoverShare = 0.95             // of the goodput before
	bucket       = time.Second
)

// trigger is what goes wrong with a target.
type trigger struct {
	name    string
	mode    mode
	length  time.Duration
	targets int
}

var triggers = []trigger{ // never changed
	{"500s for 30 s", failing, 30 * time.Second, 1},
	{"20 times slower for 10 s", slow, 10 * time.Second, 1},
	{"500s for 30 s, a second target", failing, 30 * time.Second, 2},
	{"20 times slower for 10 s, a second target", slow, 10 * time.Second, 2},
}

// recovery measures how soon after each trigger callers are served as before. All are
// measured at the same time, each at a gateway of its own.
func (b *bench) recovery(ctx context.Context, out io.Writer) ([]table.Verdict, error) {
	scaled := func(d time.Duration) time.Duration { return time.Duration(float64(d) * b.scale) }
	var sites []*site
	trouble := map[*site]phase{}
	last := time.Duration(0)
	for _, t := range triggers {
		s, err := b.build(ctx, t.name, t.targets, false)
		if err != nil {
			return nil, err
		}
		defer s.stop()
		p := phase{mode: t.mode, from: scaled(calmFor), to: scaled(calmFor + t.length)}
		sites, trouble[s] = append(sites, s), p
		last = max(last, p.to)
	}
	load := poisson(last+scaled(watchFor), b.share, b.seed)
	if err := measure(ctx, load, sites, trouble); err != nil {
		return nil, err
	}
	rows := [][]string{{"trigger", "before", "while it lasts", "recovered after", "the next 10 s", "p95 before", "p95 after", "calls a request"}}
	var verdicts []table.Verdict
	for _, s := range sites {
		p := trouble[s]
		r := recovered(s.all, p, scaled(calmFor)/2, max(scaled(bucket), 200*time.Millisecond))
		u := useOf(s.all, s.ups...)
		rows = append(rows, []string{
			s.name, percent(r.before.share()), percent(r.during.share()), seconds(r.after), percent(r.then.share()), ms(r.before.P95), ms(r.then.P95),
			fmt.Sprintf("%.3f", float64(u.calls)/float64(len(s.all))),
		})
		verdicts = append(verdicts, table.Verdict{
			What: s.name + ": back at 95 % of the goodput before", Seen: "after " + seconds(r.after), Wanted: "<= 10 s",
			OK: r.before.share() > 0.9 && r.after <= recoverIn,
		})
	}
	return verdicts, errors.Join(table.Grid(out, fmt.Sprintf("answered in time, of calls at %g of one target's slots, deadline %v", b.share, steadyDeadline), rows), ctx.Err())
}

// recoveryOf says what callers saw of a trigger.
type recoveryOf struct {
	before, during, then sum
	after                time.Duration // from the trigger's end
}

// recovered finds the time after the end of p from which on every stretch of a bucket's
// length is served as well as calls before p were, but for a twentieth. Calls count by when they
// were to be sent.
func recovered(all []outcome, p phase, warm, step time.Duration) recoveryOf {
	calm := max(p.from-steadyDeadline, (warm+p.from)/2) // calls that come later may meet the trigger
	r := recoveryOf{before: tally(all, warm, calm), during: tally(all, p.from, p.to)}
	for from := p.to; from <= all[len(all)-1].at-step/2; from += step {
		if s := tally(all, from, from+step); s.Sent > 0 && s.share() < recoverShare*r.before.share() {
			r.after = from + step - p.to
		}
	}
	r.then = tally(all, p.to+r.after, p.to+r.after+10*step)
	if r.then.Sent == 0 {
		r.after = math.MaxInt64 // not within the time that was watched
	}
	return r
}

func percent(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) }

func seconds(d time.Duration) string {
	if d == math.MaxInt64 {
		return "never"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
