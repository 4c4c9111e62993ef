package dynamo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/ledger"
)

const (
	// postFor bounds one Post, also where its context ended in the middle.
	postFor = 30 * time.Second
	// posters is how many rows are written at once.
	posters = 16
	// rowTries is how often a row is written where no answer comes: the row itself says whether it was.
	rowTries = 3
	// maxKnown bounds the months of tenants that are known to be registered.
	maxKnown = 100_000
)

// Ledger keeps the books. It implements ledger.Store and ledger.Sharer. All methods may be called concurrently, by any
// number of processes.
//
// A row, one day of one combination, costs a write unit for each KB each time it is posted to; a reservation costs one when
// it is made and one when it ends, and nothing where it ends before the next Post. Spend costs a read unit for each 4 KB of the
// months and tenants that it is about: some ten rows. To ask for one tenant, and for few months, is what keeps it cheap.
//
// A row remembers of each process that wrote to it the number of the last batch. So a batch that is posted again counts
// once, in each row by itself. It grows by some 20 bytes for each process that wrote to it on its day; so it is up to sixteen items, each for
// a sixteenth of the processes, and to write to it costs a unit up to some 500 of them. Few gateways have an item each.
//
// A reader may see a part of a batch that is just being written. Where a process ends in the middle of a Post, its reservations are booked at
// their estimates beside what was written already: the books then say a little too much, never too little.
type Ledger struct {
	conn   *conn
	table  string
	writer string        // names this process in rows
	turn   chan struct{} // has the token while nothing is posted; guards what follows

	seq    uint64                      // of the last batch
	failed string                      // its ID, where it may not be complete
	done   map[ledger.Account]struct{} // its rows that are written for certain

	mu    sync.Mutex // guards known
	known map[string]struct{}
}

var (
	_ ledger.Store  = (*Ledger)(nil)
	_ ledger.Sharer = (*Ledger)(nil)
)

// Ledger returns the books, or nil where their table is not configured. Each call makes another one, with batches of its
// own: one is enough.
func (s *Store) Ledger() *Ledger {
	if s.cfg.Ledger == "" {
		return nil
	}
	l := &Ledger{
		conn: s.conn, table: s.cfg.Ledger, writer: "w_" + strconv.FormatUint(rand.Uint64(), 36),
		turn: make(chan struct{}, 1), known: map[string]struct{}{},
	}
	l.turn <- struct{}{}
	return l
}

// Post implements ledger.Store. Once it has begun to write it goes on although ctx ends, for 30 s at most. Reservations are written
// before postings and ended after them. After an error a part may be written; the same batch, by its ID, is then completed.
func (l *Ledger) Post(ctx context.Context, b ledger.Batch) error {
	select {
	case <-l.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { l.turn <- struct{}{} }()
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), postFor)
	defer cancel()
	if b.ID == "" || b.ID != l.failed {
		l.seq++
		l.done = map[ledger.Account]struct{}{}
	}
	l.failed = b.ID
	refused, err := l.post(ctx, &b)
	if err != nil {
		return fmt.Errorf("dynamo: post: %w", err)
	}
	l.failed, l.done = "", nil
	if refused != nil {
		return refused
	}
	return nil
}

func (l *Ledger) post(ctx context.Context, b *ledger.Batch) (*ledger.RefusedError, error) {
	var refused refusals
	sums := map[ledger.Account]*ledger.Amounts{}
	for i := range b.Postings {
		p := &b.Postings[i]
		if p.Amounts == (ledger.Amounts{}) {
			continue
		}
		if err := writable(&p.Account); err != nil {
			refused.add(err)
			continue
		}
		if sums[p.Account] == nil {
			sums[p.Account] = new(ledger.Amounts)
		}
		sums[p.Account].Add(p.Amounts)
	}
	if err := l.register(ctx, sums); err != nil {
		return nil, err
	}
	if err := l.hold(ctx, b.Held, &refused); err != nil {
		return nil, err
	}
	if err := l.postRows(ctx, sums); err != nil {
		return nil, err
	}
	return refused.err(), l.release(ctx, b.Released)
}

// refusals counts rows that cannot be written.
type refusals struct {
	n     int
	first error
}

func (r *refusals) add(err error) {
	if r.n++; r.first == nil {
		r.first = err
	}
}

func (r *refusals) err() *ledger.RefusedError {
	if r.n == 0 {
		return nil
	}
	return &ledger.RefusedError{Rows: r.n, Err: r.first}
}

// postRows writes rows, several at once.
func (l *Ledger) postRows(ctx context.Context, sums map[ledger.Account]*ledger.Amounts) error {
	type row struct {
		a   ledger.Account
		sum *ledger.Amounts
	}
	left := maps.Clone(sums)
	for a := range l.done { // by an earlier try of this batch
		delete(left, a)
	}
	rows := make(chan row)
	var mu sync.Mutex // guards faults and l.done
	var faults []error
	var workers sync.WaitGroup
	for range min(posters, len(left)) {
		workers.Go(func() {
			for r := range rows {
				err := l.postRow(ctx, &r.a, r.sum)
				mu.Lock()
				if err != nil {
					faults = append(faults, err)
				} else {
					l.done[r.a] = struct{}{}
				}
				mu.Unlock()
			}
		})
	}
	for a, sum := range left {
		rows <- row{a, sum}
	}
	close(rows)
	workers.Wait()
	if len(faults) > 0 {
		return fmt.Errorf("%d of %d rows: %w", len(faults), len(sums), faults[0])
	}
	return nil
}

// postRow adds to a row, once for each batch, however often it is called.
func (l *Ledger) postRow(ctx context.Context, a *ledger.Account, sum *ledger.Amounts) error {
	var err error
	for range rowTries {
		err = l.addTo(ctx, a, sum, mark{l.writer, l.seq})
		if err == nil || conditionFailed(err) { // the latter: an earlier try arrived
			return nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return err
}

// mark makes an addition count once: a row takes those with a number above the last of the same name.
type mark struct {
	name   string
	number uint64
}

// addTo adds to a row, or makes it. The error is that of a condition where the row has the mark already.
func (l *Ledger) addTo(ctx context.Context, a *ledger.Account, sum *ledger.Amounts, m mark) error {
	var e expression
	set := "SET " + e.n(m.name) + " = " + e.v("mark", unsigned(m.number))
	set += ", " + e.n(attrBorn) + " = if_not_exists(" + e.n(attrBorn) + ", " + e.v("born", str(l.writer+"-"+strconv.FormatInt(time.Now().UnixNano(), 36))) + ")"
	for _, part := range accountParts(a) {
		if *part.text != "" {
			set += ", " + e.n(part.name) + " = " + e.v(part.name, str(*part.text))
		}
	}
	add := " ADD " + e.n(attrRevision) + " " + e.v("one", num(1))
	for _, part := range amountParts(sum) {
		if *part.n > 0 { // what is below zero counts as zero
			add += ", " + e.n(part.name) + " " + e.v(part.name, num(*part.n))
		}
	}
	update, condition := set+add, "attribute_not_exists("+e.n(m.name)+") OR "+e.n(m.name)+" < :mark"
	_, err := l.conn.update(ctx, "ledger.post", &dynamodb.UpdateItemInput{
		TableName: &l.table, Key: rowKey(a, m.name), UpdateExpression: &update, ConditionExpression: &condition,
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	})
	return err
}

// register notes the months and tenants of rows, before there are any, for those who look for all of them.
func (l *Ledger) register(ctx context.Context, sums map[ledger.Account]*ledger.Amounts) error {
	fresh := map[string]item{}
	l.mu.Lock()
	for a := range sums {
		sk := monthEntry(&a)
		if _, known := l.known[sk]; !known {
			it := itemKey(monthsPartition, sk)
			it[attrTenant] = str(a.Tenant)
			fresh[sk] = it
		}
	}
	l.mu.Unlock()
	requests := make([]types.WriteRequest, 0, len(fresh))
	for _, it := range fresh {
		requests = append(requests, types.WriteRequest{PutRequest: &types.PutRequest{Item: it}})
	}
	if err := l.conn.batchWrite(ctx, "ledger.register", l.table, requests); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.known)+len(fresh) > maxKnown {
		clear(l.known) // they are noted again, at a write unit each
	}
	for sk := range fresh {
		l.known[sk] = struct{}{}
	}
	return nil
}

// hold writes reservations.
func (l *Ledger) hold(ctx context.Context, held []ledger.Hold, refused *refusals) error {
	last := map[string]types.WriteRequest{}
	for i := range held {
		h := &held[i]
		if err := errors.Join(writable(&h.Account), writableID(h.ID)); err != nil {
			refused.add(err)
			continue
		}
		last[h.ID] = types.WriteRequest{PutRequest: &types.PutRequest{Item: holdItem(h)}}
	}
	requests := make([]types.WriteRequest, 0, len(last))
	for _, r := range last {
		requests = append(requests, r)
	}
	return l.conn.batchWrite(ctx, "ledger.hold", l.table, requests)
}

// release ends reservations. IDs that cannot be written were none.
func (l *Ledger) release(ctx context.Context, ids []string) error {
	done := map[string]bool{}
	var requests []types.WriteRequest
	for _, id := range ids {
		if writableID(id) == nil && !done[id] {
			done[id] = true
			requests = append(requests, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: holdKey(id)}})
		}
	}
	return l.conn.batchWrite(ctx, "ledger.release", l.table, requests)
}
