package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/envelope"
)

const (
	// leastMemory is the smallest memory that a cache takes: next to nothing of what is
	// on disk is in it too.
	leastMemory = 64 << 10
	putMemory   = 64 << 20
	// lookups in each run: p99 then has a thousand look-ups above it.
	lookups = 100_000
	// putRate is that of a gateway with some load. Its batches are not full.
	putRate    = 1000
	mostPaced  = 5000
	readers    = 4
	bodyBytes  = 1024 // of what is read
	putBytes   = 2048 // of what is put
	manyBodies = 1024
)

// measureDisk fills a store, reads from it and puts into it.
func measureDisk(ctx context.Context, b *bench) error {
	master, err := envelope.NewMaster()
	if err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "store")
	if err := fillStore(ctx, b, dir, master); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	if err := readStore(ctx, b, dir, master); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if err := putStore(ctx, b, dir, master); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	b.report.note("Look-ups of random keys through both tiers: a memory of 64 KiB, and a file that the system has in its page cache, since it was just")
	b.report.note("written (a cold disk adds its own latency). CPU is user and system time of the whole process, garbage collection included.")
	return nil
}

// fillStore puts the entries, and says how fast that went.
func fillStore(ctx context.Context, b *bench, dir string, master envelope.Master) error {
	p := newPopulation(someBodies(manyBodies, bodyBytes))
	begin, before := time.Now(), cpu()
	t, err := openTiers(ctx, dir, master, leastMemory)
	if err != nil {
		return err
	}
	err = t.put(ctx, p, 0, b.entries, 0)
	if err = errors.Join(err, t.close(ctx)); err != nil {
		return err
	}
	took, used := time.Since(begin), cpu()-before
	size, err := diskBytes(dir)
	if err != nil {
		return err
	}
	b.report.note("Filled with %d entries of %d B by Cache.Put in %.0f s (%.0f/s), %.1f us of CPU each; %.2f GB on disk.",
		b.entries, bodyBytes, took.Seconds(), float64(b.entries)/took.Seconds(), micros(used, b.entries), float64(size)/1e9)
	return nil
}

// readStore measures hits on disk.
func readStore(ctx context.Context, b *bench, dir string, master envelope.Master) (err error) {
	t, err := openTiers(ctx, dir, master, leastMemory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close(context.WithoutCancel(ctx))) }()
	if err := settle(ctx); err != nil {
		return err
	}
	p := newPopulation(someBodies(manyBodies, bodyBytes))
	n := min(lookups, b.entries)
	rows := [][]string{{"", "p50 us", "p99 us", "p99.9 us", "most us", "CPU us", "in memory", "missed"}}
	look := func(name string, readers int) (finds, error) {
		before := cpu()
		f, err := lookUp(ctx, t.cache, p, n, readers, b.entries)
		used := micros(cpu()-before, n)
		rows = append(rows, []string{
			name, us(f.at(0.5)), us(f.at(0.99)), us(f.at(0.999)), us(f.at(1)), fmt.Sprintf("%.1f", used), fmt.Sprint(f.memory), fmt.Sprint(f.missed),
		})
		if err == nil && f.missed > 0 {
			err = fmt.Errorf("%s: %d of %d look-ups missed (%s)", name, f.missed, n, f.why)
		}
		return f, err
	}
	one, err := look("one at a time", 1)
	if err != nil {
		return err
	}
	if _, err := look(fmt.Sprintf("%d at once", readers), readers); err != nil {
		return err
	}
	// New entries are written while old ones are read.
	writing, stop := context.WithCancel(ctx)
	var writes sync.WaitGroup
	var writeErr error
	writes.Go(func() {
		fresh := newPopulation(p.bodies)
		for n := b.entries + 10*b.puts; writing.Err() == nil && writeErr == nil; n += putRate {
			if err := t.put(writing, fresh, n, putRate, putRate); writing.Err() == nil {
				writeErr = err
			}
		}
	})
	_, err = look(fmt.Sprintf("one at a time, %d puts/s beside", putRate), 1)
	stop()
	writes.Wait()
	if err = errors.Join(err, writeErr); err != nil {
		return err
	}
	b.report.add(
		figure{name: fmt.Sprintf("disk hit p50 among %d entries", b.entries), measured: one.at(0.5), decimals: 0, unit: "us"},
		figure{name: fmt.Sprintf("disk hit p99 among %d entries", b.entries), measured: one.at(0.99), decimals: 0, unit: "us", atMost: 1000},
	)
	b.report.addTable(fmt.Sprintf("%d look-ups among %d entries on disk", n, b.entries), rows)
	return nil
}

func us(v float64) string { return fmt.Sprintf("%.0f", v) }

// micros shares a time among n, in microseconds.
func micros(d time.Duration, n int) float64 { return float64(d.Nanoseconds()) / 1000 / float64(n) }

// finds is what look-ups found, and what they took.
type finds struct {
	took           []float64 // sorted, in us; those that memory answered are left out
	memory, missed int
	why            cache.Reason // of the last one that missed
}

func (f *finds) at(share float64) float64 {
	if len(f.took) == 0 {
		return 0
	}
	return f.took[max(0, int(float64(len(f.took))*share+0.5)-1)]
}

// lookUp looks up n random entries of the first so many, by several readers at once.
// A look-up that misses counts with the time that it took.
func lookUp(ctx context.Context, c *cache.Cache, p *population, n, readers, entries int) (all finds, err error) {
	parts := make([]finds, readers)
	var running sync.WaitGroup
	for i := range parts {
		running.Go(func() {
			f, r := &parts[i], rand.New(rand.NewPCG(uint64(i), 3))
			for range n / readers {
				if ctx.Err() != nil {
					return
				}
				q := p.query(r.IntN(entries))
				begin := time.Now()
				found := c.Find(ctx, q)
				took := time.Since(begin)
				switch {
				case found.Outcome == cache.Hit && !found.Disk:
					f.memory++
					continue
				case found.Outcome != cache.Hit:
					f.missed, f.why = f.missed+1, found.Reason
				}
				f.took = append(f.took, float64(took.Nanoseconds())/1000)
			}
		})
	}
	running.Wait()
	for _, f := range parts {
		all.took = append(all.took, f.took...)
		all.memory += f.memory
		all.missed += f.missed
		all.why = cmp.Or(f.why, all.why)
	}
	slices.Sort(all.took)
	return all, ctx.Err()
}

// putStore measures puts into an empty store and into the full one.
func putStore(ctx context.Context, b *bench, dir string, master envelope.Master) error {
	p := newPopulation(someBodies(manyBodies, putBytes))
	empty, err := putAll(ctx, p, filepath.Join(b.dir, "empty"), master, 0, b.puts)
	if err != nil {
		return err
	}
	full, err := putAll(ctx, p, dir, master, b.entries, b.puts)
	if err != nil {
		return err
	}
	paced := min(mostPaced, b.puts)
	b.report.add(
		figure{name: "put of a 2 KB answer into an empty store, CPU in all", measured: empty.each, decimals: 1, unit: "us", atMost: 60},
		figure{name: fmt.Sprintf("the same into one of %d entries", b.entries), measured: full.each, decimals: 1, unit: "us", atMost: 60},
		figure{name: fmt.Sprintf("the same at %d/s, in smaller batches", putRate), measured: full.paced, decimals: 1, unit: "us"},
	)
	b.report.note("%d puts each as fast as they are written (%.0f/s and %.0f/s): memory, seal, compression (to %.0f%%), batches, checkpoints,",
		b.puts, empty.perSecond, full.perSecond, 100*full.packed)
	b.report.note("and the last checkpoint at the end. Those at %d/s are %d; their checkpoint is in the figure above.", putRate, paced)
	return nil
}

// putCost is what puts cost, in us of CPU each.
type putCost struct {
	each, paced       float64
	perSecond, packed float64 // puts, and the share that compression leaves
}

// putAll puts the entries from, from+1, … into the store in dir: first some at the
// rate of a gateway, then n as fast as they are written. The CPU of these counts until
// the store is closed, when all is written and the log is copied into the database.
func putAll(ctx context.Context, p *population, dir string, master envelope.Master, from, n int) (c putCost, err error) {
	t, err := openTiers(ctx, dir, master, putMemory)
	if err != nil {
		return c, err
	}
	paced := min(mostPaced, n)
	err = settle(ctx)
	before := cpu()
	if err == nil {
		err = t.put(ctx, p, from, paced, putRate)
	}
	c.paced = micros(cpu()-before, paced)
	runtime.GC()
	begin, before := time.Now(), cpu()
	if err == nil {
		err = t.put(ctx, p, from+paced, n, 0)
	}
	stats := t.cache.Stats().Disk.Envelope
	err = errors.Join(err, t.close(context.WithoutCancel(ctx)))
	c.each, c.perSecond = micros(cpu()-before, n), float64(n)/time.Since(begin).Seconds()
	c.packed = float64(stats.PackedOut) / float64(max(stats.PackedIn, 1))
	return c, err
}
