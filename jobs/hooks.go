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
	// maxCouriers bounds the deliveries at once.
	maxCouriers = 8
	// deliverFor bounds one attempt, whatever the Deliverer allows itself.
	deliverFor = 30 * time.Second
)

// startCouriersLocked starts goroutines for the webhooks that wait, until ctx ends.
func (q *Queue) startCouriersLocked(ctx context.Context) {
	for q.working && q.couriers < min(maxCouriers, len(q.hooks)) {
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

// deliver makes one attempt to deliver a webhook and notes how it went. An attempt that
// the end of the queue breaks off is not counted: it is made again.
func (q *Queue) deliver(ctx context.Context, id backlog.ID) {
	ctx, cancel := context.WithTimeout(ctx, deliverFor)
	defer cancel()
	job, sealed, err := q.cfg.Store.Read(ctx, id, backlog.Payload)
	again := false
	switch {
	case err == nil:
		again, err = q.post(ctx, &job, sealed)
	case errors.Is(err, backlog.ErrNotFound), errors.Is(err, backlog.ErrDamaged):
		job.ID = id // nothing is left to tell of
	default:
		q.putBack(id, q.failsIf(err))
		return
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	now := time.Now()
	q.mu.Lock()
	c := q.desk.HookDone(now, &job, err == nil, again)
	q.mu.Unlock()
	if err == nil {
		q.observe(HookDelivered, &job, 0)
	} else {
		q.observe(HookFailed, &job, 0)
		q.cfg.Logger.Warn("jobs: a webhook was not delivered", slog.String("job", id.String()),
			slog.Int("attempt", job.Hook.Attempts+1), slog.Bool("again", again), slog.Any("error", err))
	}
	_, _ = q.commit(&c) // what is not noted is delivered again; receivers drop doubles by the ID
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
