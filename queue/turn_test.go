package queue

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"pgregory.net/rapid"
)

// places is a plain model of one tenant's turn: the kinds of those who wait in
// order of arrival. Newest first, the newest synchronous one takes the place of the oldest.
type places []*item

func (p places) next(newestFirst bool) *item {
	if len(p) == 0 {
		return nil
	}
	if first := p[0]; first.durable || !newestFirst {
		return first
	}
	for _, it := range slices.Backward(p) {
		if !it.durable {
			return it
		}
	}
	return nil
}

// served takes one out: the places of the synchronous ones close up towards the
// front, so that the durable ones keep theirs.
func (p places) served(it *item) places {
	at := slices.Index(p, it)
	if !it.durable { // those before it move back by a place, over the durable ones
		for i := at - 1; i >= 0; i-- {
			if !p[i].durable {
				p[at], at = p[i], i
			}
		}
	}
	return slices.Delete(p, at, at+1)
}

// TestTurnModel: whatever the mix and however often the order turns, a turn serves
// as the model does: durable ones first in, first out, in the place of their arrival.
func TestTurnModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		o := newOrder(Config{}.withDefaults())
		b := &o.bands[llm.Normal.Index()]
		b.newestFirst = rapid.Bool().Draw(t, "newest first")
		var model places
		for i := range 300 {
			if r.IntN(2) == 0 {
				it := waiting(llm.Normal, "a", time.Duration(i))
				it.durable = r.IntN(4) == 0
				o.push(it)
				it.turn.slow = true
				model = append(model, it)
				continue
			}
			got, want := o.choose(false), model.next(b.newestFirst)
			if got != want {
				t.Fatalf("step %d: next is %+v, want %+v", i, got, want)
			}
			if got == nil {
				continue
			}
			for _, it := range model { // what rank says comes about true if nobody comes
				if rank := o.rank(it); rank < 1 || rank > len(model) || (rank == 1) != (it == want) {
					t.Fatalf("step %d: rank %d of %d for %+v, next is %+v", i, rank, len(model), it, want)
				}
			}
			o.take(got)
			model = model.served(got)
		}
	})
}

// TestDurableKeepsItsPlace: refusals at the door do not bring a job forward, and
// what makes room does not touch it.
func TestDurableKeepsItsPlace(t *testing.T) {
	o := newOrder(Config{}.withDefaults())
	b := &o.bands[llm.Normal.Index()]
	b.newestFirst = true
	for i := range 3 {
		o.push(waiting(llm.Normal, "a", time.Duration(i)))
	}
	b.tenants["a"].slow = true
	job := claimed(llm.Normal, "a", 3)
	o.push(job)
	for i := range 10 {
		it := waiting(llm.Normal, "a", time.Duration(4+i))
		o.push(it)
		o.retract(it)
	}
	if v := o.lowest(critical); v == job || v.at != epoch {
		t.Errorf("%+v gives way, want the oldest synchronous one", v)
	}
	for i := range 3 {
		it := o.choose(false)
		if it == job {
			t.Fatalf("the job was number %d, three came before it", i+1)
		}
		o.take(it)
	}
	if o.choose(false) != job || o.lowest(critical) != nil || o.synchronous() != 0 || o.bytes != 0 {
		t.Error("the job waits alone, and takes no room")
	}
}

// TestRankIsRight: the ranks of a turn come about true if nobody else comes.
func TestRankIsRight(t *testing.T) {
	for _, newestFirst := range []bool{false, true} {
		r := rand.New(rand.NewPCG(1, 2))
		for range 500 {
			o := newOrder(Config{}.withDefaults())
			o.bands[1].newestFirst = newestFirst
			var items []*item
			for i := range 1 + r.IntN(20) {
				it := waiting(llm.Normal, "a", time.Duration(i))
				it.durable = r.IntN(3) == 0
				o.push(it)
				it.turn.slow = true
				items = append(items, it)
				if r.IntN(4) == 0 {
					gone := o.choose(false)
					o.take(gone)
					items = slices.DeleteFunc(items, func(i *item) bool { return i == gone })
				}
			}
			ranks := map[*item]int{}
			for _, it := range items {
				ranks[it] = o.rank(it)
			}
			for n := 1; len(items) >= n; n++ {
				it := o.choose(false)
				if ranks[it] != n {
					t.Fatalf("newest first %t: number %d of %d had rank %d (durable %t)", newestFirst, n, len(items), ranks[it], it.durable)
				}
				o.take(it)
			}
		}
	}
}
