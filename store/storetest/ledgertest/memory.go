package ledgertest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/ledger"
)

// The operations of Memory, as Fail's function gets them.
const (
	OpPost  = "post"
	OpHolds = "holds"
	OpSpend = "spend"
	OpErase = "erase"
)

// Erased is the user to whom the sums of erased users move.
const Erased = "erased"

// Memory implements ledger.Store in memory. All methods may be called concurrently.
type Memory struct {
	mu    sync.Mutex                        // guards all below; not held while fail runs
	fail  func(op string) error             // nil where nothing is to fail
	after func(op string)                   // nil where nobody is told
	books map[ledger.Account]ledger.Amounts // by account
	holds map[string]ledger.Hold
	posts int
}

// NewMemory makes an empty Memory.
func NewMemory() *Memory {
	return &Memory{books: map[ledger.Account]ledger.Amounts{}, holds: map[string]ledger.Hold{}}
}

// Fail has f called before each operation, with one of the Op constants. An error that it returns is the
// operation's, which then does nothing. It may block, which holds up that operation alone. Nil means that nothing fails.
func (m *Memory) Fail(f func(op string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = f
}

// After has f called after each operation that did its work, before it returns. Nil means that nobody is told.
func (m *Memory) After(f func(op string)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.after = f
}

// Copy is a store with what is in m now, and without its faults: what another process would find.
func (m *Memory) Copy() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Memory{books: maps.Clone(m.books), holds: maps.Clone(m.holds), posts: m.posts}
}

// Posts is the number of batches that were written.
func (m *Memory) Posts() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.posts
}

// begin runs the fault of an operation.
func (m *Memory) begin(ctx context.Context, op string) error {
	m.mu.Lock()
	fail := m.fail
	m.mu.Unlock()
	if fail != nil {
		if err := fail(op); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// done tells of an operation that did its work.
func (m *Memory) done(op string) {
	m.mu.Lock()
	after := m.after
	m.mu.Unlock()
	if after != nil {
		after(op)
	}
}

// Post is part of ledger.Store.
func (m *Memory) Post(ctx context.Context, b ledger.Batch) error {
	if err := m.begin(ctx, OpPost); err != nil {
		return err
	}
	defer m.done(OpPost)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.posts++
	for _, p := range b.Postings {
		if p.Amounts == (ledger.Amounts{}) {
			continue
		}
		sum := m.books[p.Account]
		sum.Add(p.Amounts)
		m.books[p.Account] = sum
	}
	for _, h := range b.Held {
		h.Expires = h.Expires.UTC().Truncate(time.Microsecond)
		m.holds[h.ID] = h
	}
	for _, id := range b.Released {
		delete(m.holds, id)
	}
	return nil
}

// Holds is part of ledger.Store. They come in the order of their IDs.
func (m *Memory) Holds(ctx context.Context) ([]ledger.Hold, error) {
	if err := m.begin(ctx, OpHolds); err != nil {
		return nil, err
	}
	defer m.done(OpHolds)
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.holds), func(a, b ledger.Hold) int { return cmp.Compare(a.ID, b.ID) }), nil
}

// Spend is part of ledger.Store.
func (m *Memory) Spend(ctx context.Context, q ledger.Query) ([]ledger.Row, error) {
	if err := m.begin(ctx, OpSpend); err != nil {
		return nil, err
	}
	defer m.done(OpSpend)
	m.mu.Lock()
	defer m.mu.Unlock()
	sums := map[ledger.Account]ledger.Amounts{}
	asked := map[ledger.Account]bool{}
	for _, a := range q.Groups {
		asked[grouped(q.By, a)] = true
	}
	for a, amounts := range m.books {
		group := grouped(q.By, a)
		if !wanted(q, a) || q.Groups != nil && !asked[group] {
			continue
		}
		sum := sums[group]
		sum.Add(amounts)
		sums[group] = sum
	}
	rows := make([]ledger.Row, 0, len(sums))
	for a, sum := range sums {
		rows = append(rows, ledger.Row{Account: a, Amounts: sum})
	}
	slices.SortFunc(rows, func(a, b ledger.Row) int {
		if c := cmp.Compare(b.Total(), a.Total()); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(b.SavedMicroUSD, a.SavedMicroUSD), cmp.Compare(b.Calls, a.Calls),
			a.Day.Compare(b.Day), strings.Compare(names(a.Account), names(b.Account)))
	})
	limit := q.Limit
	if limit == 0 {
		limit = 10_000
	}
	return rows[:min(limit, len(rows))], nil
}

// ErasePostings is part of ledger.Store.
func (m *Memory) ErasePostings(ctx context.Context, tenant, user string) error {
	if user == Erased {
		return errors.New("the user \"erased\" cannot be erased")
	}
	if err := m.begin(ctx, OpErase); err != nil {
		return err
	}
	defer m.done(OpErase)
	m.mu.Lock()
	defer m.mu.Unlock()
	for a, amounts := range maps.Clone(m.books) {
		if a.Tenant == tenant && a.User == user {
			delete(m.books, a)
			a.User = Erased
			sum := m.books[a]
			sum.Add(amounts)
			m.books[a] = sum
		}
	}
	return nil
}

func names(a ledger.Account) string {
	return strings.Join([]string{a.Tenant, a.User, a.Key, a.Operation, a.Provider, a.Model}, "\x00")
}

// wanted and grouped are written once more than package ledger has them, so that the two check one another.
func wanted(q ledger.Query, a ledger.Account) bool {
	if !q.From.IsZero() && a.Day.Before(q.From) || !q.To.IsZero() && !a.Day.Before(q.To) {
		return false
	}
	for _, part := range [][2]string{
		{q.Tenant, a.Tenant},
		{q.User, a.User},
		{q.Key, a.Key},
		{q.Operation, a.Operation},
		{q.Provider, a.Provider},
		{q.Model, a.Model},
	} {
		if part[0] != "" && part[0] != part[1] {
			return false
		}
	}
	return true
}

func grouped(by []ledger.Dimension, a ledger.Account) ledger.Account {
	var g ledger.Account
	if slices.Contains(by, ledger.ByMonth) {
		g.Day = time.Date(a.Day.Year(), a.Day.Month(), 1, 0, 0, 0, 0, time.UTC)
	}
	for d, copied := range map[ledger.Dimension]func(){
		ledger.ByDay:       func() { g.Day = a.Day },
		ledger.ByTenant:    func() { g.Tenant = a.Tenant },
		ledger.ByUser:      func() { g.User = a.User },
		ledger.ByKey:       func() { g.Key = a.Key },
		ledger.ByOperation: func() { g.Operation = a.Operation },
		ledger.ByProvider:  func() { g.Provider = a.Provider },
		ledger.ByModel:     func() { g.Model = a.Model },
	} {
		if slices.Contains(by, d) {
			copied()
		}
	}
	return g
}
