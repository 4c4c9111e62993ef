package logdb

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

const (
	mostEvents   = 10_000 // of one answer
	prunedEvents = 500    // in one transaction
)

// LoadAlarms implements alarm.Store.
func (l *Log) LoadAlarms(ctx context.Context) (alarm.Kept, error) {
	var k alarm.Kept
	err := l.db.Read(ctx, func(r *sqlfile.Conn) error {
		// One transaction, so that both are of the same SaveAlarms.
		if err := r.Run("BEGIN"); err != nil {
			return err
		}
		var err error
		if k.Statuses, err = list(r, selectStates, scanStatus); err == nil {
			k.Silences, err = list(r, selectSilences, scanSilence)
		}
		if e := r.Run("COMMIT"); err == nil {
			err = e
		}
		return err
	})
	if err != nil {
		return alarm.Kept{}, fmt.Errorf("sqlite: load the states of alarms: %w", err)
	}
	return k, nil
}

// list reads all rows of a prepared query.
func list[T any](r *sqlfile.Conn, stmt int, scan func(*sql.Rows) (T, error), args ...any) ([]T, error) {
	rows, err := r.Rows(stmt, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

func scanStatus(rows *sql.Rows) (s alarm.Status, err error) {
	var since int64
	var value sql.NullFloat64
	err = rows.Scan(&s.Name, &s.Of, &s.State, &since, &value, &s.HasValue, &s.Silenced, &s.Reason)
	s.Since, s.Value = timeOf(since), number(value)
	return s, err
}

func scanSilence(rows *sql.Rows) (s alarm.Silence, err error) {
	var from, until int64
	err = rows.Scan(&s.ID, &s.Alarm, &s.Of, &from, &until, &s.By, &s.Comment)
	s.From, s.Until = timeOf(from), timeOf(until)
	return s, err
}

// number is a value of a column where SQLite has no room for what is not a number.
func number(v sql.NullFloat64) float64 {
	if !v.Valid {
		return math.NaN()
	}
	return v.Float64
}

// SaveAlarms implements alarm.Store.
func (l *Log) SaveAlarms(ctx context.Context, k alarm.Kept) error {
	err := l.db.Write(ctx, sqlfile.Normal, func(w *sqlfile.Conn) error {
		if err := w.Run("DELETE FROM alarm_states; DELETE FROM silences"); err != nil {
			return err
		}
		for i, s := range k.Statuses {
			_, err := w.Exec(insertState, i, s.Name, s.Of, string(s.State), nanos(s.Since), s.Value, s.HasValue, s.Silenced, s.Reason)
			if err != nil {
				return err
			}
		}
		for i, s := range k.Silences {
			if _, err := w.Exec(insertSilence, i, s.ID, s.Alarm, s.Of, nanos(s.From), nanos(s.Until), s.By, s.Comment); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return fmt.Errorf("sqlite: save the states of alarms: %w", err)
	}
	return nil
}

// AppendAlarmEvents implements alarm.Store.
func (l *Log) AppendAlarmEvents(ctx context.Context, events []alarm.Event) error {
	if len(events) == 0 {
		return l.db.Usable(ctx)
	}
	var last int64
	err := l.db.Write(ctx, sqlfile.Normal, func(w *sqlfile.Conn) error {
		for i := range events {
			e := &events[i]
			_, err := w.Exec(insertEvent, nanos(e.At), e.Name, e.Of, string(e.Severity), string(e.From), string(e.To), e.Value, e.Reason, e.Silenced)
			if err != nil {
				return err
			}
		}
		if err := w.QueryRowContext(context.Background(), `SELECT last_insert_rowid()`).Scan(&last); err != nil {
			return err
		}
		return ctx.Err()
	})
	if err != nil {
		return fmt.Errorf("sqlite: append %d events of alarms: %w", len(events), err)
	}
	for i := range events { // one transaction gives one number after the other
		events[i].Seq = last - int64(len(events)-1-i)
	}
	return nil
}

// AlarmEvents implements alarm.Store. A limit above 10,000 counts as that, one below 1 as 0.
func (l *Log) AlarmEvents(ctx context.Context, name string, before int64, limit int) (events []alarm.Event, err error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	args, stmt := []any{before, min(max(limit, 0), mostEvents)}, selectEvents
	if name != "" {
		args, stmt = append(args, name), selectEventsOf
	}
	err = l.db.Read(ctx, func(r *sqlfile.Conn) error {
		events, err = list(r, stmt, scanEvent, args...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: read events of alarms: %w", err)
	}
	return events, nil
}

func scanEvent(rows *sql.Rows) (e alarm.Event, err error) {
	var at int64
	var value sql.NullFloat64
	err = rows.Scan(&e.Seq, &at, &e.Name, &e.Of, &e.Severity, &e.From, &e.To, &value, &e.Reason, &e.Silenced)
	e.At, e.Value = timeOf(at), number(value)
	return e, err
}

// PruneAlarmEvents implements alarm.Store. It works in transactions of up to 500 events.
func (l *Log) PruneAlarmEvents(ctx context.Context, t time.Time) error {
	for n := int64(prunedEvents); n == prunedEvents; {
		err := l.db.Write(ctx, sqlfile.Normal, func(w *sqlfile.Conn) error {
			var err error
			n, err = w.Exec(deleteEvents, nanos(t), prunedEvents)
			return err
		})
		if err != nil {
			return fmt.Errorf("sqlite: remove old events of alarms: %w", err)
		}
	}
	return nil
}
