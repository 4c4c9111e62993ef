package logdb

import (
	"context"
	"database/sql"
	"fmt"
	"math"

	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

const (
	// scannedZones is how many zones a page looks through where no index helps: 32,768
	// entries, about 10 ms.
	scannedZones = 8
	// candidates is how many entries a page looks at that an index gives. Each may have
	// to be read from another place of the file.
	candidates = 5000
)

// effort bounds what is looked through for one page.
type effort struct{ zones, candidates int }

// plan is how a page is found.
type plan struct {
	where string // of the columns that the filter names, without the index's
	args  []any
	index string // the index and its condition; empty for a walk over zones
	by    []any  // the arguments of that
	text  string // an id or a user, whose index has buckets
	zones []any  // the arguments of zoneCondition behind the numbers
}

// plan decides how the entries of a filter are found: by that index of those that help
// which has the fewest entries for one value, as a rule.
func (l *Log) plan(f *requestlog.Filter) *plan {
	p := &plan{zones: []any{int64(math.MinInt64), int64(math.MaxInt64), int64(math.MinInt64), int64(math.MinInt64)}}
	switch {
	case f.ID != "":
		p.index, p.text = `requests_id WHERE id_hash = ?`, f.ID
	case f.User != "":
		p.index, p.text = `requests_user WHERE user_hash IS NOT NULL AND user_hash = ?`, f.User
	case f.Failed, f.ErrorType != "", f.Fallback != "", f.Outcome != "" && f.Outcome != okOutcome:
		p.index = `requests_notable WHERE notable = 1`
	case f.Operation != "":
		p.index, p.by = `requests_operation WHERE operation = ?`, []any{l.words.find(f.Operation)}
	}
	l.conditions(p, f)
	return p
}

// conditions adds a condition for each member of a filter.
func (l *Log) conditions(p *plan, f *requestlog.Filter) {
	for _, w := range [...]struct{ column, text string }{
		{"tenant", f.Tenant},
		{"key", f.Key},
		{"operation", f.Operation},
		{"model", f.Model},
		{"provider", f.Provider},
		{"outcome", f.Outcome},
		{"error_type", f.ErrorType},
		{"cache", f.Cache},
		{"fallback", f.Fallback},
	} {
		if w.text != "" {
			p.and(w.column+" = ?", l.words.find(w.text))
		}
	}
	if f.Failed {
		p.and("outcome IN (?, ?)", l.words.find("error"), l.words.find("refused"))
	}
	if f.ID != "" {
		p.and("id = ?", f.ID)
	}
	if f.User != "" {
		p.and("user = ?", f.User)
	}
	p.bounds(f)
}

// bounds adds the conditions that zones know of as well.
func (p *plan) bounds(f *requestlog.Filter) {
	for i, n := range [...]struct {
		condition string
		set       bool
		value     int64
	}{
		{"start >= ?", !f.From.IsZero(), nanos(f.From)},
		{"start < ?", !f.To.IsZero(), nanos(f.To)},
		{"duration >= ?", f.MinDuration > 0, int64(f.MinDuration)},
		{"cost >= ?", f.MinMicroUSD > 0, f.MinMicroUSD},
	} {
		if n.set {
			p.and(n.condition, n.value)
			p.zones[i] = n.value
		}
	}
}

func (p *plan) and(condition string, args ...any) {
	p.where += " AND " + condition
	p.args = append(p.args, args...)
}

// Requests implements requestlog.Store. It looks through 32,768 entries at most, or
// through 5000 where an index helps: on the id, the user, the operation, and on whether a
// call did not go as it should.
func (l *Log) Requests(ctx context.Context, q requestlog.Query) (requestlog.Page, error) {
	p, before := l.plan(&q.Filter), q.Before
	if before <= 0 {
		before = math.MaxInt64
	}
	find := &finder{log: l, plan: p, size: q.Size(), before: before}
	err := l.db.Read(ctx, func(r *sqlfile.Conn) error {
		find.r = r
		if p.index == "" {
			return find.walk()
		}
		return find.lookUp()
	})
	if err != nil {
		return requestlog.Page{}, fmt.Errorf("sqlite: read a page of entries: %w", err)
	}
	return find.page, nil
}

// finder fills one page.
type finder struct {
	log    *Log
	r      *sqlfile.Conn
	plan   *plan
	size   int
	before int64
	page   requestlog.Page
}

// walk looks through the zones that can have what is asked for.
func (f *finder) walk() error {
	zones, err := f.zones()
	if err != nil {
		return err
	}
	stmt, err := f.r.PrepareContext(context.Background(), `SELECT `+entryColumns+` FROM requests NOT INDEXED WHERE seq >= ? AND seq < ?`+f.plan.where+` ORDER BY seq DESC LIMIT ?`)
	if err != nil {
		return err
	}
	defer stmt.Close()
	for i, z := range zones {
		if i == f.log.effort.zones {
			f.page.Next = zones[i-1] * zoneRows
			return nil
		}
		args := append([]any{z * zoneRows, min((z+1)*zoneRows, f.before)}, f.plan.args...)
		full, err := f.read(stmt.QueryContext, args)
		if err != nil || full {
			return err
		}
	}
	return nil
}

// zones are the zones to walk through, newest first, and one more where there is one.
func (f *finder) zones() ([]int64, error) {
	rows, err := f.r.Rows(selectZones, append([]any{int64(0), (f.before - 1) / zoneRows}, append(f.plan.zones, f.log.effort.zones+1)...)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []int64
	for rows.Next() {
		var z int64
		if err := rows.Scan(&z); err != nil {
			return nil, err
		}
		if z > math.MaxInt64/zoneRows-1 {
			return nil, fmt.Errorf("%w: there is no zone %d", sqlfile.ErrDamaged, z)
		}
		all = append(all, z)
	}
	return all, rows.Err()
}

// lookUp looks through the entries that an index gives.
func (f *finder) lookUp() error {
	var first, last int64
	err := f.r.Row(selectZoneRange, append([]any{int64(0), (f.before - 1) / zoneRows}, f.plan.zones...)...).Scan(&first, &last)
	if err != nil || first > last {
		return err
	}
	if last >= math.MaxInt64/zoneRows-1 {
		return fmt.Errorf("%w: there is no zone %d", sqlfile.ErrDamaged, last)
	}
	low, high := first*zoneRows, min(f.before, (last+1)*zoneRows)
	look, err := f.looker()
	if err != nil {
		return err
	}
	defer look.close()
	if f.plan.text == "" {
		_, err := f.lookInto(look, f.plan.by, low, high)
		return err
	}
	for looked := 0; high > low; looked++ {
		if looked == mostBuckets {
			f.page.Next = high
			return nil
		}
		bottom := max(low, (high-1)/bucketRows*bucketRows)
		ended, err := f.lookInto(look, []any{hashOf(bottom, f.plan.text)}, bottom, high)
		if err != nil || ended {
			return err
		}
		high = bottom
	}
	return nil
}

// mostBuckets is how many buckets a page looks into: 2,097,152 entries.
const mostBuckets = 256

// looker has the statements of a look into an index.
type looker struct {
	span, rows *sql.Stmt
	left       int // entries that may still be looked at
}

func (f *finder) looker() (*looker, error) {
	from := ` FROM requests INDEXED BY ` + f.plan.index + ` AND seq >= ? AND seq < ?`
	span, err := f.r.PrepareContext(context.Background(), `SELECT count(*), coalesce(min(seq), 0) FROM (SELECT seq`+from+` ORDER BY seq DESC LIMIT ?)`)
	if err != nil {
		return nil, err
	}
	rows, err := f.r.PrepareContext(context.Background(), `SELECT `+entryColumns+from+f.plan.where+` ORDER BY seq DESC LIMIT ?`)
	if err != nil {
		span.Close() // the error that matters is the first
		return nil, err
	}
	return &looker{span: span, rows: rows, left: f.log.effort.candidates}, nil
}

// close closes the statements. They belong to the connection, which reports what is wrong
// with it elsewhere.
func (l *looker) close() {
	l.span.Close()
	l.rows.Close()
}

// lookInto reads those of the entries from low to high that an index gives. It reports
// whether the page ends with them.
func (f *finder) lookInto(look *looker, by []any, low, high int64) (ended bool, err error) {
	by = by[:len(by):len(by)]
	var n, floor int64
	if err := look.span.QueryRowContext(context.Background(), append(by, low, high, look.left)...).Scan(&n, &floor); err != nil || n == 0 {
		return false, err
	}
	ended, err = f.read(look.rows.QueryContext, append(append(by, floor, high), f.plan.args...))
	if look.left -= int(n); look.left <= 0 && err == nil && !ended {
		f.page.Next, ended = floor, true
	}
	return ended, err
}
