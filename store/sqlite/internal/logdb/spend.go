package logdb

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

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

// Spend implements ledger.Store. The most expensive rows are those with the greatest sum
// of what models, compute and storage cost; of equal ones the lesser names come first.
// From and To count by their days in UTC; the zero time is no bound. Without By there is one
// row, or none where nothing was posted. With both ByDay and ByMonth the day counts.
//
// Where an amount that is summed up was changed on the disk, the error has
// sqlfile.ErrDamaged in its chain.
func (l *Ledger) Spend(ctx context.Context, q ledger.Query) ([]ledger.Row, error) {
	groups, err := groupsOf(q.By)
	if err != nil {
		return nil, err
	}
	text, args := spendQuery(&q, groups)
	var all []ledger.Row
	err = l.now().Read(ctx, func(r *sqlfile.Conn) error {
		rows, err := r.QueryContext(context.Background(), text, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			row, err := scanRow(rows, groups)
			if err != nil {
				return err
			}
			all = append(all, row)
		}
		return rows.Err()
	})
	if err != nil {
		if sqlfile.Damaged(err) {
			err = damagedBooks(l.path, err)
		}
		return nil, fmt.Errorf("sqlite: sum up the books: %w", err)
	}
	return all, nil
}

// groupsOf are the dimensions to group by, each once.
func groupsOf(by []ledger.Dimension) ([]ledger.Dimension, error) {
	var groups []ledger.Dimension
	for _, d := range by {
		if expression(d) == "" {
			return nil, &llm.Error{
				Kind: llm.CallerInvalidRequest, Message: fmt.Sprintf("costs cannot be grouped by %q", d), Limit: "by", Value: string(d),
				Fix: "Group by day, month, tenant, user, key, operation, provider or model",
			}
		}
		if !slices.Contains(groups, d) && (d != ledger.ByMonth || !slices.Contains(by, ledger.ByDay)) {
			groups = append(groups, d)
		}
	}
	return groups, nil
}

// spendQuery is the statement of a query.
func spendQuery(q *ledger.Query, groups []ledger.Dimension) (text string, args []any) {
	var by []string
	for _, d := range groups {
		by = append(by, expression(d))
	}
	fields := slices.Clone(by)
	for _, c := range sumNames() {
		fields = append(fields, "sum("+c+")")
	}
	where, args := spendCondition(q)
	text = `SELECT ` + strings.Join(fields, ", ") + ` FROM books` + where
	if len(by) > 0 {
		text += ` GROUP BY ` + strings.Join(by, ", ")
	}
	// One row without groups would be there for nothing at all too.
	text += ` HAVING count(*) > 0 ORDER BY sum(micro_usd + compute + storage) DESC`
	for i := range by {
		text += fmt.Sprintf(", %d", i+1)
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultRows
	}
	return text + ` LIMIT ?`, append(args, limit)
}

// spendCondition is what a query asks of a posting.
func spendCondition(q *ledger.Query) (where string, args []any) {
	terms := []string{"1"}
	from, to := dayOf(q.From), dayOf(q.To.Add(24*time.Hour-1))
	switch span := to - from; {
	case q.Tenant != "" && !q.From.IsZero() && !q.To.IsZero() && span >= 0 && span <= soughtDays:
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

// scanRow reads a row of sums, and checks it.
func scanRow(rows *sql.Rows, groups []ledger.Dimension) (ledger.Row, error) {
	var row ledger.Row
	var day, sum int64
	to := make([]any, 0, len(groups)+12)
	for _, d := range groups {
		to = append(to, map[ledger.Dimension]any{
			ledger.ByDay: &day, ledger.ByMonth: &day, ledger.ByTenant: &row.Tenant, ledger.ByUser: &row.User, ledger.ByKey: &row.Key,
			ledger.ByOperation: &row.Operation, ledger.ByProvider: &row.Provider, ledger.ByModel: &row.Model,
		}[d])
	}
	for _, n := range amounts(&row.Amounts) {
		to = append(to, n)
	}
	if err := rows.Scan(append(to, &sum)...); err != nil {
		return row, err
	}
	if sum%sumPrime != amountsSum(&row.Amounts) {
		return row, fmt.Errorf("%w: amounts of the books are not as they were written", sqlfile.ErrDamaged)
	}
	if slices.Contains(groups, ledger.ByDay) || slices.Contains(groups, ledger.ByMonth) {
		row.Day = dayTime(day)
	}
	return row, nil
}
