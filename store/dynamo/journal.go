package dynamo

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/cache"
)

// The journal is one partition of the control table. Its head has the last number and, beside it, the last invalidation: one conditional
// update gives out a number and records what it is for, so whoever reads the head finds no number without its
// invalidation. Who gives out the next one first writes the last one down as an item of its own. So all but the last
// are items, and the head has the last.
const (
	journalPartition = "journal"
	journalHead      = "head"
	// journalEntry begins the keys of items; the number follows.
	journalEntry = "n#"
)

// The names of the journal's attributes.
const (
	attrLast      = "last"
	attrForgotten = "forgotten" // up to which number all are
	attrMask      = "mask"
	attrTags      = "tags" // in hexadecimal, one behind the other
	attrMatchKey  = "key"
	attrAt        = "at"
)

// raceTries bounds how often one who is always overtaken tries; contextual ends come earlier.
const raceTries = 1000

func journalKey(sk string) item { return item{"pk": str(journalPartition), "sk": str(sk)} }

func entryKey(n uint64) string { return fmt.Sprintf("%s%020d", journalEntry, n) }

// head is the journal's head.
type head struct {
	last, forgotten uint64
	entry           cache.Invalidation // with the number last
}

func (c *Cache) head(ctx context.Context, op string) (h head, err error) {
	out, err := c.conn.get(ctx, op, &dynamodb.GetItemInput{TableName: &c.control, Key: journalKey(journalHead), ConsistentRead: yes()})
	if err != nil || out.Item == nil {
		return h, err
	}
	h.last, h.forgotten = natural(out.Item, attrLast), natural(out.Item, attrForgotten)
	h.entry, err = readInvalidation(h.last, out.Item)
	return h, err
}

// Invalidate implements cache.Journal. Where the answer to its write is lost it records the invalidation once more, which
// voids nothing that should not be.
func (c *Cache) Invalidate(ctx context.Context, m cache.Match, at time.Time) (cache.Invalidation, error) {
	inv := cache.Invalidation{Match: m, At: at.UTC()}
	for try := 0; ; try++ {
		err := c.tryInvalidate(ctx, &inv)
		if err == nil {
			return inv, nil
		}
		if !conditionFailed(err) || try == raceTries {
			return cache.Invalidation{}, fmt.Errorf("dynamo: invalidate: %w", err)
		}
		if err := sleep(ctx, rand.N(20*time.Millisecond)); err != nil {
			return cache.Invalidation{}, err
		}
	}
}

// tryInvalidate gives inv the next number, unless another one was faster.
func (c *Cache) tryInvalidate(ctx context.Context, inv *cache.Invalidation) error {
	h, err := c.head(ctx, "journal.invalidate")
	if err != nil {
		return err
	}
	if h.last > h.forgotten {
		it := invalidationItem(&h.entry)
		it["pk"], it["sk"] = str(journalPartition), str(entryKey(h.last))
		if _, err := c.conn.put(ctx, "journal.invalidate", &dynamodb.PutItemInput{TableName: &c.control, Item: it}); err != nil {
			return err
		}
	}
	inv.Number = h.last + 1
	var e expression
	var sets []string
	for name, value := range invalidationItem(inv) { // its number is what is given out
		sets = append(sets, e.n(name)+" = "+e.v(name, value))
	}
	set := "SET " + strings.Join(sets, ", ")
	condition := "attribute_not_exists(" + e.n(attrLast) + ")"
	if h.last > 0 {
		condition = e.n(attrLast) + " = " + e.v("seen", unsigned(h.last))
	}
	_, err = c.conn.update(ctx, "journal.invalidate", &dynamodb.UpdateItemInput{
		TableName: &c.control, Key: journalKey(journalHead), UpdateExpression: &set, ConditionExpression: &condition,
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	})
	return err
}

// Invalidations implements cache.Journal. It reads consistently: an invalidation that was acknowledged before it was called
// is found.
func (c *Cache) Invalidations(ctx context.Context, after uint64) (all []cache.Invalidation, last uint64, err error) {
	h, err := c.head(ctx, "journal.read")
	if err != nil {
		return nil, 0, fmt.Errorf("dynamo: read the journal: %w", err)
	}
	after = max(after, h.forgotten)
	if h.last <= after {
		return nil, h.last, nil
	}
	if h.last > after+1 {
		items, err := c.entries(ctx, after+1, h.last-1)
		if err != nil {
			return nil, 0, fmt.Errorf("dynamo: read the journal: %w", err)
		}
		for _, n := range slices.Sorted(maps.Keys(items)) {
			inv, err := readInvalidation(n, items[n])
			if err != nil {
				return nil, 0, fmt.Errorf("dynamo: invalidation %d: %w", n, err)
			}
			all = append(all, inv)
		}
	}
	return append(all, h.entry), h.last, nil
}

// entries reads the items of numbers, by their number.
func (c *Cache) entries(ctx context.Context, from, to uint64) (map[uint64]item, error) {
	all := map[uint64]item{}
	var e expression
	condition := e.n("pk") + " = " + e.v("pk", str(journalPartition)) + " AND " + e.n("sk") + " BETWEEN " + e.v("from", str(entryKey(from))) + " AND " + e.v("to", str(entryKey(to)))
	err := c.conn.pages(ctx, "journal.read", &dynamodb.QueryInput{
		TableName: &c.control, KeyConditionExpression: &condition, ConsistentRead: yes(),
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	}, func(it item) error {
		all[natural(it, attrLast)] = it
		return nil
	})
	return all, err
}

// Forget implements cache.Journal. That something is forgotten is noted first, so that an item which comes late, or which
// is left because the process dies here, is not found.
func (c *Cache) Forget(ctx context.Context, upTo uint64) error {
	h, err := c.head(ctx, "journal.forget")
	if err != nil {
		return fmt.Errorf("dynamo: forget invalidations: %w", err)
	}
	upTo = min(upTo, h.last)
	if upTo == 0 {
		return nil
	}
	if upTo > h.forgotten {
		var e expression
		set := "SET " + e.n(attrForgotten) + " = " + e.v("up", unsigned(upTo))
		condition := "attribute_not_exists(" + e.n(attrForgotten) + ") OR " + e.n(attrForgotten) + " < :up"
		_, err := c.conn.update(ctx, "journal.forget", &dynamodb.UpdateItemInput{
			TableName: &c.control, Key: journalKey(journalHead), UpdateExpression: &set, ConditionExpression: &condition,
			ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
		})
		if err != nil && !conditionFailed(err) {
			return fmt.Errorf("dynamo: forget invalidations: %w", err)
		}
	}
	items, err := c.entries(ctx, 1, upTo)
	if err != nil {
		return fmt.Errorf("dynamo: forget invalidations: %w", err)
	}
	requests := make([]types.WriteRequest, 0, len(items))
	for n := range items {
		requests = append(requests, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: journalKey(entryKey(n))}})
	}
	if err := c.conn.batchWrite(ctx, "journal.forget", c.control, requests); err != nil {
		return fmt.Errorf("dynamo: forget invalidations: %w", err)
	}
	return nil
}

// invalidationItem is an invalidation without keys of a table.
func invalidationItem(inv *cache.Invalidation) item {
	tags := ""
	for _, tag := range inv.Match.Tags {
		tags += hex16(tag)
	}
	return item{
		attrMask: num(int64(inv.Match.Mask)), attrTags: str(tags), attrMatchKey: str(hex.EncodeToString(inv.Match.Key[:])),
		attrAt: instant(inv.At), attrLast: unsigned(inv.Number),
	}
}

func readInvalidation(n uint64, it item) (inv cache.Invalidation, err error) {
	mask, _ := number(it, attrMask)
	inv.Number, inv.Match.Mask = n, uint8(mask)
	tags, _ := text(it, attrTags)
	key, _ := text(it, attrMatchKey)
	if len(tags) != 16*int(cache.Fields) || len(key) != 2*len(inv.Match.Key) {
		return inv, errForm
	}
	for f := range cache.Fields {
		if inv.Match.Tags[f], err = parseHex16(tags[16*f : 16*f+16]); err != nil {
			return inv, err
		}
	}
	if _, err := hex.Decode(inv.Match.Key[:], []byte(key)); err != nil {
		return inv, errForm
	}
	inv.At, err = instantOf(it, attrAt)
	return inv, err
}
