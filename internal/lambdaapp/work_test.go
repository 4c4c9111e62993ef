package lambdaapp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/internal/lambdaapp"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest"
)

// worker is a function over a shared store into which so many jobs were taken.
func worker(t *testing.T, jobs int) (*lambdaapp.App, *storetest.MemoryBacklog) {
	t.Helper()
	app, _, err := open(t, fmt.Sprintf(`
keys: [{name: web, secret: secret-of-web, scopes: [call, jobs]}]
providers: {up: {type: openai, base_url: %q}}
models: {m: {targets: [{provider: up, model: m}]}}
`, model(t)), lambdaapp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	master, err := envelope.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := envelope.New(context.Background(), envelope.Config{Masters: []envelope.Master{master}, Keys: storetest.NewMemory()})
	if err != nil {
		t.Fatal(err)
	}
	store := storetest.NewBacklog()
	store.Share(true)
	app.SetJobs(forebay.Jobs{Store: store, Keys: keys, Queue: backlog.Config{Lease: 2 * time.Second, Timeout: time.Hour}})
	for range jobs {
		submit(t, app)
	}
	return app, store
}

// submit has a call taken in as a job. It may be called from any goroutine.
func submit(t *testing.T, app *lambdaapp.App) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"hi"}]}`))
	r.Header.Set("Authorization", "Bearer secret-of-web")
	r.Header.Set("Prefer", "respond-async")
	w := httptest.NewRecorder()
	if app.Serve(w, r); w.Code != http.StatusAccepted {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

// worked has a worker work, and says what is queued then.
func worked(t *testing.T, app *lambdaapp.App, store *storetest.MemoryBacklog) (queued int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := app.Work(ctx); err != nil {
		t.Error(err)
	}
	counts, err := store.Census(t.Context(), nil)
	if err != nil {
		t.Error(err)
	}
	return counts[backlog.Queued]
}

// A worker leaves some jobs to another one that has a lease, and does not end before that one has had them, or it itself.
func TestWorkerWaitsForOthers(t *testing.T) {
	const jobs = 20
	app, store := worker(t, jobs)
	now := time.Now()
	j := &backlog.Job{
		ID: 77, Spec: backlog.Spec{Tenant: "x", Operation: "default", Enqueued: now},
		Status: backlog.Status{State: backlog.Queued, Band: llm.Normal, Deadline: now.Add(time.Hour)},
	}
	if _, err := store.Insert(t.Context(), j, []byte("p"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	claim := &backlog.Change{ID: 77, From: backlog.Queued, To: j.Status}
	claim.To.State, claim.To.Worker, claim.To.Attempt, claim.To.LeaseUntil, claim.To.Started = backlog.Processing, "other", 1, now.Add(time.Minute), now
	if err := store.Apply(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	if left := worked(t, app, store); left > 0 {
		t.Errorf("the worker ended while %d of %d jobs were due", left, jobs)
	}
}

// A claim that the store had no capacity for is made again, and the worker does not take itself for idle before that.
func TestWorkerWaitsForCapacity(t *testing.T) {
	app, store := worker(t, 1)
	var applies atomic.Int32
	store.Intercept(func(op string) error {
		if op == storetest.OpApply && applies.Add(1) <= 4 { // after which there are pauses of up to 800 ms
			return fmt.Errorf("%w: at once", backlog.ErrBusy)
		}
		return nil
	})
	if left := worked(t, app, store); left > 0 || applies.Load() < 6 {
		t.Errorf("%d jobs are left after %d changes", left, applies.Load())
	}
}
