package gateway

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
)

// pathJobs is where jobs are.
const pathJobs = "/v1/jobs"

// What a job's Raw says of the door that it came through, so that its result can be
// what that door would have answered.
const (
	rawDoor       = "door"
	doorOperation = "operation" // a named operation: result and metadata
	rawRequest    = "request"   // the requestId of its body, if there was one
)

// drainLook is how often those who wait for a job look whether the client drains.
const drainLook = 2 * time.Second

// asker is who asks about jobs: the key's tenant, or an operator.
func (x *visit) asker() jobs.As {
	return jobs.As{Tenant: x.grant.Tenant, All: x.grant.Allows(access.Admin), Actor: x.grant.Name}
}

var errNoJobs = &llm.Error{
	Kind: llm.ForebayUnavailable, Message: "this gateway keeps no durable jobs", Limit: "store.dir", Value: "not set",
	Fix: "Set store.dir in the configuration to a directory that outlasts restarts.",
}

// asJob says whether the call is to be taken in as a job and not answered at once.
// It is nil for most calls. A wish for a job that cannot be met is refused, though
// RFC 7240 would have it ignored: to answer at once what was to outlast a restart
// would break what the caller counts on, unseen.
func (x *visit) asJob(c *form.Controls) (*submission, error) {
	values := x.r.Header["Prefer"]
	if len(values) > 0 {
		if p := form.Prefer(values); p.Async {
			if err := x.require(access.Jobs); err != nil {
				return nil, err
			}
			return x.submission(c, p)
		}
	}
	return nil, refuseJobOnly(c)
}

// refuseJobOnly refuses what only a job can have.
func refuseJobOnly(c *form.Controls) error {
	const fault, fix = "is for jobs, and this call is none", "Send Prefer: respond-async, or POST " + pathJobs + "."
	switch {
	case c.Webhook != "":
		return form.Header("X-Forebay-Webhook", fault, fix)
	case c.Retention != 0:
		return form.Header("X-Forebay-Retention", fault, fix)
	case c.Timeout > form.MaxTimeout:
		return form.BadTimeout(c.Timeout.String(), "X-Forebay-Timeout")
	}
	return nil
}

// submission is what stands beside the call of a job, as headers say it.
func (x *visit) submission(c *form.Controls, p form.Preferences) (*submission, error) {
	if x.gateway.jobs == nil {
		return nil, errNoJobs
	}
	key, err := form.IdempotencyKey(x.r.Header)
	if err != nil {
		return nil, err
	}
	return &submission{IdempotencyKey: key, Webhook: c.Webhook, Retention: c.Retention, prefer: p}, nil
}

// asOperation notes that the job came as a named operation: its result is to be the
// document that the operation's route answers with.
func (s *submission) asOperation(x *visit) {
	s.Raw = map[string]string{rawDoor: doorOperation}
	if x.named {
		s.Raw[rawRequest] = x.id
	}
}

// submitJob serves POST /v1/jobs. The body inside it goes through the same reading as
// at its endpoint, so what would be refused there is refused here, before it is stored.
func (g *Gateway) submitJob(x *visit) error {
	c, err := form.ReadControls(x.r.Header)
	if err != nil {
		return err
	}
	if g.jobs == nil {
		return errNoJobs
	}
	body, err := x.readJSON()
	if err != nil {
		return err
	}
	in, err := form.ReadSubmission(body)
	if err != nil {
		return err
	}
	c.Webhook, c.Retention = cmp.Or(in.Webhook, c.Webhook), cmp.Or(in.Keep, c.Retention)
	s, err := x.submission(&c, form.Preferences{})
	if err != nil {
		return err
	}
	s.CustomID = in.CustomID
	req, err := x.requestFor(in.URL, &c, in.Body)
	if err != nil {
		if e := llm.AsError(err); e.Param == "path" {
			e.Param = "url" // as it is called here
		}
		return err
	}
	if strings.HasPrefix(in.URL, pathOperations) {
		s.asOperation(x)
	}
	return g.enqueue(x, req, s)
}

// enqueue takes req in as a job and answers with it; where the caller waits long
// enough, with its result.
func (g *Gateway) enqueue(x *visit, req *llm.Request, s *submission) error {
	j, created, err := g.submitter.SubmitJob(x.r.Context(), req, *s)
	if err != nil {
		return err
	}
	x.set("Location", pathJobs+"/"+j.ID.String())
	status := http.StatusAccepted
	if !created {
		x.set("Idempotency-Replayed", "true")
		status = http.StatusOK
	}
	if s.prefer.Wait > 0 {
		if j, err = g.await(x, j.ID, s.prefer.Wait); err != nil {
			return err
		}
		if j.State.Final() {
			x.set("Preference-Applied", s.prefer.Applied(false))
			return g.giveResult(x, &j)
		}
	}
	if s.prefer.Async {
		x.set("Preference-Applied", s.prefer.Applied(true))
	}
	return g.answerJob(x, status, &j)
}

// answerJob answers with a job as it is.
func (g *Gateway) answerJob(x *visit, status int, j *backlog.Job) error {
	return x.answerJSON(status, g.jobs.View(j))
}

// await waits for a job's end as long as the caller wants and stays, and the client
// takes calls: a drain does not wait for those who only wait.
func (g *Gateway) await(x *visit, id backlog.ID, wait time.Duration) (backlog.Job, error) {
	for end := time.Now().Add(wait); ; {
		ctx, cancel := context.WithTimeout(x.r.Context(), min(time.Until(end), drainLook))
		j, err := g.jobs.Wait(ctx, x.asker(), id)
		cancel()
		if err != nil || j.State.Final() || x.r.Context().Err() != nil || !time.Now().Before(end) || g.draining() {
			return j, err
		}
	}
}

// draining says that the client takes no more calls and ends those that it has.
func (g *Gateway) draining() bool {
	return llm.KindOf(g.condition.Ready()) == llm.ForebayDraining
}

// jobID reads what every route of one job has: its ID, and a query of known parameters.
func (g *Gateway) jobID(x *visit, params ...string) (backlog.ID, error) {
	if g.jobs == nil {
		return 0, errNoJobs
	}
	if _, err := form.Query(x.r.URL.RawQuery, params...); err != nil {
		return 0, err
	}
	return backlog.ParseID(x.variable)
}

// job serves GET /v1/jobs/{id}.
func (g *Gateway) job(x *visit) error {
	id, err := g.jobID(x, "wait")
	if err != nil {
		return err
	}
	param, p := x.r.URL.Query().Get("wait"), form.Prefer(x.r.Header["Prefer"])
	wait, err := form.Wait(param, p)
	if err != nil {
		return err
	}
	if param == "" && wait > 0 {
		x.set("Preference-Applied", p.Applied(false))
	}
	j, err := g.jobs.Get(x.r.Context(), x.asker(), id)
	if err == nil && wait > 0 && !j.State.Final() {
		j, err = g.await(x, id, wait)
	}
	if err != nil {
		return err
	}
	return g.answerJob(x, http.StatusOK, &j)
}

// jobResult serves GET /v1/jobs/{id}/result.
func (g *Gateway) jobResult(x *visit) error {
	id, err := g.jobID(x)
	if err != nil {
		return err
	}
	j, err := g.jobs.Get(x.r.Context(), x.asker(), id)
	if err != nil {
		return err
	}
	return g.giveResult(x, &j)
}

// giveResult answers as the job's endpoint would have.
func (g *Gateway) giveResult(x *visit, j *backlog.Job) error {
	if err := noResult(j); err != nil {
		return err
	}
	res, raw, err := g.submitter.JobResult(x.r.Context(), x.asker(), j.ID)
	if err != nil {
		return err
	}
	x.meta, x.called, x.costKnown = res.Meta, true, true
	switch {
	case raw[rawDoor] == doorOperation:
		result, err := operationResult(res, j.Operation, cmp.Or(raw[rawRequest], j.ID.String()), j.Finished.Sub(j.Enqueued))
		if err != nil {
			return err
		}
		return x.answer(http.StatusOK, jsonType, result)
	case res.Streamed:
		x.set("Cache-Control", "no-cache")
		return x.answer(http.StatusOK, eventsType, res.Body)
	}
	return x.answer(http.StatusOK, jsonType, res.Body)
}

// noResult is why a job has no result to give: it goes on, or it failed, which is
// answered as the call's own failure would have been.
func noResult(j *backlog.Job) error {
	at := pathJobs + "/" + j.ID.String()
	e := &llm.Error{Kind: j.Kind, Message: j.Message, Fix: "POST " + at + "/requeue tries again."}
	switch j.State {
	case backlog.Completed:
		return nil
	case backlog.Queued, backlog.Processing:
		e.Kind, e.Message = llm.CallerConflict, "the job is "+j.State.String()+", so it has no result yet"
		e.Fix = "GET " + at + "?wait=30s waits for its end."
		return e
	case backlog.Cancelled:
		e.Kind, e.Message = llm.CallerConflict, "the job was cancelled, so it has no result"
		return e
	case backlog.Timeout:
		e.Kind = cmp.Or(e.Kind, llm.CallerDeadline)
	}
	e.Kind = cmp.Or(e.Kind, llm.ForebayInternal)
	e.Message = cmp.Or(e.Message, "the job ended as "+j.State.String())
	return e
}

// cancelJob serves DELETE /v1/jobs/{id}.
func (g *Gateway) cancelJob(x *visit) error {
	return g.changeJob(x, durable.Cancel)
}

// requeueJob serves POST /v1/jobs/{id}/requeue.
func (g *Gateway) requeueJob(x *visit) error {
	return g.changeJob(x, durable.Requeue)
}

// patchJob serves PATCH /v1/jobs/{id}. The bands of the key hold here too.
func (g *Gateway) patchJob(x *visit) error {
	if g.jobs == nil {
		return errNoJobs
	}
	body, err := x.readJSON()
	if err != nil {
		return err
	}
	band, err := form.ReadPatch(body)
	if err != nil {
		return err
	}
	if err := x.grant.MayAsk(band); err != nil {
		e := *llm.AsError(err)
		e.Param = "priority"
		return &e
	}
	return g.changeJob(x, func(q durable, ctx context.Context, as jobs.As, id backlog.ID) (backlog.Job, error) {
		return q.SetBand(ctx, as, id, band)
	})
}

// changeJob makes one change of one job and answers with it.
func (g *Gateway) changeJob(x *visit, change func(durable, context.Context, jobs.As, backlog.ID) (backlog.Job, error)) error {
	id, err := g.jobID(x)
	if err != nil {
		return err
	}
	j, err := change(g.jobs, x.r.Context(), x.asker(), id)
	if err != nil {
		return err
	}
	return g.answerJob(x, http.StatusOK, &j)
}
