package main

import (
	"context"
	"errors"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

const (
	// hitEntries fit into memory, and are too many for the processor's first caches.
	hitEntries = 4096
	// A turn is some 10 to 40 ms: long enough for the clock, and short enough that the
	// other one's turn finds the machine as it was.
	hitTurn   = 100_000
	keyTurn   = 5000
	hitRounds = 9 // for each round of the others: these are short
)

// plainEntry is what an entry weighs beside its body; the exact weight does not
// matter, since everything fits.
const plainEntry = 600

// newOtter is otter alone, set up as the cache sets up its memory.
func newOtter(bytes uint64) (*otter.Cache[cache.Key, *cache.Entry], error) {
	return otter.New(&otter.Options[cache.Key, *cache.Entry]{
		MaximumWeight: bytes,
		Weigher:       func(_ cache.Key, e *cache.Entry) uint32 { return uint32(len(e.Body)) + plainEntry },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(otter.Entry[cache.Key, *cache.Entry]) time.Duration {
			return lifetime
		}),
		Executor: func(upkeep func()) { upkeep() },
	})
}

// measureHit measures what Find takes for a hit in memory over what otter's look-up
// of the same key takes, and the key of a request.
func measureHit(ctx context.Context, b *bench) error {
	const memory = 64 << 20
	c, err := cache.New(cache.Config{MemoryBytes: memory, MaxEntries: -1})
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	alone, err := newOtter(memory)
	if err != nil {
		return err
	}
	defer alone.StopAllGoroutines()
	p := newPopulation(someBodies(64, 1024))
	queries := make([]cache.Query, hitEntries)
	for n := range queries {
		e := p.entry(n)
		c.Put(&e, p.now)
		alone.Set(e.Key, &e)
		queries[n] = p.query(n)
	}
	misses := 0
	find := func(n int) {
		if f := c.Find(ctx, queries[n%hitEntries]); f.Outcome != cache.Hit {
			misses++
		}
	}
	get := func(n int) {
		if _, ok := alone.GetIfPresent(queries[n%hitEntries].Key); !ok {
			misses++
		}
	}
	canonical, key, err := keyMakers()
	if err != nil {
		return err
	}
	var finds, gets, added, canonicals, keys []float64
	for range b.rounds * hitRounds {
		if err := ctx.Err(); err != nil {
			return err
		}
		g, f := perCall(hitTurn, get), perCall(hitTurn, find)
		gets, finds, added = append(gets, g), append(finds, f), append(added, f-g)
		canonicals, keys = append(canonicals, perCall(keyTurn, canonical)), append(keys, perCall(keyTurn, key))
	}
	if misses > 0 {
		return errors.New("look-ups missed what had been put")
	}
	const us = "us"
	b.report.add(
		figure{name: "otter alone, hit", measured: median(gets), decimals: 3, unit: us},
		figure{name: "Cache.Find, hit in memory", measured: median(finds), decimals: 3, unit: us},
		figure{name: "a memory hit adds to otter", measured: median(added), decimals: 3, unit: us, atMost: 1},
		figure{name: "canonical form of a 2 KB chat request", measured: median(canonicals), decimals: 3, unit: us},
		figure{name: "key of it (KeyAndDigest)", measured: median(keys), decimals: 3, unit: us},
	)
	b.report.note("%d entries, one goroutine, %d interleaved rounds of %d look-ups; what is added is the median of the rounds' differences.",
		hitEntries, b.rounds*hitRounds, hitTurn)
	return nil
}

// keyMakers are the two steps from a request to its key.
func keyMakers() (canonical, key func(int), err error) {
	req := &llm.Request{Endpoint: llm.Chat, Body: chatBody()}
	var d openai.Dialect
	form, err := d.Canonical(nil, req, false)
	if err != nil {
		return nil, nil, err
	}
	id := cache.Identity{
		Dialect: d.Name(), Endpoint: string(llm.Chat), Operation: operation, Family: "mock", Model: model, Tenant: tenant, User: "user-00",
	}
	scope := cache.DefaultScope()
	canonical = func(int) { form, _ = d.Canonical(form[:0], req, false) } // it was no error above
	key = func(int) { id.Namespace = cacheName(cache.KeyAndDigest(id, scope, form)) }
	return canonical, key, nil
}

// cacheName uses a key, so that nothing is left out that makes it.
func cacheName(k cache.Key, _ uint64) string {
	if k == (cache.Key{}) {
		return "none"
	}
	return ""
}

// perCall is what a call of f takes in microseconds, in a row of n.
func perCall(n int, f func(int)) float64 {
	begin := time.Now()
	for i := range n {
		f(i)
	}
	return float64(time.Since(begin).Nanoseconds()) / float64(n) / 1000
}
