package simulated

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// Provider is a simulated back end. It is safe for concurrent use and starts no
// goroutine.
type Provider struct {
	cfg     Config
	buffers sync.Pool // *[]byte, for canonical forms

	mu       sync.Mutex // guards everything below
	scale    float64
	capacity int
	faults   []faultState
	total    int64
	faulty   int64
	inFlight int
	most     int
	outcomes map[Outcome]int64
	log      []CallRecord // a ring once it is full
	oldest   int          // where in log its oldest line is
}

type faultState struct {
	FaultState
	drawn int64 // calls that met it, whether it happened to them or not
}

var (
	_ llm.Provider    = (*Provider)(nil)
	_ llm.ModelLister = (*Provider)(nil)
)

// New checks the configuration and reports every fault of it at once.
func New(cfg Config) (*Provider, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("simulated provider: %w", err)
	}
	p := &Provider{
		cfg: cfg.withDefaults(), scale: cfg.Scale, capacity: cfg.Capacity,
		outcomes: map[Outcome]int64{},
	}
	p.buffers.New = func() any { return new([]byte) }
	return p, p.SetFaults(cfg.Faults)
}

// SetFaults replaces the faults. Their times count from now. Calls in progress go
// on as they began. A fault that is not valid changes nothing.
func (p *Provider) SetFaults(faults []Fault) error {
	states := make([]faultState, len(faults))
	now := time.Now()
	for i, f := range faults {
		if err := f.Validate(); err != nil {
			return fmt.Errorf("faults[%d]: %w", i, err)
		}
		from, to := f.window(now)
		states[i].FaultState = FaultState{Fault: f, From: from, To: to}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = states
	return nil
}

// Faults returns the faults as they are set.
func (p *Provider) Faults() []FaultState {
	p.mu.Lock()
	defer p.mu.Unlock()
	states := make([]FaultState, len(p.faults))
	for i := range p.faults {
		states[i] = p.faults[i].FaultState
	}
	return states
}

// Settings are what can be changed while the back end runs.
type Settings struct {
	// Capacity and Scale are those of Config.
	Capacity int     `json:"capacity"`
	Scale    float64 `json:"scale"`
}

// Settings returns what is set now.
func (p *Provider) Settings() Settings {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Settings{Capacity: p.capacity, Scale: p.scale}
}

// Set changes the settings for calls from now on. Values outside of Config's
// bounds change nothing.
func (p *Provider) Set(s Settings) error {
	if err := checkScale(s.Scale); err != nil {
		return err
	}
	if err := checkCapacity(s.Capacity); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.capacity, p.scale = s.Capacity, s.Scale
	return nil
}

// Models lists the configured names.
func (p *Provider) Models(context.Context) ([]llm.ModelInfo, error) {
	models := make([]llm.ModelInfo, len(p.cfg.Models))
	for i, id := range p.cfg.Models {
		models[i] = model(id)
	}
	return models, nil
}

func model(id string) llm.ModelInfo {
	return llm.ModelInfo{ID: id, OwnedBy: "simulated", Created: created}
}

// Call answers within the process, with the latencies, the capacity and the
// faults that the socket has too. Requests of another dialect than openai are
// refused with ForebayInternal.
func (p *Provider) Call(ctx context.Context, model string, req *llm.Request) (llm.Stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, about(model, llm.AsError(err))
	}
	if req.Dialect == nil || req.Dialect.Name() != openai.Name {
		return nil, about(model, llm.Errorf(llm.ForebayInternal, "the simulated provider speaks the dialect openai only"))
	}
	body := req.Body
	if model != "" && model != req.Model {
		var err error
		if body, err = openai.SetModel(body, model); err != nil {
			return nil, about(model, llm.AsError(err))
		}
	}
	s, sc := p.open(req.Endpoint, body, CallRecord{RequestID: req.ID, Path: string(req.Endpoint)})
	src := newSource(ctx, s, sc)
	if err := src.head(); err != nil {
		return nil, about(model, err)
	}
	if sc.events {
		return &eventStream{source: src, model: model, reader: openai.NewReader(src, openai.ReaderOptions{})}, nil
	}
	return &wholeStream{source: src, model: model, endpoint: req.Endpoint}, nil
}

// open reads a request, begins its call and writes the script of it.
func (p *Provider) open(endpoint llm.Endpoint, body []byte, record CallRecord) (*session, *script) {
	var head openai.Head
	var err error
	switch endpoint {
	case llm.Chat:
		head, err = openai.ParseChat(body)
	case llm.Embeddings:
		head, err = openai.ParseEmbeddings(body)
	default:
		err = llm.Errorf(llm.CallerInvalidRequest, "no endpoint %q", endpoint)
	}
	record.Model, record.Stream = head.Model, head.Stream
	s := p.begin(record)
	if s.full {
		e := &llm.Error{
			Kind: llm.ProviderRateLimited, Message: label + " too many calls at once",
			Code: codes[http.StatusTooManyRequests], RetryAfter: p.cfg.RetryAfter,
		}
		return s, failure(e, http.StatusTooManyRequests)
	}
	var sc *script
	if err == nil {
		sc, err = p.compose(s, endpoint, head, body)
	}
	if err != nil {
		e := *llm.AsError(err)
		e.Message = label + " " + e.Message
		s.invalid = true
		return s, failure(&e, e.HTTPStatus())
	}
	return s, sc
}

// about names the target in a copy of e.
func about(model string, e *llm.Error) *llm.Error {
	c := *e
	c.Provider, c.Model = "simulated", model
	return &c
}
