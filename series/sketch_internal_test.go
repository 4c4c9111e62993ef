package series

import (
	"bytes"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// draws returns n values over all magnitudes and both signs.
func draws(r *rand.Rand, n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = math.Copysign(math.Pow(10, r.Float64()*24-9), r.Float64()-0.3)
	}
	return values
}

func tallyOf(kind Kind, values ...float64) *tally {
	t := &tally{}
	for i, v := range values {
		t.add(kind, v, int64(i))
	}
	return t
}

func TestBuckets(t *testing.T) {
	worst := 0.0
	for _, v := range append(draws(rand.New(rand.NewPCG(1, 1)), 200_000), least, -least, most, -most, 1) {
		got := valueOf(bucketOf(v))
		worst = max(worst, math.Abs(got/v-1))
		if b := bucketOf(v); b < -topBucket || b > topBucket || b == 0 {
			t.Fatalf("%g is in bucket %d", v, b)
		}
	}
	if worst > 0.01 {
		t.Errorf("the worst estimate is off by %g", worst)
	}
	for _, v := range []float64{0, least / 2, -least / 2, math.SmallestNonzeroFloat64} {
		if b := bucketOf(v); b != 0 || valueOf(b) != 0 {
			t.Errorf("%g is in bucket %d", v, b)
		}
	}
	if got := 1 + int(math.Log(most/least)/width); got != topBucket {
		t.Errorf("the top bucket is %d", got)
	}
	values := draws(rand.New(rand.NewPCG(1, 2)), 10_000)
	slices.Sort(values)
	for i := range values[1:] {
		if bucketOf(values[i]) > bucketOf(values[i+1]) {
			t.Fatalf("%g and %g are in the wrong order", values[i], values[i+1])
		}
	}
}

// same compares two tallies by their cells, which say all that is known.
func same(t *testing.T, what string, got, want *tally) {
	t.Helper()
	if !bytes.Equal(appendCell(nil, Distribution, 0, got), appendCell(nil, Distribution, 0, want)) {
		t.Errorf("%s: the tallies differ", what)
	}
}

// Merging is exact, commutative and associative: sums of whole numbers, and every bucket.
func TestMergeInAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	for range 60 {
		parts := make([]*tally, 2+r.IntN(8))
		whole := &tally{}
		for i := range parts {
			values := draws(r, r.IntN(40))
			for j := range values {
				values[j] = math.Trunc(math.Mod(values[j], 1e9))
			}
			parts[i] = tallyOf(Distribution, values...)
			for _, v := range values {
				whole.add(Distribution, v, 0)
			}
		}
		if whole.empty() {
			continue
		}
		for range 5 {
			r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			left, tree, cells := &tally{}, &tally{}, &tally{}
			for _, p := range parts {
				left.merge(p)
				if !p.empty() && !cells.mergeCell(Distribution, 0, appendCell(nil, Distribution, 0, p), true) {
					t.Fatal("a cell is not read")
				}
			}
			for i := 0; i < len(parts); i += 2 {
				pair := &tally{}
				pair.merge(parts[i])
				if i+1 < len(parts) {
					pair.merge(parts[i+1])
				}
				tree.merge(pair)
			}
			same(t, "one by one", left, whole)
			same(t, "in pairs", tree, whole)
			same(t, "as cells", cells, whole)
		}
	}
}

func TestCellsAreRead(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	options := cmp.Options{cmp.AllowUnexported(tally{}, buckets{}), cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "buckets" }, cmp.Ignore())}
	for i := range 600 {
		kind := Kind(i % 3)
		values := draws(r, 1+r.IntN(50))
		if kind == Counter {
			values = []float64{math.Abs(values[0])}
		}
		want := tallyOf(kind, values...)
		want.restored = i%2 == 0
		if kind == Gauge {
			want.lastAt += 40 * nanos
		}
		cell := appendCell(nil, kind, 40, want)
		got := &tally{}
		if !got.mergeCell(kind, 40, cell, true) {
			t.Fatalf("%x is not read", cell)
		}
		if diff := cmp.Diff(want, got, options); diff != "" {
			t.Fatal(diff)
		}
		same(t, "buckets", got, want)
		if kind == Distribution { // each statistic but percentiles is there without buckets
			got = &tally{}
			if got.mergeCell(kind, 40, cell, false); got.count != want.count || got.max != want.max || len(got.buckets.counts) > 0 {
				t.Fatalf("without buckets: %+v", got)
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, v := range []float64{0, 1, -1, 63, 64, 0.5, 1e15, -1e15, wholeBelow, wholeBelow - 1, -wholeBelow + 1, math.MaxFloat64, math.Pi, 1e-300} {
		b := appendNumber(nil, v)
		r := reader{rest: b}
		if got := r.number(); got != v || r.broken || len(r.rest) > 0 {
			t.Errorf("%g is read as %g from %x", v, got, b)
		}
	}
}

// A cell cannot make a reader allocate more than the range of all buckets.
func TestHostileCellsAllocateLittle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	var before, after runtime.MemStats
	for range 2000 {
		cell := []byte{0, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0}
		for range r.IntN(200) {
			cell = append(cell, byte(r.Uint32()))
		}
		var x tally
		runtime.ReadMemStats(&before)
		x.mergeCell(Distribution, 0, cell, true)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 8*(2*topBucket+1)*40 {
			t.Fatalf("%d bytes for %x", n, cell)
		}
		if len(x.buckets.counts) > 2*topBucket+1 {
			t.Fatalf("%d buckets", len(x.buckets.counts))
		}
	}
}

// The longest cell that there can be fits into a chunk.
func TestTheLongestCell(t *testing.T) {
	x := &tally{count: mostCount, min: -most, max: most, sum: math.Pi}
	for b := -topBucket; b <= topBucket; b++ {
		x.buckets.add(b, mostCount)
	}
	if n := len(appendCell(nil, Distribution, 0, x)); n > mostData-blockHead {
		t.Errorf("it has %d bytes", n)
	}
}
