package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/store/sqlite"
)

// mostWaiting is what may wait to be written while entries are put as fast as they
// are written: half of the default buffer, so that none is turned away.
const mostWaiting = 8 << 20

// lookupTimeout is far above the default of 5 ms: here a slow look-up is to be
// measured, not to be given up.
const lookupTimeout = time.Second

// tiers is a cache with both tiers, as the gateway sets it up.
type tiers struct {
	store *sqlite.Store
	cache *cache.Cache
}

// openTiers opens the store in dir, or makes it. The memory is bounded in bytes; what
// is on disk is not.
func openTiers(ctx context.Context, dir string, master envelope.Master, memory int64) (*tiers, error) {
	store, err := sqlite.Open(ctx, sqlite.Config{Dir: dir, CacheBytes: -1})
	if err != nil {
		return nil, err
	}
	keys, err := envelope.New(ctx, envelope.Config{Masters: []envelope.Master{master}, Keys: store.Keys()})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	c, err := cache.New(cache.Config{
		MemoryBytes: memory, MaxEntries: -1,
		Persistent: &cache.Persistent{Store: store.Cache(), Journal: store.Cache(), Keys: keys, Timeout: lookupTimeout},
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &tiers{store: store, cache: c}, nil
}

// close writes what waits, and copies the store's log into its database.
func (t *tiers) close(ctx context.Context) error {
	return errors.Join(t.cache.Close(ctx), t.store.Close())
}

// put puts the entries from, from+1, … of p, n of them, each as soon as there is room
// among those that wait or, with a rate, at its time; then it waits until all are written.
func (t *tiers) put(ctx context.Context, p *population, from, n int, rate float64) error {
	begin := time.Now()
	for i := range n {
		switch {
		case rate > 0:
			sleep(ctx, time.Until(begin.Add(time.Duration(float64(i)/rate*1e9))))
		case i%64 == 0:
			for t.cache.Stats().Disk.WaitingBytes > mostWaiting && ctx.Err() == nil {
				sleep(ctx, time.Millisecond)
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		e := p.entry(from + i)
		if !t.cache.Put(&e, p.now) {
			return fmt.Errorf("entry %d was not taken", from+i)
		}
	}
	return t.flush(ctx)
}

// flush waits until nothing waits to be written.
func (t *tiers) flush(ctx context.Context) error {
	for {
		s := t.cache.Stats().Disk
		switch {
		case s.Dropped > 0:
			return fmt.Errorf("%d entries were not written", s.Dropped)
		case s.Waiting == 0:
			return nil
		}
		if !sleep(ctx, 2*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// sleep waits for d and reports whether ctx still stands.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// cpu is what this process has taken, in user and kernel mode, all threads together.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails for arguments that are none
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// settle waits until this process rests but for the upkeep of a store, which takes a
// few percent of a core: a store that was just opened reads all of its keys first.
func settle(ctx context.Context) error {
	const look, rest = 250 * time.Millisecond, 40 * time.Millisecond
	for range 240 {
		before := cpu()
		if !sleep(ctx, look) {
			return ctx.Err()
		}
		if cpu()-before < rest {
			return nil
		}
	}
	return errors.New("the store does not come to rest within a minute")
}

// diskBytes is what dir takes on disk.
func diskBytes(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}
