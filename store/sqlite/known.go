package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// scanKeys is how many keys are read at once to fill a filter: some 3 ms.
const scanKeys = 4096

// known says of most keys that are not in the cache that they are not, without a
// look at the file: 0.1 us instead of 9, on the way of every request that misses.
//
// Its filter is filled from the file after the start, which takes about a second of
// CPU for a million records; until then every key may be there. A filter forgets
// nothing, so it is made anew when as many keys have been added as it is made for.
// While that goes on, writes go into both.
type known struct {
	cache  *Cache
	active atomic.Pointer[filter] // nil until the first one is filled

	// These belong to whoever has the writer's turn.
	next  *filter // being filled; nil where none is
	added int64   // keys since the active one was begun

	wanted chan struct{} // has a token where a new filter is wanted
	cancel context.CancelFunc
	done   sync.WaitGroup // the goroutine that fills
}

// newKnown begins to fill a filter for c. Its goroutine runs until stop.
func newKnown(c *Cache) *known {
	ctx, cancel := context.WithCancel(context.Background())
	n := &known{cache: c, wanted: make(chan struct{}, 1), cancel: cancel}
	n.wanted <- struct{}{}
	n.done.Go(func() { n.run(ctx) })
	return n
}

// stop ends the goroutine and waits for it.
func (n *known) stop() {
	n.cancel()
	n.done.Wait()
}

// mayHave reports whether a look at the file is worth it.
func (n *known) mayHave(k *cache.Key) bool {
	f := n.active.Load()
	return f == nil || f.mayHave(k)
}

// add notes a key that is being written, by whoever has the writer's turn.
func (n *known) add(k *cache.Key) {
	if n.next != nil {
		n.next.add(k)
	}
	f := n.active.Load()
	if f == nil {
		return
	}
	f.add(k)
	if n.added++; n.added == f.room {
		select {
		case n.wanted <- struct{}{}:
		default: // it is wanted already
		}
	}
}

// run fills a filter whenever one is wanted.
func (n *known) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wanted:
		}
		if err := n.fill(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, sqlfile.ErrClosed) {
			n.cache.log.Warn("look-ups of what is not cached are slower: the filter of keys could not be filled", slog.Any("error", err))
		}
	}
}

// fill makes a filter of the keys in the file and puts it in place of the active one.
func (n *known) fill(ctx context.Context) error {
	db := n.cache.db
	var records int64
	if err := db.Read(ctx, func(r *sqlfile.Conn) error { return r.Row(countEntries).Scan(&records) }); err != nil {
		return err
	}
	f := newFilter(2 * records)
	// From here on writes go into f as well, so that every key is in it that is
	// written while the file is read, before or behind the place that is read.
	if err := n.switchTo(ctx, func() { n.next, n.added = f, 0 }); err != nil {
		return err
	}
	err := n.scan(ctx, f)
	// This must not be left out when ctx has ended: next would be filled for nothing.
	return errors.Join(err, n.switchTo(context.WithoutCancel(ctx), func() {
		n.next = nil
		if err == nil {
			n.active.Store(f)
		}
	}))
}

// switchTo changes what belongs to the writer's turn.
func (n *known) switchTo(ctx context.Context, change func()) error {
	return n.cache.db.Exclusive(ctx, func(*sqlfile.Conn) error {
		change()
		return nil
	})
}

// scan adds all keys in the file, in pieces, so that no piece holds up others.
func (n *known) scan(ctx context.Context, f *filter) error {
	var last cache.Key
	after := []byte{} // below every key
	for {
		read := 0
		err := n.cache.db.Read(ctx, func(r *sqlfile.Conn) error {
			rows, err := r.Rows(selectEntryKeys, after, scanKeys)
			if err != nil {
				return err
			}
			defer rows.Close()
			var key []byte
			for ; rows.Next(); read++ {
				if err := rows.Scan(&key); err != nil {
					return err
				}
				if len(key) != len(last) {
					return fmt.Errorf("%w: a key has %d bytes", ErrDamaged, len(key))
				}
				copy(last[:], key)
				f.add(&last)
			}
			return rows.Err()
		})
		if err != nil || read < scanKeys {
			return err
		}
		after = last[:]
	}
}
