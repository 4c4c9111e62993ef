package storetest

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/envelope"
)

// The operations of Memory, as Fail's function gets them.
const (
	OpGet           = "get"
	OpWrite         = "write"
	OpDelete        = "delete"
	OpCount         = "count"
	OpInvalidate    = "invalidate"
	OpInvalidations = "invalidations"
	OpForget        = "forget"
	OpKey           = "key"
	OpNewest        = "newest"
	OpSave          = "save"
	OpShred         = "shred"
	OpOthers        = "others" // WrappedByOthers
	OpShreddings    = "shreddings"
	OpTurn          = "turn"
	OpSwept         = "swept"
)

// Memory implements cache.Store, cache.Journal, cache.Sweeper, envelope.KeyStore and envelope.Sharer in memory. All
// methods may be called concurrently. It shares no bytes with its callers.
type Memory struct {
	mu sync.Mutex // guards all below; not held while fail runs

	fail    func(op string) error // nil where nothing is to fail
	records map[cache.Key]cache.Record
	journal []cache.Invalidation // ascending by number
	last    uint64               // the greatest number that was given
	keys    []envelope.WrappedKey

	shredded uint64 // calls of Shred

	forgotten, swept uint64
	sweeper          string
	turnEnds         time.Time
}

// NewMemory makes an empty Memory.
func NewMemory() *Memory { return &Memory{records: make(map[cache.Key]cache.Record)} }

// Fail has f called before each operation, with one of the Op constants. An error
// that it returns is the operation's, which then does nothing. It may block, which
// holds up that operation alone, whatever the operation's context says; where the
// context has ended when f returns, the operation does nothing either. It may be
// called concurrently. Nil means that nothing fails.
func (m *Memory) Fail(f func(op string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = f
}

// Corrupt puts what change makes of the record of k in its place, under k whatever
// key the changed record has, and reports whether there was one. It gives change a
// copy, and runs it without holding up others.
func (m *Memory) Corrupt(k cache.Key, change func(cache.Record) cache.Record) bool {
	m.mu.Lock()
	r, ok := m.records[k]
	m.mu.Unlock()
	if !ok {
		return false
	}
	changed := copyOf(change(copyOf(r)))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records[k] = changed
	return true
}

// Records returns a copy of all records, ascending by the key that each is kept
// under.
func (m *Memory) Records() []cache.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(m.records), func(a, b cache.Key) int { return bytes.Compare(a[:], b[:]) })
	all := make([]cache.Record, 0, len(keys))
	for _, k := range keys {
		all = append(all, copyOf(m.records[k]))
	}
	return all
}

// begin runs the fault hook of an operation.
func (m *Memory) begin(ctx context.Context, op string) error {
	m.mu.Lock()
	fail := m.fail
	m.mu.Unlock()
	if fail != nil {
		if err := fail(op); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Get implements cache.Store.
func (m *Memory) Get(ctx context.Context, k cache.Key) (cache.Record, error) {
	if err := m.begin(ctx, OpGet); err != nil {
		return cache.Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[k]
	if !ok {
		return cache.Record{}, cache.ErrNotFound
	}
	return copyOf(r), nil
}

// Write implements cache.Store.
func (m *Memory) Write(ctx context.Context, records []cache.Record) error {
	if err := m.begin(ctx, OpWrite); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range records {
		m.records[r.Key] = copyOf(r)
	}
	return nil
}

// Delete implements cache.Store.
func (m *Memory) Delete(ctx context.Context, sel cache.Selection, limit int) (deleted int, more bool, err error) {
	if err := m.begin(ctx, OpDelete); err != nil {
		return 0, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, r := range m.records {
		if !selects(sel, r) {
			continue
		}
		if deleted >= limit {
			return deleted, true, nil
		}
		delete(m.records, k)
		deleted++
	}
	return deleted, false, nil
}

// Count implements cache.Store.
func (m *Memory) Count(ctx context.Context, sel cache.Selection) (cache.Size, error) {
	if err := m.begin(ctx, OpCount); err != nil {
		return cache.Size{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var size cache.Size
	for _, r := range m.records {
		if selects(sel, r) {
			size.Entries++
			size.Bytes += int64(len(r.Sealed))
		}
	}
	return size, nil
}

// Invalidate implements cache.Journal.
func (m *Memory) Invalidate(ctx context.Context, match cache.Match, at time.Time) (cache.Invalidation, error) {
	if err := m.begin(ctx, OpInvalidate); err != nil {
		return cache.Invalidation{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last++
	inv := cache.Invalidation{Number: m.last, Match: match, At: at}
	m.journal = append(m.journal, inv)
	return inv, nil
}

// Invalidations implements cache.Journal.
func (m *Memory) Invalidations(ctx context.Context, after uint64) (all []cache.Invalidation, last uint64, err error) {
	if err := m.begin(ctx, OpInvalidations); err != nil {
		return nil, 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, inv := range m.journal {
		if inv.Number > after {
			all = append(all, inv)
		}
	}
	return all, m.last, nil
}

// Forget implements cache.Journal.
func (m *Memory) Forget(ctx context.Context, upTo uint64) error {
	if err := m.begin(ctx, OpForget); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.journal = slices.DeleteFunc(m.journal, func(inv cache.Invalidation) bool { return inv.Number <= upTo })
	m.forgotten = max(m.forgotten, min(upTo, m.last))
	return nil
}

// Turn implements cache.Sweeper.
func (m *Memory) Turn(ctx context.Context, who string, now, until time.Time) (cache.Sweeps, error) {
	if err := m.begin(ctx, OpTurn); err != nil {
		return cache.Sweeps{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sweeper == who || !now.Before(m.turnEnds) {
		m.sweeper, m.turnEnds = who, until
	}
	return cache.Sweeps{Mine: m.sweeper == who, Swept: m.swept, Forgotten: m.forgotten}, nil
}

// Swept implements cache.Sweeper.
func (m *Memory) Swept(ctx context.Context, upTo uint64) error {
	if err := m.begin(ctx, OpSwept); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.swept = max(m.swept, upTo)
	return nil
}

// Key implements envelope.KeyStore.
func (m *Memory) Key(ctx context.Context, id uint64) (envelope.WrappedKey, error) {
	if err := m.begin(ctx, OpKey); err != nil {
		return envelope.WrappedKey{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.keys {
		if k.ID == id {
			return copyOfKey(k), nil
		}
	}
	return envelope.WrappedKey{}, envelope.ErrNoKey
}

// Newest implements envelope.KeyStore. Of keys that were created in one second it
// takes the one that was saved last, replacements not counted.
func (m *Memory) Newest(ctx context.Context, tenant, user uint64) (envelope.WrappedKey, error) {
	if err := m.begin(ctx, OpNewest); err != nil {
		return envelope.WrappedKey{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var newest *envelope.WrappedKey
	for i := range m.keys {
		k := &m.keys[i]
		if k.Tenant != tenant || k.User != user {
			continue
		}
		if newest == nil || cmp.Compare(k.Created.Unix(), newest.Created.Unix()) >= 0 {
			newest = k
		}
	}
	if newest == nil {
		return envelope.WrappedKey{}, envelope.ErrNoKey
	}
	return copyOfKey(*newest), nil
}

// Save implements envelope.KeyStore.
func (m *Memory) Save(ctx context.Context, keys ...envelope.WrappedKey) error {
	if err := m.begin(ctx, OpSave); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range keys {
		i := slices.IndexFunc(m.keys, func(old envelope.WrappedKey) bool { return old.ID == k.ID })
		if i < 0 {
			m.keys = append(m.keys, copyOfKey(k))
			continue
		}
		m.keys[i] = copyOfKey(k)
	}
	return nil
}

// Shred implements envelope.KeyStore.
func (m *Memory) Shred(ctx context.Context, tenant, user uint64) (ids []uint64, err error) {
	if err := m.begin(ctx, OpShred); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys = slices.DeleteFunc(m.keys, func(k envelope.WrappedKey) bool {
		if k.Tenant != tenant || user != 0 && k.User != user {
			return false
		}
		clear(k.Wrapped)
		ids = append(ids, k.ID)
		return true
	})
	m.shredded++
	return ids, nil
}

// Shreddings implements envelope.Sharer.
func (m *Memory) Shreddings(ctx context.Context) (uint64, error) {
	if err := m.begin(ctx, OpShreddings); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.shredded, nil
}

// WrappedByOthers implements envelope.KeyStore.
func (m *Memory) WrappedByOthers(ctx context.Context, master uint64, limit int) ([]envelope.WrappedKey, error) {
	if err := m.begin(ctx, OpOthers); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []envelope.WrappedKey
	for _, k := range m.keys {
		if k.Master != master && len(all) < limit {
			all = append(all, copyOfKey(k))
		}
	}
	return all, nil
}

// selects reports whether a selection has a record.
func selects(sel cache.Selection, r cache.Record) bool {
	return sel.Match.Matches(r.Key, r.Tags) &&
		(sel.Before == 0 || r.Since < sel.Before) &&
		(sel.Dropped.IsZero() || !r.Keep.After(sel.Dropped))
}

// copyOf is a record that shares no bytes with r.
func copyOf(r cache.Record) cache.Record {
	r.Sealed = bytes.Clone(r.Sealed)
	return r
}

// copyOfKey is a key that shares no bytes with k, created in a whole second.
func copyOfKey(k envelope.WrappedKey) envelope.WrappedKey {
	k.Wrapped = bytes.Clone(k.Wrapped)
	k.Created = k.Created.Truncate(time.Second)
	return k
}
