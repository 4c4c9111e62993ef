package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

const (
	defaultRows = 10_000
	// maxGroups bounds what one query has in memory, some 250 bytes each.
	maxGroups = 250_000
	// quietTries is how often old days are read beside the writer before it has to wait.
	quietTries = 3
)

// Spend returns sums, the most expensive first, with everything that was booked before it was called, written
// or not, and each booking once. From is cut to its day and To rounded up to one; where one is zero, there
// is no bound. Without groups there is one row, or none where nothing was booked. A wrong query, and one with more
// than 250,000 groups and a limit above 1,000, gives an *llm.Error of kind CallerInvalidRequest, a store that
// cannot be read one of kind ForebayUnavailable, and so does one that several processes share while a batch is half written
// that cannot be completed. With a limit of up to 1,000 there may be any number of groups, and the
// memory is bounded by the limit and by what is not written yet.
//
// It waits for a write in progress, and a write waits for the part of it that is about the
// last two days; older days are read beside the writer. With a limit of up to 1,000, a write waits for the part that is about the groups
// that are booked on in the meantime.
func (l *Ledger) Spend(ctx context.Context, q Query) ([]Row, error) {
	q, err := q.checked()
	if err != nil {
		return nil, err
	}
	q.Groups = nil
	limit := q.Limit
	for try := 0; ; try++ {
		var rows []Row
		var done bool
		if err := l.complete(ctx); err != nil {
			return nil, unavailable("the books cannot be read", err)
		}
		if limit <= mostTop && len(q.By) > 0 {
			rows, done, err = l.top(ctx, q, try == 0)
		} else {
			rows, done, err = l.all(ctx, q, try < quietTries)
		}
		switch {
		case errors.As(err, new(*llm.Error)):
			return nil, err
		case err != nil:
			return nil, unavailable("the books cannot be read", err)
		case done:
			return rows, nil
		}
	}
}

// all answers a query from all its groups. It is false where a write disturbed it.
func (l *Ledger) all(ctx context.Context, q Query, beside bool) ([]Row, bool, error) {
	limit := q.Limit
	q.Limit = maxGroups + 1
	g := groups{query: q, sums: map[Account]*Amounts{}}
	quiet, err := l.gather(ctx, &g, beside)
	if err != nil || !quiet {
		return nil, false, err
	}
	return g.rows(limit), true, nil
}

// watch notes whether anything older than before was written while somebody read it, and, where query is not nil, which
// of its groups were.
type watch struct {
	before time.Time
	dirty  bool
	query  *Query
	groups map[Account]struct{}
}

// disturbLocked tells those who read old days beside the writer what it is going to write.
func (l *Ledger) disturbLocked(b Batch) {
	for w := range l.watches {
		for i := range b.Postings {
			a := &b.Postings[i].Account
			w.dirty = w.dirty || a.Day.Before(w.before)
			if w.query != nil && w.query.wants(a) {
				w.groups[w.query.group(a)] = struct{}{}
			}
		}
	}
}

// gather adds up what the store has and what is pending. It is false where a write
// disturbed it, which it cannot where beside is false: then the writer waits for all of it.
func (l *Ledger) gather(ctx context.Context, g *groups, beside bool) (quiet bool, err error) {
	w, recent := &watch{}, g.query
	if beside {
		// Bookings are of today, and of yesterday where a call went on since then.
		w.before = dayOf(time.Now()).AddDate(0, 0, -1)
		if err := l.watch(ctx, w); err != nil {
			return false, err
		}
		defer l.unwatch(w)
		old := g.query
		old.To, recent.From = earlier(old.To, w.before), later(recent.From, w.before)
		if err := g.read(ctx, l.store, old); err != nil {
			return false, err
		}
	}
	if err := l.gate.read(ctx); err != nil {
		return false, err
	}
	defer l.gate.doneReading()
	if err := g.read(ctx, l.store, recent); err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending.each(func(a Account, sum *Amounts) {
		if g.query.wants(&a) {
			g.add(a, sum)
		}
	})
	return !w.dirty && !l.halfLocked(), g.bounded()
}

// watch registers w at a moment at which nothing is being written.
func (l *Ledger) watch(ctx context.Context, w *watch) error {
	if err := l.gate.read(ctx); err != nil {
		return err
	}
	defer l.gate.doneReading()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watches[w] = struct{}{}
	return nil
}

func (l *Ledger) unwatch(w *watch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.watches, w)
}

// groups are the sums of a query.
type groups struct {
	query Query
	sums  map[Account]*Amounts
}

// read adds what the store has; q is a part of g's query.
func (g *groups) read(ctx context.Context, s Store, q Query) error {
	if !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To) {
		return nil
	}
	rows, err := s.Spend(ctx, q)
	if err != nil {
		return err
	}
	if len(rows) >= q.Limit {
		return tooMany()
	}
	for i := range rows {
		g.add(rows[i].Account, &rows[i].Amounts)
	}
	return g.bounded()
}

func (g *groups) bounded() error {
	if len(g.sums) > maxGroups {
		return tooMany()
	}
	return nil
}

func tooMany() error {
	return &llm.Error{
		Kind: llm.CallerInvalidRequest, Param: "by", Message: "the query has too many groups", Value: fmt.Sprint(maxGroups),
		Fix: "Ask for a shorter time, for one tenant or user, or group by less.",
	}
}

// add books sum on the group that a belongs to.
func (g *groups) add(a Account, sum *Amounts) {
	group := g.query.group(&a)
	known := g.sums[group]
	if known == nil {
		known = new(Amounts)
		g.sums[group] = known
	}
	known.Add(*sum)
}

// rows are the groups, the most expensive first.
func (g *groups) rows(limit int) []Row {
	rows := make([]Row, 0, len(g.sums))
	for a, sum := range g.sums {
		if *sum != (Amounts{}) {
			rows = append(rows, Row{Account: a, Amounts: *sum})
		}
	}
	slices.SortFunc(rows, CompareRows)
	return rows[:min(limit, len(rows))]
}

// CompareRows orders rows: the greater Total comes first, of equal ones what saved more, then what has more calls, then the lesser names.
func CompareRows(a, b Row) int {
	return cmp.Or(cmp.Compare(b.Total(), a.Total()), cmp.Compare(b.SavedMicroUSD, a.SavedMicroUSD),
		cmp.Compare(b.Calls, a.Calls), compareAccounts(&a.Account, &b.Account))
}

func compareAccounts(a, b *Account) int {
	return cmp.Or(a.Day.Compare(b.Day), strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.User, b.User),
		strings.Compare(a.Key, b.Key), strings.Compare(a.Operation, b.Operation),
		strings.Compare(a.Provider, b.Provider), strings.Compare(a.Model, b.Model))
}

// wants says that an account is among those that are asked for.
func (q *Query) wants(a *Account) bool {
	return !a.Day.Before(q.From) && (q.To.IsZero() || a.Day.Before(q.To)) &&
		is(q.Tenant, a.Tenant) && is(q.User, a.User) && is(q.Key, a.Key) && is(q.Operation, a.Operation) &&
		is(q.Provider, a.Provider) && is(q.Model, a.Model)
}

func is(filter, value string) bool { return filter == "" || filter == value }

// group is the part of an account that is grouped by. Days go before months where both are asked for.
func (q *Query) group(a *Account) Account {
	var g Account
	for _, d := range q.By {
		switch d {
		case ByDay:
			g.Day = a.Day.UTC()
		case ByMonth:
			if !slices.Contains(q.By, ByDay) {
				day := a.Day.UTC()
				g.Day = day.AddDate(0, 0, 1-day.Day())
			}
		case ByTenant:
			g.Tenant = a.Tenant
		case ByUser:
			g.User = a.User
		case ByKey:
			g.Key = a.Key
		case ByOperation:
			g.Operation = a.Operation
		case ByProvider:
			g.Provider = a.Provider
		case ByModel:
			g.Model = a.Model
		}
	}
	return g
}

// asked are the groups that are asked for; nil where all are.
func (q *Query) asked() map[Account]bool {
	if q.Groups == nil {
		return nil
	}
	asked := make(map[Account]bool, len(q.Groups))
	for i := range q.Groups {
		asked[q.group(&q.Groups[i])] = true
	}
	return asked
}

// Dimensions lists all dimensions.
func Dimensions() []Dimension {
	return []Dimension{ByDay, ByMonth, ByTenant, ByUser, ByKey, ByOperation, ByProvider, ByModel}
}

// checked is the query with whole days and its defaults.
func (q Query) checked() (Query, error) {
	for _, d := range q.By {
		if !slices.Contains(Dimensions(), d) {
			return q, &llm.Error{
				Kind: llm.CallerInvalidRequest, Param: "by", Message: fmt.Sprintf("%.40q is not a dimension", d),
				Fix: fmt.Sprintf("Use some of %v.", Dimensions()),
			}
		}
	}
	if !q.From.IsZero() {
		q.From = dayOf(q.From)
	}
	if !q.To.IsZero() {
		if day := dayOf(q.To); day.Before(q.To) {
			q.To = day.AddDate(0, 0, 1)
		} else {
			q.To = day
		}
	}
	switch {
	case q.Limit == 0:
		q.Limit = defaultRows
	case q.Limit < 0:
		q.Limit = math.MaxInt
	}
	return q, nil
}

// earlier is the earlier end of the two; a zero a is none.
func earlier(a, b time.Time) time.Time {
	if !a.IsZero() && a.Before(b) {
		return a
	}
	return b
}

// later is the later beginning of the two; a zero a is none.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
