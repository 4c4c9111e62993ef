package llmtest

import (
	"context"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Provider is a llm.Provider that follows a script and remembers its calls. It
// speaks every dialect (see Call). It starts no goroutine, and is safe for
// concurrent use: calls take steps in the order in which they arrive.
type Provider struct {
	mu       sync.Mutex // guards everything below and the calls' records
	steps    []Step
	next     int
	calls    []*Call
	inFlight int
	most     int
}

var (
	_ llm.Provider    = (*Provider)(nil)
	_ llm.ModelLister = (*Provider)(nil)
)

// Call is the record of one call.
type Call struct {
	// Model and Request are the arguments. The request is the caller's own.
	Model   string
	Request *llm.Request
	// At is when the call arrived.
	At time.Time
	// Delivered counts the chunks that Next returned.
	Delivered int
	// Cancelled says that the call was ended from outside before its end: its
	// context ended, or its stream was closed.
	Cancelled bool
	// Done says that the call is over: refused, failed, read to its end, or cancelled.
	Done bool
}

// Script returns a provider whose first call does the first step, and so on. The
// last step repeats for ever. Without steps it echoes.
func Script(steps ...Step) *Provider {
	p := &Provider{}
	p.Set(steps...)
	return p
}

// Set replaces the steps that are left. Calls in progress go on as they began.
func (p *Provider) Set(steps ...Step) {
	if len(steps) == 0 {
		steps = []Step{Echo()}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps, p.next = steps, 0
}

// Call does the next step. With the test dialect an answer reports its usage:
// the body's and the text's words. With any other dialect it is what that
// dialect's Compose gives, cut into its events; such chunks carry no usage.
func (p *Provider) Call(ctx context.Context, model string, req *llm.Request) (llm.Stream, error) {
	step, run := p.begin(model, req)
	if step.do != nil {
		defer run.end(false)
		return step.do(ctx, model, req)
	}
	if err := await(ctx, step.after); err != nil {
		run.end(true)
		return nil, err
	}
	if step.hang {
		<-ctx.Done()
		run.end(true)
		return nil, llm.AsError(ctx.Err())
	}
	if step.err != nil {
		run.end(false)
		e := *step.err
		return nil, &e
	}
	return newStream(ctx, step, req, run), nil
}

// Models lists one model, "script".
func (p *Provider) Models(context.Context) ([]llm.ModelInfo, error) {
	return []llm.ModelInfo{{ID: "script", OwnedBy: "llmtest"}}, nil
}

// Calls returns the records so far, in the order of arrival.
func (p *Provider) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := make([]Call, len(p.calls))
	for i, c := range p.calls {
		calls[i] = *c
	}
	return calls
}

// InFlight returns how many calls are in progress, streams that nobody has read
// to the end or closed included, and the most that ever were at once.
func (p *Provider) InFlight() (now, most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inFlight, p.most
}

func (p *Provider) begin(model string, req *llm.Request) (Step, *running) {
	p.mu.Lock()
	defer p.mu.Unlock()
	step := p.steps[min(p.next, len(p.steps)-1)]
	p.next++
	record := &Call{Model: model, Request: req, At: time.Now()}
	p.calls = append(p.calls, record)
	p.inFlight++
	p.most = max(p.most, p.inFlight)
	return step, &running{provider: p, record: record}
}

// running writes the record of a call in progress.
type running struct {
	provider *Provider
	record   *Call // guarded by the provider's mutex
}

func (r *running) delivered() {
	r.provider.mu.Lock()
	defer r.provider.mu.Unlock()
	r.record.Delivered++
}

// end closes the record. Only the first end counts.
func (r *running) end(cancelled bool) {
	r.provider.mu.Lock()
	defer r.provider.mu.Unlock()
	if r.record.Done {
		return
	}
	r.record.Done, r.record.Cancelled = true, cancelled
	r.provider.inFlight--
}

// await waits d or until ctx ends, whose error it returns as *llm.Error. An ended
// context wins over a wait that is over.
func await(ctx context.Context, d time.Duration) error {
	if d > 0 && ctx.Err() == nil {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return llm.AsError(err)
	}
	return nil
}
