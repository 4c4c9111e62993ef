package series

import (
	"slices"
	"time"
)

const (
	nanos = int64(time.Second)
	// perChunk is how many steps share a chunk.
	perChunk = 64
	// finest is the length of the finest step, maxStep that of the coarsest, in seconds.
	finest, maxStep = 10, 3600
	tiers           = 4
)

// grid is one tier's step and for how long its steps are kept, in seconds. A chart of any
// window between a minute and 30 days finds 60 to 360 steps in one of the tiers.
type grid struct{ step, keep int64 }

// grids are the tiers from fine to coarse: 10 s for an hour, 1 min for a day, 10 min for a
// week, 1 h for 30 days. Each step is a multiple of the one before.
func grids() [tiers]grid {
	return [tiers]grid{{finest, 3600}, {60, 86400}, {600, 7 * 86400}, {maxStep, 30 * 86400}}
}

// floor returns the start of the step that sec lies in.
func floor(sec, step int64) int64 { return sec - mod(sec, step) }

func mod(sec, step int64) int64 { return (sec%step + step) % step }

// tier keeps a series' cells of one step length, oldest first, in chunks of 64 steps. A
// step without measurements takes no room. What it gave out is never changed in place, so
// that a view of it may be read while it goes on.
type tier struct {
	grid
	chunks []chunk
	// tail is the newest cell, which is replaced often; nil where there is none. Its start
	// is after those of all cells in chunks.
	tail      []byte
	tailStart int64
	// changed is the start from which cells have changed since they were last written
	// down; math.MaxInt64 for none.
	changed int64
}

// chunk holds the cells of 64 steps from base on, in a row: the number of the step (1 byte),
// the cell's length (2 bytes) and the cell.
type chunk struct {
	base int64
	data []byte
}

const chunkHead = 3

// next splits the first cell off what is left of a chunk.
func next(rest []byte) (index int64, cell, tail []byte) {
	n := chunkHead + int(rest[1]) + int(rest[2])<<8
	return int64(rest[0]), rest[chunkHead:n:n], rest[n:]
}

func appendToChunk(data []byte, index int64, cell []byte) []byte {
	data = append(data, byte(index), byte(len(cell)), byte(len(cell)>>8))
	return append(data, cell...)
}

// put adds t to the cell of the step that sec lies in.
func (r *tier) put(kind Kind, sec int64, t *tally, w *workspace) {
	start := floor(sec, r.step)
	r.changed = min(r.changed, start)
	old := r.cell(start)
	if old != nil {
		w.tally.reset()
		w.tally.mergeCell(kind, start, old, true)
		w.tally.merge(t)
		t = &w.tally
	}
	w.cell = appendCell(w.cell[:0], kind, start, t)
	r.keepCell(start, w.cell)
}

// keepCell keeps a copy of a cell, in the place of the one that was there.
func (r *tier) keepCell(start int64, cell []byte) {
	switch {
	case r.tail == nil || start > r.tailStart:
		r.push()
		r.tail, r.tailStart = slices.Clone(cell), start
	case start == r.tailStart:
		r.tail = slices.Clone(cell)
	default:
		r.insert(start, cell)
	}
}

// push moves the tail into the last chunk.
func (r *tier) push() {
	if r.tail == nil {
		return
	}
	base := floor(r.tailStart, r.step*perChunk)
	n := len(r.chunks)
	if n == 0 || r.chunks[n-1].base != base {
		if n > 0 {
			r.chunks[n-1].data = slices.Clip(slices.Clone(r.chunks[n-1].data)) // it will not grow any more
		}
		r.chunks = append(r.chunks, chunk{base: base})
		n++
	}
	last := &r.chunks[n-1]
	last.data = appendToChunk(last.data, (r.tailStart-base)/r.step, r.tail)
	r.tail = nil
}

// insert puts a cell into the middle: the clock went backwards, or a block was restored.
func (r *tier) insert(start int64, cell []byte) {
	base := floor(start, r.step*perChunk)
	at, found := slices.BinarySearchFunc(r.chunks, base, func(c chunk, base int64) int { return compare(c.base, base) })
	if !found {
		r.chunks = slices.Insert(slices.Clone(r.chunks), at, chunk{base: base})
	}
	index := (start - base) / r.step
	old := r.chunks[at].data
	rest := old
	for len(rest) > 0 && int64(rest[0]) < index {
		_, _, rest = next(rest)
	}
	if len(rest) == 0 {
		r.chunks[at].data = appendToChunk(old, index, cell)
		return
	}
	before := old[:len(old)-len(rest)]
	if int64(rest[0]) == index {
		_, _, rest = next(rest)
	}
	data := make([]byte, 0, len(before)+chunkHead+len(cell)+len(rest))
	r.chunks[at].data = append(appendToChunk(append(data, before...), index, cell), rest...)
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// cell returns the cell that starts at start; nil where there is none.
func (r *tier) cell(start int64) []byte {
	switch {
	case r.tail == nil || start > r.tailStart: // without a tail there are no chunks
		return nil
	case start == r.tailStart:
		return r.tail
	}
	var found []byte
	v := tierView{step: r.step, chunks: r.chunks, tail: r.tail, tailStart: r.tailStart}
	v.each(start, start+r.step, func(_ int64, cell []byte) { found = cell })
	return found
}

// expire forgets what is too old at now. As the clock may jump, the number of chunks has a
// bound of its own.
func (r *tier) expire(now int64) {
	span := r.step * perChunk
	gone := 0
	for gone < len(r.chunks) && r.chunks[gone].base+span <= now-r.keep {
		gone++
	}
	gone = max(gone, len(r.chunks)-int(r.keep/span)-8)
	if gone > 0 {
		r.chunks = slices.Clone(r.chunks[gone:])
	}
	if r.tail != nil && r.tailStart+r.step <= now-r.keep {
		r.chunks, r.tail = nil, nil
	}
}

// empty says that nothing is kept.
func (r *tier) empty() bool { return r.tail == nil && len(r.chunks) == 0 }

// view returns the tier as it is now; it stays as it is.
func (r *tier) view() tierView {
	return tierView{step: r.step, chunks: slices.Clone(r.chunks), tail: r.tail, tailStart: r.tailStart}
}

// tierView is a tier at one moment.
type tierView struct {
	step      int64
	chunks    []chunk
	tail      []byte
	tailStart int64
}

// each calls f for the cells that start in [from, to), oldest first.
func (v *tierView) each(from, to int64, f func(start int64, cell []byte)) {
	span := v.step * perChunk
	at, _ := slices.BinarySearchFunc(v.chunks, from-span+1, func(c chunk, base int64) int { return compare(c.base, base) })
	for _, c := range v.chunks[at:] {
		if c.base >= to {
			break
		}
		for rest := c.data; len(rest) > 0; {
			var i int64
			var cell []byte
			i, cell, rest = next(rest)
			if start := c.base + i*v.step; start >= from && start < to {
				f(start, cell)
			}
		}
	}
	if v.tail != nil && v.tailStart >= from && v.tailStart < to {
		f(v.tailStart, v.tail)
	}
}
