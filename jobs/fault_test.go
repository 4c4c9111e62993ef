package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest"
)

var errReset = errors.New("connection reset")

// line is a process's way to a store that others use as well. A process that is dead
// does not get there any more; one that is cut off waits.
type line struct {
	*storetest.MemoryBacklog
	dead    atomic.Bool
	stalled atomic.Pointer[chan struct{}]
}

func (l *line) pass(ctx context.Context) error {
	if wait := l.stalled.Load(); wait != nil {
		select {
		case <-*wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if l.dead.Load() {
		return errReset
	}
	return nil
}

func (l *line) Insert(ctx context.Context, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
	if err := l.pass(ctx); err != nil {
		return backlog.Job{}, err
	}
	return l.MemoryBacklog.Insert(ctx, j, payload, since)
}

func (l *line) Apply(ctx context.Context, c *backlog.Change) error {
	if err := l.pass(ctx); err != nil {
		return err
	}
	return l.MemoryBacklog.Apply(ctx, c)
}

func (l *line) Get(ctx context.Context, id backlog.ID) (backlog.Job, error) {
	if err := l.pass(ctx); err != nil {
		return backlog.Job{}, err
	}
	return l.MemoryBacklog.Get(ctx, id)
}

// lined makes a rig with a line of its own to the store.
func lined(t *testing.T, store *storetest.MemoryBacklog, r *rig, change ...func(*jobs.Config)) (*rig, *line) {
	t.Helper()
	keys := newKeys(t, storetest.NewMemory())
	if r != nil {
		keys = r.keys
	}
	l := &line{MemoryBacklog: store}
	made := rigOver(t, store, keys, append(change, func(c *jobs.Config) { c.Store = l })...)
	if r != nil { // before the first job is claimed
		r.mu.Lock()
		made.script = r.script
		r.mu.Unlock()
	}
	made.run()
	return made, l
}

// An answer that is lost, of any operation at any point of a job's life, changes
// nothing: the job is done, once.
func TestLostAnswers(t *testing.T) {
	for _, op := range []string{storetest.OpInsert, storetest.OpApply, storetest.OpRead, storetest.OpGet} {
		for nth := range 4 {
			for _, made := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%d/%v", op, nth, made), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						r := newRig(t)
						var n atomic.Int32
						r.store.Intercept(func(o string) error {
							if o == op && int(n.Add(1)) == nth+1 {
								if made {
									r.store.LoseAck(errReset, 1, op)
									return nil
								}
								return errReset
							}
							return nil
						})
						r.does(oneByOne(fails(llm.ProviderError), echo))
						j, _, err := r.q.Submit(t.Context(), submission("one"))
						if err != nil {
							if op != storetest.OpInsert || made {
								t.Fatal(err)
							}
							return
						}
						time.Sleep(40 * time.Second)
						synctest.Wait()
						r.store.Intercept(nil)
						r.is(j.ID, backlog.Completed)
						r.result(j.ID, "echo one")
						if got := len(r.starts()); got != 2 {
							t.Errorf("%d attempts, want 2", got)
						}
					})
				})
			}
		}
	}
}

// While the store has failed nothing is acknowledged and readiness is red. After its
// recovery what ran writes its result, which is not lost.
func TestStoreFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(takes(5 * time.Second))
		running, slow := r.submit("one"), r.submit("two", func(s *jobs.Submission) { s.Band = llm.Low })
		time.Sleep(time.Second)
		r.store.Fail(errReset, 5, storetest.OpRecover)
		r.store.Fail(errReset, 2, storetest.OpList)
		r.store.FailStop()
		_, _, err := r.q.Submit(t.Context(), submission("three"))
		kindIs(t, err, llm.ForebayUnavailable)
		synctest.Wait()
		kindIs(t, r.q.Ready(), llm.ForebayUnavailable)
		_, err = r.q.Cancel(t.Context(), acme, slow.ID)
		kindIs(t, err, llm.ForebayUnavailable)
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := r.q.Ready(); err != nil {
			t.Fatal(err)
		}
		r.is(running.ID, backlog.Completed)
		r.is(slow.ID, backlog.Completed)
		if got := len(r.starts()); got != 2 {
			t.Errorf("%d attempts, want 2: results were thrown away", got)
		}
		r.does(echo)
		r.ends(r.submit("four").ID, backlog.Completed)
	})
}

// A result that comes while the backlog is read again counts, too.
func TestResultDuringRecovery(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(takes(8 * time.Second))
		j := r.submit("one")
		time.Sleep(time.Second)
		r.store.Slow(5*time.Second, storetest.OpList) // once for jobs, once for webhooks
		r.store.FailStop()
		_, _, err := r.q.Submit(t.Context(), submission("two"))
		kindIs(t, err, llm.ForebayUnavailable)
		time.Sleep(time.Minute)
		r.is(j.ID, backlog.Completed)
		if got := len(r.starts()); got != 1 {
			t.Errorf("%d attempts", got)
		}
	})
}

// A claim that took longer than the lease lasts starts nothing.
func TestClaimTooLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := storetest.NewBacklog()
		store.Share(true)
		r, _ := lined(t, store, nil, func(c *jobs.Config) { c.Desk.Lease = 3 * time.Second })
		synctest.Wait()
		store.Slow(5*time.Second, storetest.OpApply)
		j := r.submit("one")
		time.Sleep(4 * time.Second)
		store.Slow(0, storetest.OpApply)
		end := r.ends(j.ID, backlog.Completed)
		if end.Deaths != 1 || len(r.starts()) != 1 {
			t.Errorf("%+v, %d attempts", end.Status, len(r.starts()))
		}
	})
}

// stuckOn is a store that is stuck for an hour on changes of one job.
type stuckOn struct {
	*storetest.MemoryBacklog
	id atomic.Uint64
}

func (s *stuckOn) Apply(ctx context.Context, c *backlog.Change) error {
	if uint64(c.ID) == s.id.Load() {
		select {
		case <-time.After(time.Hour):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.MemoryBacklog.Apply(ctx, c)
}

// A change that takes long holds up no other: others keep their leases meanwhile.
func TestSlowChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &stuckOn{MemoryBacklog: storetest.NewBacklog()}
		r := rigOver(t, store.MemoryBacklog, newKeys(t, storetest.NewMemory()), func(c *jobs.Config) {
			c.Store, c.Desk.Lease = store, 3*time.Second
		})
		r.run()
		r.does(takes(20 * time.Second))
		long := func(s *jobs.Submission) { s.Timeout = time.Hour }
		stuck := r.submit("stuck", long)
		time.Sleep(500 * time.Millisecond)
		j := r.submit("one", long)
		time.Sleep(100 * time.Millisecond)
		store.id.Store(uint64(stuck.ID))
		for range 5 {
			time.Sleep(1500 * time.Millisecond)
			if left := time.Until(r.job(j.ID).LeaseUntil); left <= 0 {
				t.Errorf("the lease has run out: %s are left", left)
			}
		}
		if end := r.ends(j.ID, backlog.Completed); end.Deaths != 0 || end.Attempt != 1 {
			t.Errorf("%+v", end.Status)
		}
		store.id.Store(0)
	})
}

// A job that a process without workers took in is found by another one.
func TestSubmittedElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := storetest.NewBacklog()
		store.Share(true)
		b, _ := lined(t, store, nil)
		synctest.Wait()
		a := b.again() // does not run
		j := a.submit("one")
		time.Sleep(6 * time.Second)
		b.is(j.ID, backlog.Completed)
	})
}

// An end whose write fails is found after the recovery, written or not.
func TestStoreFailsAtTheEnd(t *testing.T) {
	for _, made := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			r := newRig(t)
			r.does(takes(time.Second))
			j := r.submit("one")
			synctest.Wait()
			if made {
				r.store.LoseAck(backlog.ErrFailed, 1, storetest.OpApply)
			} else {
				r.store.Fail(backlog.ErrFailed, 1, storetest.OpApply)
			}
			time.Sleep(time.Minute)
			r.is(j.ID, backlog.Completed)
			if got := len(r.starts()); got != 1 {
				t.Errorf("%d attempts", got)
			}
		})
	}
}

// A claim whose write fails is handed back after the recovery, if it was made, and is
// not counted as a lost lease.
func TestStoreFailsAtTheClaim(t *testing.T) {
	for _, made := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			r := idleRig(t)
			j := r.submit("one")
			if made {
				r.store.LoseAck(backlog.ErrFailed, 1, storetest.OpApply)
			} else {
				r.store.Fail(backlog.ErrFailed, 1, storetest.OpApply)
			}
			r.run()
			end := r.ends(j.ID, backlog.Completed)
			if end.Deaths != 0 || end.Retries != 0 || len(r.starts()) != 1 {
				t.Errorf("%+v, %d attempts", end.Status, len(r.starts()))
			}
		})
	}
}

// A job that was inserted while the store failed is found by the recovery.
func TestStoreFailsAtTheInsert(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.store.LoseAck(backlog.ErrFailed, 1, storetest.OpInsert)
		s := submission("one")
		keyed("k")(&s)
		_, _, err := r.q.Submit(t.Context(), s)
		kindIs(t, err, llm.ForebayUnavailable)
		time.Sleep(time.Minute)
		j, created, err := r.q.Submit(t.Context(), s)
		if err != nil || created {
			t.Fatalf("created %v, %v", created, err)
		}
		r.ends(j.ID, backlog.Completed)
	})
}

// A store whose writes fail without a reason is not hammered.
func TestPersistentFaults(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		var applies atomic.Int32
		r.store.Intercept(func(op string) error {
			if op == storetest.OpApply {
				applies.Add(1)
				return errReset
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

// A process that dies while it runs a job: the next one runs it again, and counts.
func TestCrash(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := storetest.NewBacklog()
		a, way := lined(t, store, nil)
		a.does(takes(time.Hour))
		j := a.submit("one", func(s *jobs.Submission) { s.Timeout = 2 * time.Hour })
		time.Sleep(time.Second)
		way.dead.Store(true)
		b := a.again()
		b.run()
		end := b.ends(j.ID, backlog.Completed)
		if end.Deaths != 1 || end.Attempt != 2 {
			t.Errorf("%+v", end.Status)
		}
		b.result(j.ID, "echo one")
		// The job can be claimed again, and end, before those who made it free have told of that.
		synctest.Wait()
		got := strings.Fields(b.happened())
		slices.Sort(got)
		if !slices.Equal(got, []string{"claimed", "completed", "lost_lease"}) {
			t.Error(got)
		}
	})
}

// A job that kills its process again and again ends dead instead of killing all.
func TestCrashLoop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := storetest.NewBacklog()
		r, way := lined(t, store, nil)
		r.does(takes(time.Hour))
		j := r.submit("one", func(s *jobs.Submission) { s.Timeout = 2 * time.Hour })
		attempts := 0
		for range 10 {
			time.Sleep(time.Minute)
			attempts += len(r.starts())
			way.dead.Store(true)
			r, way = lined(t, store, r)
			r.does(takes(time.Hour))
		}
		r.is(j.ID, backlog.Dead)
		if attempts != 4 {
			t.Errorf("%d attempts, want one and three after lost leases", attempts)
		}
	})
}

// A worker that stalls loses its lease; what it returns then is refused, and the result
// is that of the other one.
func TestStalledWorker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := storetest.NewBacklog()
		store.Share(true)
		a, way := lined(t, store, nil)
		release := make(chan struct{})
		var cause error
		a.does(func(ctx context.Context, _ *jobs.Task) ([]byte, error) {
			<-release
			cause = context.Cause(ctx)
			return []byte("of the stalled one"), nil
		})
		j := a.submit("one", func(s *jobs.Submission) { s.Timeout = time.Hour })
		synctest.Wait()
		gate := make(chan struct{})
		way.stalled.Store(&gate)
		b := a.again()
		b.run()
		end := b.ends(j.ID, backlog.Completed)
		if end.Deaths != 1 {
			t.Errorf("%+v", end.Status)
		}
		way.stalled.Store(nil)
		close(gate)
		close(release)
		time.Sleep(time.Minute)
		synctest.Wait()
		b.result(j.ID, "echo one")
		if got := a.happened(); got != "accepted claimed fenced" {
			t.Errorf("%s; the context ended by %v", got, cause)
		}
	})
}

// A worker that learns that its lease is lost stops its handler.
func TestLostLeaseCancels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := storetest.NewBacklog()
		store.Share(true)
		a, way := lined(t, store, nil)
		var cause error
		a.does(func(ctx context.Context, _ *jobs.Task) ([]byte, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return nil, ctx.Err()
		})
		j := a.submit("one", func(s *jobs.Submission) { s.Timeout = time.Hour })
		synctest.Wait()
		way.dead.Store(true)
		b := a.again()
		b.run()
		b.ends(j.ID, backlog.Completed)
		way.dead.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if !errors.Is(cause, jobs.ErrLeaseLost) {
			t.Errorf("the context ended by %v", cause)
		}
		b.is(j.ID, backlog.Completed)
	})
}

// Leases are renewed for as long as a handler runs.
func TestHeartbeat(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := storetest.NewBacklog()
		store.Share(true)
		a, _ := lined(t, store, nil)
		a.does(takes(10 * time.Minute))
		j := a.submit("one", func(s *jobs.Submission) { s.Timeout = time.Hour })
		synctest.Wait()
		b := a.again()
		b.run()
		for range 9 {
			time.Sleep(time.Minute)
			if now := a.is(j.ID, backlog.Processing); time.Until(now.LeaseUntil) < 9*time.Second {
				t.Errorf("the lease ends in %v", time.Until(now.LeaseUntil))
			}
		}
		end := a.ends(j.ID, backlog.Completed)
		if end.Attempt != 1 || len(b.starts()) != 0 {
			t.Errorf("%+v, %d attempts elsewhere", end.Status, len(b.starts()))
		}
	})
}

// Two processes share a store: each job is done once.
func TestSharedStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := storetest.NewBacklog()
		store.Share(true)
		a, _ := lined(t, store, nil)
		b, _ := lined(t, store, a)
		a.does(takes(time.Second))
		b.does(takes(time.Second))
		for i := range 100 {
			[]*rig{a, b}[i%2].submit(fmt.Sprint(i))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		counts, _ := store.Census(t.Context(), nil)
		if counts[backlog.Completed] != 100 || len(a.starts())+len(b.starts()) != 100 || len(b.starts()) == 0 {
			t.Errorf("%v, %d and %d attempts", counts, len(a.starts()), len(b.starts()))
		}
	})
}

// A random life under random faults of every kind: every job that was accepted ends,
// none is done twice without a reason, and no result changes.
func TestChaos(t *testing.T) {
	seeds := uint64(10)
	if os.Getenv("FOREBAY_LONG") != "" {
		seeds = 500
	}
	for seed := range seeds {
		bubble(t, func(t *testing.T) { chaos(t, seed) })
	}
}

func chaos(t *testing.T, seed uint64) {
	faulty := []string{storetest.OpInsert, storetest.OpApply, storetest.OpGet, storetest.OpRead, storetest.OpRecover}
	rng := rand.New(rand.NewPCG(seed, 7))
	store := storetest.NewBacklog()
	r, way := lined(t, store, nil)
	work := func(ctx context.Context, k *jobs.Task) ([]byte, error) {
		if k.Attempt == 1 && k.ID%3 == 0 {
			return nil, llm.Errorf(llm.ProviderError, "first")
		}
		return takes(time.Duration(k.ID%40)*100*time.Millisecond)(ctx, k)
	}
	r.does(work)
	accepted := map[backlog.ID]string{}
	results := map[backlog.ID]string{}
	for i := range 200 {
		time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
		s := submission(fmt.Sprint(i))
		s.Band, s.Timeout = llm.Priorities[rng.IntN(4)], 24*time.Hour
		if j, _, err := r.q.Submit(t.Context(), s); err == nil {
			accepted[j.ID] = string(s.Payload)
		}
		switch rng.IntN(12) {
		case 0:
			store.Fail(errReset, 1+rng.IntN(3), faulty...)
		case 1:
			store.LoseAck(errReset, 1+rng.IntN(3), faulty...)
		case 2:
			store.Fail(backlog.ErrFailed, 1, storetest.OpApply, storetest.OpInsert)
		case 3:
			store.LoseAck(backlog.ErrFailed, 1, storetest.OpApply, storetest.OpInsert)
		case 4:
			store.Slow(time.Duration(rng.IntN(3000))*time.Millisecond, storetest.OpApply)
		case 5, 6:
			store.Slow(0, storetest.OpApply)
		case 7:
			if rng.IntN(3) == 0 { // the process dies
				way.dead.Store(true)
				store.Reopen()
				old := r
				if r, way = lined(t, store, old); r == nil {
					return
				}
				r.does(work)
				stop, ended := old.stop, old.ended
				old.stop = nil
				go func() { // let it end beside the new one: it cannot reach the store
					stop()
					<-ended
				}()
			}
		}
		for _, rec := range store.Records() {
			if rec.Job.State == backlog.Completed {
				if was, ok := results[rec.Job.ID]; ok && was != string(rec.Result) {
					t.Fatalf("seed %d: the result of %s changed", seed, rec.Job.ID)
				}
				results[rec.Job.ID] = string(rec.Result)
			}
		}
	}
	store.Slow(0, storetest.OpApply)
	time.Sleep(6 * time.Hour) // every recovery meets one of the faults that are left
	synctest.Wait()
	defer func() {
		if t.Failed() {
			t.Logf("seed %d: %s\nlog:\n%s", seed, jobs.Dump(r.q), r.log)
		}
	}()
	for _, rec := range store.Records() {
		j := rec.Job
		if !j.State.Final() {
			t.Errorf("seed %d: %s is %s for ever (%+v)", seed, j.ID, j.State, j.Status)
		}
		if j.State == backlog.Completed && accepted[j.ID] != "" {
			r.result(j.ID, "echo "+accepted[j.ID])
		}
		delete(accepted, j.ID)
	}
	if len(accepted) > 0 {
		t.Errorf("seed %d: %d accepted jobs are lost", seed, len(accepted))
	}
	s, err := r.q.Stats(t.Context(), operator)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range s.Bands {
		if b.Queued+b.Processing != 0 {
			t.Errorf("seed %d: the desk still counts %+v in %s", seed, b, name)
		}
	}
	if s.QueuedBytes != 0 {
		t.Errorf("seed %d: %d bytes are still counted", seed, s.QueuedBytes)
	}
}
