package cache_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/store/storetest"
)

var histories = flag.Int("histories", 150, "how many random histories of invalidations are checked")

// What is promised of one key: an answer that was asked for before an invalidation
// began is not found once the invalidation has returned. The model knows which fills
// have begun, and drops those that had when an invalidation began when that ends. A
// look-up may find any fill that is left, or nothing: entries are evicted.
type keyState struct {
	begun  uint64     // a bit for each fill that may be found
	doomed [16]uint64 // by invalidation: those that had begun when it did
}

// The operations of a history. An invalidation is two: its beginning and its end.
type keyOp struct {
	kind     string // "begin", "find", "start", "end"
	key, who int    // who is the fill or the invalidation
}

func keyModel() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byKey := map[int][]porcupine.Operation{}
			for _, op := range history {
				k := op.Input.(keyOp).key
				byKey[k] = append(byKey[k], op)
			}
			var all [][]porcupine.Operation
			for _, ops := range byKey {
				all = append(all, ops)
			}
			return all
		},
		Init: func() any { return keyState{} },
		Step: func(state, input, output any) (bool, any) {
			s, op := state.(keyState), input.(keyOp)
			switch op.kind {
			case "begin":
				s.begun |= 1 << op.who
			case "start":
				s.doomed[op.who] = s.begun
			case "end":
				s.begun &^= s.doomed[op.who]
			case "find":
				fill := output.(int)
				return fill < 0 || s.begun&(1<<fill) != 0, s
			}
			return true, s
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprint(input, output) },
	}
}

// life is a cache, from its start to its kill.
type life struct {
	cache *cache.Cache
	// over says that it was killed, or is about to be, and ending that somebody sees to
	// its end. Guarded by recorder.mu.
	over, ending bool
}

// recorder carries random operations out and writes down what came of them.
type recorder struct {
	t    *testing.T
	disk *disk

	mu            sync.Mutex // guards what follows
	now           int64      // logical time: one tick for each moment that is written down
	life          *life
	history       []porcupine.Operation
	fills, purges [3]int // by key
	found         int
}

const historyKeys = 3

// current returns the cache that lives, and the moment.
func (r *recorder) current() (*life, int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now++
	return r.life, r.now
}

// note writes an operation down, unless its process did not live to see its end.
func (r *recorder) note(l *life, op keyOp, call int64, output int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.over {
		return
	}
	r.now++
	if call == 0 {
		call = r.now
		r.now++
	}
	r.history = append(r.history, porcupine.Operation{Input: op, Call: call, Output: output, Return: r.now})
}

// next numbers a fill or an invalidation of a key; ok is false when there are enough.
func (r *recorder) next(of *[3]int, key, bound int) (n int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = of[key]
	if n >= bound {
		return 0, false
	}
	of[key]++
	return n, true
}

func (r *recorder) query(key int) cache.Query {
	return cache.Query{
		Key: numberedKey(key), Tenant: "acme", User: "ada", Labels: r.labels(key), Digest: uint64(key + 1), Now: time.Now(),
	}
}

func (r *recorder) labels(key int) cache.Labels {
	return cache.Labels{Tenant: "acme", User: "ada", Operation: fmt.Sprint("op", key%2)}
}

// fill asks for an answer, waits for it, and stores it.
func (r *recorder) fill(rnd *rand.Rand, key int) {
	n, ok := r.next(&r.fills, key, 60)
	if !ok {
		return
	}
	l, call := r.current()
	since := l.cache.Generation()
	r.note(l, keyOp{"begin", key, n}, call, 0)
	time.Sleep(pause(rnd, 30*time.Millisecond))
	now := time.Now()
	l.cache.Put(&cache.Entry{
		Key: numberedKey(key), Tenant: "acme", User: "ada", Labels: r.labels(key), Digest: uint64(key + 1), Since: since,
		Body: fmt.Append(nil, n), Stored: now, Expires: now.Add(time.Hour),
	}, now)
}

// find looks for an answer, in every tier or without the store.
func (r *recorder) find(rnd *rand.Rand, key int) {
	l, call := r.current()
	var e *cache.Entry
	if rnd.IntN(4) == 0 {
		e = l.cache.Peek(r.query(key))
	} else if f := l.cache.Find(context.Background(), r.query(key)); f.Outcome == cache.Hit {
		e = f.Entry
	}
	fill := -1
	if e != nil {
		if _, err := fmt.Sscan(string(e.Body), &fill); err != nil {
			r.t.Error(err)
		}
		r.mu.Lock()
		r.found++
		r.mu.Unlock()
	}
	r.note(l, keyOp{"find", key, 0}, call, fill)
}

// invalidate makes one key, those of one operation, or all of the user's void.
func (r *recorder) invalidate(rnd *rand.Rand, key int) {
	s := cache.Scope{Tenant: "acme"}
	keys := []int{0, 1, 2}
	switch rnd.IntN(3) {
	case 0:
		k := numberedKey(key)
		s.Key, keys = &k, []int{key}
	case 1:
		s.Operation = fmt.Sprint("op", key%2)
		keys = []int{1}
		if key%2 == 0 {
			keys = []int{0, 2}
		}
	default:
		s.User = "ada"
	}
	var purges []keyOp
	for _, k := range keys {
		n, ok := r.next(&r.purges, k, 16)
		if !ok {
			return
		}
		purges = append(purges, keyOp{"start", k, n})
	}
	l, _ := r.current()
	for _, op := range purges {
		r.note(l, op, 0, 0)
	}
	if _, err := l.cache.Invalidate(context.Background(), s); err != nil {
		return // promises nothing
	}
	for _, op := range purges {
		op.kind = "end"
		r.note(l, op, 0, 0)
	}
}

// restart ends the process where it stands and starts the next one.
func (r *recorder) restart(orderly bool) {
	r.mu.Lock()
	old := r.life
	if old.ending {
		r.mu.Unlock()
		return
	}
	old.ending, old.over = true, !orderly
	r.mu.Unlock()
	if orderly {
		if err := old.cache.Close(context.Background()); err != nil {
			r.t.Log(err) // the store failed
		}
	} else {
		old.cache.Kill()
	}
	fresh := &life{cache: r.open()}
	r.mu.Lock()
	defer r.mu.Unlock()
	old.over = true
	r.life = fresh
}

func (r *recorder) open() *cache.Cache {
	return r.disk.open(r.t, func(cfg *cache.Config) { cfg.TenantFloor = -1 })
}

// pause is a random while, often none.
func pause(rnd *rand.Rand, most time.Duration) time.Duration {
	if rnd.IntN(3) == 0 {
		return 0
	}
	return rand.N(most)
}

// worker carries operations out, one after the other.
func (r *recorder) worker(rnd *rand.Rand, operations int) {
	for range operations {
		key := rnd.IntN(historyKeys)
		switch n := rnd.IntN(100); {
		case n < 30:
			r.fill(rnd, key)
		case n < 75:
			r.find(rnd, key)
		case n < 90:
			l, _ := r.current()
			l.cache.EvictFromMemory(numberedKey(key))
		case n < 98:
			r.invalidate(rnd, key)
		default:
			r.restart(rnd.IntN(4) == 0)
		}
		time.Sleep(pause(rnd, 20*time.Millisecond))
	}
}

// troubles makes the store slow, and fail now and then.
func troubles(seed uint64) func(op string) error {
	var mu sync.Mutex
	rnd := rand.New(rand.NewPCG(seed, 1))
	return func(op string) error {
		mu.Lock()
		wait, n := pause(rnd, 8*time.Millisecond), rnd.IntN(100)
		mu.Unlock()
		if op == storetest.OpGet && wait > 4*time.Millisecond {
			wait -= 4 * time.Millisecond
		}
		time.Sleep(wait)
		switch op {
		case storetest.OpGet, storetest.OpWrite, storetest.OpDelete, storetest.OpInvalidate, storetest.OpInvalidations:
			if n < 3 {
				return errors.New("trouble")
			}
		}
		return nil
	}
}

func TestInvalidationHistory(t *testing.T) {
	found := 0
	for n := range *histories {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{t: t, disk: newDisk(t)}
			r.life = &life{cache: r.open()}
			r.disk.Fail(troubles(seed))
			var workers sync.WaitGroup
			for w := range 5 {
				workers.Go(func() { r.worker(rand.New(rand.NewPCG(seed, uint64(w))), 60) })
			}
			workers.Wait()
			r.disk.Fail(nil)
			r.life.cache.Kill()
			found += r.found
			switch porcupine.CheckOperationsTimeout(keyModel(), r.history, 20*time.Second) {
			case porcupine.Illegal:
				t.Errorf("history %d (seed %d): an answer from before an invalidation was found after it", n, seed)
			case porcupine.Unknown:
				t.Errorf("history %d was not checked in time", n)
			}
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d histories, %d look-ups that found something", *histories, found)
	if found < *histories {
		t.Error("the histories hardly ever find anything")
	}
}
