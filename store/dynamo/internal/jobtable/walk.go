package jobtable

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
)

// walk says which items of a shard are read, in which order.
type walk struct {
	shard  string // or, of IndexReady, its partition
	index  string // empty: the table, consistently
	after  string // the ID that the walk begins behind; empty: the beginning. Not with an index
	down   bool   // the largest first
	page   int    // items a page; zero: as many as 1 MB
	behind bool   // what is read may be a second old, for half the price
}

// stream reads the items of a walk one after the other.
type stream struct {
	b    *Backlog
	op   string
	walk walk
	page []calls.Item
	next calls.Item // where the next page begins
	last bool       // there is no page after this one
}

func (b *Backlog) stream(op string, w walk) *stream { return &stream{b: b, op: op, walk: w} }

// fill has the stream have a page, if there is another one.
func (s *stream) fill(ctx context.Context) error {
	for len(s.page) == 0 && !s.last {
		in := s.request()
		out, err := s.b.conn.Query(ctx, s.op, in)
		if err != nil {
			return err
		}
		s.page, s.next, s.last = out.Items, out.LastEvaluatedKey, len(out.LastEvaluatedKey) == 0
	}
	return nil
}

func (s *stream) request() *dynamodb.QueryInput {
	var e calls.Expression
	partition := AttrShard
	if s.walk.index == IndexReady {
		partition = AttrReady
	}
	condition := e.N(partition) + " = " + e.V("shard", calls.Str(s.walk.shard))
	if s.walk.after != "" {
		than := " > "
		if s.walk.down {
			than = " < "
		}
		condition += " AND " + e.N(AttrID) + than + e.V("after", calls.Str(s.walk.after))
	}
	forward := !s.walk.down
	in := &dynamodb.QueryInput{
		TableName: &s.b.table, KeyConditionExpression: &condition, ScanIndexForward: &forward,
		ExpressionAttributeNames: e.Names, ExpressionAttributeValues: e.Values, ExclusiveStartKey: s.next,
	}
	if s.walk.index == "" && !s.walk.behind {
		in.ConsistentRead = calls.Yes()
	}
	if s.walk.index != "" {
		in.IndexName = &s.walk.index
	}
	if s.walk.page > 0 {
		n := int32(s.walk.page)
		in.Limit = &n
	}
	return in
}

// each visits all items of a walk.
func (b *Backlog) each(ctx context.Context, op string, w walk, visit func(calls.Item) error) error {
	for s := b.stream(op, w); ; s.page = nil {
		if err := s.fill(ctx); err != nil || len(s.page) == 0 {
			return err
		}
		for _, it := range s.page {
			if err := visit(it); err != nil {
				return err
			}
		}
	}
}

// everywhere does something for each shard of jobs, all at once, and returns the first error.
func (b *Backlog) everywhere(do func(n int, shard string) error) error {
	errs := make([]error, b.shards)
	var all sync.WaitGroup
	for n := range b.shards {
		all.Go(func() { errs[n] = do(n, shardNamed(n)) })
	}
	all.Wait()
	return cmp.Or(errs...)
}

// pop takes the next item; nil at the end.
func (s *stream) pop(ctx context.Context) (calls.Item, error) {
	if err := s.fill(ctx); err != nil || len(s.page) == 0 {
		return nil, err
	}
	it := s.page[0]
	s.page = s.page[1:]
	return it, nil
}

// controls reads the control items of jobs consistently, by their IDs. Those that are not there are left out.
func (b *Backlog) controls(ctx context.Context, op string, ids []backlog.ID) (map[backlog.ID]calls.Item, error) {
	keys := make([]calls.Item, len(ids))
	for i, id := range ids {
		keys[i] = b.keyOf(id)
	}
	items, err := b.conn.BatchGet(ctx, op, b.table, keys)
	if err != nil {
		return nil, err
	}
	all := make(map[backlog.ID]calls.Item, len(items))
	for _, it := range items {
		name, _ := calls.Text(it, AttrID)
		if id, err := backlog.ParseID(name); err == nil && it[attrVoid] == nil {
			all[id] = it
		}
	}
	return all, nil
}

// A generation of recent jobs ends after so long or with so many; there are two at a time. An index lags
// by less than a second, but in a disaster.
const (
	recentFor  = 10 * time.Second
	mostRecent = 1 << 14
)

// recent are jobs that this process has changed lately. An index may not know of them yet, and
// lists look at them nevertheless: whoever has an answer sees what it says.
type recent struct {
	mu       sync.Mutex // guards what follows
	since    time.Time
	now, old map[backlog.ID]struct{}
}

func newRecent() *recent { return &recent{now: map[backlog.ID]struct{}{}} }

// note says that a job was changed just now.
func (r *recent) note(id backlog.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnLocked()
	r.now[id] = struct{}{}
}

func (r *recent) turnLocked() {
	switch t := time.Now(); {
	case t.Sub(r.since) > 2*recentFor:
		r.now, r.old, r.since = map[backlog.ID]struct{}{}, nil, t
	case t.Sub(r.since) > recentFor || len(r.now) >= mostRecent:
		r.now, r.old, r.since = map[backlog.ID]struct{}{}, r.now, t
	}
}

// all are the recent ones, in no order.
func (r *recent) all() []backlog.ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnLocked()
	return slices.AppendSeq(slices.Collect(maps.Keys(r.now)), maps.Keys(r.old))
}
