package jobs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// operator may do everything.
var operator = jobs.As{All: true, Actor: "operator"}

// acme is the tenant of most jobs.
var acme = jobs.As{Tenant: "acme", Actor: "web"}

// step is what a scripted handler does with one attempt.
type step func(ctx context.Context, t *jobs.Task) ([]byte, error)

// rig is a queue over a store in memory, with a handler that is told what to do.
type rig struct {
	t     testing.TB
	store *storetest.MemoryBacklog
	keys  *envelope.Keyring
	cfg   jobs.Config
	q     *jobs.Queue
	log   *logged

	stop  context.CancelFunc
	ended chan error

	mu       sync.Mutex
	script   step
	started  []string // "id attempt", in order
	seen     []jobs.Observation
	sent     []jobs.Message
	audits   []string
	courier  func(m jobs.Message) (bool, error)
	auditErr error
}

// logged keeps what is logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newRig makes a queue that works, over an empty store. change changes its configuration.
func newRig(t testing.TB, change ...func(*jobs.Config)) *rig {
	t.Helper()
	r := idleRig(t, change...)
	r.run()
	return r
}

// idleRig is newRig without Run.
func idleRig(t testing.TB, change ...func(*jobs.Config)) *rig {
	t.Helper()
	return rigOver(t, storetest.NewBacklog(), newKeys(t, storetest.NewMemory()), change...)
}

func newKeys(t testing.TB, store envelope.KeyStore) *envelope.Keyring {
	t.Helper()
	master, err := envelope.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := envelope.New(context.Background(), envelope.Config{Masters: []envelope.Master{master}, Keys: store})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func rigOver(t testing.TB, store *storetest.MemoryBacklog, keys *envelope.Keyring, change ...func(*jobs.Config)) *rig {
	t.Helper()
	r := &rig{t: t, store: store, keys: keys, log: &logged{}, script: echo}
	r.cfg = jobs.Config{
		Store: store, Keys: keys, Handler: r.handle, Hooks: r, Observe: r.observe, Audit: r.audit,
		Logger: slog.New(slog.NewTextHandler(r.log, nil)),
	}
	for _, f := range change {
		f(&r.cfg)
	}
	q, err := jobs.New(context.Background(), r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.q = q
	return r
}

// run starts the queue. The test stops it.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	r.stop, r.ended = cancel, make(chan error, 1)
	go func() { r.ended <- r.q.Run(ctx) }()
	r.t.Cleanup(func() { _ = r.halt() })
}

// halt ends Run, and waits for it.
func (r *rig) halt() error {
	if r.stop == nil {
		return nil
	}
	r.stop()
	r.stop = nil
	return <-r.ended
}

// again is another queue over the same store and keys, as after a restart.
func (r *rig) again(change ...func(*jobs.Config)) *rig {
	r.t.Helper()
	return rigOver(r.t, r.store, r.keys, change...)
}

func echo(_ context.Context, t *jobs.Task) ([]byte, error) {
	return append([]byte("echo "), t.Payload...), nil
}

// takes is a step that lasts so long and then echoes.
func takes(d time.Duration) step {
	return func(ctx context.Context, t *jobs.Task) ([]byte, error) {
		select {
		case <-time.After(d):
			return echo(ctx, t)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// fails is a step that fails.
func fails(kind llm.Kind) step {
	return func(context.Context, *jobs.Task) ([]byte, error) { return nil, llm.Errorf(kind, "as told") }
}

// oneByOne does the steps one after the other, and the last one for ever.
func oneByOne(steps ...step) step {
	var mu sync.Mutex
	return func(ctx context.Context, t *jobs.Task) ([]byte, error) {
		mu.Lock()
		s := steps[0]
		if len(steps) > 1 {
			steps = steps[1:]
		}
		mu.Unlock()
		return s(ctx, t)
	}
}

func (r *rig) does(s step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.script = s
}

func (r *rig) handle(ctx context.Context, t *jobs.Task) ([]byte, error) {
	r.mu.Lock()
	r.started = append(r.started, string(t.Payload))
	s := r.script
	r.mu.Unlock()
	return s(ctx, t)
}

// starts returns the payloads of the attempts that were made, in order.
func (r *rig) starts() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.started)
}

func (r *rig) observe(o jobs.Observation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, o)
}

// happened lists what was observed, in order.
func (r *rig) happened() string {
	synctest.Wait() // a job has ended before its end is told
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, o := range r.seen {
		names = append(names, string(o.Happening))
	}
	return strings.Join(names, " ")
}

func (r *rig) audit(_ context.Context, actor, action string, details map[string]string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.auditErr != nil {
		return r.auditErr
	}
	r.audits = append(r.audits, fmt.Sprint(actor, " ", action, " ", details))
	return nil
}

// Check implements jobs.Deliverer.
func (r *rig) Check(address string) error {
	if strings.Contains(address, "private") {
		return errors.New("a private address")
	}
	return nil
}

// Deliver implements jobs.Deliverer.
func (r *rig) Deliver(ctx context.Context, m jobs.Message) (bool, error) {
	r.mu.Lock()
	r.sent = append(r.sent, m)
	f := r.courier
	r.mu.Unlock()
	if f == nil {
		return false, nil
	}
	if again, err := f(m); err != nil {
		return again, err
	}
	return false, ctx.Err()
}

// receives says what receivers of webhooks do.
func (r *rig) receives(f func(jobs.Message) (bool, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.courier = f
}

func (r *rig) messages() []jobs.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sent)
}

// submission is one of acme's.
func submission(payload string) jobs.Submission {
	return jobs.Submission{Tenant: "acme", User: "u", Key: "web", Operation: "op", Endpoint: "/v1/chat/completions", Model: "m", Payload: []byte(payload)}
}

// submit submits a job of acme.
func (r *rig) submit(payload string, change ...func(*jobs.Submission)) backlog.Job {
	r.t.Helper()
	s := submission(payload)
	for _, f := range change {
		f(&s)
	}
	j, created, err := r.q.Submit(context.Background(), s)
	if err != nil || !created {
		r.t.Fatalf("submit %q: created %v, %v", payload, created, err)
	}
	return j
}

// job is how the store has a job now.
func (r *rig) job(id backlog.ID) backlog.Job {
	r.t.Helper()
	for _, rec := range r.store.Records() {
		if rec.Job.ID == id {
			return rec.Job
		}
	}
	r.t.Fatalf("%s is not in the store", id)
	return backlog.Job{}
}

// is checks the state of a job once nothing moves.
func (r *rig) is(id backlog.ID, want backlog.State) backlog.Job {
	r.t.Helper()
	synctest.Wait()
	j := r.job(id)
	if j.State != want {
		r.t.Fatalf("%s is %s (%s: %s), want %s\nlog:\n%s", id, j.State, j.Kind, j.Message, want, r.log)
	}
	return j
}

// ends waits for the end of a job, which must be the state.
func (r *rig) ends(id backlog.ID, want backlog.State) backlog.Job {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	j, err := r.q.Wait(ctx, operator, id)
	if err != nil || j.State != want {
		r.t.Fatalf("%s ended as %s (%s: %s), %v; want %s\nlog:\n%s", id, j.State, j.Kind, j.Message, err, want, r.log)
	}
	return j
}

// result checks the result of a completed job.
func (r *rig) result(id backlog.ID, want string) {
	r.t.Helper()
	_, got, err := r.q.Result(context.Background(), operator, id)
	if err != nil || string(got) != want {
		r.t.Errorf("the result of %s is %q, %v; want %q", id, got, err, want)
	}
}

// kindIs checks an error's kind, and that it says what to do.
func kindIs(t testing.TB, err error, want llm.Kind) {
	t.Helper()
	if llm.KindOf(err) != want {
		t.Errorf("%v (%s), want %s", err, llm.KindOf(err), want)
	}
}

// bubble runs a test in a synctest bubble.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))) // bubbles begin before IDs do
		f(t)
	})
}
