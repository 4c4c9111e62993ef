package sqlite

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"

	"github.com/forebay-ai/forebay/cache"
)

const (
	// filterBits is how many bits a filter has for each key that it is made for: 2
	// bytes a record. With filterProbes of them set for each key, about one key in 700
	// that is not there passes when the filter is full (TestFilter measures it).
	filterBits   = 16
	filterProbes = 6
	blockWords   = 8 // 64 bytes: all bits of a key are in one line of the processor's cache
	leastRoom    = 1 << 13
)

// filter is a set of keys that forgets none but may claim to have one that it has
// not: a blocked Bloom filter. Keys are SHA-256 sums, so their own bits serve as
// hashes. All methods may be called concurrently.
type filter struct {
	words []uint64 // read and written atomically
	room  int64    // keys that it is made for
}

// newFilter makes an empty filter for room keys.
func newFilter(room int64) *filter {
	room = max(room, leastRoom)
	blocks := room * filterBits / (blockWords * 64)
	return &filter{words: make([]uint64, blocks*blockWords), room: room}
}

// block is where the bits of k are, and probes which ones: nine bits for each.
func (f *filter) block(k *cache.Key) (block []uint64, probes uint64) {
	at, _ := bits.Mul64(binary.LittleEndian.Uint64(k[:]), uint64(len(f.words)/blockWords))
	return f.words[at*blockWords:][:blockWords], binary.LittleEndian.Uint64(k[8:])
}

func (f *filter) add(k *cache.Key) {
	block, probes := f.block(k)
	for range filterProbes {
		atomic.OrUint64(&block[probes>>6&(blockWords-1)], 1<<(probes&63))
		probes >>= 9
	}
}

func (f *filter) mayHave(k *cache.Key) bool {
	block, probes := f.block(k)
	for range filterProbes {
		if atomic.LoadUint64(&block[probes>>6&(blockWords-1)])&(1<<(probes&63)) == 0 {
			return false
		}
		probes >>= 9
	}
	return true
}
