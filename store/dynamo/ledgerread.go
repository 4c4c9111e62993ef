package dynamo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/forebay-ai/forebay/ledger"
)

const (
	// readers is how many partitions a Spend reads at once.
	readers = 8
	// mostGroups bounds what one Spend has in memory, some 500 bytes each.
	mostGroups = 1_000_000
	// abandonedAfter is how long after its end a reservation is taken for one that nobody ends: more than clocks differ by.
	abandonedAfter = time.Minute
)

// errGroups is what Spend returns for a query with too many groups.
var errGroups = errors.New("dynamo: the query has more than a million groups; ask for one tenant or for a shorter time")

// books is one partition of rows.
type books struct{ month, tenant string }

// Spend implements ledger.Store. It reads consistently: what was posted before it was called is in it.
func (l *Ledger) Spend(ctx context.Context, q ledger.Query) ([]ledger.Row, error) {
	all, err := l.partitions(ctx, &q)
	if err != nil {
		return nil, fmt.Errorf("dynamo: read the books: %w", err)
	}
	sums := ledger.NewSums(q)
	if err := l.readAll(ctx, all, &q, sums); err != nil {
		return nil, fmt.Errorf("dynamo: read the books: %w", err)
	}
	return sums.Rows(), nil
}

// readAll adds up partitions, several at once. The first error ends it.
func (l *Ledger) readAll(ctx context.Context, all []books, q *ledger.Query, sums *ledger.Sums) error {
	var mu sync.Mutex // guards sums and failed
	var failed error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next := make(chan books)
	var workers sync.WaitGroup
	for range min(readers, len(all)) {
		workers.Go(func() {
			for b := range next {
				err := l.readBooks(ctx, b, q, func(a ledger.Account, m ledger.Amounts, _ item) error {
					mu.Lock()
					defer mu.Unlock()
					if sums.Add(a, m); sums.Len() > mostGroups {
						return errGroups
					}
					return nil
				})
				if err != nil {
					mu.Lock()
					if failed == nil {
						failed = err
					}
					mu.Unlock()
					cancel()
				}
			}
		})
	}
	for _, b := range all {
		next <- b
	}
	close(next)
	workers.Wait()
	return failed
}

// partitions are those that a query is about.
func (l *Ledger) partitions(ctx context.Context, q *ledger.Query) (all []books, err error) {
	from, to := "", "\U0010ffff"
	if !q.From.IsZero() {
		from = q.From.UTC().Format(monthForm)
	}
	if !q.To.IsZero() {
		to = q.To.UTC().Format(monthForm) + "#\U0010ffff"
	}
	if from > to || !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To) {
		return nil, ctx.Err()
	}
	if from == "" {
		from = "0"
	}
	in := between(l.table, monthsPartition, from, to)
	if q.Tenant != "" {
		// It saves no read units, but bytes.
		in.FilterExpression = aws.String("#t = :t")
		in.ExpressionAttributeNames["#t"], in.ExpressionAttributeValues[":t"] = attrTenant, str(q.Tenant)
	}
	err = l.conn.pages(ctx, "ledger.spend", in, func(it item) error {
		sk, _ := text(it, "sk")
		month, tenant, _ := strings.Cut(sk, "#")
		all = append(all, books{month, tenant})
		return nil
	})
	return all, err
}

// readBooks reads the rows of one partition within the days of a query.
func (l *Ledger) readBooks(ctx context.Context, b books, q *ledger.Query, see func(ledger.Account, ledger.Amounts, item) error) error {
	from, to := "00", "99"
	if !q.From.IsZero() && q.From.UTC().Format(monthForm) == b.month {
		from = q.From.UTC().Format("02")
	}
	if !q.To.IsZero() && q.To.UTC().Format(monthForm) == b.month {
		to = q.To.UTC().Format("02") // exclusive: what stands behind the number sorts after it
	}
	in := between(l.table, rowsPartition+b.month+"#"+b.tenant, from, to)
	return l.conn.pages(ctx, "ledger.spend", in, func(it item) error {
		a, m, err := readRow(it)
		if err != nil {
			return err
		}
		return see(a, m, it)
	})
}

// Holds implements ledger.Store. It costs a read unit for some twenty reservations, and 8 at the least.
func (l *Ledger) Holds(ctx context.Context) (all []ledger.Hold, err error) {
	err = l.eachHold(ctx, func(h ledger.Hold) error {
		all = append(all, h)
		return nil
	})
	return all, err
}

func (l *Ledger) eachHold(ctx context.Context, see func(ledger.Hold) error) error {
	for slot := range holdSlots {
		err := l.conn.pages(ctx, "ledger.holds", partition(l.table, holdsPartition+strconv.Itoa(slot), ""), func(it item) error {
			h, err := readHold(it)
			if err != nil {
				return err
			}
			return see(h)
		})
		if err != nil {
			return fmt.Errorf("dynamo: read the reservations: %w", err)
		}
	}
	return nil
}

// Abandoned implements ledger.Sharer. It costs what Holds costs, and a write unit for each that it takes over. With an error it
// returns what it took over until then.
func (l *Ledger) Abandoned(ctx context.Context, now time.Time) (all []ledger.Hold, err error) {
	err = l.eachHold(ctx, func(h ledger.Hold) error {
		if now.Sub(h.Expires) < abandonedAfter {
			return nil
		}
		taken, err := l.takeOver(ctx, &h, now)
		if taken {
			all = append(all, h)
		}
		return err
	})
	return all, err
}

// takeOver makes an abandoned reservation this process's for a while, or says that another one was faster. Whoever takes it has a
// name of its own for that: a try whose answer was lost is told from another's. If none is answered the reservation is
// nobody's, and taken over when that while is over, as it is where this process dies before it has booked it.
func (l *Ledger) takeOver(ctx context.Context, h *ledger.Hold, now time.Time) (taken bool, err error) {
	var e expression
	update := "SET " + e.n("expires") + " = " + e.v("until", num(now.Add(takenFor).UnixMicro())) + ", " +
		e.n("taker") + " = " + e.v("taker", str(l.writer+"-"+strconv.FormatUint(rand.Uint64(), 36)))
	condition := e.n("expires") + " = " + e.v("seen", num(h.Expires.UnixMicro())) + " OR " + e.n("taker") + " = :taker"
	for range rowTries {
		_, err = l.conn.update(ctx, "ledger.abandoned", &dynamodb.UpdateItemInput{
			TableName: &l.table, Key: holdKey(h.ID), UpdateExpression: &update, ConditionExpression: &condition,
			ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
		})
		switch {
		case err == nil:
			return true, nil
		case conditionFailed(err):
			return false, nil
		case ctx.Err() != nil:
			return false, err
		}
	}
	return false, err
}

// ErasePostings implements ledger.Store. It reads all that the tenant has, and writes the user's rows twice.
func (l *Ledger) ErasePostings(ctx context.Context, tenant, user string) error {
	if user == erasedUser {
		return fmt.Errorf("dynamo: the user %q cannot be erased", erasedUser)
	}
	q := ledger.Query{Tenant: tenant}
	all, err := l.partitions(ctx, &q)
	if err != nil {
		return fmt.Errorf("dynamo: erase a name: %w", err)
	}
	for _, b := range all {
		if b.tenant != tenant {
			continue
		}
		var rows []accountRow
		err := l.readBooks(ctx, b, &q, func(a ledger.Account, _ ledger.Amounts, it item) error {
			if a.User == user {
				rows = append(rows, accountRow{a, item{"pk": it["pk"], "sk": it["sk"]}})
			}
			return nil
		})
		for i := 0; i < len(rows) && err == nil; i++ {
			err = l.eraseRow(ctx, rows[i])
		}
		if err != nil {
			return fmt.Errorf("dynamo: erase a name: %w", err)
		}
	}
	return nil
}
