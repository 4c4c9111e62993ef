// Package upstream is one place where a model runs, with everything that guards it: the
// breaker, the limit on calls at once and its control, the line in front of it, the
// provider's quota, the budget of repeated attempts, and what its last answers showed.
//
// Target.Begin is the one way in: whoever got an Attempt from it may call the place
// once, and ends the attempt with Attempt.End, which tells all of them how it went. The
// package calls no provider, and does not choose among targets: package route does, by
// the states that Target.State gives.
package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/queue"
	"github.com/forebay-ai/forebay/route"
)

// Place is one place where a model runs: the unit of limits and breakers. A place that
// several models list, the same Provider and Model, is one target: all but
// Weight has to be the same wherever it is listed.
type Place struct {
	// Provider is the configured name of the back end.
	Provider string
	// Model is the provider's own name of the model. Empty means the name that the
	// caller asked for.
	Model string
	// Family says whose answers are interchangeable: answers of the same model and
	// family share cache entries. Empty means the provider's name.
	Family string
	// Weight is the target's share of the calls with the strategy weighted, beside the
	// weights of the others. Zero means 1.
	Weight float64
	// Price is what the target charges. The zero price counts tokens and costs nothing.
	Price cost.Price
	// Tariff has the prices of times and prompt lengths; it goes before Price. Nil for none.
	Tariff *cost.Tariff
	// TariffOf finds the tariff of a model where Model is empty and there is no Tariff. It
	// may be called concurrently. Nil for none.
	TariffOf func(model string) *cost.Tariff

	// Region is where the target runs, such as eu-central-1. When most targets of a
	// region refuse calls, those of other regions go first. Empty means nowhere in
	// particular.
	Region string
	// Residency is the area that data does not leave there, such as eu or eu-de. Empty
	// means that nothing is promised.
	Residency string
	// ContextWindow is how many tokens the model takes, prompt and answer together.
	// Zero means unknown.
	ContextWindow int
	// Quota is what the provider grants. The zero value means no bound.
	Quota limit.QuotaConfig
	// MaxConcurrent bounds calls in progress to this target. Zero means the bound that
	// all targets have, -1 none.
	MaxConcurrent int
}

// Name identifies the place: two listings of one place are one target.
func (p *Place) Name() string { return p.Provider + "/" + cmp.Or(p.Model, "*") }

// Validate reports every fault of the place that stands at a place of the configuration.
func (p *Place) Validate(at string) error {
	var faults []error
	if p.MaxConcurrent < -1 {
		faults = append(faults, fmt.Errorf("%s.max_concurrent: %d is not possible; use the number of calls at once, or -1 for no bound", at, p.MaxConcurrent))
	}
	if p.ContextWindow < 0 {
		faults = append(faults, fmt.Errorf("%s.context_window: %d is below zero", at, p.ContextWindow))
	}
	if err := p.Quota.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("%s.%w", at, err))
	}
	return errors.Join(faults...)
}

// Like says that the other listing describes the same place in the same way.
func (p *Place) Like(other *Place) bool {
	return p.Family == other.Family && p.Price == other.Price && p.Tariff == other.Tariff && p.Region == other.Region && p.Residency == other.Residency && p.ContextWindow == other.ContextWindow &&
		p.Quota == other.Quota && p.MaxConcurrent == other.MaxConcurrent
}

// Listings are the places of a configuration, each of which may stand under several
// models. The zero value is ready.
type Listings struct{ first map[string]listing }

type listing struct {
	at    string
	place Place
}

// Add notes a place that stands at, and fails where it is described in another way
// elsewhere.
func (l *Listings) Add(at string, p Place) error {
	if l.first == nil {
		l.first = map[string]listing{}
	}
	seen, ok := l.first[p.Name()]
	if !ok {
		l.first[p.Name()] = listing{at, p}
		return nil
	}
	if seen.place.Like(&p) {
		return nil
	}
	return fmt.Errorf("%s: %s is described in another way under %s; family, price, region, residency, "+
		"context_window, quota and max_concurrent belong to the place", at, p.Name(), seen.at)
}

// Route is the place as far as choosing is concerned.
func (p *Place) Route() route.Target {
	price := p.listed()
	return route.Target{
		Name: p.Name(), Provider: p.Provider, Region: p.Region, Residency: p.Residency, Weight: p.Weight,
		MicroUSDPerMTok: price.Input + price.Output, ContextWindow: p.ContextWindow,
	}
}

// Policies is how targets are guarded.
type Policies struct {
	Limits   limit.Config
	Adaptive limit.ControllerConfig
	Queue    queue.Config
	Breaker  breaker.Config
}

// Target is a place with its guards. Make it with New; its fields do not change, and
// all of it may be used concurrently.
type Target struct {
	Name    string       // provider/model: in metrics and for operators
	Place   Place        // as configured, its Family filled in
	Backend llm.Provider // nil where calls need none

	Limiter *limit.Limiter
	Control *limit.Controller
	Line    *queue.Line
	Breaker *breaker.Breaker
	Budget  *limit.RetryBudget
	Quota   *limit.Quota // nil where the provider grants without bound

	recent recent
}

// New makes the target of a place. changed is told of every change of its breaker, as
// breaker.Config.OnChange is; nil tells nobody.
func New(name string, p Place, guards Policies, changed func(*Target, breaker.Change)) *Target {
	bounds := guards.Limits
	bounds.MaxConcurrent = cmp.Or(p.MaxConcurrent, bounds.MaxConcurrent)
	p.Family = cmp.Or(p.Family, p.Provider)
	t := &Target{Name: name, Place: p, Limiter: limit.New(bounds), Quota: limit.NewQuota(p.Quota), Budget: new(limit.RetryBudget)}
	t.Control = limit.NewController(t.Limiter, guards.Adaptive)
	t.Line = queue.NewLine(guards.Queue, t.Limiter)
	cfg := guards.Breaker
	cfg.OnChange = func(c breaker.Change) {
		if c.From == breaker.HalfOpen && c.To == breaker.Closed {
			t.Control.SlowStart(c.At)
		}
		if changed != nil {
			changed(t, c)
		}
	}
	t.Breaker = breaker.New(name, cfg)
	return t
}

// ModelFor is the model that the target runs for req.
func (t *Target) ModelFor(req *llm.Request) string { return cmp.Or(t.Place.Model, req.Model) }

// Asker is the call for which a target is asked for its state.
type Asker struct {
	Now     time.Time
	Tokens  int            // as Tokens says
	Source  uint64         // as in Entry
	Regions *route.Regions // of all targets
	Request *llm.Request   // what the target would be asked; nil where that makes no difference
}

// State is what the choice of targets wants to know.
func (t *Target) State(a *Asker) route.State {
	s := route.State{
		Share: t.Breaker.Share(a.Now), FirstToken: t.recent.firstToken(),
		Wait:       max(t.recent.cooling(a.Now), t.Quota.Wait(a.Now, a.Tokens)),
		RegionDown: t.Place.Region != "" && a.Regions.Down(t.Place.Region),
	}
	if c, ok := t.Backend.(llm.Chooser); ok && a.Request != nil {
		s.Unable = !c.Takes(a.Request)
	}
	if t.Breaker.State() != breaker.Closed {
		s.Probe = t.Breaker.ReadySource(a.Now, a.Source)
		s.Refuses = !s.Probe
	}
	if most := t.Limiter.Max(); most > 0 {
		s.Busy = float64(t.Limiter.InFlight()) / float64(most)
	}
	return s
}

// The sizes that are guessed: bytes of a prompt to the token (cost.Estimate says where
// from), and the tokens of an answer where neither the request nor earlier answers tell.
const (
	bytesPerToken = 4
	guessedOutput = 512
)

// Tokens is how many tokens a provider reserves for req: its prompt, and the longest
// answer that it allows or, where it sets no bound, twice the usual one. It is 0 for calls
// that use none.
func (t *Target) Tokens(req *llm.Request) int {
	if free(req.Endpoint) {
		return 0
	}
	n := (len(req.Body) + bytesPerToken - 1) / bytesPerToken
	if d, ok := req.Dialect.(llm.OutputBounder); ok {
		if most := d.MaxOutput(req); most > 0 {
			return n + most
		}
	}
	return n + cmp.Or(2*t.recent.usualOutput(), guessedOutput)
}
