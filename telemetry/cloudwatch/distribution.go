package cloudwatch

import (
	"math"
	"slices"
)

const (
	// mostValues is what one datum may have; two of them are for the extremes.
	mostValues = 150
	mostCells  = mostValues - 2
	// lnGrowth is the width of the finest cells: 2 %, so that a cell's mean is off by 1 %
	// at most. 148 of them span a factor of 18; each coarsening squares that.
	lnGrowth = 0.019802627296179712 // ln(1.02)
	// CloudWatch takes values whose size is from 2^-360 to 2^360, and zero.
	largestValue  = 1e108
	smallestValue = 1e-108
)

// distribution is values and how often they came, in few enough cells for one datum. The
// zero distribution is empty and ready.
type distribution struct {
	cells    map[cellKey]*cell
	coarse   uint // how many times the width of the cells was doubled (in logarithm)
	count    float64
	min, max float64
}

// cellKey is where a value is: the logarithm of its size, rounded up, at the present
// width.
type cellKey struct {
	negative bool
	zero     bool
	index    int32
}

type cell struct{ count, sum float64 }

// mean is the value that stands for all of a cell.
func (c cell) mean() float64 { return c.sum / c.count }

// keyOf is the key of v at a width.
func keyOf(v float64, coarse uint) cellKey {
	if v == 0 {
		return cellKey{zero: true}
	}
	return cellKey{negative: v < 0, index: coarser(int32(math.Ceil(math.Log(math.Abs(v))/lnGrowth)), coarse)}
}

// coarser is the index of a cell after so many doublings: ⌈i/2ⁿ⌉.
func coarser(index int32, n uint) int32 { return (index-1)>>n + 1 }

// add counts v n times. What CloudWatch would not take is left out, and reported.
func (d *distribution) add(v, n float64) bool {
	if math.IsNaN(v) || math.Abs(v) > largestValue || !(n > 0) {
		return false
	}
	if math.Abs(v) < smallestValue {
		v = 0
	}
	if d.cells == nil {
		d.cells = make(map[cellKey]*cell, 4)
		d.min, d.max = v, v
	}
	d.min, d.max = min(d.min, v), max(d.max, v)
	d.count += n
	d.put(keyOf(v, d.coarse), n, n*v)
	for len(d.cells) > mostCells {
		d.coarsen()
	}
	return true
}

func (d *distribution) put(k cellKey, count, sum float64) {
	c := d.cells[k]
	if c == nil {
		c = new(cell)
		d.cells[k] = c
	}
	c.count += count
	c.sum += sum
}

// coarsen joins each two neighbouring cells.
func (d *distribution) coarsen() {
	old := d.cells
	d.cells = make(map[cellKey]*cell, len(old))
	d.coarse++
	for k, c := range old {
		if !k.zero {
			k.index = coarser(k.index, 1)
		}
		d.put(k, c.count, c.sum)
	}
}

// valued is a value and how often it came.
type valued struct{ value, count float64 }

// values gives at most 150 values, ascending, with their counts: the extremes as they
// were, and the mean of each cell for the rest of it.
func (d *distribution) values() []valued {
	all := make([]valued, 0, len(d.cells)+2)
	lowest, highest := keyOf(d.min, d.coarse), keyOf(d.max, d.coarse)
	for k, c := range d.cells {
		rest := *c
		for _, extreme := range []struct {
			at    cellKey
			value float64
		}{{lowest, d.min}, {highest, d.max}} {
			if k == extreme.at && rest.count > 1 && rest.mean() != extreme.value {
				all = append(all, valued{extreme.value, 1})
				rest.count--
				rest.sum -= extreme.value
			}
		}
		// Rounding must not move a mean beyond what was measured.
		all = append(all, valued{min(max(rest.mean(), d.min), d.max), rest.count})
	}
	slices.SortFunc(all, func(a, b valued) int {
		switch {
		case a.value < b.value:
			return -1
		case a.value > b.value:
			return 1
		}
		return 0
	})
	return all
}
