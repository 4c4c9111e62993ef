package lambdaapp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/awslambda"
)

// serve answers calls with the client of the environment, and what concerns jobs with
// one that has read their store lately.
func (a *App) serve(w http.ResponseWriter, r *http.Request) {
	a.wake(r.Context())
	if a.jobs.Store == nil || !awslambda.AboutJobs(r.URL.Path, r.Header) {
		a.gate.ServeHTTP(w, r)
		return
	}
	a.serveJobs(w, r)
}

const (
	// settleFor is how long nothing has to happen for a worker to be idle: a claim is on
	// its way to the store within that.
	settleFor = 250 * time.Millisecond
	// workLook is how often a worker looks whether it is idle.
	workLook = 20 * time.Millisecond
	// mostGrace bounds the time that is kept for jobs to end by themselves before their
	// leases are handed back.
	mostGrace = 20 * time.Second
)

// work runs durable jobs until nothing is due, or until ctx is nearly over.
func (a *App) work(ctx context.Context) (awslambda.Jobs, error) {
	a.wake(ctx)
	if a.jobs.Store.Exclusive() {
		a.turn.Lock()
		defer a.turn.Unlock()
	}
	t := newTally(a.jobs.Store)
	cfg := a.base
	cfg.Jobs = a.jobs
	cfg.Jobs.Store = t.seeing(a.jobs.Store)
	if t.Exclusive() { // so is its cache: two that do not know of each other would keep what the other one made void
		cfg.Cache.Off, cfg.Cache.Persistent = true, nil
	}
	client, err := forebay.New(cfg)
	if err != nil {
		return awslambda.Jobs{}, fmt.Errorf("open the durable queue: %w", err)
	}
	t.queue = client.Jobs().Busy
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- client.Run(running) }()

	late := context.WithoutCancel(ctx)
	idle := ctx
	if end, ok := ctx.Deadline(); ok {
		grace := min(time.Until(end)/4, mostGrace)
		var cancel, cancelLate context.CancelFunc
		idle, cancel = context.WithDeadline(ctx, end.Add(-grace))
		late, cancelLate = context.WithDeadline(late, end.Add(-grace/4))
		defer cancel()
		defer cancelLate()
	}
	t.idle(idle, time.Now())
	err = client.Close(late)
	stop()
	err = errors.Join(err, <-ended)
	return t.done(), err
}
