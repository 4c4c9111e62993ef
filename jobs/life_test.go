package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest"
)

func TestSubmitClaimComplete(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		j := r.submit("one")
		if diff := cmp.Diff(j.Spec, r.job(j.ID).Spec); diff != "" {
			t.Errorf("stored is not what was returned:\n%s", diff)
		}
		end := r.ends(j.ID, backlog.Completed)
		if end.Attempt != 1 || end.Finished.IsZero() || end.ResultUntil.Sub(end.Finished) != end.Retention {
			t.Errorf("%+v", end)
		}
		r.result(j.ID, "echo one")
		if got := r.happened(); got != "accepted claimed completed" {
			t.Error(got)
		}
		if err := r.halt(); err != nil {
			t.Error(err)
		}
	})
}

// What is stored says nothing: payload, result and the webhook's address are sealed,
// and bound to their job.
func TestSealed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		a := r.submit("secret payload", func(s *jobs.Submission) { s.Webhook = "https://secret.example/token" })
		r.ends(a.ID, backlog.Completed)
		for _, rec := range r.store.Records() {
			if all := string(rec.Payload) + string(rec.Result); strings.Contains(all, "secret") || len(rec.Result) == 0 {
				t.Errorf("in the store: %q", all)
			}
		}
	})
}

// The ID is returned only when the store has the job, and nothing runs before.
func TestAcknowledgedAfterInsert(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.store.Slow(time.Second, storetest.OpInsert)
		returned := make(chan backlog.Job, 1)
		go func() { returned <- r.submit("one") }()
		time.Sleep(time.Second - 1)
		synctest.Wait()
		select {
		case j := <-returned:
			t.Fatalf("%s was returned before it was stored", j.ID)
		default:
		}
		if n := len(r.starts()); n > 0 {
			t.Errorf("%d attempts before it was stored", n)
		}
		r.ends((<-returned).ID, backlog.Completed)
	})
}

func TestRetries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *jobs.Config) { c.Desk.Retries = 2 })
		r.does(oneByOne(fails(llm.ProviderError), fails(llm.ProviderOverloaded), echo))
		began := time.Now()
		j := r.submit("one")
		end := r.ends(j.ID, backlog.Completed)
		if end.Attempt != 3 || end.Retries != 2 || time.Since(began) > 4*time.Second {
			t.Errorf("%+v after %v", end.Status, time.Since(began))
		}
		if got := r.happened(); got != "accepted claimed retried claimed retried claimed completed" {
			t.Error(got)
		}
		r.does(fails(llm.ProviderError))
		j = r.submit("two")
		end = r.ends(j.ID, backlog.Dead)
		if end.Attempt != 3 || end.Kind != llm.ProviderError || !strings.Contains(end.Message, "as told") {
			t.Errorf("%+v", end.Status)
		}
	})
}

// An error that another attempt does not change ends the job.
func TestFailsForGood(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(fails(llm.ProviderRejected))
		end := r.ends(r.submit("one").ID, backlog.Failed)
		if end.Attempt != 1 || end.Kind != llm.ProviderRejected {
			t.Errorf("%+v", end.Status)
		}
	})
}

// What a provider asks for is waited for.
func TestRetryAfter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(oneByOne(func(context.Context, *jobs.Task) ([]byte, error) {
			return nil, &llm.Error{Kind: llm.ProviderRateLimited, RetryAfter: 20 * time.Second}
		}, echo))
		began := time.Now()
		r.ends(r.submit("one").ID, backlog.Completed)
		if took := time.Since(began); took < 20*time.Second {
			t.Errorf("tried again after %v", took)
		}
	})
}

func TestDeadlineWhileRunning(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		var cause error
		r.does(func(ctx context.Context, _ *jobs.Task) ([]byte, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return nil, ctx.Err()
		})
		began := time.Now()
		j := r.submit("one", func(s *jobs.Submission) { s.Timeout = 10 * time.Second })
		r.ends(j.ID, backlog.Timeout)
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("timed out after %v", took)
		}
		synctest.Wait()
		if !errors.Is(cause, jobs.ErrDeadline) {
			t.Errorf("the handler's context ended by %v", cause)
		}
		if got := r.happened(); got != "accepted claimed timeout" {
			t.Error(got)
		}
	})
}

// A handler that does not listen cannot prolong its job, and its result does not count.
func TestDeadlineIsFinal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(func(_ context.Context, t *jobs.Task) ([]byte, error) {
			time.Sleep(time.Minute)
			return t.Payload, nil
		})
		j := r.submit("one", func(s *jobs.Submission) { s.Timeout = 10 * time.Second })
		r.ends(j.ID, backlog.Timeout)
		time.Sleep(time.Hour)
		r.is(j.ID, backlog.Timeout)
	})
}

func TestDeadlineInTheQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *jobs.Config) { c.Desk.Concurrency = 1 })
		r.does(takes(30 * time.Second))
		r.submit("one")
		two := r.submit("two", func(s *jobs.Submission) { s.Timeout = 5 * time.Second })
		began := time.Now()
		end := r.ends(two.ID, backlog.Timeout)
		if took := time.Since(began); took != 5*time.Second || end.Attempt != 0 {
			t.Errorf("%+v after %v", end.Status, took)
		}
		if got := r.starts(); len(got) != 1 {
			t.Errorf("started %v", got)
		}
	})
}

// Several thousand jobs whose deadline passes at once are all ended.
func TestManyDeadlines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := idleRig(t, func(c *jobs.Config) { c.Desk.Max = 5000 })
		for i := range 3000 {
			r.submit(fmt.Sprint(i))
		}
		time.Sleep(time.Minute)
		r.run()
		time.Sleep(time.Second)
		counts, _ := r.store.Census(t.Context(), nil)
		if counts[backlog.Timeout] != 3000 {
			t.Errorf("%v", counts)
		}
	})
}

// First in, first out for the first attempts of one tenant in one band.
func TestFirstInFirstOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *jobs.Config) { c.Desk.Concurrency = 1 })
		r.does(takes(time.Millisecond))
		var want []string
		var last backlog.Job
		for i := range 50 {
			want = append(want, fmt.Sprint(i))
			last = r.submit(want[i])
		}
		r.ends(last.ID, backlog.Completed)
		if got := r.starts(); !slices.Equal(got, want) {
			t.Errorf("started %v", got)
		}
	})
}

// Bands do not wait for one another, and within a band tenants take turns.
func TestBandsAndTenants(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *jobs.Config) { c.Desk.Concurrency = 1; c.Desk.Timeout = time.Hour })
		r.does(takes(time.Second))
		for i := range 20 {
			r.submit(fmt.Sprint("critical ", i), func(s *jobs.Submission) { s.Band = llm.Critical })
			r.submit(fmt.Sprint("normal ", i))
		}
		low := r.submit("low", func(s *jobs.Submission) { s.Band = llm.Low })
		other := r.submit("other", func(s *jobs.Submission) { s.Tenant = "other" })
		began := time.Now()
		r.ends(low.ID, backlog.Completed)
		if took := time.Since(began); took != time.Second {
			t.Errorf("low was done after %v", took)
		}
		r.ends(other.ID, backlog.Completed)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("the other tenant's was done after %v", took)
		}
	})
}

func TestPanicIsPoison(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(func(ctx context.Context, t *jobs.Task) ([]byte, error) {
			if string(t.Payload) == "one" {
				panic("secret of the handler")
			}
			return echo(ctx, t)
		})
		poison, good := r.submit("one"), r.submit("two")
		end := r.ends(poison.ID, backlog.Dead)
		if end.Attempt != 1 || strings.Contains(end.Message, "secret") || !strings.Contains(r.log.String(), "secret of the handler") {
			t.Errorf("%+v", end.Status)
		}
		r.ends(good.ID, backlog.Completed)
	})
}

// A handler that ends its goroutine takes nothing else with it.
func TestGoexitIsPoison(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *jobs.Config) { c.Desk.Concurrency = 1 })
		r.does(oneByOne(func(context.Context, *jobs.Task) ([]byte, error) {
			runtime.Goexit()
			return nil, nil
		}, echo))
		poison, good := r.submit("one"), r.submit("two")
		r.ends(poison.ID, backlog.Dead)
		r.ends(good.ID, backlog.Completed)
	})
}

func TestDamagedPayload(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := idleRig(t)
		a, b := r.submit("one"), r.submit("two")
		// The payload of one job under the record of another.
		var payload []byte
		for _, rec := range r.store.Records() {
			if rec.Job.ID == a.ID {
				payload = rec.Payload
			}
		}
		swapped := storetest.NewBacklog()
		for _, rec := range r.store.Records() {
			if _, err := swapped.Insert(t.Context(), &rec.Job, payload, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		s := rigOver(t, swapped, r.keys)
		s.run()
		s.ends(a.ID, backlog.Completed)
		end := s.ends(b.ID, backlog.Dead)
		if !strings.Contains(end.Message, "damaged") || !strings.Contains(s.happened(), "damaged") {
			t.Errorf("%+v: %s", end.Status, s.happened())
		}
		if got := s.starts(); len(got) != 1 {
			t.Errorf("started %v", got)
		}
	})
}

// A record that is set apart is not claimed for ever.
func TestDamagedRecord(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := idleRig(t)
		bad, good := r.submit("one"), r.submit("two")
		r.store.Damage(bad.ID, time.Now())
		r.run()
		r.ends(good.ID, backlog.Completed)
		synctest.Wait()
		_, err := r.q.Get(t.Context(), acme, bad.ID)
		kindIs(t, err, llm.ForebayInternal)
		s, err := r.q.Stats(t.Context(), operator)
		if err != nil || s.Damaged != 1 || s.Completed != 1 || s.Bands["normal"].Queued+s.Bands["normal"].Processing != 0 {
			t.Errorf("%+v %v", s, err)
		}
	})
}

// What a shredded owner wanted done is not done.
func TestShreddedPayload(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := idleRig(t)
		j := r.submit("one")
		if err := r.keys.Shred(t.Context(), ownerU); err != nil {
			t.Fatal(err)
		}
		r.run()
		end := r.ends(j.ID, backlog.Failed)
		if !strings.Contains(end.Message, "erased") || len(r.starts()) != 0 {
			t.Errorf("%+v", end.Status)
		}
	})
}

// accepted = completed + failed + timed out + cancelled + dead + queued + processing,
// over a random life with restarts, and no job is started more often than its retries
// and lost leases allow.
func TestConservation(t *testing.T) {
	for seed := range uint64(10) {
		bubble(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			r := newRig(t)
			accepted := map[backlog.ID]bool{}
			runs := map[string]int{}
			life := func(ctx context.Context, k *jobs.Task) ([]byte, error) {
				return []step{echo, takes(20 * time.Second), fails(llm.ProviderError), fails(llm.ProviderRejected), takes(time.Hour)}[k.ID%5](ctx, k)
			}
			r.does(life)
			for i := range 300 {
				time.Sleep(rand.N(400 * time.Millisecond))
				name := fmt.Sprintf("%d-%d", seed, i)
				s := submission(name)
				s.Band = llm.Priorities[rng.IntN(4)]
				j, _, err := r.q.Submit(t.Context(), s)
				if err != nil {
					kindIs(t, err, llm.PolicyOverloaded)
					continue
				}
				accepted[j.ID] = true
				if rng.IntN(10) == 0 {
					_, _ = r.q.Cancel(t.Context(), acme, j.ID)
				}
				if rng.IntN(60) == 0 {
					if err := r.halt(); err != nil {
						t.Fatal(err)
					}
					for _, p := range r.starts() {
						runs[p]++
					}
					r = r.again()
					r.does(life)
					r.run()
				}
				counts, err := r.store.Census(t.Context(), nil)
				sum := 0
				for _, n := range counts {
					sum += n
				}
				if err != nil || sum != len(accepted) {
					t.Fatalf("seed %d: %d accepted, %v in the store, %v", seed, len(accepted), counts, err)
				}
			}
			time.Sleep(time.Hour)
			for _, p := range r.starts() {
				runs[p]++
			}
			for _, rec := range r.store.Records() {
				if !rec.Job.State.Final() {
					t.Errorf("seed %d: %s is %s an hour later", seed, rec.Job.ID, rec.Job.State)
				}
			}
			for p, n := range runs {
				if n > 1+3+5 {
					t.Errorf("%s was started %d times", p, n)
				}
			}
		})
	}
}

func TestConfig(t *testing.T) {
	_, err := jobs.New(t.Context(), jobs.Config{EventBytes: -1, Desk: backlog.Config{Max: -1}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"Store", "Keys", "Handler", "EventBytes", "jobs.max"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
}

func TestRunsOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		synctest.Wait()
		if err := r.q.Run(t.Context()); err == nil {
			t.Error("ran twice")
		}
	})
}
