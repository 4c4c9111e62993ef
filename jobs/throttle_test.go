package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest"
)

// throttled is a process's way to a store that has no capacity for some changes, and says so when it has tried for long.
type throttled struct {
	*storetest.MemoryBacklog
	refuses atomic.Pointer[func(*backlog.Change) bool]
	refused atomic.Int64
	gets    atomic.Int64
}

// tries is how long the store tries before it says that it is busy.
const tries = 9 * time.Second

// refuse says which changes the store has no capacity for.
func (s *throttled) refuse(which func(*backlog.Change) bool) { s.refuses.Store(&which) }

func (s *throttled) Apply(ctx context.Context, c *backlog.Change) error {
	if which := s.refuses.Load(); which != nil && (*which)(c) {
		s.refused.Add(1)
		select {
		case <-time.After(tries):
		case <-ctx.Done():
		}
		return errors.Join(backlog.ErrBusy, errors.New("no capacity"))
	}
	return s.MemoryBacklog.Apply(ctx, c)
}

func (s *throttled) Get(ctx context.Context, id backlog.ID) (backlog.Job, error) {
	s.gets.Add(1)
	return s.MemoryBacklog.Get(ctx, id)
}

// throttledRig makes a queue whose way to a shared store can be throttled, and another one beside it.
func throttledRig(t *testing.T) (a, b *rig, way *throttled) {
	t.Helper()
	store := storetest.NewBacklog()
	store.Share(true)
	way = &throttled{MemoryBacklog: store}
	a = rigOver(t, store, newKeys(t, storetest.NewMemory()), func(c *jobs.Config) { c.Store = way })
	a.run()
	b = a.again()
	return a, b, way
}

// While the end of a job cannot be written for want of capacity, its lease is kept: nobody runs it again, and the
// end is written when there is capacity.
func TestThrottledEnd(t *testing.T) {
	for name, refuse := range map[string]func(*backlog.Change) bool{
		"the end only": func(c *backlog.Change) bool { return c.To.State == backlog.Completed },
		"the end, and now and then a renewal": func(c *backlog.Change) bool {
			return c.To.State == backlog.Completed || c.From == backlog.Processing && time.Now().Second()%20 < 8
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, way := throttledRig(t)
				way.refuse(refuse)
				a.does(takes(time.Second))
				j := a.submit("one", func(s *jobs.Submission) { s.Timeout = time.Hour })
				synctest.Wait()
				b.run()
				time.Sleep(2 * time.Minute)
				if now := a.is(j.ID, backlog.Processing); now.Attempt != 1 {
					t.Errorf("%+v", now.Status)
				}
				way.refuse(func(*backlog.Change) bool { return false })
				end := a.ends(j.ID, backlog.Completed)
				if end.Attempt != 1 || end.Deaths != 0 || len(a.starts())+len(b.starts()) != 1 {
					t.Errorf("%+v, %d and %d attempts", end.Status, len(a.starts()), len(b.starts()))
				}
				a.result(j.ID, "echo one")
				synctest.Wait()
				if got := a.happened(); got != "accepted claimed completed" {
					t.Error(got)
				}
			})
		})
	}
}

// When the whole table refuses what anybody wants to change for longer than a lease lasts, who has tried in vain to take a job
// from its worker lets that one have the first try afterwards, and does not make the call again.
func TestEverythingThrottled(t *testing.T) {
	for i := range 8 {
		bubble(t, func(t *testing.T) {
			a, _, way := throttledRig(t)
			b := a.again(func(c *jobs.Config) { c.Store = way })
			a.does(takes(time.Second))
			b.does(takes(time.Second))
			j := a.submit("one", func(s *jobs.Submission) { s.Timeout = time.Hour })
			synctest.Wait()
			time.Sleep(500 * time.Millisecond)
			taken := make(chan struct{}, 100)
			way.refuse(func(c *backlog.Change) bool {
				if c.To.State == backlog.Queued {
					taken <- struct{}{}
				}
				return true
			})
			b.run()
			<-taken
			time.Sleep(tries - time.Duration(100+400*i)*time.Millisecond)
			way.refuse(func(*backlog.Change) bool { return false })
			time.Sleep(time.Minute)
			if a.is(j.ID, backlog.Completed); len(a.starts())+len(b.starts()) != 1 {
				t.Errorf("a table was throttled until %d ms before the end of a try to take the job: the call was made by both", 100+400*i)
			}
		})
	}
}

// A job whose end cannot be written although the lease is kept goes on when somebody cancels it, and when its process stops.
func TestThrottledEndGivesWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, way := throttledRig(t)
		way.refuse(func(c *backlog.Change) bool { return c.To.State == backlog.Completed })
		a.does(takes(time.Second))
		long := func(s *jobs.Submission) { s.Timeout = time.Hour }
		one, two := a.submit("one", long), a.submit("two", long)
		time.Sleep(30 * time.Second)
		if _, err := b.q.Cancel(t.Context(), acme, one.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		a.is(one.ID, backlog.Cancelled)
		a.is(two.ID, backlog.Processing)
		began := time.Now()
		if err := a.halt(); err != nil || time.Since(began) > 20*time.Second { // one try, and what handlers are waited for
			t.Errorf("stopped after %v: %v", time.Since(began), err)
		}
		b.run() // another one has the job when the lease has run out
		end := b.ends(two.ID, backlog.Completed)
		if end.Deaths > 1 || len(b.starts()) != 1 {
			t.Errorf("%+v, %d attempts", end.Status, len(b.starts()))
		}
	})
}

// Whatever the store says for certain that it did not make is not asked for again: neither of a claim nor of a renewal
// nor of a change by hand is the job read, and all of them are made in the end.
func TestBusyIsNotDoubt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, _, way := throttledRig(t)
		way.refuse(func(c *backlog.Change) bool { return c.To.State == backlog.Processing })
		a.does(takes(time.Minute))
		j := a.submit("one", func(s *jobs.Submission) { s.Timeout = time.Hour })
		time.Sleep(time.Minute)
		a.is(j.ID, backlog.Queued)
		way.refuse(func(*backlog.Change) bool { return false })
		time.Sleep(15 * time.Second)
		a.is(j.ID, backlog.Processing)
		way.refuse(func(c *backlog.Change) bool { return c.To.State == backlog.Cancelled })
		before := way.gets.Load()
		_, err := a.q.Cancel(t.Context(), acme, j.ID)
		if kindIs(t, err, llm.ForebayUnavailable); way.gets.Load() != before+1 {
			t.Errorf("a change by hand read the job %d times; want once, to see what is asked for", way.gets.Load()-before)
		}
		if way.refused.Load() < 5 || way.gets.Load() > 1 {
			t.Errorf("%d changes were refused, and jobs read %d times", way.refused.Load(), way.gets.Load())
		}
		way.refuse(func(*backlog.Change) bool { return false })
		if end := a.ends(j.ID, backlog.Completed); end.Attempt != 1 || end.Deaths != 0 || len(a.starts()) != 1 {
			t.Errorf("%+v, %d attempts", end.Status, len(a.starts()))
		}
	})
}

// A store without capacity is not hammered by changes that it refuses at once.
func TestBusyAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		var applies atomic.Int32
		r.store.Intercept(func(op string) error {
			if op == storetest.OpApply {
				applies.Add(1)
				return fmt.Errorf("%w: at once", backlog.ErrBusy)
			}
			return nil
		})
		j := r.submit("one")
		time.Sleep(30 * time.Second)
		if n := applies.Load(); n > 60 {
			t.Errorf("%d writes in 30 s", n)
		}
		r.store.Intercept(nil)
		r.ends(j.ID, backlog.Completed)
	})
}
