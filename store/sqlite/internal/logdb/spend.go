package logdb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

const (
	defaultRows = 10_000
	// soughtDays is the longest span of which a tenant's postings are looked up day by
	// day instead of being searched among all of the span.
	soughtDays = 400
)

// monthOf is the first day of a day's month.
const monthOf = `CAST(strftime('%s', day * 86400, 'unixepoch', 'start of month') AS INTEGER) / 86400`

// expression is what sums of a dimension are grouped by; empty for an unknown one.
func expression(d ledger.Dimension) string {
	switch d {
	case ledger.ByMonth:
		return monthOf
	case ledger.ByDay, ledger.ByTenant, ledger.ByUser, ledger.ByKey, ledger.ByOperation, ledger.ByProvider, ledger.ByModel:
		return string(d) // the columns have the dimensions' names
	default:
		return ""
	}
}

// Spend implements ledger.Store. The rows are in the order of ledger.CompareRows.
// From and To count by their days in UTC; the zero time is no bound. Without By there is one
// row, or none where nothing was posted. With both ByDay and ByMonth the day counts.
//
// A query by users with a limit of up to 10,000 costs about 2 us of CPU for each posting that it is about, and SQLite
// some 65 bytes for each group meanwhile.
//
// Where an amount that is summed up was changed on the disk, the error has
// sqlfile.ErrDamaged in its chain.
func (l *Ledger) Spend(ctx context.Context, q ledger.Query) ([]ledger.Row, error) {
	groups, err := groupsOf(q.By)
	if err != nil {
		return nil, err
	}
	if q.Limit <= 0 {
		q.Limit = defaultRows
	}
	s := spending{query: &q, groups: groups}
	var all []ledger.Row
	err = l.now().Read(ctx, func(r *sqlfile.Conn) (err error) {
		// Of one state of the books: there may be several statements.
		if err := r.Run("BEGIN"); err != nil {
			return err
		}
		all, err = s.rows(ctx, r)
		if overflowed(err) {
			s.wide = true
			all, err = s.rows(ctx, r)
		}
		return errors.Join(err, r.Run("COMMIT"))
	})
	if err != nil {
		if sqlfile.Damaged(err) {
			err = damagedBooks(l.path, err)
		}
		return nil, fmt.Errorf("sqlite: sum up the books: %w", err)
	}
	return all, nil
}

// overflowed says that a sum of integers left 63 bits. SQLite has no code of its own for it.
func overflowed(err error) bool {
	return sqlfile.CodeOf(err) == sqlite3.SQLITE_ERROR && strings.Contains(err.Error(), "integer overflow")
}

// groupsOf are the dimensions to group by, each once.
func groupsOf(by []ledger.Dimension) ([]ledger.Dimension, error) {
	for _, d := range by {
		if expression(d) == "" {
			return nil, &llm.Error{
				Kind: llm.CallerInvalidRequest, Message: fmt.Sprintf("costs cannot be grouped by %q", d), Limit: "by", Value: string(d),
				Fix: "Group by day, month, tenant, user, key, operation, provider or model",
			}
		}
	}
	var groups []ledger.Dimension
	// In the order in which names decide between equal rows.
	for _, d := range [...]ledger.Dimension{
		ledger.ByDay, ledger.ByMonth, ledger.ByTenant, ledger.ByUser, ledger.ByKey, ledger.ByOperation, ledger.ByProvider, ledger.ByModel,
	} {
		if slices.Contains(by, d) && (d != ledger.ByMonth || !slices.Contains(by, ledger.ByDay)) {
			groups = append(groups, d)
		}
	}
	return groups, nil
}

// spendCondition is what a query asks of a posting. seek says that the tenant is known, so that the days had better be
// looked up one by one.
func spendCondition(q *ledger.Query, seek bool) (where string, args []any) {
	terms := []string{"1"}
	from, to := dayOf(q.From), dayOf(q.To.Add(24*time.Hour-1))
	switch span := to - from; {
	case (seek || q.Tenant != "") && !q.From.IsZero() && !q.To.IsZero() && span >= 0 && span <= soughtDays:
		days := make([]string, 0, span)
		for d := from; d < to; d++ {
			days = append(days, fmt.Sprint(d))
		}
		terms = append(terms, "day IN ("+strings.Join(days, ",")+")")
	default:
		if !q.From.IsZero() {
			terms, args = append(terms, "day >= ?"), append(args, from)
		}
		if !q.To.IsZero() {
			terms, args = append(terms, "day < ?"), append(args, to)
		}
	}
	for _, f := range [...]struct{ column, text string }{
		{"tenant", q.Tenant}, {"user", q.User}, {"key", q.Key}, {"operation", q.Operation}, {"provider", q.Provider}, {"model", q.Model},
	} {
		if f.text != "" {
			terms, args = append(terms, f.column+" = ?"), append(args, f.text)
		}
	}
	return ` WHERE ` + strings.Join(terms, " AND "), args
}
