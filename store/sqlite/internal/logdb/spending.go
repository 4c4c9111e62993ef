package logdb

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

const (
	// mostRanked is the largest limit of a query by users for which the groups are ranked before their amounts
	// are summed up: to sort a million groups with all amounts takes twice as long as by what they cost alone.
	mostRanked = 10_000
	// mostValues bounds the values of one statement, of which SQLite takes 32,766.
	mostValues = 20_000
	// low is the lower half of an amount.
	low = 1<<32 - 1
)

// spending is a query in progress.
type spending struct {
	query  *ledger.Query
	groups []ledger.Dimension
	// wide sums the halves of amounts up apart, so that no sum overflows. It costs twice as much, so it is done only where
	// one has.
	wide bool
}

// rows answers the query.
func (s *spending) rows(ctx context.Context, r *sqlfile.Conn) ([]ledger.Row, error) {
	switch {
	case s.query.Groups != nil && len(s.groups) > 0:
		var asked [][]any
		for i := range s.query.Groups {
			asked = append(asked, s.values(&s.query.Groups[i]))
		}
		return s.among(ctx, r, asked)
	case slices.Contains(s.groups, ledger.ByUser) && s.query.Limit <= mostRanked:
		ranked, tied, err := s.ranked(r, s.wide)
		if tied && err == nil {
			ranked, _, err = s.ranked(r, true)
		}
		if err != nil {
			return nil, err
		}
		return s.among(ctx, r, ranked)
	}
	where, args := spendCondition(s.query, false)
	text := `SELECT ` + s.fields(s.by(), s.sums()) + ` FROM books` + where + s.grouped() + s.order()
	return s.read(r, text, append(args, s.query.Limit))
}

// ranked are the groups that cost most, up to the limit. Unless full, they are ranked by what they cost alone, which is a
// third faster, and tied says that something else decides which of them are within the limit.
func (s *spending) ranked(r *sqlfile.Conn, full bool) (all [][]any, tied bool, err error) {
	order, cost := s.order(), "0"
	if !full {
		cost = s.total("micro_usd", "compute", "storage")
		order = fmt.Sprintf(` ORDER BY %d DESC LIMIT ?`, len(s.groups)+1)
	}
	where, args := spendCondition(s.query, false)
	text := `SELECT ` + s.fields(s.by(), []string{cost}) + ` FROM books` + where + s.grouped() + order
	rows, err := r.QueryContext(context.Background(), text, append(args, s.query.Limit+1)...)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	var last int64
	for rows.Next() {
		var row ledger.Row
		var day, cost int64
		if err := rows.Scan(append(s.targets(&row, &day), &cost)...); err != nil {
			return nil, false, err
		}
		if len(all) == s.query.Limit { // one more than are asked for
			return all, !full && cost == last, nil
		}
		s.date(&row, day)
		all, last = append(all, s.values(&row.Account)), cost
	}
	return all, false, rows.Err()
}

// among sums up the groups with these values, each once.
func (s *spending) among(ctx context.Context, r *sqlfile.Conn, groups [][]any) ([]ledger.Row, error) {
	// Where the tenant is known, a group's postings of a day are together.
	where, args := spendCondition(s.query, slices.Contains(s.groups, ledger.ByTenant))
	place := `(` + strings.TrimSuffix(strings.Repeat("?,", len(s.groups)), ",") + `),`
	var all []ledger.Row
	for chunk := range slices.Chunk(groups, mostValues/len(s.groups)) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		text := `SELECT ` + s.fields(s.by(), s.sums()) + ` FROM books` + where + ` AND (` + strings.Join(s.by(), ",") + `) IN (VALUES ` +
			strings.TrimSuffix(strings.Repeat(place, len(chunk)), ",") + `)` + s.grouped()
		rows, err := s.read(r, text, append(slices.Clone(args), slices.Concat(chunk...)...))
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	slices.SortFunc(all, ledger.CompareRows)
	all = slices.CompactFunc(all, func(a, b ledger.Row) bool { return a.Account == b.Account }) // asked for twice
	return all[:min(len(all), s.query.Limit)], nil
}

// read runs a statement whose columns are the groups and the sums.
func (s *spending) read(r *sqlfile.Conn, text string, args []any) ([]ledger.Row, error) {
	rows, err := r.QueryContext(context.Background(), text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []ledger.Row
	for rows.Next() {
		row, err := s.scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// by are the expressions of the groups.
func (s *spending) by() (by []string) {
	for _, d := range s.groups {
		by = append(by, expression(d))
	}
	return by
}

// sums are the expressions of the sums, in the order of sumColumns. The last one is of checksums below 2^31: there
// are not enough rows on earth for it to overflow.
func (s *spending) sums() (sums []string) {
	names := sumNames()
	for _, c := range names[:len(names)-1] {
		if s.wide {
			sums = append(sums, high(c), lower(c))
		} else {
			sums = append(sums, "sum("+c+")")
		}
	}
	return append(sums, "sum("+names[len(names)-1]+")")
}

func high(c string) string  { return "sum(" + c + " >> 32)" }
func lower(c string) string { return fmt.Sprintf("sum(%s & %d)", c, int64(low)) }

// grouped has no row for nothing at all, which would be there without groups.
func (s *spending) grouped() string {
	if len(s.groups) == 0 {
		return ` HAVING count(*) > 0`
	}
	return ` GROUP BY ` + strings.Join(s.by(), ", ")
}

// order is that of ledger.CompareRows.
func (s *spending) order() string {
	var terms []string
	for _, columns := range [][]string{{"micro_usd", "compute", "storage"}, {"saved"}, {"calls"}} {
		if !s.wide {
			terms = append(terms, s.total(columns...)+" DESC")
			continue
		}
		var highs, lows []string
		for _, c := range columns {
			highs, lows = append(highs, high(c)), append(lows, lower(c))
		}
		l := strings.Join(lows, " + ")
		h := strings.Join(highs, " + ") + " + ((" + l + ") >> 32)"
		terms = append(terms, fmt.Sprintf("min(%s, %d) DESC", h, int64(1<<31)),
			fmt.Sprintf("CASE WHEN %s >= %d THEN 0 ELSE (%s) & %d END DESC", h, int64(1<<31), l, int64(low)))
	}
	for i := range s.groups {
		terms = append(terms, fmt.Sprint(i+1))
	}
	return ` ORDER BY ` + strings.Join(terms, ", ") + ` LIMIT ?`
}

// total is the sum of columns that do not overflow themselves. Beyond an integer it is a floating-point number,
// which is larger than any.
func (s *spending) total(columns ...string) string {
	return fmt.Sprintf("min(sum(%s), %d)", strings.Join(columns, ") + sum("), int64(math.MaxInt64))
}

func (s *spending) fields(lists ...[]string) string {
	return strings.Join(slices.Concat(lists...), ", ")
}

// values are an account's parts that are grouped by, as they are kept.
func (s *spending) values(a *ledger.Account) []any {
	var values []any
	for _, d := range s.groups {
		values = append(values, map[ledger.Dimension]any{
			ledger.ByDay: dayOf(a.Day), ledger.ByMonth: dayOf(a.Day.AddDate(0, 0, 1-a.Day.Day())), ledger.ByTenant: a.Tenant,
			ledger.ByUser: a.User, ledger.ByKey: a.Key, ledger.ByOperation: a.Operation, ledger.ByProvider: a.Provider, ledger.ByModel: a.Model,
		}[d])
	}
	return values
}

// targets are where the groups' columns go.
func (s *spending) targets(row *ledger.Row, day *int64) []any {
	to := make([]any, 0, len(s.groups)+24)
	for _, d := range s.groups {
		to = append(to, map[ledger.Dimension]any{
			ledger.ByDay: day, ledger.ByMonth: day, ledger.ByTenant: &row.Tenant, ledger.ByUser: &row.User, ledger.ByKey: &row.Key,
			ledger.ByOperation: &row.Operation, ledger.ByProvider: &row.Provider, ledger.ByModel: &row.Model,
		}[d])
	}
	return to
}

func (s *spending) date(row *ledger.Row, day int64) {
	if slices.Contains(s.groups, ledger.ByDay) || slices.Contains(s.groups, ledger.ByMonth) {
		row.Day = dayTime(day)
	}
}

// scan reads a row of sums, and checks it.
func (s *spending) scan(rows *sql.Rows) (ledger.Row, error) {
	var row ledger.Row
	var day, sum, want int64
	var halves [len(amountsOf{})][2]int64
	to := s.targets(&row, &day)
	for i, n := range amounts(&row.Amounts) {
		if s.wide {
			to = append(to, &halves[i][0], &halves[i][1])
		} else {
			to = append(to, n)
		}
	}
	if err := rows.Scan(append(to, &sum)...); err != nil {
		return row, err
	}
	want = amountsSum(&row.Amounts)
	if s.wide {
		want = joined(&halves, &row.Amounts)
	}
	if sum%sumPrime != want {
		return row, fmt.Errorf("%w: amounts of the books are not as they were written", sqlfile.ErrDamaged)
	}
	s.date(&row, day)
	return row, nil
}

// joined puts the halves of sums together, which stick at the largest value, and returns the checksum of what they
// would be without that.
func joined(halves *[len(amountsOf{})][2]int64, m *ledger.Amounts) (sum int64) {
	for i, n := range amounts(m) {
		h, l := halves[i][0]+halves[i][1]>>32, halves[i][1]&low
		if *n = h<<32 | l; h > math.MaxInt32 {
			*n = math.MaxInt64
		}
		exact := (h%sumPrime*((1<<32)%sumPrime) + l%sumPrime) % sumPrime
		sum = (sum + sumWeight(i)*exact) % sumPrime
	}
	return (sum + sumPrime) % sumPrime
}
