package forebay

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/dialect/payload"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/jobs/form"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/upstream"
)

// Jobs configures durable jobs: calls that are taken in for good, outlast a restart
// and are made when there is room. The zero value has none.
type Jobs struct {
	// Store keeps them. Nil means that there are none.
	Store backlog.Store
	// Keys seal what jobs ask for and what was answered. Required with a store.
	Keys *envelope.Keyring
	// Queue says how many there may be, for how long, and how often one is tried.
	// Worker and Exclusive are filled in. A Timeout of zero is the operation's deadline.
	Queue backlog.Config
	// Hooks delivers webhooks. Nil refuses jobs that want one.
	Hooks jobs.Deliverer
	// Dialects are the wire formats that jobs may have: a restarted process finds
	// them by name. Nil means OpenAI's.
	Dialects []llm.Dialect
}

// JobOptions say what is particular to a job. The zero value is an ordinary one.
type JobOptions struct {
	// IdempotencyKey makes a repeated submission within 24 h the same job.
	IdempotencyKey string
	// CustomID is the caller's own name for the job.
	CustomID string
	// Webhook is an address that is told of the job's end.
	Webhook string
	// Retention is how long the result is kept. Zero means the configured time.
	Retention time.Duration
	// Raw is kept with the job and comes back with its result.
	Raw map[string]string
}

// JobFunc runs the jobs of an operation that ask for a function: payload and result
// are JSON. Its context ends at the job's deadline, when the job is cancelled, and
// when its lease is lost. It may run again for the same job, so what it does has to
// bear repetition. An error that is an *llm.Error counts by its kind; any other one
// is repeated. A panic makes the job a dead letter.
type JobFunc func(ctx context.Context, job backlog.Job, payload []byte) (result []byte, err error)

// errNoJobs is what everything about jobs gives where there is no store for them.
var errNoJobs = &llm.Error{
	Kind: llm.ForebayUnavailable, Message: "there are no durable jobs: no store is configured", Limit: "store.dir",
	Fix: "Set store.dir to a directory, or make the call without a job.",
}

// Jobs is the durable queue; nil where there is none.
func (c *Client) Jobs() *jobs.Queue { return c.jobs }

// Submit takes req in as a durable job: it is on disk when this returns, and runs
// when there is room, in this process or in one that comes after it. Client.Run has
// to be running for that. The error is an *llm.Error.
func (c *Client) Submit(ctx context.Context, req *llm.Request) (backlog.Job, error) {
	job, _, err := c.SubmitJob(ctx, req, JobOptions{})
	return job, err
}

// SubmitJob is Submit with options. created says that there was no job under the
// idempotency key.
func (c *Client) SubmitJob(ctx context.Context, req *llm.Request, o JobOptions) (job backlog.Job, created bool, err error) {
	if c.jobs == nil {
		return backlog.Job{}, false, errNoJobs
	}
	op := c.operation(req.Operation)
	switch {
	case op == nil:
		return backlog.Job{}, false, c.unknownOperation(req.Operation)
	case req.Endpoint != llm.Function && c.model(cmp.Or(req.Model, op.Model)) == nil:
		return backlog.Job{}, false, c.unknownModel(cmp.Or(req.Model, op.Model))
	case req.Dialect == nil || c.dialects[req.Dialect.Name()] == nil:
		return backlog.Job{}, false, llm.Errorf(llm.CallerInvalidRequest, "the request's dialect is not among Config.Jobs.Dialects")
	}
	if _, err := op.reside(req.Residency); err != nil {
		return backlog.Job{}, false, err
	}
	payload, err := form.Encode(req, o.Raw)
	if err != nil {
		return backlog.Job{}, false, err
	}
	timeout := req.Timeout
	if timeout == 0 { // who asks for nothing is not told of a bound
		timeout = min(cmp.Or(c.jobTimeout, op.Deadline), c.jobMaxTimeout)
	}
	return c.jobs.Submit(ctx, jobs.Submission{
		Tenant: req.Tenant, User: req.User, Key: req.Key, Operation: req.Operation,
		Endpoint: string(req.Endpoint), Model: cmp.Or(req.Model, op.Model), CustomID: o.CustomID, Band: req.Priority,
		Timeout: timeout, Retention: o.Retention, Payload: payload, IdempotencyKey: o.IdempotencyKey, Webhook: o.Webhook,
		Digest: digestJob(req, o),
	})
}

// SubmitTask takes a call of an operation's own function (Client.Handle) in as a
// durable job. It is Submit for what Process takes.
func SubmitTask[P any](ctx context.Context, c *Client, task Task[P], o JobOptions) (job backlog.Job, created bool, err error) {
	req, err := task.request()
	if err != nil {
		return backlog.Job{}, false, err
	}
	return c.SubmitJob(ctx, req, o)
}

// digestJob tells one submission from another: everything that the caller asked for,
// and nothing that differs when the same is sent again.
func digestJob(req *llm.Request, o JobOptions) [32]byte {
	h := sha256.New()
	for _, part := range []string{
		req.Operation, req.Persona, req.Residency, req.Locale, req.Priority.String(), string(req.Endpoint) + string(req.Settings), req.Model, req.Dialect.Name(),
		fmt.Sprint(req.Stream, req.Cache, req.NoFallback, req.Timeout, o.Retention, o.Raw), o.CustomID, o.Webhook,
	} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	h.Write(req.Body)
	return [32]byte(h.Sum(nil))
}

// Handle lets fn run the jobs of an operation that ask for a function
// (llm.Function), through the same limits, breaker and retries as Process. Results are
// not cached: a job that was asked for twice is done twice.
// It is the specification's startProcessing. Set it before Client.Run; where a job
// finds no function it waits for a process that has one.
func (c *Client) Handle(operation string, fn JobFunc) error {
	op := c.operation(operation)
	if op == nil {
		return c.unknownOperation(operation)
	}
	if fn == nil {
		return llm.Errorf(llm.CallerInvalidRequest, "operation %q: no function", operation)
	}
	c.handlers.Store(op.name, fn)
	return nil
}

// JobResult is the answer of a completed job, as Do would have returned it, with what
// JobOptions.Raw said. The error of a job that has none says why.
func (c *Client) JobResult(ctx context.Context, as jobs.As, id backlog.ID) (*Response, map[string]string, error) {
	if c.jobs == nil {
		return nil, nil, errNoJobs
	}
	_, sealed, err := c.jobs.Result(ctx, as, id)
	if err != nil {
		return nil, nil, err
	}
	return decodeResult(sealed)
}

// openJobs makes the durable queue of cfg.
func (c *Client) openJobs(cfg Config) error {
	j := cfg.Jobs
	if j.Store == nil {
		return nil
	}
	if j.Dialects == nil {
		j.Dialects = []llm.Dialect{openai.Dialect{}}
	}
	c.dialects = map[string]llm.Dialect{payload.Dialect{}.Name(): payload.Dialect{}}
	for _, d := range j.Dialects {
		c.dialects[d.Name()] = d
	}
	c.jobTimeout, c.jobRetries = j.Queue.Timeout, j.Queue.Retries
	c.jobMaxTimeout = cmp.Or(j.Queue.MaxTimeout, defaultJobMaxTimeout)
	var audit func(context.Context, string, string, map[string]string) error
	if cfg.Auditor != nil {
		audit = cfg.Auditor.Audit
	}
	var err error
	c.jobs, err = jobs.New(context.Background(), jobs.Config{
		Store: j.Store, Keys: j.Keys, Desk: j.Queue, Handler: c.runJob, Hooks: j.Hooks,
		Audit: audit, Observe: c.observeJob, Logger: cfg.Logger,
	})
	return err
}

// observeJob passes on what happens to jobs.
func (c *Client) observeJob(o jobs.Observation) {
	c.monitor.RecordJob(&monitor.Job{Event: monitor.JobEvent(o.Happening), Priority: o.Band, Wait: o.Wait, Run: o.Run})
}

// sampleTimeout bounds what a scrape waits for the store of jobs.
const sampleTimeout = time.Second

// jobSample is the state of the durable queue for metrics.
func (c *Client) jobSample() monitor.JobSample {
	ctx, cancel := context.WithTimeout(context.Background(), sampleTimeout)
	defer cancel()
	stats, err := c.jobs.Sample(ctx)
	s := monitor.JobSample{Up: err == nil && c.jobs.Ready() == nil, Bytes: stats.QueuedBytes, Dead: stats.Dead, Damaged: stats.Damaged}
	for i, p := range llm.Priorities {
		b := stats.Bands[p.String()]
		s.Queued[i], s.Processing[i], s.Oldest[i] = b.Queued, b.Processing, time.Duration(b.OldestSeconds*float64(time.Second))
	}
	return s
}

// runJob makes the call of a job: it goes the way of every request.
func (c *Client) runJob(ctx context.Context, t *jobs.Task) ([]byte, error) {
	req, raw, err := c.decodeJob(t)
	if err != nil {
		return nil, err
	}
	var function invoker
	var poison any // what the job's function panicked with
	if req.Endpoint == llm.Function {
		fn, ok := c.handlers.Load(c.operation(req.Operation).name)
		if !ok {
			return nil, &llm.Error{
				Kind: llm.ForebayUnavailable, Message: "this process has no function for the operation", Fix: "Call Client.Handle before Client.Run.",
			}
		}
		function = jobInvoker(fn.(JobFunc), t, &poison)
		req.Cache.NoRead, req.Cache.NoWrite = true, true // a function may do more than answer
	}
	// A prepared text is no result while another attempt may bring the real one.
	req.NoFallback = req.NoFallback || t.Retries < max(cmp.Or(c.jobRetries, defaultRetries), 0)
	s, err := c.run(ctx, req, function, nil)
	if err == nil {
		var body []byte
		emit := t.Emit
		if !req.Stream {
			emit = nil
		}
		if body, err = llm.Relay(s, emit); err == nil {
			return form.EncodeAnswer(s.Meta(), form.Answer{Body: body, Streamed: req.Stream, Raw: raw})
		}
	}
	if poison != nil {
		panic(poison) // the queue knows what to do: the job is dead, the process lives
	}
	return nil, recorded(err)
}

// recorded is the error of an attempt as the job's record has it, which is not sealed:
// what a provider says may quote the prompt, so its words are left out.
//
// An attempt that called a target and was then refused by a breaker or a line has
// failed nevertheless. By the refusal's kind it would not count, and the provider would
// be called until the deadline.
func recorded(err error) error {
	var failed *CallError
	if !errors.As(err, &failed) {
		return err
	}
	e := *failed.err
	if called := failed.Meta.Attempts > 0; called && (e.Kind == llm.PolicyBreakerOpen || e.Kind == llm.PolicyOverloaded) {
		e.Kind = llm.ProviderOverloaded
	}
	if e.Kind.Domain() == llm.ProviderFault {
		e.Message = "the provider did not answer the call"
		if e.Status != 0 {
			e.Message = fmt.Sprintf("the provider answered with status %d", e.Status)
		}
		e.Err = nil
	}
	return &e
}

// jobInvoker is the invoker of a job's function.
func jobInvoker(fn JobFunc, t *jobs.Task, poison *any) invoker {
	return func(ctx context.Context, _ *upstream.Target, req *llm.Request) (_ llm.Stream, err error) {
		defer func() {
			if p := recover(); p != nil {
				*poison, err = p, llm.Errorf(llm.ForebayInternal, "the function of the job panicked")
			}
		}()
		body, err := fn(ctx, t.Job, req.Body)
		if err != nil {
			return nil, functionError(ctx, err)
		}
		return &llm.OneChunk{Chunk: llm.Chunk{Raw: body, Events: 1, Last: true, Useful: true}}, nil
	}
}
