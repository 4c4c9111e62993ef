package forebay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
	"github.com/forebay-ai/forebay/store/storetest"
)

// keyring seals with a key that nobody else has.
func keyring(t *testing.T) *envelope.Keyring {
	t.Helper()
	master, err := envelope.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := envelope.New(t.Context(), envelope.Config{Masters: []envelope.Master{master}, Keys: storetest.NewMemory()})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// jobClient is a client with durable jobs over store, running until the bubble's end.
func jobClient(t *testing.T, store backlog.Store, keys *envelope.Keyring, change func(*forebay.Config), providers ...llm.Provider) *forebay.Client {
	t.Helper()
	c := newClient(t, func(cfg *forebay.Config) {
		cfg.Jobs = forebay.Jobs{Store: store, Keys: keys, Dialects: []llm.Dialect{llmtest.Dialect{}}}
		cfg.Jobs.Queue.Timeout = time.Minute
		if change != nil {
			change(cfg)
		}
	}, providers...)
	return c
}

// work runs the client's jobs until the test ends.
func work(t *testing.T, c *forebay.Client) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func wait(t *testing.T, c *forebay.Client, id backlog.ID) backlog.Job {
	t.Helper()
	j, err := c.Jobs().Wait(t.Context(), jobs.As{Tenant: "t"}, id)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// A job goes the way of every request: cache, queue, provider, accounts; and its
// answer is what the call would have been given.
func TestJobGoesTheRequestsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.OK("hello there"))
		c := jobClient(t, storetest.NewBacklog(), keyring(t), nil, p)
		work(t, c)
		job, created, err := c.SubmitJob(t.Context(), request("hi"), forebay.JobOptions{Raw: map[string]string{"door": "test"}})
		if err != nil || !created || job.State != backlog.Queued {
			t.Fatalf("%+v %v %v", job, created, err)
		}
		if done := wait(t, c, job.ID); done.State != backlog.Completed || done.Attempt != 1 {
			t.Fatalf("%+v", done)
		}
		res, raw, err := c.JobResult(t.Context(), jobs.As{Tenant: "t"}, job.ID)
		if err != nil || llmtest.Text(res.Body) != "hello there" || raw["door"] != "test" {
			t.Fatalf("%+v %v %v", res, raw, err)
		}
		if res.Meta.Provider != "p1" || res.Meta.Attempts != 1 || res.Meta.Usage.IsZero() || res.Meta.CostMicroUSD == 0 || !res.Meta.Cache.Stored {
			t.Errorf("meta: %+v", res.Meta)
		}
		// The same asked directly is a hit, and the other way round.
		if hit := do(t, c, request("hi")); hit.Meta.Cache.Status != forebay.CacheHit {
			t.Errorf("%+v", hit.Meta.Cache)
		}
		again, err := c.Submit(t.Context(), request("hi"))
		if err != nil {
			t.Fatal(err)
		}
		wait(t, c, again.ID)
		if res, _, err = c.JobResult(t.Context(), jobs.As{Tenant: "t"}, again.ID); err != nil || res.Meta.Cache.Status != forebay.CacheHit {
			t.Errorf("%+v %v", res, err)
		}
		if n := len(p.Calls()); n != 1 {
			t.Errorf("%d calls upstream, want 1", n)
		}
		if _, _, err := c.JobResult(t.Context(), jobs.As{Tenant: "another"}, job.ID); llm.KindOf(err) != llm.CallerNotFound {
			t.Errorf("another tenant's result: %v", err)
		}
		c.Jobs().Drain(t.Context())
	})
}

// A streamed job's pieces are told to those who watch, and kept as a whole.
func TestStreamedJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := jobClient(t, storetest.NewBacklog(), keyring(t), nil, llmtest.Script(llmtest.OK(llmtest.EightWords)))
		job, err := c.Submit(t.Context(), streamed("hi"))
		if err != nil {
			t.Fatal(err)
		}
		var told strings.Builder
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			for e, err := range c.Jobs().Events(t.Context(), jobs.As{Tenant: "t"}, job.ID, 0) {
				if err != nil {
					t.Error(err)
				}
				told.Write(e.Chunk)
			}
		}()
		synctest.Wait()
		work(t, c)
		<-watched
		res, _, err := c.JobResult(t.Context(), jobs.As{Tenant: "t"}, job.ID)
		if err != nil || !res.Streamed || llmtest.Text(res.Body) != llmtest.EightWords || told.String() != string(res.Body) {
			t.Errorf("%v\nresult %q\nevents %q", err, res.Body, told.String())
		}
		c.Jobs().Drain(t.Context())
	})
}

// What fails is tried again; a prepared text is given only when nothing else is left.
func TestJobIsRetriedAndThenFallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.Fail(503), llmtest.Fail(503), llmtest.OK("late, but there"))
		c := jobClient(t, storetest.NewBacklog(), keyring(t), func(cfg *forebay.Config) { cfg.Breaker.Consecutive = 100 }, p)
		work(t, c)
		r := request("hi")
		r.Operation = "vc-analysis"
		job, err := c.Submit(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if done := wait(t, c, job.ID); done.State != backlog.Completed || done.Retries != 2 || done.Attempt != 3 {
			t.Errorf("%+v", done)
		}
		if res, _, err := c.JobResult(t.Context(), jobs.As{Tenant: "t"}, job.ID); err != nil || llmtest.Text(res.Body) != "late, but there" || res.Meta.Degraded {
			t.Errorf("%+v %v", res, err)
		}
		c.Jobs().Drain(t.Context())
	})
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.Fail(503))
		c := jobClient(t, storetest.NewBacklog(), keyring(t), func(cfg *forebay.Config) {
			cfg.Breaker.Consecutive = 100
			cfg.Degrade.Personas = map[string]degrade.Persona{"P": {Name: "P", Templates: map[string]string{"vc-analysis": "we will be back"}}}
		}, p)
		work(t, c)
		r := request("hi")
		r.Operation, r.Persona = "vc-analysis", "P"
		job, err := c.Submit(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if done := wait(t, c, job.ID); done.State != backlog.Completed || done.Attempt != 4 {
			t.Errorf("%+v", done)
		}
		if res, _, err := c.JobResult(t.Context(), jobs.As{Tenant: "t"}, job.ID); err != nil || res.Meta.Fallback != degrade.Template {
			t.Errorf("%+v %v", res, err)
		}
		c.Jobs().Drain(t.Context())
	})
}

// A process that ends in the middle hands its jobs to the next one.
func TestJobOutlastsTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, keys := storetest.NewBacklog(), keyring(t)
		first := jobClient(t, store, keys, nil, llmtest.Script(llmtest.Hang()))
		ctx, stop := context.WithCancel(context.Background())
		ran := make(chan error, 1)
		go func() { ran <- first.Run(ctx) }()
		job, err := first.Submit(t.Context(), request("hi"))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // it hangs in the provider
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first.Close(soon)
		stop()
		<-ran
		second := jobClient(t, store, keys, nil, llmtest.Script(llmtest.OK("from the second")))
		work(t, second)
		if done := wait(t, second, job.ID); done.State != backlog.Completed || done.Retries != 0 {
			t.Errorf("%+v", done)
		}
		second.Jobs().Drain(t.Context())
	})
}

type picture struct{ Name string }

// A function of the caller's own runs the jobs of its operation; one that panics
// makes a dead letter, and the process lives.
func TestHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := jobClient(t, storetest.NewBacklog(), keyring(t), func(cfg *forebay.Config) { cfg.Operations["thumbnail"] = forebay.Operation{} }, llmtest.Script(llmtest.Echo()))
		var ran atomic.Int32
		if err := c.Handle("thumbnail", func(_ context.Context, job backlog.Job, payload []byte) ([]byte, error) {
			var p picture
			if err := json.Unmarshal(payload, &p); err != nil {
				return nil, err
			}
			switch n := ran.Add(1); {
			case p.Name == "bomb":
				panic("boom")
			case n == 1:
				return nil, errors.New("the disk is busy")
			}
			return json.Marshal(fmt.Sprintf("%s of %s", p.Name, job.Tenant))
		}); err != nil {
			t.Fatal(err)
		}
		work(t, c)
		submit := func(name string) backlog.Job {
			job, _, err := forebay.SubmitTask(t.Context(), c, forebay.Task[picture]{Operation: "thumbnail", Tenant: "t", Payload: picture{name}}, forebay.JobOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return wait(t, c, job.ID)
		}
		good := submit("cat.png")
		if good.State != backlog.Completed || good.Retries != 1 {
			t.Errorf("%+v", good)
		}
		if res, _, err := c.JobResult(t.Context(), jobs.As{Tenant: "t"}, good.ID); err != nil || string(res.Body) != `"cat.png of t"` {
			t.Errorf("%s %v", res.Body, err)
		}
		if bad := submit("bomb"); bad.State != backlog.Dead || bad.Attempt != 1 {
			t.Errorf("%+v", bad)
		}
		if next := submit("dog.png"); next.State != backlog.Completed {
			t.Errorf("%+v", next)
		}
		if err := c.Handle("no such operation", func(context.Context, backlog.Job, []byte) ([]byte, error) { return nil, nil }); llm.KindOf(err) != llm.CallerUnknownOperation {
			t.Error(err)
		}
		c.Jobs().Drain(t.Context())
	})
}

// What cannot be a job is refused before anything is stored.
func TestSubmitRefuses(t *testing.T) {
	store := storetest.NewBacklog()
	c := jobClient(t, store, keyring(t), nil, llmtest.Script(llmtest.OK("x")))
	for name, tc := range map[string]struct {
		change func(*llm.Request)
		kind   llm.Kind
	}{
		"operation": {func(r *llm.Request) { r.Operation = "made up" }, llm.CallerUnknownOperation},
		"model":     {func(r *llm.Request) { r.Model = "made up" }, llm.CallerUnknownModel},
		"dialect":   {func(r *llm.Request) { r.Dialect = nil }, llm.CallerInvalidRequest},
		"timeout":   {func(r *llm.Request) { r.Timeout = 365 * 24 * time.Hour }, llm.CallerInvalidRequest},
	} {
		r := request("hi")
		tc.change(r)
		if _, err := c.Submit(t.Context(), r); llm.KindOf(err) != tc.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	if stats, err := c.Jobs().Stats(t.Context(), jobs.As{All: true}); err != nil || stats.Queued != 0 {
		t.Errorf("%+v %v", stats, err)
	}
	none := newClient(t, nil, llmtest.Script(llmtest.OK("x")))
	if _, err := none.Submit(t.Context(), request("hi")); llm.KindOf(err) != llm.ForebayUnavailable || llm.AsError(err).Limit != "store.dir" {
		t.Errorf("without a store: %v", err)
	}
}

// The same key is the same job; another request under it is refused.
func TestIdempotencyKey(t *testing.T) {
	c := jobClient(t, storetest.NewBacklog(), keyring(t), nil, llmtest.Script(llmtest.OK("x")))
	o := forebay.JobOptions{IdempotencyKey: "order-1"}
	first, created, err := c.SubmitJob(t.Context(), request("hi"), o)
	if err != nil || !created {
		t.Fatal(created, err)
	}
	r := request("hi")
	r.ID, r.TraceParent = "another id", "another trace" // what a repeated request has of its own
	if again, created, err := c.SubmitJob(t.Context(), r, o); err != nil || created || again.ID != first.ID {
		t.Errorf("%v %v %v", again.ID, created, err)
	}
	if _, _, err := c.SubmitJob(t.Context(), request("something else"), o); llm.KindOf(err) != llm.CallerConflict {
		t.Error(err)
	}
}

// A refusal that came after a call counts: else a provider that always fails is
// called until the deadline.
func TestFailedCallsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.Fail(503))
		c := jobClient(t, storetest.NewBacklog(), keyring(t), func(cfg *forebay.Config) {
			cfg.Breaker.Consecutive, cfg.Breaker.OpenFor, cfg.Breaker.MaxOpenFor = 1, time.Second, 10*time.Second
			cfg.Retry = forebay.Retry{} // the repeated attempt meets the breaker that the first has opened
		}, p)
		work(t, c)
		r := request("hi")
		r.Timeout = time.Hour
		job, err := c.Submit(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if done := wait(t, c, job.ID); done.State != backlog.Dead || done.Retries != 4 && done.Retries != 3 || len(p.Calls()) != 4 {
			t.Errorf("%+v after %d calls", done, len(p.Calls()))
		}
		c.Jobs().Drain(t.Context())
	})
}

// An attempt that reached no target is not the last one, whatever was used up: no
// prepared text stands in.
func TestNoPreparedTextWhileTheBreakerIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.Fail(503), llmtest.OK("real"))
		c := jobClient(t, storetest.NewBacklog(), keyring(t), func(cfg *forebay.Config) {
			cfg.Breaker.Consecutive, cfg.Breaker.OpenFor = 1, 10*time.Second
			cfg.Jobs.Queue.Retries = -1
			cfg.Degrade.Personas = map[string]degrade.Persona{"P": {Name: "P", Templates: map[string]string{"vc-analysis": "we will be back"}}}
		}, p)
		work(t, c)
		if _, err := c.Do(t.Context(), request("opens the breaker")); err == nil {
			t.Fatal("the breaker is not open")
		}
		r := request("hi")
		r.Operation, r.Persona, r.Timeout = "vc-analysis", "P", time.Hour
		job, err := c.Submit(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		wait(t, c, job.ID)
		if res, _, err := c.JobResult(t.Context(), jobs.As{Tenant: "t"}, job.ID); err != nil || res.Meta.Fallback != "" || llmtest.Text(res.Body) != "real" {
			t.Errorf("%+v %v", res, err)
		}
		c.Jobs().Drain(t.Context())
	})
}

// The operation's deadline bounds an attempt from its slot on: waiting for the slot
// takes nothing of it, and a target that hangs does not take all of the job's time.
func TestAttemptsTimeBeginsWithItsSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := jobClient(t, storetest.NewBacklog(), keyring(t), func(cfg *forebay.Config) {
			cfg.Limits.MaxConcurrent = 1
			cfg.Operations["slow"] = forebay.Operation{Deadline: 10 * time.Second}
			cfg.Jobs.Queue.Concurrency = 20
		}, llmtest.Script(llmtest.Echo()))
		hung := false
		if err := c.Handle("slow", func(ctx context.Context, _ backlog.Job, payload []byte) ([]byte, error) {
			if string(payload) == "0" && !hung {
				hung = true
				<-ctx.Done()
				return nil, ctx.Err()
			}
			time.Sleep(6 * time.Second)
			return payload, nil
		}); err != nil {
			t.Fatal(err)
		}
		work(t, c)
		start := time.Now()
		var ids []backlog.ID
		for i := range 10 {
			job, _, err := forebay.SubmitTask(t.Context(), c, forebay.Task[int]{Operation: "slow", Tenant: "t", Payload: i, Timeout: time.Hour}, forebay.JobOptions{})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, job.ID)
		}
		for i, id := range ids {
			done, want := wait(t, c, id), 0
			if i == 0 {
				want = 1 // it hung once
			}
			if done.State != backlog.Completed || done.Retries != want || done.Attempt != 1+want {
				t.Errorf("job %d: %v after %d attempts, %d retries: %s", i, done.State, done.Attempt, done.Retries, done.Message)
			}
		}
		if took := time.Since(start); took > 75*time.Second {
			t.Errorf("ten calls of 6 s and one that hung for 10 s took %v in one slot", took)
		}
		c.Jobs().Drain(t.Context())
	})
}

// What a provider says may quote the prompt: it is in no record that is not sealed.
func TestProvidersWordsAreNotRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewBacklog()
		c := jobClient(t, store, keyring(t), nil, llmtest.Script(llmtest.Err(&llm.Error{
			Kind: llm.ProviderRejected, Status: 400, Message: "invalid prompt: PATIENT MEIER",
		})))
		work(t, c)
		job, err := c.Submit(t.Context(), request("PATIENT MEIER"))
		if err != nil {
			t.Fatal(err)
		}
		if done := wait(t, c, job.ID); done.State != backlog.Failed || done.Kind != llm.ProviderRejected || !strings.Contains(done.Message, "400") {
			t.Errorf("%+v", done)
		}
		for _, r := range store.Records() {
			if strings.Contains(fmt.Sprintf("%+v", r), "MEIER") {
				t.Errorf("%+v", r)
			}
		}
		c.Jobs().Drain(t.Context())
	})
}

// A job with a function is done as often as it is asked for.
func TestFunctionsOfJobsAreNotCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := jobClient(t, storetest.NewBacklog(), keyring(t), func(cfg *forebay.Config) { cfg.Operations["mail"] = forebay.Operation{} }, llmtest.Script(llmtest.Echo()))
		var sent atomic.Int32
		if err := c.Handle("mail", func(context.Context, backlog.Job, []byte) ([]byte, error) {
			sent.Add(1)
			return []byte(`"sent"`), nil
		}); err != nil {
			t.Fatal(err)
		}
		work(t, c)
		for range 3 {
			job, _, err := forebay.SubmitTask(t.Context(), c, forebay.Task[string]{Operation: "mail", Tenant: "t", Payload: "hello"}, forebay.JobOptions{})
			if err != nil {
				t.Fatal(err)
			}
			wait(t, c, job.ID)
		}
		if n := sent.Load(); n != 3 {
			t.Errorf("three jobs ran their function %d times", n)
		}
		if err := c.Run(t.Context()); llm.KindOf(err) != llm.ForebayInternal {
			t.Errorf("a second Run: %v", err)
		}
		c.Jobs().Drain(t.Context())
	})
}
