package degrade

import (
	"context"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// errKept is why a call's targets are given up before its deadline.
var errKept = llm.Errorf(llm.ProviderTimeout, "no target answered in the time that was theirs; the rest is for the fallback")

// Kept is a part of a call's time that its targets do not get, so that a fallback has
// it. Once a target has begun to answer, it has all of the time. The zero Kept keeps
// nothing.
type Kept struct {
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

// Keep gives the context of the targets, which ends at until unless Spent was called
// before. Release frees it.
func Keep(ctx context.Context, until time.Time) (context.Context, Kept) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, Kept{time.AfterFunc(time.Until(until), func() { cancel(errKept) }), cancel}
}

// Spent says how the targets' part of the call, whose context is ctx, ended: with err,
// or because its time was over. From then on the context does not end by itself.
func (k Kept) Spent(ctx context.Context, err error) error {
	if k.timer == nil {
		return err
	}
	k.timer.Stop()
	if context.Cause(ctx) != error(errKept) { // by identity: other causes are the caller's
		return err
	}
	e := *errKept
	e.Err = err
	return &e
}

// Release frees the targets' context. It may be called more than once.
func (k Kept) Release() {
	if k.timer != nil {
		k.timer.Stop()
		k.cancel(context.Canceled)
	}
}
