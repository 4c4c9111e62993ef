package sqlite

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

const (
	// walkRows is how many records a Delete looks at, and countRows how many a piece
	// of a Count: about 10 ms each.
	walkRows  = 4096
	countRows = 8192
	// maxWalks bounds the selections whose walks are remembered.
	maxWalks = 256
)

// walks remembers how far the deletion of each selection has come. A record never
// changes under its id, ids ascend, and none is given twice while the store is open.
// So what a walk has passed is done with, and what is written meanwhile lies ahead:
// the walk that reaches the end has seen every record there is.
type walks struct {
	turn chan struct{} // has the token while nobody deletes; guards all below
	of   map[selection]walk
	old  []selection // the keys of of, those that began first first
}

// selection is what tells walks from one another. Dropped is not in it: who deletes
// what has expired says now each time, and has to get on nevertheless.
type selection struct {
	match   cache.Match
	before  uint64
	dropped bool
}

type walk struct {
	at int64 // the last id that is done with
	// dropped is the Dropped that the walk began with. A later one may select more
	// of what the walk has passed.
	dropped int64
}

func newWalks() walks {
	w := walks{turn: make(chan struct{}, 1), of: make(map[selection]walk)}
	w.turn <- struct{}{}
	return w
}

func (w *walks) keepLocked(s selection, to walk) {
	if _, ok := w.of[s]; !ok {
		if len(w.old) == maxWalks {
			delete(w.of, w.old[0]) // it begins again: slower, not wrong
			w.old = w.old[1:]
		}
		w.old = append(w.old, s)
	}
	w.of[s] = to
}

func (w *walks) endLocked(s selection) {
	if _, ok := w.of[s]; !ok {
		return
	}
	delete(w.of, s)
	for i, old := range w.old {
		if old == s {
			w.old = append(w.old[:i], w.old[i+1:]...)
			return
		}
	}
}

// Delete implements cache.Store. It looks at up to 4096 records, from where the last
// Delete of the same selection ended, and so has to be called until more is false.
// Calls that differ in Dropped alone go on with one another's walk; where Dropped has
// moved on since the walk began, more is true at its end. So whoever wants to see the
// end keeps Dropped until then.
func (c *Cache) Delete(ctx context.Context, sel cache.Selection, limit int) (deleted int, more bool, err error) {
	if err := c.db.Usable(ctx); err != nil {
		return 0, false, err
	}
	if limit <= 0 {
		return 0, true, nil
	}
	select {
	case <-c.walks.turn:
	case <-c.db.Closing:
		return 0, false, sqlfile.ErrClosed
	case <-ctx.Done():
		return 0, false, ctx.Err()
	}
	defer func() { c.walks.turn <- struct{}{} }()

	deleted, more, err = c.stepLocked(ctx, sel, limit)
	if err != nil {
		return 0, false, fmt.Errorf("sqlite: delete: %w", err)
	}
	return deleted, more, nil
}

// stepLocked does a piece of a walk.
func (c *Cache) stepLocked(ctx context.Context, sel cache.Selection, limit int) (deleted int, more bool, err error) {
	dropped := droppedNanos(sel.Dropped)
	s := selection{match: canonical(sel.Match), before: sel.Before, dropped: !sel.Dropped.IsZero()}
	now, begun := c.walks.of[s]
	if !begun || dropped < now.dropped {
		// An earlier Dropped selects less, so going on would be right too; but the end
		// of this walk would not be the end of the other's.
		now = walk{dropped: dropped}
	}
	var ids []int64
	end, whole := now.at, true
	err = c.db.Read(ctx, func(r *sqlfile.Conn) error {
		ids, end, whole, err = find(r, sel, now.at, limit)
		return err
	})
	if err != nil {
		return 0, false, err
	}
	if len(ids) > 0 {
		if deleted, err = c.remove(ctx, ids); err != nil {
			return 0, false, err
		}
	}
	if whole {
		c.walks.endLocked(s)
		return deleted, dropped > now.dropped, nil
	}
	now.at = end
	c.walks.keepLocked(s, now)
	return deleted, true, nil
}

// find reads the ids of up to limit records of a selection behind the id after. It
// gives the last id that is done with when they are deleted, and whether that is all.
func find(r *sqlfile.Conn, sel cache.Selection, after int64, limit int) (ids []int64, end int64, whole bool, err error) {
	where, args := condition(sel)
	query := `SELECT id FROM entries WHERE ` + where + ` LIMIT ?`
	end, whole = after, true
	if !byKey(sel) {
		var span int
		if err := r.Row(selectSpan, after, walkRows).Scan(&span, &end); err != nil {
			return nil, 0, false, err
		}
		whole = span < walkRows
		query = `SELECT id FROM entries WHERE id > ? AND id <= ? AND ` + where + ` ORDER BY id LIMIT ?`
		args = append([]any{after, end}, args...)
	}
	rows, err := r.QueryContext(context.Background(), query, append(args, limit)...)
	if err != nil {
		return nil, 0, false, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, 0, false, err
		}
		ids = append(ids, id)
	}
	if len(ids) == limit && !byKey(sel) {
		end, whole = ids[limit-1], false
	}
	return ids, end, whole, rows.Err()
}

// remove deletes records by their ids, all or none, and says how many were there.
func (c *Cache) remove(ctx context.Context, ids []int64) (deleted int, err error) {
	err = c.db.Write(ctx, sqlfile.Normal, func(w *sqlfile.Conn) error {
		deleted = 0
		for _, id := range ids {
			if err := ctx.Err(); err != nil {
				return err
			}
			n, err := w.Exec(deleteEntry, id)
			if err != nil {
				return err
			}
			deleted += int(n)
		}
		return nil
	})
	return deleted, err
}

// Count implements cache.Store. It reads the table in pieces and holds up nobody,
// which takes about 1 us a record. What is written meanwhile may be counted or not,
// and a record that is replaced may count twice.
func (c *Cache) Count(ctx context.Context, sel cache.Selection) (cache.Size, error) {
	where, args := condition(sel)
	from := `SELECT * FROM entries WHERE id > ? ORDER BY id LIMIT ?`
	if byKey(sel) {
		from = `SELECT * FROM entries WHERE id > ? AND key = ? LIMIT ?`
	}
	// The columns by name: all of them would mean to read what is sealed.
	from = strings.Replace(from, "*", `id, key, since, keep, tenant, operation, user, model, namespace, length(sealed) AS size`, 1)
	query := `SELECT count(*), coalesce(max(id), 0), count(*) FILTER (WHERE ` + where + `), coalesce(sum(size) FILTER (WHERE ` + where + `), 0) FROM (` + from + `)`

	var size cache.Size
	for after, seen := int64(0), int64(countRows); seen == countRows; {
		all := append(append([]any{}, args...), args...)
		all = append(all, after)
		if byKey(sel) {
			all = append(all, sel.Match.Key[:])
		}
		var entries, bytes int64
		err := c.db.Read(ctx, func(r *sqlfile.Conn) error {
			return r.QueryRowContext(context.Background(), query, append(all, countRows)...).Scan(&seen, &after, &entries, &bytes)
		})
		if err != nil {
			return cache.Size{}, fmt.Errorf("sqlite: count: %w", err)
		}
		size.Entries += entries
		size.Bytes += bytes
	}
	return size, nil
}

// columns are the tags' names, by field.
var columns = [cache.Fields]string{
	cache.FieldTenant: "tenant", cache.FieldOperation: "operation", cache.FieldUser: "user",
	cache.FieldModel: "model", cache.FieldNamespace: "namespace",
}

// condition is what a selection asks of a row.
func condition(sel cache.Selection) (where string, args []any) {
	terms := []string{"1"}
	for f, column := range columns {
		if sel.Match.Mask&(1<<f) != 0 {
			terms, args = append(terms, column+" = ?"), append(args, int64(sel.Match.Tags[f]))
		}
	}
	if byKey(sel) {
		terms, args = append(terms, "key = ?"), append(args, sel.Match.Key[:])
	}
	switch {
	case sel.Before > math.MaxInt64:
		// Numbers from 1<<63 are kept as negative ones.
		terms, args = append(terms, "(since >= 0 OR since < ?)"), append(args, int64(sel.Before))
	case sel.Before > 0:
		terms, args = append(terms, "since >= 0 AND since < ?"), append(args, int64(sel.Before))
	}
	if !sel.Dropped.IsZero() {
		terms, args = append(terms, "keep <= ?"), append(args, droppedNanos(sel.Dropped))
	}
	return strings.Join(terms, " AND "), args
}

// byKey reports whether a selection is of one key.
func byKey(sel cache.Selection) bool { return sel.Match.Mask&(1<<cache.FieldKey) != 0 }

// canonical is a match without what does not count in it.
func canonical(m cache.Match) cache.Match {
	c := cache.Match{Mask: m.Mask & (1<<(cache.FieldKey+1) - 1)}
	for f := range cache.Fields {
		if m.Mask&(1<<f) != 0 {
			c.Tags[f] = m.Tags[f]
		}
	}
	if m.Mask&(1<<cache.FieldKey) != 0 {
		c.Key = m.Key
	}
	return c
}

// droppedNanos is a Dropped as the times that are kept are compared with it: the
// nearest that can be kept, and for none the one before all.
func droppedNanos(t time.Time) int64 {
	n, err := nanos(t)
	switch {
	case err == nil:
		return n
	case t.Year() < 1970:
		return zeroTime
	}
	return math.MaxInt64
}
