package gateway

import (
	"context"
	"iter"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
)

// caller runs requests.
type caller interface {
	Do(ctx context.Context, req *llm.Request) (*forebay.Response, error)
	Stream(ctx context.Context, req *llm.Request) (answer, error)
	Forward(ctx context.Context, model string, x forebay.Exchange) (forebay.ExchangeAnswer, error)
}

// answer is a streamed answer, as forebay.Stream gives it.
type answer interface {
	Next() (llm.Chunk, error)
	Close() error
	Meta() forebay.Meta
}

// catalog says what may be asked for.
type catalog interface {
	Models(ctx context.Context) ([]llm.ModelInfo, error)
	Operation(name string) (forebay.Operation, bool)
	Operations() []string
}

// submitter takes calls in as jobs, and gives their answers.
type submitter interface {
	// SubmitJob returns the job that it took in, or the one that was taken in before
	// under the same idempotency key.
	SubmitJob(ctx context.Context, req *llm.Request, s submission) (j backlog.Job, created bool, err error)
	// JobResult returns the answer of a completed job and what its submission had in Raw.
	JobResult(ctx context.Context, as jobs.As, id backlog.ID) (*forebay.Response, map[string]string, error)
}

// submission is what stands beside the call of a job.
type submission struct {
	IdempotencyKey, CustomID, Webhook string
	Retention                         time.Duration
	Raw                               map[string]string
	// prefer is how the caller wants the answer; the client is not told.
	prefer form.Preferences
}

// durable is the durable queue.
type durable interface {
	jobReader
	jobChanger
	jobSwitches
}

// jobReader shows jobs.
type jobReader interface {
	Get(ctx context.Context, as jobs.As, id backlog.ID) (backlog.Job, error)
	Wait(ctx context.Context, as jobs.As, id backlog.ID) (backlog.Job, error)
	List(ctx context.Context, as jobs.As, query backlog.Query) ([]backlog.Job, error)
	Events(ctx context.Context, as jobs.As, id backlog.ID, after int64) iter.Seq2[jobs.Event, error]
	View(j *backlog.Job) jobs.View
}

// jobChanger changes jobs.
type jobChanger interface {
	Cancel(ctx context.Context, as jobs.As, id backlog.ID) (backlog.Job, error)
	Requeue(ctx context.Context, as jobs.As, id backlog.ID) (backlog.Job, error)
	SetBand(ctx context.Context, as jobs.As, id backlog.ID, band llm.Priority) (backlog.Job, error)
	Purge(ctx context.Context, as jobs.As, query backlog.Query) (int, error)
}

// jobSwitches are the queue's own.
type jobSwitches interface {
	Pause(ctx context.Context, as jobs.As, operation string) error
	Resume(ctx context.Context, as jobs.As, operation string) error
	Stats(ctx context.Context, as jobs.As) (jobs.Stats, error)
}

// condition says how the client is.
type condition interface {
	Health() forebay.Health
	Ready() error
	Load() forebay.Load
}

// library is a forebay.Client as a caller and a submitter: it only fits types.
type library struct{ *forebay.Client }

// Stream is that of the client. An error comes with a nil answer, not with a nil
// *forebay.Stream inside one.
func (l library) Stream(ctx context.Context, req *llm.Request) (answer, error) {
	s, err := l.Client.Stream(ctx, req)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// SubmitJob is that of the client.
func (l library) SubmitJob(ctx context.Context, req *llm.Request, s submission) (backlog.Job, bool, error) {
	return l.Client.SubmitJob(ctx, req, forebay.JobOptions{
		IdempotencyKey: s.IdempotencyKey, CustomID: s.CustomID, Webhook: s.Webhook, Retention: s.Retention, Raw: s.Raw,
	})
}
