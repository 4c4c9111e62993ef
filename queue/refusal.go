package queue

import (
	"context"
	"strconv"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// The bounds of a Retry-After. Less than a second does not fit the header; more
// than a minute is guesswork, since the line forgets what waits longer.
const (
	leastRetryAfter = time.Second
	mostRetryAfter  = time.Minute
)

// retryAfter turns an estimated wait into what a caller is told: whole seconds,
// rounded up, within the bounds. Without an estimate it is the least.
func retryAfter(estimate time.Duration) time.Duration {
	estimate = min(max(estimate, leastRetryAfter), mostRetryAfter)
	return (estimate + time.Second - 1).Truncate(time.Second)
}

func overloaded(message, limit, value, fix string, estimate time.Duration) *llm.Error {
	return &llm.Error{
		Kind: llm.PolicyOverloaded, Message: message, Limit: limit, Value: value,
		Fix: fix, RetryAfter: retryAfter(estimate),
	}
}

func (l *Line) errFull(estimate time.Duration) error {
	return overloaded("the queue is full", "queue.max", strconv.Itoa(l.cfg.Max),
		"Send the request again later, or raise queue.max.", estimate)
}

func (l *Line) errTooManyBytes(estimate time.Duration) error {
	return overloaded("the requests that wait hold too much memory", "queue.max_bytes", strconv.FormatInt(l.cfg.MaxBytes, 10),
		"Send the request again later, or raise queue.max_bytes.", estimate)
}

func (l *Line) errDisplaced(estimate time.Duration) error {
	return overloaded("the queue is full and a request with a better claim took this one's place", "queue.max", strconv.Itoa(l.cfg.Max),
		"Send the request again later, or raise queue.max.", estimate)
}

// errPastTarget is for a request that the line has no room for while it stands. The
// flood will not be over before the target.
func errPastTarget(it *item, estimate time.Duration) error {
	return overloaded("more requests come than can be served, and the newest go first until the line is short again",
		"queue.target", it.target.String(), "Send the request again later, or raise queue.target.", max(estimate, it.target))
}

func (l *Line) errOffLocked() error {
	return overloaded("all slots are taken and waiting is switched off", "queue.off", "true",
		"Send the request again later, or let requests wait with queue.off: false.",
		l.holds.read().wait(0, l.running.Load()))
}

func errDraining() error {
	return &llm.Error{
		Kind: llm.ForebayDraining, Message: "this instance is shutting down",
		Fix: "Send the request again; another instance will take it.", RetryAfter: leastRetryAfter,
	}
}

// callerGone is the error of a context that ended.
func callerGone(ctx context.Context) error {
	e := llm.AsError(ctx.Err())
	return &llm.Error{Kind: e.Kind, Message: e.Message, Err: context.Cause(ctx)}
}

// hopelessLocked refuses a request that would wait too long, as far as one can
// tell: before the first call has ended one can not.
func (l *Line) hopelessLocked(it *item, now time.Time, estimate time.Duration) error {
	p := l.holds.read()
	if p.mean == 0 || mutantCountNotTime {
		return nil
	}
	if !it.deadline.IsZero() {
		if left := it.deadline.Sub(now); estimate+p.need(left) > left {
			return errNoHope(it, estimate, p.need(left))
		}
	}
	if estimate > l.cfg.MaxAge {
		return overloaded("the wait for a slot would be about "+round(estimate), "queue.max_age", l.cfg.MaxAge.String(),
			"Send the request again later, or raise queue.max_age.", estimate)
	}
	return nil
}

// lateLocked is why a request that is next gets no slot any more: its time is up,
// or less of it is left than half of the calls take, or so little that another one
// that waits makes better use of the slot. Its call would be paid for and thrown away.
func (l *Line) lateLocked(it *item, now time.Time) error {
	if it.over(now) {
		return l.deadlinePassedLocked(it, now)
	}
	if it.deadline.IsZero() || mutantCountNotTime {
		return nil
	}
	p := l.holds.read()
	need := p.median
	if l.order.waiting > 1 {
		need = p.need(it.deadline.Sub(it.at))
	}
	if it.deadline.Sub(now) < need {
		return errNoHope(it, 0, need)
	}
	return nil
}

func errNoHope(it *item, wait, need time.Duration) error {
	return overloaded("no hope of an answer in time: the wait would be about "+round(wait)+" and a call takes about "+round(need),
		"deadline", it.allowed(), "Send the request again later, or with a longer deadline.", wait)
}

// allowed is how much time the request had when it arrived.
func (it *item) allowed() string { return round(it.deadline.Sub(it.at)) }

// deadlinePassedLocked is the error of a request that waited in vain. It waits still, or never did.
func (l *Line) deadlinePassedLocked(it *item, now time.Time) error {
	waited, estimate := now.Sub(it.at), l.holds.read().wait(l.order.waiting, l.running.Load())
	if it.deadline.IsZero() || it.expires.Before(it.deadline) {
		return overloaded("no slot came free for "+round(waited), "queue.max_age", l.cfg.MaxAge.String(),
			"Send the request again later, or raise queue.max_age.", estimate)
	}
	return &llm.Error{
		Kind: llm.CallerDeadline, Message: "the call's deadline passed after " + round(waited) + " of waiting for a slot",
		Limit: "deadline", Value: it.allowed(), Fix: "Send the request again later, or with a longer deadline.",
		RetryAfter: retryAfter(estimate), Err: context.DeadlineExceeded,
	}
}

// round makes a duration readable.
func round(d time.Duration) string {
	if d >= time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// Reason is a short word for why a line refused a request, of a closed set: draining,
// cancelled, expired, deadline, delay, full.
func Reason(e *llm.Error) string {
	switch {
	case e.Kind == llm.ForebayDraining:
		return "draining"
	case e.Kind == llm.CallerCancelled:
		return "cancelled"
	case e.Kind == llm.CallerDeadline || e.Limit == "queue.max_age":
		return "expired"
	case e.Limit == "deadline":
		return "deadline"
	case e.Limit == "queue.target":
		return "delay"
	}
	return "full"
}
