package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/envelope"
)

const (
	// maxCouriers bounds the deliveries at once, and couriersEach those for one tenant,
	// so that receivers of one that do not answer hold up no others.
	maxCouriers  = 8
	couriersEach = maxCouriers / 2
	// deliverFor bounds one attempt, whatever the Deliverer allows itself.
	deliverFor = 30 * time.Second
)

// startCouriersLocked starts goroutines for the webhooks that wait, until ctx ends. Those
// that run may be busy for long with others.
func (q *Queue) startCouriersLocked(ctx context.Context) {
	for n := min(len(q.hooks), maxCouriers-q.couriers); q.working && n > 0; n-- {
		q.couriers++
		q.goLocked(func() { q.courier(ctx) })
	}
}

func (q *Queue) courier(ctx context.Context) {
	for {
		id, ok := q.nextHook(ctx)
		if !ok {
			return
		}
		q.deliver(ctx, id)
	}
}

func (q *Queue) nextHook(ctx context.Context) (id backlog.ID, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.hooks) == 0 || ctx.Err() != nil || q.failed {
		q.couriers--
		return 0, false
	}
	id = q.hooks[0]
	if q.hooks = q.hooks[1:]; len(q.hooks) == 0 {
		q.hooks = nil
	}
	return id, true
}

// deliver makes one attempt to deliver a webhook and notes how it went, unless there is
// nothing to tell any more.
func (q *Queue) deliver(ctx context.Context, id backlog.ID) {
	ctx, cancel := context.WithTimeout(ctx, deliverFor)
	defer cancel()
	job, sealed, err := q.cfg.Store.Read(ctx, id, backlog.Payload)
	gone := errors.Is(err, backlog.ErrNotFound) || errors.Is(err, backlog.ErrDamaged)
	switch {
	case gone:
		q.cfg.Logger.Warn("jobs: a webhook is given up: its job cannot be read any more", slog.String("job", id.String()), slog.Any("error", err))
	case err != nil:
		q.putBack(id, q.failsIf(err))
		return
	default: // else it was requeued meanwhile, or another process has called
		gone = !job.State.Final() || job.Hook.Due.IsZero()
	}
	if gone {
		q.mu.Lock()
		q.desk.HookGone(id)
		q.mu.Unlock()
		return
	}
	if q.beginCall(&job) {
		defer q.endCall(job.Tenant)
		q.call(ctx, &job, sealed)
	}
}

// call calls the receiver of a job's webhook. An attempt that the end of the queue breaks
// off is not counted: it is made again.
func (q *Queue) call(ctx context.Context, job *backlog.Job, sealed []byte) {
	again, err := q.post(ctx, job, sealed)
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	now := time.Now()
	q.mu.Lock()
	c := q.desk.HookDone(now, job, err == nil, again)
	q.mu.Unlock()
	if err == nil {
		q.observe(HookDelivered, job, 0)
	} else {
		q.observe(HookFailed, job, 0)
		q.cfg.Logger.Warn("jobs: a webhook was not delivered", slog.String("job", job.ID.String()),
			slog.Int("attempt", job.Hook.Attempts+1), slog.Bool("again", again), slog.Any("error", err))
	}
	_, _ = q.insist(&c) // what is not noted is delivered again; receivers drop doubles by the ID
}

// beginCall notes that a receiver of the job's tenant is going to be called. It returns
// false if that has to wait until another call of the tenant is over: endCall goes on
// with it then.
func (q *Queue) beginCall(job *backlog.Job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.calling[job.Tenant] >= couriersEach {
		q.parked[job.Tenant] = append(q.parked[job.Tenant], job.ID)
		return false
	}
	q.calling[job.Tenant]++
	return true
}

// endCall ends what beginCall began. The courier that calls it looks for the next webhook
// after that, so that none has to be started.
func (q *Queue) endCall(tenant string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.calling[tenant]--; q.calling[tenant] == 0 {
		delete(q.calling, tenant)
	}
	switch wait := q.parked[tenant]; {
	case len(wait) == 0:
		return
	case len(wait) == 1:
		q.hooks = append(q.hooks, wait[0])
		delete(q.parked, tenant)
	default:
		q.hooks = append(q.hooks, wait[0])
		q.parked[tenant] = wait[1:]
	}
}

// putBack has a webhook delivered later whose job could not be read now.
func (q *Queue) putBack(id backlog.ID, err error) {
	q.cfg.Logger.Warn("jobs: a webhook waits: its job cannot be read", slog.String("job", id.String()), slog.Any("error", err))
	if !q.pause(lastReread) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.hooks = append(q.hooks, id)
}

// post sends the message of a job that has ended.
func (q *Queue) post(ctx context.Context, job *backlog.Job, sealed []byte) (again bool, err error) {
	switch {
	case q.cfg.Hooks == nil:
		return true, errors.New("jobs: webhooks are not set up any more")
	case sealed == nil:
		return false, errors.New("jobs: the webhook's address is not kept any more")
	}
	plain, err := q.open(ctx, job, backlog.Payload, sealed)
	if err != nil {
		lost := errors.Is(err, envelope.ErrNoKey) || errors.Is(err, envelope.ErrDamaged) || errors.Is(err, envelope.ErrTooLarge)
		return !lost, err
	}
	address, _, err := parsePayload(plain)
	if err != nil {
		return false, err
	}
	view := q.record(job)
	view.Webhook = nil // it changes with each attempt, and the message should not
	body, err := json.Marshal(struct {
		Type      string `json:"type"`
		Timestamp string `json:"timestamp"`
		Data      View   `json:"data"`
	}{"job." + job.State.String(), stamp(job.Finished), view})
	if err != nil {
		return false, err
	}
	// A job that is requeued and ends again is another message.
	message := Message{Address: address, Tenant: job.Tenant, ID: job.ID.String() + "-" + strconv.FormatInt(job.Finished.UnixMilli(), 10), Body: body}
	return q.cfg.Hooks.Deliver(ctx, message)
}
