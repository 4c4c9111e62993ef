package lambdaapp

import (
	"context"
	"time"
)

const (
	// budgetsAge is how old what the budgets know of other environments may be when an invocation begins.
	budgetsAge = 30 * time.Second
	// wakeFor bounds the time that an invocation gives to find out: without an answer the budgets go by what they know.
	wakeFor = time.Second
)

// wake has this environment know what others did while it was frozen, as far as nothing else does: the cache reads the
// invalidations of others before it answers, and keys are looked after as they are used. Where the pause was short it costs nothing.
func (a *App) wake(ctx context.Context) {
	if a.books == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, wakeFor)
	defer cancel()
	if err := a.books.Refresh(ctx, a.budgetsAge); err != nil {
		a.log.Warn("the budgets do not know what other environments spent lately", "error", err)
	}
}
