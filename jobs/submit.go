package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/llm"
)

const (
	// idempotencyFor is how long an idempotency key is remembered.
	idempotencyFor = 24 * time.Hour
	// fullRetryAfter is what a caller is told where the disk is full: it takes a person,
	// or results whose retention ends.
	fullRetryAfter = 30 * time.Second
	// keptBuffer is the size of the largest buffer that is kept for the next job.
	keptBuffer = 1 << 20
	// drawIDs is how often an ID is drawn: two processes may draw the same one.
	drawIDs = 3
)

// Submit takes in a job. It returns when the job is durable; only then is its ID known.
// created is false for the job of a former submission under the same idempotency key,
// which is found as well where a new one would be refused.
//
// Errors: CallerInvalidRequest and CallerTooLarge; CallerConflict where the idempotency
// key was used for something else; PolicyOverloaded where there is no room, or no hope
// before the deadline; ForebayDraining; ForebayUnavailable where the store does not
// work: then the job may have been taken in nevertheless, and the same submission under
// the same idempotency key returns it.
func (q *Queue) Submit(ctx context.Context, s Submission) (j backlog.Job, created bool, err error) {
	j = backlog.Job{
		Spec: backlog.Spec{
			Tenant: s.Tenant, User: s.User, Key: s.Key, Operation: s.Operation, Endpoint: s.Endpoint, Model: s.Model, CustomID: s.CustomID,
			Timeout: s.Timeout, Retention: s.Retention, Digest: s.Digest, Webhook: s.Webhook != "",
			Idempotency: idempotency(&s),
		},
		Status: backlog.Status{Band: s.Band},
	}
	for range drawIDs {
		old, err := q.insert(ctx, &j, &s)
		switch {
		case err == nil:
			return asStored(j), true, nil
		case !errors.Is(err, backlog.ErrExists):
			q.observe(Refused, &j, 0)
			return backlog.Job{}, false, err
		case old.ID == 0: // only the ID is taken
			continue
		case old.Digest == s.Digest && old.Tenant == s.Tenant && old.User == s.User:
			return old, false, nil
		}
		q.observe(Refused, &j, 0)
		return backlog.Job{}, false, &llm.Error{
			Kind: llm.CallerConflict, Message: "this idempotency key was used for another request", Param: "Idempotency-Key",
			Fix: "Send the same request as before, or use a new key.",
		}
	}
	return backlog.Job{}, false, llm.Errorf(llm.ForebayInternal, "no free ID was found for the job")
}

// idempotency is the digest of whose key it is and the key. Each name is preceded by
// its length, so that different ones give different bytes.
func idempotency(s *Submission) [32]byte {
	if s.IdempotencyKey == "" {
		return [32]byte{}
	}
	b := make([]byte, 0, 256)
	for _, name := range [...]string{s.Tenant, s.User, s.IdempotencyKey} {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
	}
	return sha256.Sum256(b)
}

func (q *Queue) checkHook(address string) error {
	if address == "" {
		return nil
	}
	if q.cfg.Hooks == nil {
		return &llm.Error{
			Kind: llm.CallerInvalidRequest, Message: "webhooks are not set up here", Param: "webhook",
			Fix: "Leave the webhook out and poll the job, or wait for it.",
		}
	}
	if err := q.cfg.Hooks.Check(address); err != nil {
		var known *llm.Error
		if errors.As(err, &known) {
			return err
		}
		return &llm.Error{Kind: llm.CallerInvalidRequest, Message: "the webhook's address is refused: " + err.Error(), Param: "webhook"}
	}
	return nil
}

// insert makes one try to take in a job under a new ID. backlog.ErrExists comes with
// the job that is in the way.
func (q *Queue) insert(ctx context.Context, j *backlog.Job, s *Submission) (backlog.Job, error) {
	if err := q.checkHook(s.Webhook); err != nil {
		return q.former(ctx, j, err)
	}
	if err := q.admit(j, len(s.Webhook)+len(s.Payload)+payloadRoom); err != nil {
		return q.former(ctx, j, err)
	}
	plain, sealed := q.buffer(), q.buffer()
	defer q.free(plain)
	defer q.free(sealed)
	*plain = appendPayload((*plain)[:0], s.Webhook, s.Payload)
	var err error
	if *sealed, err = q.seal(ctx, (*sealed)[:0], j, backlog.Payload, *plain); err != nil {
		q.reject(j)
		return q.former(ctx, j, sealFailed(err))
	}
	j.Bytes = len(*sealed)
	old, err := q.cfg.Store.Insert(ctx, j, *sealed, j.Enqueued.Add(-idempotencyFor))
	switch {
	case err == nil:
		q.accept(j)
		return backlog.Job{}, nil
	case errors.Is(err, backlog.ErrExists):
		q.reject(j)
		return old, err
	case errors.Is(err, backlog.ErrBusy), llm.KindOf(err) == llm.CallerTooLarge: // and nothing was taken in
		q.reject(j)
		if llm.KindOf(err) != llm.CallerTooLarge {
			err = unavailable(err)
		}
		return backlog.Job{}, err
	case errors.Is(err, backlog.ErrFull):
		q.reject(j)
		return backlog.Job{}, &llm.Error{
			Kind: llm.ForebayUnavailable, Message: "the disk of the store is full: no new job is taken in", RetryAfter: fullRetryAfter,
			Fix: "Try again later; jobs that were accepted go on.", Err: err,
		}
	}
	return backlog.Job{}, q.doubtful(ctx, j, err)
}

// former is what insert does with a job that is refused before the store was asked: one
// that was taken in before under the same idempotency key is in the way of it, as it
// would be if there were room. Where it is not known whether there is one, the refusal
// stands: it asks the caller to come again.
func (q *Queue) former(ctx context.Context, j *backlog.Job, refusal error) (backlog.Job, error) {
	if j.Idempotency == [32]byte{} {
		return backlog.Job{}, refusal
	}
	old, err := q.cfg.Store.Find(ctx, j.Idempotency, time.Now().Add(-idempotencyFor))
	if err != nil {
		_ = q.failsIf(err)
		return backlog.Job{}, refusal
	}
	return old, backlog.ErrExists
}

// admit draws ID and time of a job and reserves its place. The caller ends that with
// accept, reject or doubt. room is what the sealed payload needs at most.
func (q *Queue) admit(j *backlog.Job, room int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.failed {
		return unavailable(backlog.ErrFailed)
	}
	for try := 1; ; try++ {
		now := time.Now()
		j.ID, j.Enqueued, j.Bytes = q.ids.Next(now), time.Time{}, room
		switch err := q.desk.Admit(now, j); {
		case err == nil:
			q.inflight++
			return nil
		case err.Kind != llm.ForebayInternal || try == drawIDs: // that one says that the ID is taken
			return err
		}
	}
}

// accept tells the Desk that a job is durable, and starts it if it is its turn.
func (q *Queue) accept(j *backlog.Job) {
	q.observe(Accepted, j, 0) // before somebody observes its claim
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.desk.Accept(now, j)
	q.leaveLocked()
	q.dispatchLocked(now)
}

func (q *Queue) reject(j *backlog.Job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.desk.Reject(j)
	q.leaveLocked()
}

func sealFailed(err error) error {
	if errors.Is(err, envelope.ErrTooLarge) {
		return &llm.Error{Kind: llm.CallerTooLarge, Message: "the request is too large to be kept", Fix: "Send a smaller one.", Err: err}
	}
	return &llm.Error{
		Kind: llm.ForebayUnavailable, Message: "the request cannot be encrypted at the moment", RetryAfter: time.Second,
		Fix: "Try again.", Err: err,
	}
}

// buffer returns bytes to seal in; free gives them back.
func (q *Queue) buffer() *[]byte {
	if b, ok := q.buffers.Get().(*[]byte); ok {
		return b
	}
	return new([]byte)
}

func (q *Queue) free(b *[]byte) {
	if cap(*b) > keptBuffer {
		return
	}
	clear(*b) // nothing of one caller lies around while another's is made
	q.buffers.Put(b)
}
