package dynamo

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/cache"
)

// mostSealed is the largest record that is kept, in bytes: an item has 400 KB, names, keys and tags included.
const mostSealed = 390 << 10

// Cache keeps the cache's records, and its journal. It implements cache.Store, cache.Journal and cache.Expirer. All methods may be called
// concurrently, by any number of processes.
//
// Get costs half a read unit for each 4 KB of a record, a miss half a unit. Write costs a write unit for each KB of a
// record and one for the index; deleting costs the same, what DynamoDB removes by itself costs nothing. Delete and Count read some 200
// bytes of each record that the tenant has, or all have where the selection names no tenant: half a unit for twenty
// records. Invalidate costs a read unit and two write units, and to find nothing new in the journal one read unit.
//
// A record above 390 KB is not kept. Reads are not consistent with writes that just ended: they may miss.
type Cache struct {
	conn     *conn
	table    string
	control  string
	walks    *walks
	tooLarge atomic.Int64
}

var (
	_ cache.Store   = (*Cache)(nil)
	_ cache.Journal = (*Cache)(nil)
	_ cache.Expirer = (*Cache)(nil)
)

// Cache returns the cache's records and journal, or nil where the tables of both, cache and control, are not configured. Each call
// makes another one, which knows of its own deletions alone: one is enough.
func (s *Store) Cache() *Cache {
	if s.cfg.Cache == "" || s.cfg.Control == "" {
		return nil
	}
	return &Cache{conn: s.conn, table: s.cfg.Cache, control: s.cfg.Control, walks: newWalks()}
}

// TooLarge counts the records that were not kept because they are above 390 KB.
func (c *Cache) TooLarge() int64 { return c.tooLarge.Load() }

// Expires implements cache.Expirer: DynamoDB removes what is over by itself.
func (c *Cache) Expires() bool { return true }

// Get implements cache.Store. Records whose Keep has passed are not found, whether DynamoDB removed them already or not.
func (c *Cache) Get(ctx context.Context, k cache.Key) (cache.Record, error) {
	it, err := c.item(ctx, k, false)
	if err != nil {
		return cache.Record{}, err
	}
	r, err := readRecord(k, it)
	if err == nil && !r.Keep.IsZero() && !r.Keep.After(time.Now()) {
		return cache.Record{}, cache.ErrNotFound
	}
	return r, err
}

// item reads an item, or returns cache.ErrNotFound.
func (c *Cache) item(ctx context.Context, k cache.Key, consistent bool) (item, error) {
	out, err := c.conn.get(ctx, "cache.get", &dynamodb.GetItemInput{TableName: &c.table, Key: recordKey(k), ConsistentRead: &consistent})
	if err != nil {
		return nil, fmt.Errorf("dynamo: get a record: %w", err)
	}
	if out.Item == nil {
		return nil, cache.ErrNotFound
	}
	return out.Item, nil
}

// Write implements cache.Store. Each record is written whole or not at all; after an error some may be written.
func (c *Cache) Write(ctx context.Context, records []cache.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	last := make(map[cache.Key]int, len(records)) // of two with one key the later counts
	for i := range records {
		last[records[i].Key] = i
	}
	requests := make([]types.WriteRequest, 0, len(last))
	for i := range records {
		r := &records[i]
		if last[r.Key] != i {
			continue
		}
		if len(r.Sealed) > mostSealed {
			// What was there before makes room nevertheless: the entry was replaced.
			c.tooLarge.Add(1)
			requests = append(requests, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: recordKey(r.Key)}})
			continue
		}
		c.walks.wrote(r)
		requests = append(requests, types.WriteRequest{PutRequest: &types.PutRequest{Item: recordItem(r, time.Now())}})
	}
	if err := c.conn.batchWrite(ctx, "cache.write", c.table, requests); err != nil {
		return fmt.Errorf("dynamo: write %d records: %w", len(records), err)
	}
	return nil
}
