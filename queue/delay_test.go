package queue_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/queue"
)

// standing makes a rig of one slot whose normal band has been over its target of
// 1 s for the interval of 4 s: names are "0" (a call of 100 ms is due each time a
// slot comes free) to n-1, one each half second, and all of them wait.
func standing(t *testing.T, cfg queue.Config, n int) *rig {
	t.Helper()
	r := newRig(t, cfg, 1)
	r.take()
	for i := range n {
		r.enter(context.Background(), fmt.Sprint(i), queue.Entry{}, 100*time.Millisecond)
		time.Sleep(500 * time.Millisecond)
	}
	return r
}

func controlledConfig() queue.Config {
	return queue.Config{Target: time.Second, Interval: 4 * time.Second}
}

// TestNewestFirst is the story of a line that has stood for too long: order of
// arrival until the interval is over, then the newest first, with refusals at the
// door and drops of the oldest, and order of arrival again when the flood is over.
func TestNewestFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := standing(t, controlledConfig(), 10) // 0 came 5 s ago and was over its target for 4 s
		ctx := context.Background()
		if s := r.Stats(); s.NewestFirst != [4]bool{} || s.Dropped != 0 {
			t.Fatalf("before the interval is over: %+v", s)
		}
		e := r.refused(queue.Entry{}) // 0 and 1 leave for it, but nine are enough to keep the slot busy
		want(t, e, llm.PolicyOverloaded, "queue.target", "1s")
		if s := r.Stats(); s.Dropped != 2 || s.Refused != 1 || s.Waiting != 8 || !s.NewestFirst[llm.Normal.Index()] {
			t.Fatalf("the line stands: %+v", s)
		}
		r.enter(ctx, "critical", queue.Entry{Priority: llm.Critical}, 100*time.Millisecond) // another band, another line
		r.Leave(0)
		time.Sleep(450 * time.Millisecond)
		if got := strings.Join(r.served(), " "); got != "critical 9 8 7 6" {
			t.Errorf("order %s, want the newest first", got)
		}
		time.Sleep(4 * time.Second) // nobody comes: nobody is dropped, and after four targets the state ends
		if s := r.check(); s.Dropped != 2 || s.NewestFirst != [4]bool{} || s.Started != s.Entered-3 {
			t.Errorf("at the end: %+v", s)
		}
		r.take()
		for i := range 3 {
			r.enter(ctx, fmt.Sprint("after", i), queue.Entry{}, 0)
		}
		r.Leave(0)
		r.check()
		if got := strings.Join(r.order[len(r.order)-3:], " "); got != "after0 after1 after2" {
			t.Errorf("order %s, want that of arrival", got)
		}
	})
}

// TestDroppedIsTold: who is dropped learns why and when to come back.
func TestDroppedIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, controlledConfig(), 1)
		r.warm(2 * time.Second)
		r.take()
		first := r.enter(context.Background(), "first", queue.Entry{}, 0)
		for range 11 {
			time.Sleep(500 * time.Millisecond)
			r.enter(context.Background(), "", queue.Entry{}, 0)
		}
		<-first.done
		e := llm.AsError(first.err)
		want(t, e, llm.PolicyOverloaded, "queue.target", "1s")
		if e.RetryAfter < 2*time.Second || first.wait != 5*time.Second {
			t.Errorf("dropped after %s with retry after %s", first.wait, e.RetryAfter)
		}
		r.Leave(0)
		r.check()
	})
}

// TestTurnsOfTenantsGoOn: newest first is a matter within a tenant's turn, and each
// tenant finds room beside one that floods the line.
func TestTurnsOfTenantsGoOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := standing(t, controlledConfig(), 10)
		r.refused(queue.Entry{})
		r.enter(context.Background(), "quiet", queue.Entry{Tenant: "quiet"}, 0)
		r.Leave(0)
		r.check()
		if slices.Index(r.order, "quiet") != 1 {
			t.Errorf("order %v", r.order)
		}
	})
}

// TestDelayIsOff: without a target the order is that of arrival at all times.
func TestDelayIsOff(t *testing.T) {
	for _, cfg := range []queue.Config{{Target: -1}, {Interval: -1}, {Target: time.Second, Interval: -1}} {
		bubble(t, func(t *testing.T) {
			r := standing(t, cfg, 60)
			r.Leave(0)
			r.enter(context.Background(), "", queue.Entry{}, 0)
			time.Sleep(250 * time.Millisecond)
			if s, got := r.Stats(), r.served(); s.Dropped != 0 || s.NewestFirst != [4]bool{} || got[0] != "0" || got[1] != "1" {
				t.Errorf("%+v: stats %+v, order %v", cfg, s, got)
			}
			r.check()
		})
	}
}

// TestPatience: while everybody is answered in time, an automatic target turns
// nobody away, however long the line stands.
func TestPatience(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, queue.Config{Max: 5000}, 10)
		w.service = func(*rand.Rand) time.Duration { return 500 * time.Millisecond }
		loads := []load{{rate: capacity * 1.03, deadline: 60 * time.Second}} // for 1,000 s: 30 s of work too much
		fates := w.run(1000*time.Second, loads...)[0]
		s := w.line.Stats()
		t.Logf("%d of %d in time, wait p99 %s", count(fates, answered), len(fates), quantile(fates, 0.99))
		if count(fates, answered) != len(fates) || s.Dropped+s.Refused != 0 {
			t.Errorf("somebody was turned away: %+v", s)
		}
		if quantile(fates, 0.5) < 15*time.Second {
			t.Errorf("wait p50 %s: the line was never over its target, and nothing was tried", quantile(fates, 0.5))
		}
	})
}

// TestControlledDelay: under sustained overload the wait goes down from the
// deadline to next to nothing, and goodput does not.
func TestControlledDelay(t *testing.T) {
	const deadline, d = 15 * time.Second, 240 * time.Second
	for _, times := range offers([]float64{1.5, 10}, []float64{1.5, 2, 3, 5, 10, 20}) {
		run := func(cfg queue.Config) (good float64, median time.Duration, s queue.Stats) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, cfg, 10)
				w.skip = 150 * time.Second // losses begin before 45 s, the interval is 75 s
				fates := w.run(d, load{rate: times * capacity, deadline: deadline})[0]
				good = float64(count(fates, answered)) / (d - w.skip).Seconds() / capacity
				median, s = quantile(fates, 0.5), w.line.Stats()
			})
			return good, median, s
		}
		good, median, s := run(queue.Config{})
		goodOff, medianOff, off := run(queue.Config{Target: -1})
		t.Logf("offered %4.1f x: goodput %.1f %%, wait p50 %s, dropped %d; in order of arrival %.1f %%, %s",
			times, 100*good, median, s.Dropped, 100*goodOff, medianOff)
		if good < 0.95 || good < goodOff-0.04 {
			t.Errorf("offered %g x: goodput %.1f %%, in order of arrival %.1f %%", times, 100*good, 100*goodOff)
		}
		if median > time.Second || medianOff < 5*time.Second || off.Dropped != 0 {
			t.Errorf("offered %g x: wait p50 %s, in order of arrival %s", times, median, medianOff)
		}
		if s.Dropped == 0 || s.Dropped > s.Entered/20 {
			t.Errorf("offered %g x: %d of %d were dropped, want some, and most refused at the door", times, s.Dropped, s.Entered)
		}
	}
}

// TestFloodEnds: when the load falls under what can be served, the line serves
// everybody again within a few seconds, in order of arrival.
func TestFloodEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, queue.Config{}, 10)
		w.run(150*time.Second, load{rate: 5 * capacity, deadline: 15 * time.Second})
		w.skip = 15 * time.Second
		before := w.line.Stats()
		fates := w.run(200*time.Second, load{rate: 0.8 * capacity, deadline: 15 * time.Second})[0]
		after := w.line.Stats()
		if before.Dropped == 0 || share(fates, answered) < 1 || after.NewestFirst != [4]bool{} {
			t.Errorf("%d dropped before, then %.2f %% in time: %+v", before.Dropped, 100*share(fates, answered), after)
		}
	})
}

// TestLossesFarApart: an automatic target counts a flood by its losses. One each 10 s,
// while requests have 15 s and wait for 8, is a flood after 75 s; one each 20 s is none.
func TestLossesFarApart(t *testing.T) {
	for gap, flood := range map[time.Duration]bool{10 * time.Second: true, 20 * time.Second: false} {
		bubble(t, func(t *testing.T) {
			r := newRig(t, queue.Config{}, 1)
			enter := func() {
				r.enter(context.Background(), "", queue.Entry{Deadline: in(15 * time.Second)}, 2*time.Second)
			}
			for range 5 {
				enter()
			}
			since, seen := time.Now(), time.Duration(0)
			for at := 2 * time.Second; at <= 200*time.Second && seen == 0; at += 2 * time.Second {
				time.Sleep(2 * time.Second)
				enter()
				if at%gap == 0 {
					want(t, r.refused(queue.Entry{Deadline: in(4 * time.Second)}), llm.PolicyOverloaded, "deadline", "4s")
				}
				if r.Stats().NewestFirst[llm.Normal.Index()] {
					seen = time.Since(since)
				}
			}
			if (seen > 0) != flood || flood && (seen < 75*time.Second || seen > 100*time.Second) {
				t.Errorf("a loss each %s: newest first after %s", gap, seen)
			}
			r.check()
		})
	}
}
