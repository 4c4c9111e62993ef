package ledger

import (
	"context"
	"errors"
	"math"
	"time"
)

// errHalf is why nothing exact can be read: a batch is half written, and cannot be completed.
var errHalf = errors.New("ledger: what was written last is not complete")

// refreshing is what budgets were told of the last days, by anybody, so that Refresh tells them what is new. It is for books
// that several processes share. All methods but done and due need Ledger.mu.
type refreshing struct {
	from  time.Time // the first day
	query Query     // how it is grouped; for Query.group
	known map[Account]int64
}

// newRefreshing begins with nothing known of the days from one on.
func newRefreshing(from time.Time, by []Dimension) *refreshing {
	return &refreshing{from: from, query: Query{By: append([]Dimension{ByDay}, by...)}, known: map[Account]int64{}}
}

// add notes what budgets are told of an account. Of nil it is nothing.
func (r *refreshing) add(a *Account, microUSD int64) {
	if r == nil || microUSD <= 0 || a.Day.Before(r.from) {
		return
	}
	group := r.query.group(a)
	sum, known := r.known[group]
	if !known {
		group = group.clone()
	}
	r.known[group] = addUp(sum, microUSD)
}

// forget leaves out the days before one.
func (r *refreshing) forget(before time.Time) {
	for a := range r.known {
		if a.Day.Before(before) {
			delete(r.known, a)
		}
	}
	if before.After(r.from) {
		r.from = before
	}
}

// Refresh has the budgets know what other processes have spent by now, where they were told longer than age ago. It is for a process that
// nobody tells of the others (package fleet does), such as one that stands still between its calls: with the two, what others spend
// would count twice. It reads what was booked since yesterday, and nothing where it is not due, where there are no budgets, where
// nobody shares the store, or without Config.Refresh. The error is an *llm.Error of kind ForebayUnavailable; then the budgets go by what they know.
func (l *Ledger) Refresh(ctx context.Context, age time.Duration) error {
	since := time.Since(time.Unix(0, l.refreshed.Load())) // by the wall clock: the process may have stood still
	if l.others == nil || since >= 0 && since <= age {
		return nil
	}
	if err := l.refresh(ctx, time.Now()); err != nil {
		return unavailable("what others spent cannot be read", err)
	}
	return nil
}

func (l *Ledger) refresh(ctx context.Context, now time.Time) error {
	if err := l.complete(ctx); err != nil {
		return err
	}
	if err := l.gate.read(ctx); err != nil {
		return err
	}
	defer l.gate.doneReading()
	l.budgets.Advance(now)
	l.mu.Lock()
	q := l.others.query
	q.From, q.To, q.Limit = l.others.from, dayOf(now).AddDate(0, 0, 1), math.MaxInt32
	l.mu.Unlock()
	rows, err := l.store.Spend(ctx, q)
	if err != nil {
		return err
	}
	fresh, err := l.fresh(rows)
	if err != nil {
		return err
	}
	for i := range fresh {
		l.budgets.Restore(owner(&fresh[i].Account), fresh[i].Day, fresh[i].MicroUSD)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.others.forget(yesterday(now))
	l.refreshed.Store(now.UnixNano())
	return nil
}

// fresh is what of rows, and of what is not written yet, the budgets were not told. Nothing may have been written since the rows were read.
func (l *Ledger) fresh(rows []Row) (fresh []Row, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.halfLocked() {
		return nil, errHalf
	}
	r := l.others
	g := groups{query: r.query, sums: map[Account]*Amounts{}}
	for i := range rows {
		g.add(rows[i].Account, &rows[i].Amounts)
	}
	l.pending.each(func(a Account, sum *Amounts) {
		if !a.Day.Before(r.from) {
			g.add(a, sum)
		}
	})
	return r.fresh(g.sums), nil
}

// fresh is what of sums budgets were not told.
func (r *refreshing) fresh(sums map[Account]*Amounts) (fresh []Row) {
	var grown []Account // groups of "erased"
	for a, sum := range sums {
		more := sum.MicroUSD - r.known[a]
		switch {
		case more <= 0:
		case a.User == erased:
			grown = append(grown, a)
		default:
			r.known[a] = sum.MicroUSD
			fresh = append(fresh, told(a, more))
		}
	}
	if len(grown) == 0 {
		return fresh
	}
	shrunk := r.shrunk(sums)
	for _, to := range grown {
		fresh = append(fresh, r.moved(to, shrunk[to], sums)...)
	}
	return fresh
}

// yesterday is the day before that of now, or the month's first where that is later: earlier ones are in no present period, or
// booked on no more.
func yesterday(now time.Time) time.Time {
	today := dayOf(now)
	return later(today.AddDate(0, 0, -1), today.AddDate(0, 0, 1-today.Day()))
}

// complete writes a batch that failed, where the store may have written a part of it: to read beside it would count that twice.
func (l *Ledger) complete(ctx context.Context) error {
	l.mu.Lock()
	half := l.halfLocked()
	l.mu.Unlock()
	if !half {
		return nil
	}
	if err := l.post(ctx); err != nil {
		return errors.Join(errHalf, err)
	}
	return nil
}

// halfLocked says that a batch may be written in part.
func (l *Ledger) halfLocked() bool {
	_, shared := l.store.(Sharer)
	return shared && l.pending.posting != nil
}
