package logdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// erasedUser is whose the postings of erased users are; the contract has the name.
const erasedUser = "erased"

// verified is how many rows Verify reads at once.
const verified = 1000

// Holds implements ledger.Store. Where reservations are damaged, the error has
// sqlfile.ErrDamaged in its chain, and the others are returned with it.
func (l *Ledger) Holds(ctx context.Context) ([]ledger.Hold, error) {
	var all []ledger.Hold
	err := l.now().Read(ctx, func(r *sqlfile.Conn) (err error) {
		all, err = l.readHolds(r)
		return err
	})
	if err != nil {
		return all, fmt.Errorf("sqlite: read the reservations: %w", err)
	}
	return all, nil
}

func (l *Ledger) readHolds(r *sqlfile.Conn) ([]ledger.Hold, error) {
	damaged := 0
	all, err := list(r, selectHolds, func(rows *sql.Rows) (ledger.Hold, error) {
		var h ledger.Hold
		var day, expires, sum int64
		err := rows.Scan(&h.ID, &day, &h.Tenant, &h.User, &h.Key, &h.Operation, &h.Provider, &h.Model, &h.MicroUSD, &expires, &sum)
		h.Day, h.Expires = dayTime(day), timeOf(expires)
		if err == nil && holdSum(&h) != sum {
			damaged++
			h.ID = ""
		}
		return h, err
	})
	if err != nil || damaged == 0 {
		return all, err
	}
	sound := all[:0]
	for _, h := range all {
		if h.ID != "" {
			sound = append(sound, h)
		}
	}
	return sound, damagedBooks(l.path, fmt.Errorf("%w: %d reservations are not as they were written", sqlfile.ErrDamaged, damaged))
}

// ErasePostings implements ledger.Store. It works in one transaction for each day, so
// that where it fails some days are done, and to call it again is enough. It waits for syncs
// of the disk. The name is overwritten as by Log.EraseRequests, with the same limits.
func (l *Ledger) ErasePostings(ctx context.Context, tenant, user string) error {
	if user == "" || user == erasedUser {
		return &llm.Error{
			Kind: llm.CallerInvalidRequest, Message: fmt.Sprintf("the user %q cannot be erased", user),
			Limit: "user", Value: user, Fix: "Name the user as calls do",
		}
	}
	days, err := l.daysOf(ctx, tenant, user)
	if err == nil {
		err = l.eraseHolds(ctx, tenant, user)
	}
	for i := 0; err == nil && i < len(days); i++ {
		err = l.eraseDay(ctx, days[i], tenant, user)
	}
	if err == nil {
		err = l.now().EmptyLog(ctx)
	}
	if err != nil {
		return fmt.Errorf("sqlite: erase a user of the books: %w", err)
	}
	return nil
}

// daysOf are the days on which a user has postings.
func (l *Ledger) daysOf(ctx context.Context, tenant, user string) (days []int64, err error) {
	err = l.now().Read(ctx, func(r *sqlfile.Conn) error {
		days, err = list(r, selectDays, func(rows *sql.Rows) (day int64, err error) {
			err = rows.Scan(&day)
			return day, err
		}, tenant, user)
		return err
	})
	return days, err
}

// eraseDay moves what a user has spent on a day. It is one straight line on purpose: what is
// read has to be read in the transaction that moves it.
func (l *Ledger) eraseDay(ctx context.Context, day int64, tenant, user string) error {
	return l.write(ctx, sqlfile.Secret, func(w *sqlfile.Conn) error {
		rows, err := w.QueryContext(context.Background(), selectAll+` WHERE day = ?1 AND tenant = ?2 AND user = ?3`, day, tenant, user)
		if err != nil {
			return err
		}
		var all []ledger.Posting
		for rows.Next() && err == nil {
			var p ledger.Posting
			if p, err = scanPosting(rows); err == nil {
				all = append(all, p)
			}
		}
		if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
			return err
		}
		if _, err := w.Exec(deletePostings, day, tenant, user); err != nil {
			return err
		}
		for i := range all {
			all[i].User = erasedUser
			if err := postTo(w, post, day, &all[i].Account, all[i].Amounts); err != nil {
				return err
			}
		}
		return nil
	})
}

// scanPosting reads a row of the books, and checks it.
func scanPosting(rows *sql.Rows) (ledger.Posting, error) {
	var p ledger.Posting
	var day, sum, account int64
	to := []any{&day, &p.Tenant, &p.User, &p.Key, &p.Operation, &p.Provider, &p.Model}
	for _, n := range amounts(&p.Amounts) {
		to = append(to, n)
	}
	if err := rows.Scan(append(to, &sum, &account)...); err != nil {
		return p, err
	}
	p.Day = dayTime(day)
	if sum != amountsSum(&p.Amounts) || account != accountSum(day, &p.Account) {
		return p, fmt.Errorf("%w: a posting is not as it was written", sqlfile.ErrDamaged)
	}
	return p, nil
}

// eraseHolds takes a user's name from the reservations in progress.
func (l *Ledger) eraseHolds(ctx context.Context, tenant, user string) error {
	return l.write(ctx, sqlfile.Secret, func(w *sqlfile.Conn) error {
		rows, err := w.QueryContext(context.Background(), `SELECT `+holdColumns+` FROM holds WHERE tenant = ?1 AND user = ?2`, tenant, user)
		if err != nil {
			return err
		}
		var all []ledger.Hold
		for rows.Next() && err == nil {
			var h ledger.Hold
			var day, expires int64
			err = rows.Scan(&h.ID, &day, &h.Tenant, &h.User, &h.Key, &h.Operation, &h.Provider, &h.Model, &h.MicroUSD, &expires)
			h.Day, h.Expires = dayTime(day), timeOf(expires)
			all = append(all, h)
		}
		if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
			return err
		}
		for i := range all {
			h := &all[i]
			h.User = erasedUser
			if _, err := w.Exec(eraseHold, h.ID, h.User, holdSum(h)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Verify reads all postings and reservations and compares them with their checksums, at
// about 10 us each. It holds up nobody. The error of damage has sqlfile.ErrDamaged in its
// chain and says how much of it there is.
func (l *Ledger) Verify(ctx context.Context) error {
	_, err := l.Holds(ctx)
	if err != nil {
		return err
	}
	damaged, read := 0, 0
	var last ledger.Posting
	for at := firstAccount(); ; at = accountValues(nil, dayOf(last.Day), &last.Account) {
		n := 0
		err := l.now().Read(ctx, func(r *sqlfile.Conn) error {
			_, err := list(r, selectBooks, func(rows *sql.Rows) (struct{}, error) {
				p, err := scanPosting(rows)
				if errors.Is(err, sqlfile.ErrDamaged) {
					damaged++
					err = nil
				}
				last = p
				n++
				return struct{}{}, err
			}, append(at, verified)...)
			return err
		})
		if err != nil {
			return fmt.Errorf("sqlite: verify the books: %w", err)
		}
		read += n
		if n < verified {
			break
		}
	}
	if damaged > 0 {
		return damagedBooks(l.path, fmt.Errorf("%w: %d of %d postings are not as they were written", sqlfile.ErrDamaged, damaged, read))
	}
	return nil
}
