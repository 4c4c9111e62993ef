package ledger

import (
	"cmp"
	"slices"
)

// Sums answers a Query from rows, for stores that cannot add up by themselves: make it with NewSums, give it the rows of the
// books with Add, and take what Rows returns. It is not safe for concurrent use.
type Sums struct {
	query Query
	asked map[Account]bool
	sums  map[Account]*Amounts
}

// NewSums begins to answer q, whose days are taken as they are.
func NewSums(q Query) *Sums { return &Sums{query: q, asked: q.asked(), sums: map[Account]*Amounts{}} }

// Add adds a row of the books where the query wants it.
func (s *Sums) Add(a Account, amounts Amounts) {
	if !s.query.wants(&a) {
		return
	}
	group := s.query.group(&a)
	if s.asked != nil && !s.asked[group] {
		return
	}
	sum := s.sums[group]
	if sum == nil {
		sum = new(Amounts)
		s.sums[group] = sum
	}
	sum.Add(amounts)
}

// Len is how many groups there are.
func (s *Sums) Len() int { return len(s.sums) }

// Rows returns the groups as Store.Spend does.
func (s *Sums) Rows() []Row {
	rows := make([]Row, 0, len(s.sums))
	for a, sum := range s.sums {
		rows = append(rows, Row{a, *sum})
	}
	slices.SortFunc(rows, CompareRows)
	return rows[:min(len(rows), cmp.Or(s.query.Limit, defaultRows))]
}
