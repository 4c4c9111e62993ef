package cache

import "sync"

// The writer's batches: so many entries, or what has come in so much time.
const batchEntries = 100

// maxDoomed bounds the rows that wait to be deleted. A row that found no place is
// found to be bad again.
const maxDoomed = 1000

// buffer holds the entries that wait to be written, and those that are just being
// written: look-ups find them there. When it is full new entries are turned away,
// because the old ones are more likely to have left the memory.
type buffer struct {
	bound int64
	wake  chan struct{} // capacity 1: there is something to write
	full  chan struct{} // capacity 1: there is a batch to write

	mu      sync.Mutex // guards what follows
	waiting map[Key]*Entry
	queue   []Key            // of those in waiting that are not being written, and of some that left
	queued  map[Key]struct{} // the keys in queue
	bytes   int64            // of waiting
	doomed  map[Key]struct{}
}

func newBuffer(bound int64) *buffer {
	return &buffer{
		bound: bound, wake: make(chan struct{}, 1), full: make(chan struct{}, 1),
		waiting: make(map[Key]*Entry), queued: make(map[Key]struct{}), doomed: make(map[Key]struct{}),
	}
}

// signal leaves a signal in a channel of capacity 1, where there is none yet.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// add takes an entry in, in place of another with its key, and reports whether there
// was room. Where there was none, the other is not written either.
func (b *buffer) add(e *Entry) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.doomed, e.Key) // its row is replaced
	b.removeLocked(b.waiting[e.Key])
	if b.bytes+e.size > b.bound || int64(len(b.queue)) > b.bound/entryOverhead {
		return false
	}
	b.waiting[e.Key] = e
	b.bytes += e.size
	if _, there := b.queued[e.Key]; !there {
		b.queued[e.Key] = struct{}{}
		b.queue = append(b.queue, e.Key)
	}
	signal(b.wake)
	if len(b.waiting) >= batchEntries {
		signal(b.full)
	}
	return true
}

// get returns the entry of k that waits, or nil.
func (b *buffer) get(k Key) *Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting[k]
}

// take returns the next batch. Its entries wait until remove.
func (b *buffer) take() []*Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	var batch []*Entry
	for len(b.queue) > 0 && len(batch) < batchEntries {
		k := b.queue[0]
		b.queue = b.queue[1:]
		delete(b.queued, k)
		if e := b.waiting[k]; e != nil {
			batch = append(batch, e)
		}
	}
	if len(b.queue) > 0 {
		signal(b.wake)
	}
	return batch
}

// waits reports whether e is still to be written.
func (b *buffer) waits(e *Entry) bool { return b.get(e.Key) == e }

// remove takes entries out, unless others have come in their place.
func (b *buffer) remove(batch ...*Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range batch {
		if b.waiting[e.Key] == e {
			b.removeLocked(e)
		}
	}
}

// removeWhere takes the entries out that which selects, and returns them.
func (b *buffer) removeWhere(which func(*Entry) bool) (removed []*Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.waiting {
		if which(e) {
			b.removeLocked(e)
			removed = append(removed, e)
		}
	}
	return removed
}

// removeLocked takes out an entry that waits; nil is nothing. mu must be held.
func (b *buffer) removeLocked(e *Entry) {
	if e != nil {
		delete(b.waiting, e.Key)
		b.bytes -= e.size
	}
}

// doom has the row of k deleted, unless a new one is on its way, and reports whether
// it will be.
func (b *buffer) doom(k Key) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting[k] != nil || len(b.doomed) >= maxDoomed {
		return false
	}
	b.doomed[k] = struct{}{}
	return true
}

// nextDoomed takes out a key whose row is to be deleted.
func (b *buffer) nextDoomed() (k Key, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k = range b.doomed {
		delete(b.doomed, k)
		return k, true
	}
	return Key{}, false
}

// size counts what waits.
func (b *buffer) size() (entries int, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting), b.bytes
}
