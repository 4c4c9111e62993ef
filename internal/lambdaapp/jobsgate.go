package lambdaapp

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/gateway"
)

// jobsFor is how long what was read of a shared store of jobs is gone by: nothing looks at it between calls, and to read it costs. A
// gateway that runs looks as often at a store in which nothing happens.
const jobsFor = 5 * time.Second

// jobsGate is a gateway whose client has the jobs and no cache: it takes jobs in and shows them, and makes no calls.
type jobsGate struct {
	*gateway.Gateway
	client *forebay.Client

	// What follows is guarded by App.gates.
	read  time.Time     // when it read the store, by the wall clock: the other one stands still while Lambda freezes the process
	keep  time.Duration // after which it is replaced
	users int           // calls in progress
}

// fresh says that what was read still goes. Nobody knows how old it is where the clock was set back.
func (g *jobsGate) fresh(now time.Time) bool {
	age := now.Round(0).Sub(g.read)
	return age >= 0 && age < g.keep
}

// serveJobs answers a call that concerns jobs.
func (a *App) serveJobs(w http.ResponseWriter, r *http.Request) {
	keep := jobsFor
	if a.jobs.Store.Exclusive() { // then another queue may have used it meanwhile, and may not beside this one
		a.turn.Lock()
		defer a.turn.Unlock()
		keep = 0
	}
	g, err := a.borrowJobs(keep)
	if err != nil {
		a.log.Error("the durable queue cannot be opened", "error", err)
		a.gate.ServeHTTP(w, r) // it says that there are no jobs at the moment
		return
	}
	defer a.returnJobs(context.WithoutCancel(r.Context()), g)
	g.ServeHTTP(w, r)
}

// borrowJobs is a gateway that has read the store lately. Who asks while another one opens it waits for that one.
func (a *App) borrowJobs(keep time.Duration) (*jobsGate, error) {
	a.gates.Lock()
	defer a.gates.Unlock()
	if g := a.jobsGate; g != nil && g.fresh(time.Now()) {
		g.users++
		return g, nil
	}
	g, err := a.openJobs()
	if err != nil {
		return nil, err
	}
	g.read, g.keep, g.users = time.Now().Round(0), keep, 1
	if old := a.jobsGate; old != nil && old.users == 0 {
		a.closeJobs(context.Background(), old)
	}
	a.jobsGate = g
	return g, nil
}

// returnJobs ends a call. The last one closes a gateway that nobody is given any more.
func (a *App) returnJobs(ctx context.Context, g *jobsGate) {
	a.gates.Lock()
	defer a.gates.Unlock()
	if g.users--; g.users > 0 || g == a.jobsGate && g.fresh(time.Now()) {
		return
	}
	if g == a.jobsGate {
		a.jobsGate = nil
	}
	a.closeJobs(ctx, g)
}

func (a *App) closeJobs(ctx context.Context, g *jobsGate) {
	if err := g.client.Close(ctx); err != nil {
		a.log.Warn("the durable queue was not closed", "error", err)
	}
}

// openJobs reads the store.
func (a *App) openJobs() (*jobsGate, error) {
	cfg := a.base
	cfg.Jobs, cfg.Cache.Off, cfg.Cache.Persistent = a.jobs, true, nil
	client, err := forebay.New(cfg)
	if err != nil {
		return nil, err
	}
	door := a.door
	door.Client = client
	gate, err := gateway.New(door)
	if err != nil {
		return nil, errors.Join(err, client.Close(context.Background()))
	}
	return &jobsGate{Gateway: gate, client: client}, nil
}
