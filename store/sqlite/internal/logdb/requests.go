package logdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// hashOf is how an id or a user is found among the entries of the bucket that seq is in.
func hashOf(seq int64, s string) int64 {
	return seq/bucketRows<<32 | int64(crc32.Checksum([]byte(s), castagnoli()))
}

// AppendRequests implements requestlog.Store. Batches of some hundred entries cost least
// an entry.
func (l *Log) AppendRequests(ctx context.Context, entries []requestlog.Entry) error {
	if len(entries) == 0 {
		return l.db.Usable(ctx)
	}
	var first int64
	err := l.writeWords(ctx, func(w *sqlfile.Conn) error {
		// Also where this fails: nobody knows then whether the disk has it.
		first = l.next.Add(int64(len(entries))) - int64(len(entries))
		var z zone
		for i := range entries {
			if err := ctx.Err(); err != nil {
				return err
			}
			e, seq := &entries[i], first+int64(i)
			if err := l.insert(w, e, seq); err != nil {
				return err
			}
			if z.entries > 0 && z.number != seq/zoneRows {
				if err := z.grow(w); err != nil {
					return err
				}
			}
			z.add(e, seq)
		}
		return z.grow(w)
	})
	if err != nil {
		return fmt.Errorf("sqlite: append %d entries: %w", len(entries), err)
	}
	for i := range entries {
		entries[i].Seq = first + int64(i)
	}
	return nil
}

// insert writes an entry under a number.
func (l *Log) insert(w *sqlfile.Conn, e *requestlog.Entry, seq int64) error {
	args := make([]any, 0, 20)
	args = append(args, seq, nanos(e.Start), int64(e.Duration), e.MicroUSD)
	for _, text := range [...]string{e.Tenant, e.Key, e.Operation, e.Model, e.Provider, e.Outcome, string(e.ErrorType), e.Cache, e.Fallback} {
		v, err := l.words.keep(w, text)
		if err != nil {
			return err
		}
		args = append(args, v)
	}
	enc := writer{words: &l.words, conn: w, buf: make([]byte, 0, 256)}
	enc.rest(e)
	end := len(enc.buf)
	enc.attempts(e.Attempts)
	if enc.err != nil {
		return enc.err
	}
	var user any
	if e.User != "" {
		user = hashOf(seq, e.User)
	}
	_, err := w.Exec(insertRequest, append(args, e.ID, e.User, enc.buf[:end:end], enc.buf[end:], notable(e), hashOf(seq, e.ID), user)...)
	return err
}

// notable is 1 for entries that people look for: few, as a rule.
func notable(e *requestlog.Entry) int64 {
	if e.Outcome != okOutcome || e.ErrorType != "" || e.Fallback != "" {
		return 1
	}
	return 0
}

// okOutcome is the outcome of calls that went as they should.
const okOutcome = "ok"

// zone sums up entries of a zone.
type zone struct {
	number, last, entries        int64
	first, latest, dear, longest int64
}

// add takes in an entry.
func (z *zone) add(e *requestlog.Entry, seq int64) {
	start, long := nanos(e.Start), int64(e.Duration)
	if z.entries == 0 {
		*z = zone{number: seq / zoneRows, first: start, latest: start, longest: long, dear: e.MicroUSD}
	}
	z.last, z.entries = seq, z.entries+1
	z.first, z.latest = min(z.first, start), max(z.latest, start)
	z.longest, z.dear = max(z.longest, long), max(z.dear, e.MicroUSD)
}

// grow writes what was taken in, and begins anew.
func (z *zone) grow(w *sqlfile.Conn) error {
	_, err := w.Exec(growZone, z.number, z.last, z.entries, z.first, z.latest, z.longest, z.dear)
	*z = zone{}
	return err
}

// Request implements requestlog.Store.
func (l *Log) Request(ctx context.Context, seq int64) (e requestlog.Entry, ok bool, err error) {
	err = l.db.Read(ctx, func(r *sqlfile.Conn) error {
		var row entryRow
		var attempts []byte
		err := r.Row(selectRequest, seq).Scan(append(row.dest(), &attempts)...)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if e, err = row.entry(&l.words); err != nil {
			return err
		}
		e.Attempts, err = readAttempts(attempts, &l.words)
		ok = err == nil
		return err
	})
	if err != nil {
		return requestlog.Entry{}, false, fmt.Errorf("sqlite: read an entry: %w", err)
	}
	return e, ok, nil
}

// entryRow is a row of entryColumns.
type entryRow struct {
	seq, start, duration, cost int64
	texts                      [9]cell
	id, user                   string
	rest                       []byte
}

func (r *entryRow) dest() []any {
	to := []any{&r.seq, &r.start, &r.duration, &r.cost}
	for i := range r.texts {
		to = append(to, &r.texts[i])
	}
	return append(to, &r.id, &r.user, &r.rest)
}

// entry is what the row says.
func (r *entryRow) entry(words *words) (requestlog.Entry, error) {
	e := requestlog.Entry{
		Seq: r.seq, Start: timeOf(r.start), Duration: time.Duration(r.duration), MicroUSD: r.cost, ID: r.id, User: r.user,
	}
	var kind string
	for i, to := range [...]*string{&e.Tenant, &e.Key, &e.Operation, &e.Model, &e.Provider, &e.Outcome, &kind, &e.Cache, &e.Fallback} {
		var err error
		if *to, err = words.read(&r.texts[i]); err != nil {
			return requestlog.Entry{}, err
		}
	}
	e.ErrorType = llm.Kind(kind)
	if err := readRest(r.rest, words, &e); err != nil {
		return requestlog.Entry{}, err
	}
	return e, nil
}
