package lambdaapp

import (
	"context"
	"net/http"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/awslambda"
)

// SetBudgetsAge sets how old what budgets know may be.
func (a *App) SetBudgetsAge(age time.Duration) { a.budgetsAge = age }

// SetJobs gives the function a store of jobs.
func (a *App) SetJobs(j forebay.Jobs) { a.jobs = j }

// Serve answers a call.
func (a *App) Serve(w http.ResponseWriter, r *http.Request) { a.serve(w, r) }

// JobsRead is when the store of jobs was read for calls that concern jobs.
func (a *App) JobsRead() time.Time {
	a.gates.Lock()
	defer a.gates.Unlock()
	return a.jobsGate.read
}

// SetJobsRead sets it.
func (a *App) SetJobsRead(at time.Time) {
	a.gates.Lock()
	defer a.gates.Unlock()
	a.jobsGate.read = at
}

// Work runs durable jobs as an invocation does.
func (a *App) Work(ctx context.Context) (awslambda.Jobs, error) { return a.work(ctx) }
