package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/cache"
)

const (
	// pageRecords is how many records one query looks at, and walkRecords how many one Delete: some 25 read units.
	pageRecords = 500
	walkRecords = 2000
	// maxWalks bounds the selections whose walks are remembered, and maxLate what is remembered of each.
	maxWalks = 64
	maxLate  = 10_000
)

// walks remembers how far the deletion of each selection has come.
type walks struct {
	turn chan struct{} // has the token while nobody deletes; guards the walks themselves, but for late and again

	mu  sync.Mutex // guards what follows; not held during I/O
	of  map[walkKey]*walk
	old []walkKey // the keys of of, those that began first first
}

func newWalks() *walks {
	w := &walks{turn: make(chan struct{}, 1), of: map[walkKey]*walk{}}
	w.turn <- struct{}{}
	return w
}

// walkKey is what tells walks from one another.
type walkKey struct {
	match   cache.Match
	before  uint64
	dropped string
}

// walk is a way through the index.
type walk struct {
	sel  cache.Selection
	slot int  // 0 up to slots, where it is at its end
	last item // the key of the last record that was seen in the slot; nil at its beginning
	// late are records of the selection that this process wrote since the walk began: it may be past them.
	late map[cache.Key]struct{}
	// again says that there were too many of them: it has to begin anew.
	again bool
}

func walkKeyOf(sel *cache.Selection) walkKey {
	k := walkKey{before: sel.Before, match: cache.Match{Mask: sel.Match.Mask}}
	for f := range cache.Fields {
		if sel.Match.Mask&(1<<f) != 0 {
			k.match.Tags[f] = sel.Match.Tags[f]
		}
	}
	if !sel.Dropped.IsZero() {
		k.dropped = sel.Dropped.UTC().String()
	}
	return k
}

// begin gives the walk of a selection, a new one where there is none.
func (w *walks) begin(sel *cache.Selection) *walk {
	k := walkKeyOf(sel)
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.of[k]; one != nil {
		return one
	}
	if len(w.old) == maxWalks {
		delete(w.of, w.old[0]) // it begins again: dearer, not wrong
		w.old = w.old[1:]
	}
	one := &walk{sel: *sel, late: map[cache.Key]struct{}{}}
	w.of[k], w.old = one, append(w.old, k)
	return one
}

// wrote notes a record for the walks that may be past it.
func (w *walks) wrote(r *cache.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.of {
		switch {
		case !selects(&one.sel, r):
		case len(one.late) < maxLate:
			one.late[r.Key] = struct{}{}
		default:
			one.again = true
		}
	}
}

// end ends a walk unless something is left to do.
func (w *walks) end(one *walk) (over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one.again {
		one.again, one.slot, one.last = false, 0, nil
		clear(one.late)
		return false
	}
	if len(one.late) > 0 {
		return false
	}
	k := walkKeyOf(&one.sel)
	delete(w.of, k)
	for i, old := range w.old {
		if old == k {
			w.old = append(w.old[:i:i], w.old[i+1:]...)
			break
		}
	}
	return true
}

// takeLate takes out some records that were written since a walk began.
func (w *walks) takeLate(one *walk, limit int) (keys []cache.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k := range one.late {
		if len(keys) == limit {
			break
		}
		delete(one.late, k)
		keys = append(keys, k)
	}
	return keys
}

// Delete implements cache.Store. It looks at some 2,000 records, from where the last Delete of the same selection ended, and
// so has to be called until more is false. It finds records through an index that lags behind by some milliseconds: what another process writes
// meanwhile it may leave, and what is gone already it may count.
func (c *Cache) Delete(ctx context.Context, sel cache.Selection, limit int) (deleted int, more bool, err error) {
	if err := ctx.Err(); err != nil {
		return 0, false, err
	}
	if limit <= 0 {
		return 0, true, nil
	}
	if byKey(&sel) {
		deleted, err = c.deleteKeys(ctx, &sel, []cache.Key{sel.Match.Key})
		return deleted, false, err
	}
	select {
	case <-c.walks.turn:
	case <-ctx.Done():
		return 0, false, ctx.Err()
	}
	defer func() { c.walks.turn <- struct{}{} }()
	w := c.walks.begin(&sel)
	seen := 0
	for w.slot < slots && deleted < limit && seen < walkRecords {
		n, looked, err := c.deletePage(ctx, w, limit-deleted)
		deleted += n
		seen += max(looked, 1)
		if err != nil {
			return deleted, true, fmt.Errorf("dynamo: delete records: %w", err)
		}
	}
	if w.slot == slots && deleted < limit {
		n, err := c.deleteKeys(ctx, &sel, c.walks.takeLate(w, limit-deleted))
		if deleted += n; err != nil {
			w.slot, w.last = 0, nil
			return deleted, true, err
		}
		return deleted, !c.walks.end(w), nil
	}
	return deleted, true, nil
}

func byKey(sel *cache.Selection) bool { return sel.Match.Mask&(1<<cache.FieldKey) != 0 }

// deletePage deletes up to limit records of the next page of a walk, and says how many it looked at.
func (c *Cache) deletePage(ctx context.Context, w *walk, limit int) (deleted, looked int, err error) {
	out, err := c.page(ctx, "cache.delete", &w.sel, w.slot, w.last)
	if err != nil {
		return 0, 0, err
	}
	var requests []types.WriteRequest
	last := out.LastEvaluatedKey
	for _, it := range out.Items {
		looked++
		a, err := readAbout(it)
		if err == nil && !selects(&w.sel, &a.Record) {
			continue
		}
		// What cannot be read is of no use to anybody.
		requests = append(requests, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: item{attrCacheKey: it[attrCacheKey]}}})
		if len(requests) == limit {
			last = item{attrCacheKey: it[attrCacheKey], attrSlot: it[attrSlot], attrScope: it[attrScope]}
			break
		}
	}
	if err := c.conn.batchWrite(ctx, "cache.delete", c.table, requests); err != nil {
		return 0, looked, err
	}
	if w.last = last; last == nil {
		w.slot++
	}
	return len(requests), looked, nil
}

// page reads a page of the index, of the records that a selection may have.
func (c *Cache) page(ctx context.Context, op string, sel *cache.Selection, slot int, after item) (*dynamodb.QueryOutput, error) {
	var e expression
	condition := e.n(attrSlot) + " = " + e.v("slot", str(strconv.Itoa(slot)))
	if sel.Match.Mask&(1<<cache.FieldTenant) != 0 {
		prefix := hex16(sel.Match.Tags[cache.FieldTenant])
		if sel.Match.Mask&(1<<cache.FieldOperation) != 0 {
			prefix = scopeOf(&sel.Match.Tags)
		}
		condition += " AND begins_with(" + e.n(attrScope) + ", " + e.v("scope", str(prefix)) + ")"
	}
	return c.conn.query(ctx, op, &dynamodb.QueryInput{
		TableName: &c.table, IndexName: aws.String(indexScope), KeyConditionExpression: &condition,
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values, ExclusiveStartKey: after, Limit: aws.Int32(pageRecords),
	})
}

// deleteKeys deletes the records of some keys that are of a selection.
func (c *Cache) deleteKeys(ctx context.Context, sel *cache.Selection, keys []cache.Key) (deleted int, err error) {
	for _, k := range keys {
		it, err := c.item(ctx, k, true)
		if errors.Is(err, cache.ErrNotFound) {
			continue
		}
		if err != nil {
			return deleted, err
		}
		if a, err := readAbout(it); err == nil && !selects(sel, &a.Record) {
			continue
		}
		if _, err := c.conn.remove(ctx, "cache.delete", &dynamodb.DeleteItemInput{TableName: &c.table, Key: recordKey(k)}); err != nil {
			return deleted, fmt.Errorf("dynamo: delete a record: %w", err)
		}
		deleted++
	}
	return deleted, nil
}

// Count implements cache.Store. It reads what the index has of all records that the selection's tenant has.
func (c *Cache) Count(ctx context.Context, sel cache.Selection) (size cache.Size, err error) {
	if byKey(&sel) {
		it, err := c.item(ctx, sel.Match.Key, true)
		if errors.Is(err, cache.ErrNotFound) {
			return size, nil
		}
		if err != nil {
			return size, err
		}
		addSize(&size, it, &sel)
		return size, nil
	}
	for slot := range slots {
		var after item
		for {
			out, err := c.page(ctx, "cache.count", &sel, slot, after)
			if err != nil {
				return cache.Size{}, fmt.Errorf("dynamo: count records: %w", err)
			}
			for _, it := range out.Items {
				addSize(&size, it, &sel)
			}
			if after = out.LastEvaluatedKey; after == nil {
				break
			}
		}
	}
	return size, nil
}

// addSize counts a record where a selection has it.
func addSize(size *cache.Size, it item, sel *cache.Selection) {
	if a, err := readAbout(it); err == nil && selects(sel, &a.Record) {
		size.Entries++
		size.Bytes += a.size
	}
}
