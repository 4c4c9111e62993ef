package cache

import (
	"fmt"
	"unsafe"
)

// Plant stores e under k, whatever e itself says: what a fault in a store would do.
func (c *Cache) Plant(k Key, e *Entry) {
	s := e.sealed(e.Stored, c.config.StaleFor)
	c.memory.bytes.Add(s.size)
	c.memory.weight.Add(c.memory.weigh(s))
	c.memory.entries.Set(k, s)
}

// CleanUp makes the store catch up.
func (c *Cache) CleanUp() { c.memory.entries.CleanUp() }

// Audit compares the books with what the store holds.
func (c *Cache) Audit() error {
	var bytes, weight int64
	entries := 0
	for e := range c.memory.entries.Values() {
		bytes += e.size
		weight += c.memory.weigh(e)
		entries++
	}
	if s := c.Stats(); bytes != s.Bytes || entries != s.Entries || weight != c.memory.weight.Load() {
		return fmt.Errorf("counted %d bytes in %d entries of weight %d; the books say %d in %d of weight %d",
			bytes, entries, weight, s.Bytes, s.Entries, c.memory.weight.Load())
	}
	return nil
}

// EntrySize is the size of an Entry itself, which entryOverhead counts as 256.
const EntrySize = unsafe.Sizeof(Entry{})

// Running says how many flights go on, and how many of them newcomers can find.
func (f *Flights) Running() (running, joinable int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running, len(f.table)
}

// Held is what the flight of s keeps, in bytes and chunks.
func (s *Share) Held() (bytes int64, chunks, aboard int) {
	s.flight.mu.Lock()
	defer s.flight.mu.Unlock()
	return s.flight.held, len(s.flight.chunks), len(s.flight.aboard)
}
