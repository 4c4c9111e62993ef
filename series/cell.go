package series

import (
	"encoding/binary"
	"math"
)

// A cell is the tally of one step in the form in which it is kept:
//
//	flags    1 byte; 1: a block of an earlier process is part of it
//	count    uvarint
//	sum      number
//	of gauges: min, max, last (numbers), lastAt (uvarint, nanoseconds since the step's start)
//	of distributions: min, max (numbers), the lowest bucket in use (zigzag), then for each
//	         bucket upwards a uvarint: 2·count, or 2·n+1 for n empty buckets in a row
//
// A number is a uvarint: 2·zigzag(n) for the whole number n below 2^45, or else 1 and the
// eight bytes of the float64, little endian.

const (
	flagRestored = 1
	// wholeBelow bounds the whole numbers that are written as such; above, eight bytes are
	// as short.
	wholeBelow = 1 << 45
	// mostCount bounds a cell's count, so that the sum over all cells stays far below 2^63.
	mostCount = 1 << 48
	// mostSum bounds a sum: mostCount times most, and much to spare.
	mostSum = 1e40
)

// appendCell writes a tally of a step that starts at start, Unix seconds.
func appendCell(b []byte, kind Kind, start int64, t *tally) []byte {
	var flags byte
	if t.restored {
		flags = flagRestored
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(t.count))
	b = appendNumber(b, t.sum)
	switch kind {
	case Gauge:
		b = appendNumber(appendNumber(appendNumber(b, t.min), t.max), t.last)
		b = binary.AppendUvarint(b, uint64(t.lastAt-start*nanos))
	case Distribution:
		b = appendNumber(appendNumber(b, t.min), t.max)
		b = appendBuckets(b, &t.buckets)
	}
	return b
}

func appendNumber(b []byte, v float64) []byte {
	if n := int64(v); math.Abs(v) < wholeBelow && float64(n) == v {
		return binary.AppendUvarint(b, uint64(n<<1^n>>63)<<1)
	}
	return binary.LittleEndian.AppendUint64(append(b, 1), math.Float64bits(v))
}

func appendBuckets(b []byte, s *buckets) []byte {
	gap, some := 0, false
	for i, n := range s.counts {
		switch {
		case n == 0:
			gap++
			continue
		case !some:
			b = binary.AppendVarint(b, int64(s.low+i))
		case gap > 0:
			b = binary.AppendUvarint(b, uint64(gap)<<1|1)
		}
		b = binary.AppendUvarint(b, n<<1)
		gap, some = 0, true
	}
	return b
}

// reader reads a cell. What is asked of it after a fault is zero.
type reader struct {
	rest   []byte
	broken bool
}

func (r *reader) uvarint() uint64 {
	if len(r.rest) > 0 && r.rest[0] < 0x80 { // most are of one byte
		v := uint64(r.rest[0])
		r.rest = r.rest[1:]
		return v
	}
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.broken, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) number() float64 {
	v := r.uvarint()
	if v&1 == 0 {
		v >>= 1
		return float64(int64(v>>1) ^ -int64(v&1))
	}
	if v != 1 || len(r.rest) < 8 {
		r.broken, r.rest = true, nil
		return 0
	}
	f := math.Float64frombits(binary.LittleEndian.Uint64(r.rest))
	r.rest = r.rest[8:]
	return f
}

// mergeCell adds a cell of a step that starts at start to t, with its buckets where they
// are asked for. It returns false, and has added a part perhaps, where the cell is not one.
func (t *tally) mergeCell(kind Kind, start int64, cell []byte, withBuckets bool) bool {
	if len(cell) == 0 || cell[0]&^flagRestored != 0 {
		return false
	}
	r := reader{rest: cell[1:]}
	o := tally{restored: cell[0]&flagRestored != 0}
	count := r.uvarint()
	if count == 0 || count > mostCount {
		return false
	}
	o.count, o.sum = int64(count), r.number()
	if kind != Counter {
		o.min, o.max = r.number(), r.number()
	}
	if kind == Gauge {
		o.last = r.number()
		since := r.uvarint()
		if since > uint64(maxStep*nanos) {
			return false
		}
		o.lastAt = start*nanos + int64(since)
	}
	if r.broken || !o.plausible() {
		return false
	}
	t.mergeSums(&o)
	if kind != Distribution {
		return len(r.rest) == 0
	}
	return !withBuckets || t.buckets.mergeCell(&r, count)
}

// plausible says that a tally read from a cell can have come from measurements. Comparisons
// with what is not a number are false.
func (t *tally) plausible() bool {
	return math.Abs(t.sum) <= mostSum && t.min <= t.max && t.min >= -most && t.max <= most && t.last >= -most && t.last <= most
}

// mergeCell adds the buckets that r goes on with. Each has to lie in the range of buckets,
// and their counts to add up to count: so that no cell, whoever wrote it, makes room for
// more than that range.
func (b *buckets) mergeCell(r *reader, count uint64) bool {
	v := r.uvarint()
	at := int64(v>>1) ^ -int64(v&1)
	for rest := r.rest; len(rest) > 0; {
		n, size := uint64(rest[0]), 1
		if n >= 0x80 { // few are longer than a byte
			n, size = binary.Uvarint(rest)
		}
		if size <= 0 || at < -topBucket || at > topBucket {
			return false
		}
		rest = rest[size:]
		if n&1 == 1 {
			if n>>1 > 2*topBucket || n>>1 == 0 || count == 0 {
				return false
			}
			at += int64(n >> 1)
			continue
		}
		n >>= 1
		if n-1 >= count { // 0 as well
			return false
		}
		if i := int(at) - b.low; uint(i) < uint(len(b.counts)) { // add, at hand
			b.counts[i] += n
		} else {
			b.add(int(at), n)
		}
		count -= n
		at++
	}
	return !r.broken && count == 0
}
