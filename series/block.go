package series

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Block.Data is
//
//	version  1 byte, 1
//	kind     1 byte: 0 Counter, 1 Gauge, 2 Distribution, 255 for when the set was running
//	run      8 bytes: tells the processes apart
//	then a cell; or 45 bytes, a bit for each 10 s of the hour in which the set was running

const (
	version   = 1
	blockHead = 10
	// kindRunning is that of blocks that tell when the set was running, under the metric
	// running. No metric of a configuration can have that name.
	kindRunning = 255
	running     = "_running"
	// mostData bounds what is read of a block: two bytes hold the length of a cell.
	mostData = 1<<16 - 1
)

// Dirty returns a block for each step that has changed since the last call, finished or
// not, with all that is known of it, and forgets what is older than its retention. What is
// written down after each call is what a crash leaves: at most the measurements since the
// last call are lost, so call it every 10 s to 60 s. Blocks that could not be written are
// given to Unsaved. Without Dirty, memory is bounded as well, but keys are never forgotten.
func (s *Set) Dirty(now time.Time) []Block {
	sec := clamp(now.Unix(), 0, lastSecond)
	s.newest.Store(floor(sec, finest))
	var blocks []Block
	for start, bitmap := range s.cover.mark(sec) {
		blocks = append(blocks, Block{
			Key: Key{Metric: running}, Step: hour * time.Second, Start: time.Unix(start, 0).UTC(),
			Data: append(s.head(kindRunning), bitmap[:]...),
		})
	}
	var idle []Key
	s.lines.each(func(k Key, l *line) {
		l.settle(sec)
		some := false
		l.changes(func(step, start int64, cell []byte) {
			some = true
			data := append(s.head(byte(l.kind)), cell...)
			data[blockHead] &^= flagRestored // that is this process's own affair
			blocks = append(blocks, Block{Key: k, Step: time.Duration(step) * time.Second, Start: time.Unix(start, 0).UTC(), Data: data})
		})
		if !some {
			idle = append(idle, k)
		}
	})
	s.lines.sweep(idle)
	return blocks
}

func (s *Set) head(kind byte) []byte {
	return binary.LittleEndian.AppendUint64([]byte{version, kind}, s.run)
}

// Unsaved takes blocks back that Dirty has given and that were not written: the next Dirty
// gives their steps again.
func (s *Set) Unsaved(blocks []Block) {
	for i := range blocks {
		b := &blocks[i]
		tier, start, ok := b.place()
		if !ok {
			continue
		}
		if b.Metric == running {
			s.cover.unmark(start)
		} else if l := s.lines.lookup(b.Key); l != nil {
			l.touch(tier, start)
		}
	}
}

// place returns the tier and the start of a block; false where no tier has such a step.
func (b *Block) place() (tier int, start int64, ok bool) {
	start = b.Start.Unix()
	for i, g := range grids() {
		if b.Step == time.Duration(g.step)*time.Second {
			return i, start, b.Start.Nanosecond() == 0 && start >= 0 && start <= lastSecond && mod(start, g.step) == 0
		}
	}
	return 0, 0, false
}

// Restore adds what an earlier process has measured, to what this one has. Restore blocks
// before the first Dirty: as a block replaces the one of the same step in a Store, a step
// in progress would lose what was measured before the restart. A block is added once: it is
// ignored when its step has one already, or when it is this Set's own. Also ignored is what
// this set cannot have: a metric, kind or step that it has not, what is older than its
// retention or more than a day ahead; and, counted by Dropped, keys beyond
// Config.MaxSeries. The error is an *llm.Error where Data is not of a block.
func (s *Set) Restore(b Block) error {
	if len(b.Data) < blockHead+1 || len(b.Data) > mostData || b.Data[0] != version {
		return b.fault("it is not of a version that is known here")
	}
	tier, start, ok := b.place()
	newest := s.newest.Load()
	if g := grids()[tier]; !ok || start+g.step <= newest-g.keep || start > newest+24*hour {
		return nil
	}
	if binary.LittleEndian.Uint64(b.Data[2:]) == s.run {
		return nil
	}
	if b.Data[1] == kindRunning {
		if b.Key != (Key{Metric: running}) || tier != tiers-1 || len(b.Data) != blockHead+bitmapBytes {
			return b.fault("it does not tell when the set was running")
		}
		s.cover.restore(start, (*[bitmapBytes]byte)(b.Data[blockHead:]))
		return nil
	}
	kind := Kind(b.Data[1])
	if !s.lines.valid(b.Key, kind) {
		return nil
	}
	w := s.spaces.Get().(*workspace)
	defer s.spaces.Put(w)
	w.tally.reset()
	if !w.tally.mergeCell(kind, start, b.Data[blockHead:], true) || !w.tally.consistent(kind) {
		return b.fault("its data is damaged")
	}
	s.restore(b.Key, cellPlace{tier, start}, kind, &w.tally)
	return nil
}

// cellPlace says which cell of a line is meant.
type cellPlace struct {
	tier  int
	start int64
}

func (s *Set) restore(k Key, at cellPlace, kind Kind, t *tally) {
	for range 3 { // a line that was forgotten meanwhile is made anew
		if !s.lines.room(k) {
			break
		}
		l, own := s.lines.find(k, kind)
		if l == nil || !own {
			break
		}
		if l.restore(at.tier, at.start, t) {
			return
		}
	}
	s.dropped.Add(t.count)
}

func (b *Block) fault(what string) error {
	return &llm.Error{
		Kind:    llm.ForebayInternal,
		Message: fmt.Sprintf("the block of %q, %s from %s, cannot be read: %s", b.Key, b.Step, b.Start.Format(time.RFC3339), what),
		Fix:     "It is left out; what it held is missing from charts and windows.",
	}
}

// consistent says that the extremes lie where the buckets do. Logarithms may differ in the
// last bit from machine to machine, so the next bucket will do.
func (t *tally) consistent(kind Kind) bool {
	if kind != Distribution {
		return true
	}
	low, high := t.buckets.at(1), t.buckets.at(uint64(t.count))
	return math.Abs(float64(bucketOf(t.min)-low)) <= 1 && math.Abs(float64(bucketOf(t.max)-high)) <= 1
}
