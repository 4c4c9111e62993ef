// Package intake holds what was read of a provider's stream and is not handed on yet. Of
// ten thousand streams in progress nearly all wait for their next event, and what they
// hold meanwhile is this: a buffer begins small, grows by need and by the stream's pace,
// and is small again when the stream is slow. What is taken from it is taken without a
// second copy where that costs no memory. What the bytes mean is the dialects' affair.
package intake

import "io"

const (
	// Small is what a buffer begins with, in bytes: two events of most streams.
	Small = 512
	// quick is what a buffer grows to where more comes than is expected: a short stream
	// that comes at once.
	quick = 8 << 10
	// fast is how far it grows on for streams that come faster than they are read: fewer,
	// larger chunks. It is io.Copy's size.
	fast = 32 << 10
	// most is what a stream of larger events keeps between them, so that its buffer does
	// not grow anew for each.
	most = 2 << 10
	// maxIdleReads is how often a source may return nothing and no error (as bufio has it).
	maxIdleReads = 100
)

// Buffer holds what was read of a stream and not yet taken. It is for one goroutine.
type Buffer struct {
	src    io.Reader
	held   []byte // read and not yet taken
	size   int    // of the memory that held is in
	last   int    // bytes that were taken last
	full   bool   // the last read filled the memory
	lent   bool   // the memory was handed out, and held is copied before more is read
	unseen bool   // Await has read since Held
	ended  error  // what src said at its end
}

// New returns the buffer of a stream that is read from src, which it does not close.
func New(src io.Reader) Buffer { return Buffer{src: src} }

// Held is what was read and not yet taken. It is valid until Fill or Take.
func (b *Buffer) Held() []byte {
	b.unseen = false
	return b.held
}

// Ended is what the source said at its end, nil before that. What was read with it is held.
func (b *Buffer) Ended() error { return b.ended }

// Await reads once, unless what was read is still to be looked at.
func (b *Buffer) Await() {
	if !b.unseen {
		b.unseen = b.Fill()
	}
}

// Fill reads once, and reports false where the source has ended before. Its last bytes,
// or none, may come together with its end, which Ended tells from then on.
func (b *Buffer) Fill() bool {
	if b.ended != nil {
		return false
	}
	if size := b.wanted(); b.lent || size != b.size {
		b.held = append(make([]byte, 0, size), b.held...)
		b.size, b.lent = size, false
	}
	for range maxIdleReads {
		n, err := b.src.Read(b.held[len(b.held):b.size])
		b.held = b.held[:len(b.held)+n]
		b.full = len(b.held) == b.size
		if b.ended = err; n > 0 || err != nil {
			return true
		}
	}
	b.ended = io.ErrNoProgress
	return true
}

// wanted is how much memory the next read shall have, with what is held. There is always
// room in it for more than is held.
func (b *Buffer) wanted() int {
	calm := max(Small, min(2*b.last, most)) // enough for a stream that waits
	switch {
	case b.full && b.size < fast:
		return max(quick, min(4*b.size, fast))
	case b.full && len(b.held) > b.size/2: // an event that is longer
		return b.size * 2
	case !b.full && (b.lent || b.size == 0 || b.size > 2*calm && len(b.held) < b.size/4):
		return max(calm, 2*len(b.held))
	}
	return b.size
}

// Take takes the first n bytes that are held, in memory that is never used again.
func (b *Buffer) Take(n int) []byte {
	b.last = n
	taken := b.held[:n:n]
	if b.size > Small && n >= b.size/2 {
		b.held, b.lent = b.held[n:], true
		return taken
	}
	taken = append(make([]byte, 0, n), taken...)
	b.held = b.held[:copy(b.held, b.held[n:])]
	return taken
}
