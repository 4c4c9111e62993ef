package lambdaapp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/awslambda"
	"github.com/forebay-ai/forebay/gateway"
)

const jobsPath = "/v1/jobs"

// serve answers calls with the client of the environment, and what concerns jobs with
// one that has just read their store.
func (a *App) serve(w http.ResponseWriter, r *http.Request) {
	about := r.URL.Path == jobsPath || strings.HasPrefix(r.URL.Path, jobsPath+"/") || prefersJob(r.Header["Prefer"])
	if a.jobs.Store == nil || !about {
		a.gate.ServeHTTP(w, r)
		return
	}
	if a.jobs.Store.Exclusive() {
		a.turn.Lock()
		defer a.turn.Unlock()
	}
	gate, client, err := a.jobsGate()
	if err != nil {
		a.log.Error("the durable queue cannot be opened", "error", err)
		a.gate.ServeHTTP(w, r) // it says that there are no jobs at the moment
		return
	}
	defer func() {
		if err := client.Close(context.WithoutCancel(r.Context())); err != nil {
			a.log.Warn("the durable queue was not closed", "error", err)
		}
	}()
	gate.ServeHTTP(w, r)
}

// prefersJob says that a call asks to be made as a job (RFC 7240). The gateway reads the
// header again, strictly.
func prefersJob(prefer []string) bool {
	for preference := range strings.SplitSeq(strings.Join(prefer, ","), ",") {
		name, _, _ := strings.Cut(preference, ";")
		if strings.EqualFold(strings.TrimSpace(name), "respond-async") {
			return true
		}
	}
	return false
}

// jobsGate makes a gateway whose client has the jobs and no cache: it takes jobs in and
// shows them, and makes no calls.
func (a *App) jobsGate() (*gateway.Gateway, *forebay.Client, error) {
	cfg := a.base
	cfg.Jobs, cfg.Cache.Off, cfg.Cache.Persistent = a.jobs, true, nil
	client, err := forebay.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	door := a.door
	door.Client = client
	gate, err := gateway.New(door)
	if err != nil {
		return nil, nil, errors.Join(err, client.Close(context.Background()))
	}
	return gate, client, nil
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
