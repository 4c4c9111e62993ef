package coalesce

import "context"

// What keeps a flight within its bounds: how far is read ahead, and who is waited for.

// fullLocked reports whether enough has been read ahead. f.mu must be held.
func (f *flight) fullLocked() bool { return f.total-f.front >= f.flights.readAhead }

// awaitRoom waits until the fastest participant has caught up, or ctx ends.
func (f *flight) awaitRoom(ctx context.Context) {
	f.mu.Lock()
	if f.room == nil {
		f.room = make(chan struct{}, 1)
	}
	stalled, room := f.stalled, f.room
	f.mu.Unlock()
	for stalled {
		select {
		case <-room:
		case <-ctx.Done():
			return
		}
		f.mu.Lock()
		f.stalled = f.fullLocked()
		stalled = f.stalled
		f.mu.Unlock()
	}
}

// advancedLocked moves the front to a participant that has read on, and lets the
// goroutine go on where it waited for that. f.mu must be held.
func (f *flight) advancedLocked(s *Share) {
	if s.read <= f.front {
		return
	}
	f.front = s.read
	if !f.stalled || f.fullLocked() {
		return
	}
	f.stalled = false
	if f.room != nil {
		select {
		case f.room <- struct{}{}:
		default: // there is a signal already
		}
	}
}

// trimLocked keeps a flight that has spilled within its bounds: it cuts off those
// who are too far behind and lets go of the chunks that all others have read. One who
// is alone, or as fast as anybody, is never cut off but waited for, by reading ahead
// no further. f.mu must be held.
func (f *flight) trimLocked() {
	bound := f.flights.maxBuffer
	for i := len(f.aboard) - 1; i >= 0; i-- { // downwards: removeLocked moves the last one here
		s := f.aboard[i]
		if s.read < f.front && f.total-s.read > bound {
			s.err = tooFarBehind(bound)
			s.wakeLocked()
			f.removeLocked(s)
		}
	}
	read := f.dropped + len(f.chunks)
	for _, s := range f.aboard {
		read = min(read, s.pos)
	}
	n := read - f.dropped
	for _, c := range f.chunks[:n] {
		f.held -= weigh(c)
	}
	clear(f.chunks[:n])
	f.chunks = f.chunks[n:]
	f.dropped = read
}

// removeLocked takes a participant off board. f.mu must be held.
func (f *flight) removeLocked(s *Share) {
	last := len(f.aboard) - 1
	f.aboard[s.seat] = f.aboard[last]
	f.aboard[s.seat].seat = s.seat
	f.aboard[last] = nil
	f.aboard = f.aboard[:last]
	s.seat = -1
	if s.read < f.front {
		return
	}
	// The fastest has left: the next one decides how far to read ahead. Mostly
	// there is another as fast, and the search is short.
	front := int64(0)
	for _, o := range f.aboard {
		if front = max(front, o.read); front == f.front {
			return
		}
	}
	f.front = front
}
