package jobtable_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
	"github.com/forebay-ai/forebay/store/storetest"
)

// fill puts jobs into a table.
func fill(t *testing.T, b backlog.Store, ids *backlog.IDs, n int) {
	t.Helper()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range n / 8 {
				j := small(time.Now().UTC().Truncate(time.Microsecond), ids, 300)
				j.Deadline, j.Timeout = j.Enqueued.Add(time.Hour), time.Hour
				if _, err := b.Insert(t.Context(), &j, make([]byte, 300), time.Time{}); err != nil {
					t.Error(err)
					return
				}
				c := backlog.Change{ID: j.ID, From: backlog.Queued, To: j.Status}
				c.To.State, c.To.Keep = backlog.Cancelled, time.Now().Add(time.Hour)
				if err := b.Apply(t.Context(), &c); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestCensusIsShared has several processes ask for counts at once, and again and again: one of them counts.
func TestCensusIsShared(t *testing.T) {
	c := client(t, nil)
	cfg := config(newTable(t, c))
	cfg.CensusFor = 0 // as it is by default
	first, conn := openAt(t, c, cfg)
	second, other := openAt(t, c, cfg)
	var ids backlog.IDs
	fill(t, first, &ids, 64)
	if _, _, ok := second.Counted(nil); ok {
		t.Error("something was counted before anybody asked")
	}
	tenant := "t"
	for range 5 {
		for _, b := range []backlog.Store{first, second} {
			counts, err := b.Census(t.Context(), nil)
			if must(t, err); counts[backlog.Cancelled] != 64 {
				t.Errorf("the census is %v", counts)
			}
			_, err = b.Census(t.Context(), &tenant)
			must(t, err)
		}
	}
	if got := conn.Stats()["queue.census"].Reads; got < 3 || got > 12 {
		t.Errorf("the census of 64 jobs cost %v read units; want half a unit for some 6", got)
	}
	if got := other.Stats()["queue.census"]; got.Calls != 0 {
		t.Errorf("another process read the jobs as well, at %v units", got.Reads)
	}
	for _, b := range []*calls.Conn{conn, other} {
		if got := b.Stats()["queue.counted"]; got.Reads > 2 {
			t.Errorf("%v units for what others have counted", got.Reads)
		}
	}
	if counts, at, ok := second.Counted(nil); !ok || counts[backlog.Cancelled] != 64 || time.Since(at) > time.Minute {
		t.Errorf("%v at %v, %v", counts, at, ok)
	}
}

// TestReadsPerMinute has a queue work on an empty table and on one full of jobs that have ended, with its gauges sampled far more
// often than they are. Both cost the same, and little.
func TestReadsPerMinute(t *testing.T) {
	c := client(t, nil)
	keys := newShared(t, 0)
	ring, err := keys.keyring(storetest.NewMemory())
	must(t, err)
	full := 64
	lasts := 2 * time.Second
	if long() {
		full, lasts = 800, 20*time.Second
	}
	for _, n := range []int{0, full} {
		cfg := config(newTable(t, c))
		cfg.CensusFor = 0
		filler, _ := openAt(t, c, cfg)
		var ids backlog.IDs
		fill(t, filler, &ids, n)
		store, conn := openAt(t, c, cfg)
		q, err := jobs.New(t.Context(), jobs.Config{
			Store: store, Keys: ring, Logger: slog.New(slog.DiscardHandler), Desk: backlog.Config{},
			Handler: func(context.Context, *jobs.Task) ([]byte, error) { return nil, errors.New("none") },
		})
		must(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- q.Run(ctx) }()
		for counted := time.Now().Add(20 * time.Second); time.Now().Before(counted); time.Sleep(50 * time.Millisecond) {
			if stats, err := q.Stats(t.Context(), jobs.As{All: true}); err == nil && !stats.CountedAt.IsZero() {
				break // the whole count, which is made every five minutes, is no part of this
			}
		}
		time.Sleep(time.Second) // until looks are rarer
		before, began := conn.Stats().Total(), time.Now()
		for time.Since(began) < lasts {
			if _, err := q.Sample(t.Context()); err != nil {
				t.Error(err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		// Dynalite says of a query that found nothing that it cost nothing; DynamoDB takes half a unit.
		now, took := conn.Stats().Total(), time.Since(began)
		units := now.Reads - before.Reads + float64(now.Calls-before.Calls)/2
		stop()
		must(t, <-ended)
		t.Logf("%d jobs that have ended: %.1f read units in %v, %.0f a minute", n, units, took, units/took.Minutes())
		// A look costs half a unit for each of 4 bands and 2 shards, and as much for 2 shards of leases and the switches. The
		// pauses between looks are drawn: four fit into the time in which they grow, then one into half of the longest pause.
		if most := 5.5 * (4 + took.Seconds()/2.5); units > most {
			t.Errorf("%d jobs that have ended cost %.1f read units in %v; want no more than %.1f", n, units, took, most)
		}
	}
}
