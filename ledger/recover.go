package ledger

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/forebay-ai/forebay/budget"
)

// recover books the calls that were in progress when the process before this one died:
// at their estimates, since they may have cost that. Bookings and the end of the
// reservations are one batch, so it happens once, however often a process dies in it.
func (l *Ledger) recover(ctx context.Context) error {
	if s, shared := l.store.(Sharer); shared {
		left, err := s.Abandoned(ctx, time.Now())
		l.bookLeft(left)
		l.recovered = left
		if len(left) > 0 { // others have them again if this process dies before
			err = errors.Join(err, l.post(context.WithoutCancel(ctx)))
		}
		return err
	}
	left, err := l.store.Holds(ctx)
	if err != nil || len(left) == 0 {
		return err
	}
	p := newPending()
	var sum int64
	for _, h := range left {
		p.force(h.Account, Amounts{Calls: 1, MicroUSD: h.MicroUSD, EstimatedMicroUSD: h.MicroUSD})
		p.released[h.ID] = struct{}{}
		sum = addUp(sum, h.MicroUSD)
	}
	if err := l.send(ctx, p.batch()); err != nil {
		return err
	}
	l.recovered = left
	l.log.Warn("calls were in progress when the process before this one ended; they are booked at their estimates",
		"calls", len(left), "micro_usd", sum)
	return nil
}

// collect books what gateways left that died, where several share the store.
func (l *Ledger) collect(ctx context.Context, now time.Time) {
	s, shared := l.store.(Sharer)
	if !shared {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	left, err := s.Abandoned(ctx, now)
	if err != nil && ctx.Err() == nil {
		l.log.Warn("reservations that nobody ends could not be looked for", "error", err)
	}
	l.bookLeft(left)
}

// bookLeft books calls of which nothing but the reservation is left, at their estimates.
func (l *Ledger) bookLeft(left []Hold) {
	now := time.Now()
	for _, h := range left {
		l.mu.Lock()
		dropped, first := l.bookLocked(h.Account, Amounts{Calls: 1, MicroUSD: h.MicroUSD, EstimatedMicroUSD: h.MicroUSD}, now)
		l.pending.release(h.ID) // with what it is booked by
		l.mu.Unlock()
		if l.budgets != nil {
			l.budgets.SettleFor(owner(&h.Account), h.MicroUSD, h.Day)
		}
		l.booked(dropped, first)
	}
	if len(left) > 0 {
		l.log.Warn("calls were in progress when a gateway ended; they are booked at their estimates", "calls", len(left))
	}
}

// Recovered lists the calls that Open booked at their estimates, because they were in
// progress when the process before this one died.
func (l *Ledger) Recovered() []Hold { return append([]Hold(nil), l.recovered...) }

// restore tells the budgets what was spent in the present periods.
func (l *Ledger) restore(ctx context.Context, now time.Time) error {
	if l.budgets == nil || len(l.budgets.Rules()) == 0 {
		return nil
	}
	l.budgets.Advance(now)
	today := dayOf(now)
	month, recent := today.AddDate(0, 0, 1-today.Day()), yesterday(now)
	by := dimensions(l.budgets.Rules())
	if err := l.restoreDays(ctx, Query{From: month, To: recent, By: by, Limit: math.MaxInt32}, month); err != nil {
		return err
	}
	l.mu.Lock()
	if _, shared := l.store.(Sharer); shared && l.refreshes {
		l.others = newRefreshing(recent, by)
		l.refreshed.Store(now.UnixNano())
	}
	l.mu.Unlock()
	return l.restoreDays(ctx, Query{From: recent, To: today.AddDate(0, 0, 1), By: append([]Dimension{ByDay}, by...), Limit: math.MaxInt32}, now)
}

// restoreDays tells the budgets of some days: of each by itself where they are grouped by it, else of all at a time.
func (l *Ledger) restoreDays(ctx context.Context, q Query, at time.Time) error {
	if !q.From.Before(q.To) {
		return nil
	}
	rows, err := l.store.Spend(ctx, q)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range rows {
		a := &rows[i].Account
		day := at
		if !a.Day.IsZero() {
			day = a.Day
			l.others.add(a, rows[i].MicroUSD)
		}
		l.budgets.Restore(owner(a), day, rows[i].MicroUSD)
	}
	return nil
}

// dimensions are the parts of an account that rules look at.
func dimensions(rules []budget.Rule) []Dimension {
	var tenant, key, user, operation bool
	for _, r := range rules {
		tenant = tenant || r.Tenant != "" || r.Starred() // each value has a budget in each tenant
		key = key || r.Key != ""
		user, operation = user || r.User != "", operation || r.Operation != ""
	}
	var by []Dimension
	for _, d := range []struct {
		used bool
		Dimension
	}{{tenant, ByTenant}, {key, ByKey}, {user, ByUser}, {operation, ByOperation}} {
		if d.used {
			by = append(by, d.Dimension)
		}
	}
	return by
}
