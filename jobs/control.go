package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/llm"
)

const (
	// maxPage is what a Store lists at once.
	maxPage = 10_000
	// changeTries is how often a change is made anew because the job has moved on.
	changeTries = 5
	// removePiece is how many jobs are removed at once by hand.
	removePiece = 500
)

// Get returns a job. Errors: CallerNotFound, also for a job that is not whoever asks';
// ForebayInternal where its record is damaged; ForebayUnavailable.
func (q *Queue) Get(ctx context.Context, as As, id backlog.ID) (backlog.Job, error) {
	job, err := q.cfg.Store.Get(ctx, id)
	if err := q.visible(as, id, &job, err); err != nil {
		return backlog.Job{}, err
	}
	return job, nil
}

// visible turns what a read of the store returned into what whoever asks may know.
func (q *Queue) visible(as As, id backlog.ID, job *backlog.Job, err error) error {
	switch {
	case err == nil && !as.All && job.Tenant != as.Tenant, errors.Is(err, backlog.ErrNotFound):
		return notFound(id)
	case errors.Is(err, backlog.ErrDamaged):
		return &llm.Error{Kind: llm.ForebayInternal, Message: "what is stored of this job is damaged; it was set apart", Err: err}
	case err != nil:
		return unavailable(q.failsIf(err))
	}
	return nil
}

// List returns a page of jobs in the order of their IDs, of the tenant that asks, or of
// all. Errors: CallerInvalidRequest, ForebayUnavailable.
func (q *Queue) List(ctx context.Context, as As, query backlog.Query) ([]backlog.Job, error) {
	if query.Limit < 0 || query.Limit > maxPage {
		return nil, &llm.Error{
			Kind: llm.CallerInvalidRequest, Message: "the limit is out of its range", Param: "limit",
			Fix: fmt.Sprintf("Use a limit of 1 to %d.", maxPage),
		}
	}
	if !as.narrow(&query) {
		return nil, nil
	}
	page, err := q.cfg.Store.List(ctx, query)
	if err != nil {
		return nil, unavailable(q.failsIf(err))
	}
	return page, nil
}

// narrow restricts a query to what may be seen; false means nothing.
func (as As) narrow(query *backlog.Query) bool {
	if as.All {
		return true
	}
	if query.Tenant != nil && *query.Tenant != as.Tenant {
		return false
	}
	query.Tenant = &as.Tenant
	return true
}

// Result returns a completed job with its result. Errors: as Get; CallerConflict while
// it is not completed or where it ended otherwise, with the job; CallerNotFound when the
// result's retention is over, or when it was erased.
func (q *Queue) Result(ctx context.Context, as As, id backlog.ID) (backlog.Job, []byte, error) {
	job, sealed, err := q.cfg.Store.Read(ctx, id, backlog.Result)
	if err := q.visible(as, id, &job, err); err != nil {
		return backlog.Job{}, nil, err
	}
	switch {
	case !job.State.Final():
		return job, nil, &llm.Error{
			Kind: llm.CallerConflict, Message: "the job is " + job.State.String() + ": there is no result yet",
			Fix: "GET /v1/jobs/" + id.String() + "?wait=30s waits for it.",
		}
	case job.State != backlog.Completed:
		return job, nil, &llm.Error{
			Kind: llm.CallerConflict, Message: "the job has no result: it is " + job.State.String(),
			Fix: "GET /v1/jobs/" + id.String() + " says why; POST …/requeue tries it again.",
		}
	case sealed == nil, !job.ResultUntil.IsZero() && !time.Now().Before(job.ResultUntil):
		return job, nil, &llm.Error{
			Kind: llm.CallerNotFound, Message: "the result is not kept any more",
			Limit: "retention", Value: job.Retention.String(), Fix: "Submit the job again, or ask for a longer retention.",
		}
	}
	plain, err := q.open(ctx, &job, backlog.Result, sealed)
	switch {
	case errors.Is(err, envelope.ErrNoKey):
		return job, nil, &llm.Error{Kind: llm.CallerNotFound, Message: "the result was erased with all that its owner had here", Err: err}
	case errors.Is(err, envelope.ErrDamaged), errors.Is(err, envelope.ErrTooLarge):
		q.observe(Damaged, &job, 0)
		q.cfg.Logger.Error("jobs: a result is damaged", slog.String("job", id.String()), slog.Any("error", err))
		return job, nil, &llm.Error{Kind: llm.ForebayInternal, Message: "the stored result is damaged", Fix: "Submit the job again.", Err: err}
	case err != nil:
		return job, nil, unavailable(err)
	}
	return job, plain, nil
}

// Cancel ends a job that is queued or processing, and the handler that runs it. Errors:
// as Get; CallerConflict for a job that has ended.
func (q *Queue) Cancel(ctx context.Context, as As, id backlog.ID) (backlog.Job, error) {
	return q.change(ctx, as, id, q.desk.Cancel)
}

// SetBand gives a queued job another priority. Errors: as Get; CallerConflict for a job
// that is not queued.
func (q *Queue) SetBand(ctx context.Context, as As, id backlog.ID, band llm.Priority) (backlog.Job, error) {
	return q.change(ctx, as, id, func(now time.Time, j *backlog.Job) (backlog.Change, *llm.Error) {
		return q.desk.SetBand(now, j, band)
	})
}

// Requeue queues a job again that has ended without a result, with a new deadline. An
// operator's is audited. Errors: as Get; CallerConflict for a job that has not ended or
// is completed, or whose payload is not kept any more; PolicyOverloaded as in Submit.
func (q *Queue) Requeue(ctx context.Context, as As, id backlog.ID) (backlog.Job, error) {
	job, sealed, err := q.cfg.Store.Read(ctx, id, backlog.Payload)
	if err := q.visible(as, id, &job, err); err != nil {
		return backlog.Job{}, err
	}
	if job.State.Final() && job.State != backlog.Completed && sealed == nil {
		return job, &llm.Error{Kind: llm.CallerConflict, Message: "what the job was to do is not kept any more", Fix: "Submit it again."}
	}
	if as.All {
		if err := q.audit(ctx, as, "jobs.requeue", map[string]string{"job": id.String(), "tenant": job.Tenant}); err != nil {
			return job, err
		}
	}
	return q.change(ctx, as, id, q.desk.Requeue)
}

// change makes a change of one job that somebody asks for. Where the job has moved on
// meanwhile, ask decides anew. It runs with the mutex held.
func (q *Queue) change(ctx context.Context, as As, id backlog.ID, ask func(time.Time, *backlog.Job) (backlog.Change, *llm.Error)) (backlog.Job, error) {
	for range changeTries {
		job, err := q.Get(ctx, as, id)
		if err != nil {
			return backlog.Job{}, err
		}
		c, refused, err := q.ask(&job, ask)
		switch {
		case err != nil:
			return job, err
		case refused != nil:
			return job, refused
		}
		made, err := q.commit(&c)
		if err != nil {
			return job, unavailable(err)
		}
		if made {
			from := job.State
			job.Status = c.To
			job = asStored(job)
			q.tell(&job, from, notRun)
			return job, nil
		}
	}
	return backlog.Job{}, &llm.Error{Kind: llm.CallerConflict, Message: "the job changes all the time", Fix: "Try again."}
}

func (q *Queue) ask(job *backlog.Job, ask func(time.Time, *backlog.Job) (backlog.Change, *llm.Error)) (backlog.Change, *llm.Error, error) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.failed {
		return backlog.Change{}, nil, unavailable(backlog.ErrFailed)
	}
	c, refused := ask(now, job)
	return c, refused, nil
}

// Purge removes jobs that have ended, whatever their retention, and returns how many.
// query selects them as in List; its States may be final ones only and default to all of
// those; Limit bounds how many are removed, and zero means all. It is audited. Errors:
// CallerInvalidRequest, ForebayUnavailable; some may have been removed then.
func (q *Queue) Purge(ctx context.Context, as As, query backlog.Query) (int, error) {
	if len(query.States) == 0 {
		query.States = slices.DeleteFunc(backlog.States(), func(s backlog.State) bool { return !s.Final() })
	}
	if query.Limit < 0 || slices.ContainsFunc(query.States, func(s backlog.State) bool { return !s.Final() }) {
		return 0, &llm.Error{
			Kind: llm.CallerInvalidRequest, Message: "only jobs that have ended can be removed", Param: "states",
			Fix: "Use completed, failed, timeout, cancelled or dead; DELETE cancels a job that has not ended.",
		}
	}
	if !as.narrow(&query) {
		return 0, nil
	}
	if err := q.audit(ctx, as, "jobs.purge", purgeDetails(&query)); err != nil {
		return 0, err
	}
	removed, most := 0, query.Limit
	for {
		query.Limit = removePiece
		if most > 0 {
			query.Limit = min(removePiece, most-removed)
		}
		page, err := q.cfg.Store.List(ctx, query)
		if err != nil || len(page) == 0 {
			return removed, q.storeError(err)
		}
		ids := make([]backlog.ID, len(page))
		for i := range page {
			ids[i] = page[i].ID
		}
		n, err := q.cfg.Store.Remove(ctx, ids...)
		removed += n
		if err != nil || len(page) < query.Limit || most > 0 && removed >= most {
			return removed, q.storeError(err)
		}
		query.After = ids[len(ids)-1]
	}
}

// storeError is err as callers see it; nil for nil.
func (q *Queue) storeError(err error) error {
	if err == nil {
		return nil
	}
	return unavailable(q.failsIf(err))
}

func purgeDetails(query *backlog.Query) map[string]string {
	names := make([]string, len(query.States))
	for i, s := range query.States {
		names[i] = s.String()
	}
	details := map[string]string{"states": fmt.Sprint(names)}
	for name, value := range map[string]*string{"tenant": query.Tenant, "user": query.User, "operation": query.Operation} {
		if value != nil {
			details[name] = *value
		}
	}
	if query.CustomID != "" {
		details["custom_id"] = query.CustomID
	}
	return details
}

// Pause stops claims of an operation's jobs until Resume, beyond the end of the
// process; the empty name is the default operation. Those that run go on. Only operators
// may; it is audited. Errors: CallerForbidden, ForebayUnavailable.
func (q *Queue) Pause(ctx context.Context, as As, operation string) error {
	return q.switchOperation(ctx, as, operation, true)
}

// Resume ends what Pause began.
func (q *Queue) Resume(ctx context.Context, as As, operation string) error {
	return q.switchOperation(ctx, as, operation, false)
}

func (q *Queue) switchOperation(ctx context.Context, as As, operation string, paused bool) error {
	if !as.All {
		return &llm.Error{Kind: llm.CallerForbidden, Message: "only operators pause and resume operations", Fix: "Use a key with the scope admin."}
	}
	if err := q.holdSwitches(ctx); err != nil {
		return err
	}
	defer q.letSwitches()
	action := "jobs.resume"
	if paused {
		action = "jobs.pause"
	}
	if err := q.audit(ctx, as, action, map[string]string{"operation": operation}); err != nil {
		return err
	}
	if err := q.cfg.Store.SetPaused(ctx, operation, paused); err != nil {
		return unavailable(q.failsIf(err))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if paused {
		q.desk.Pause(operation)
	} else {
		q.desk.Resume(operation)
		q.dispatchLocked(time.Now())
	}
	return nil
}

// holdSwitches lets one at a time read or change what is paused, so that store and
// memory agree in the end; letSwitches ends it.
func (q *Queue) holdSwitches(ctx context.Context) error {
	select {
	case q.switching <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q *Queue) letSwitches() { <-q.switching }

// audit notes what is going to be done. What cannot be noted is not done.
func (q *Queue) audit(ctx context.Context, as As, action string, details map[string]string) error {
	if q.cfg.Audit == nil {
		return nil
	}
	if err := q.cfg.Audit(ctx, as.Actor, action, details); err != nil {
		return &llm.Error{
			Kind: llm.ForebayUnavailable, Message: "the audit cannot be written, and nothing was done without it",
			Fix: "Try again later.", Err: err,
		}
	}
	return nil
}
