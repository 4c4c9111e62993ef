package cache

import (
	"encoding/binary"
	"sync/atomic"
)

// seenSlots is how many stored entries are remembered: 256 KiB of them.
const seenSlots = 16384

// seen remembers which requests had an answer stored lately, and under what key, so
// that a miss can say why it missed. It is a guess for statistics: a slot holds the
// last one of those that share it, and its two words are not written as one.
type seen [seenSlots]struct {
	digest atomic.Uint64
	// mark is the start of the key, with voidMark where the entry was invalidated.
	mark atomic.Uint64
}

const voidMark = 1

func markOf(k *Key) uint64 { return binary.BigEndian.Uint64(k[:]) &^ voidMark }

// stored notes an entry that was stored, or one that was invalidated.
func (s *seen) stored(e *Entry, void bool) {
	if e.Digest == 0 {
		return
	}
	mark := markOf(&e.Key)
	if void {
		mark |= voidMark
	}
	slot := &s[e.Digest%seenSlots]
	slot.digest.Store(e.Digest)
	slot.mark.Store(mark)
}

// why is the reason of a look-up that found nothing anywhere.
func (s *seen) why(k *Key, digest uint64) Reason {
	slot := &s[digest%seenSlots]
	if digest == 0 || slot.digest.Load() != digest {
		return ReasonNeverSeen
	}
	switch mark := slot.mark.Load(); {
	case mark&^voidMark != markOf(k):
		return ReasonScope
	case mark&voidMark != 0:
		return ReasonInvalidated
	}
	return ReasonEvicted
}
