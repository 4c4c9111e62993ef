package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/forebay-ai/forebay/cache"
)

// churnTimes is how often the memory is filled over.
const churnTimes = 10

// churnTenants share it, so that part of it is what is sheltered for them.
const churnTenants = 10

// measureChurn puts ten times as much into a cache as it may hold, and compares the
// heap with the bound, each time when as much as the bound has been put.
func measureChurn(ctx context.Context, b *bench) error {
	for _, mix := range []struct {
		name string
		size func(*rand.Rand) int
	}{
		{"answers of 1 KB", func(*rand.Rand) int { return 1024 }},
		{"answers of 200 B to 20 KB", func(r *rand.Rand) int { return int(200 * math.Exp(r.Float64()*math.Log(100))) }},
	} {
		worst, last, err := churn(ctx, b.memory, mix.size)
		if err != nil {
			return err
		}
		b.report.add(
			figure{name: "heap over configured bytes, " + mix.name, measured: last, decimals: 3, unit: "x"},
			figure{name: "most it was off, " + mix.name, measured: 100 * worst, decimals: 2, unit: "%", atMost: 5},
		)
	}
	b.report.note("cache.Config{MemoryBytes: %d MiB, MaxEntries: -1}, %d tenants, %d times as much put as fits. Heap in use after", b.memory>>20, churnTenants, churnTimes)
	b.report.note("garbage collection, less that before the cache was made; %d times, the first when the cache has become full.", churnTimes)
	return nil
}

// churn returns how far the heap was off the bound at the worst, and what it was at
// the end, both in parts of the bound.
func churn(ctx context.Context, memory int64, size func(*rand.Rand) int) (worst, last float64, err error) {
	r := rand.New(rand.NewPCG(1, 2))
	now := time.Now()
	empty := heap()
	c, err := cache.New(cache.Config{MemoryBytes: memory, MaxEntries: -1})
	if err != nil {
		return 0, 0, err
	}
	defer c.Close(ctx)
	var names [churnTenants]string
	for i := range names {
		names[i] = fmt.Sprint("tenant-", i)
	}
	n := 0
	for range churnTimes {
		// A fifth more than fits, since what is put weighs more than its body.
		for put := int64(0); put < memory+memory/5; n++ {
			if n%1024 == 0 && ctx.Err() != nil {
				return 0, 0, ctx.Err()
			}
			body := make([]byte, size(r))
			put += int64(len(body))
			owner := names[n%len(names)]
			c.Put(&cache.Entry{
				Key: numberedKey(n), Tenant: owner, Labels: cache.Labels{Tenant: owner, Operation: operation, Model: model},
				Body: body, Dialect: "openai", Provider: "mock", Model: model, Stored: now, Expires: now.Add(lifetime),
			}, now)
		}
		last = float64(heap()-empty) / float64(memory)
		worst = max(worst, math.Abs(last-1))
	}
	return worst, last, nil
}

// heap is what is alive, in bytes.
func heap() int64 {
	// Twice: what a finalizer or a pool holds on to is free only after the second.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
