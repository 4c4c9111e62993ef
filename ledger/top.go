package ledger

import (
	"context"
	"maps"
	"slices"
)

// mostTop is the largest limit for which the store is asked for the top of the groups alone.
const mostTop = 1000

// top answers a query with a small limit, however many groups there are, from the first groups that the store has, and
// those that are pending or were written to since: the latter are asked for by name while nothing is written, and get
// what is pending. It is exact. A group that is neither is as it was when the first were read, and came after all of
// them; they have not become less since, for amounts only grow. It is false where a name was erased meanwhile, which is the
// exception, and where a batch failed; not for the former where beside is false, since nothing is written then.
func (l *Ledger) top(ctx context.Context, q Query, beside bool) (all []Row, done bool, err error) {
	w := &watch{query: &q, groups: map[Account]struct{}{}}
	var rows []Row
	if beside {
		if err := l.watch(ctx, w); err != nil {
			return nil, false, err
		}
		defer l.unwatch(w)
		if rows, err = l.store.Spend(ctx, q); err != nil {
			return nil, false, err
		}
	}
	if err := l.gate.read(ctx); err != nil {
		return nil, false, err
	}
	defer l.gate.doneReading()
	if !beside {
		if rows, err = l.store.Spend(ctx, q); err != nil {
			return nil, false, err
		}
	}
	g, half := l.changed(w)
	if w.dirty || half {
		return nil, false, nil
	}
	rows = slices.DeleteFunc(rows, func(r Row) bool { return g.sums[r.Account] != nil })
	if len(g.sums) > 0 {
		named := q
		named.Groups, named.Limit = slices.Collect(maps.Keys(g.sums)), len(g.sums)
		again, err := l.store.Spend(ctx, named)
		if err != nil {
			return nil, false, err
		}
		rows = append(rows, again...)
	}
	for i := range rows {
		g.add(rows[i].Account, &rows[i].Amounts)
	}
	return g.rows(q.Limit), true, nil
}

// changed are the groups that are pending, with what is, and those that were written to since w was registered.
// Nothing may be written until they were read. half says that a part of what is pending may be written.
func (l *Ledger) changed(w *watch) (g groups, half bool) {
	g = groups{query: *w.query, sums: map[Account]*Amounts{}}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending.each(func(a Account, sum *Amounts) {
		if g.query.wants(&a) {
			g.add(a, sum)
		}
	})
	for group := range w.groups {
		g.add(group, &Amounts{})
	}
	return g, l.halfLocked()
}
