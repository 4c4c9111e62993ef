package forebay

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/pace"
	"github.com/forebay-ai/forebay/upstream"
)

// The defaults that the specification sets, and ours where it sets none.
const (
	defaultDeadline = 45 * time.Second       // DEFAULT_TIMEOUT_MS
	defaultTTL      = 24 * time.Hour         // CACHE_DEFAULT_TTL_HOURS
	defaultRetries  = 3                      // MAX_RETRIES
	defaultBudget   = 0.1                    // Google SRE book, "Handling Overload": a tenth
	defaultBase     = 100 * time.Millisecond // a provider's 5xx rarely clears sooner
	defaultCap      = 5 * time.Second
	maxDeadline     = 24 * time.Hour
	defaultPlaces   = 500 // MAX_QUEUE_SIZE, as in queue.Config

	defaultJobMaxTimeout = 7 * 24 * time.Hour // as in backlog.Config
)

// withDefaults is cfg with its zero values filled in.
func (cfg Config) withDefaults() Config {
	r := &cfg.Retry
	r.Max = cmp.Or(r.Max, defaultRetries)
	r.Budget = cmp.Or(r.Budget, defaultBudget)
	r.Base = cmp.Or(r.Base, defaultBase)
	r.Cap = cmp.Or(r.Cap, defaultCap)
	d := &cfg.Defaults
	d.Deadline = cmp.Or(d.Deadline, defaultDeadline)
	d.Cache = d.Cache.withDefaults()
	if d.Fallback == nil {
		d.Fallback = []degrade.Strategy{degrade.Error}
	}
	if cfg.Ledger == nil {
		cfg.Ledger = cost.NewMemory(cost.MemoryConfig{})
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// Validate reports every fault at once, or nil.
func (cfg Config) Validate() error {
	faults := []error{
		cfg.Cache.Validate(), cfg.Queue.Validate(), cfg.Limits.Validate(),
		cfg.Breaker.Validate(), cfg.Degrade.Validate(), cfg.Retry.validate(),
		cfg.Defaults.validate("defaults", cfg.Models), cfg.Defaults.Cache.validateTogether("defaults"),
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Operations)) {
		if name == "" {
			faults = append(faults, errors.New(`operations: the empty name is the default operation: use defaults`))
		}
		o, at := cfg.Operations[name], "operations."+name
		faults = append(faults, o.validate(at, cfg.Models), o.Cache.over(cfg.Defaults.Cache).validateTogether(at))
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Models)) {
		faults = append(faults, cfg.validateModel(name))
	}
	faults = append(faults, cfg.validatePlaces())
	for _, name := range slices.Sorted(maps.Keys(cfg.Providers)) {
		if cfg.Providers[name] == nil {
			faults = append(faults, fmt.Errorf("providers.%s: no provider", name))
		}
	}
	return errors.Join(faults...)
}

func (o Operation) validate(at string, models map[string]Model) error {
	var faults []error
	if _, ok := models[o.Model]; o.Model != "" && !ok && models["*"].Targets == nil {
		faults = append(faults, fmt.Errorf("%s.model: no model named %q", at, o.Model))
	}
	if s := o.Simplified.Model; s != "" && models[s].Targets == nil && models["*"].Targets == nil {
		faults = append(faults, fmt.Errorf("%s.simplified.model: no model named %q", at, s))
	}
	if o.Simplified.MaxTokens < 0 {
		faults = append(faults, fmt.Errorf("%s.simplified.max_tokens: %d is below zero", at, o.Simplified.MaxTokens))
	}
	if o.Hold < HoldAll {
		faults = append(faults, fmt.Errorf("%s.hold: %d is not possible; use a number of chunks, or %d for all", at, o.Hold, HoldAll))
	}
	if err := o.Pace.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("%s: %w", at, err))
	}
	if o.Deadline < 0 || o.Deadline > maxDeadline {
		faults = append(faults, fmt.Errorf("%s.deadline: %v is outside 0 to %v", at, o.Deadline, maxDeadline))
	}
	return errors.Join(append(faults, o.Cache.validate(at))...)
}

func (r Retry) validate() error {
	var faults []error
	if r.Max < -1 || r.Max > 20 {
		faults = append(faults, fmt.Errorf("retry.max: %d is outside -1 to 20", r.Max))
	}
	if r.Budget > 1 {
		faults = append(faults, fmt.Errorf("retry.budget: %v is over 1", r.Budget))
	}
	if r.Base < 0 || r.Cap < 0 || r.Base > r.Cap && r.Cap != 0 {
		faults = append(faults, fmt.Errorf("retry: base %v and cap %v have to be positive and in this order", r.Base, r.Cap))
	}
	return errors.Join(faults...)
}

// resolve builds operations, models and targets from a valid cfg.
func (c *Client) resolve(cfg Config) error {
	c.byDefault = resolveOperation("", cfg.Defaults, cfg.Defaults)
	c.operations = make(map[string]*operation, len(cfg.Operations))
	for name, o := range cfg.Operations {
		c.operations[name] = resolveOperation(name, o, cfg.Defaults)
	}
	made := map[string]*upstream.Target{}
	c.models = make(map[string]*model, len(cfg.Models))
	for _, name := range slices.Sorted(maps.Keys(cfg.Models)) {
		m, err := c.resolveModel(name, made, cfg)
		if err != nil {
			return err
		}
		if name == "*" {
			c.any = m
		} else {
			c.models[name] = m
		}
	}
	c.functions = newFunctionTargets(cfg)
	if !cfg.Queue.Off {
		c.places = cmp.Or(cfg.Queue.Max, defaultPlaces)
	}
	c.levels = degrade.NewTracker(append(c.Operations(), c.byDefault.label))
	return nil
}

func resolveOperation(name string, o, defaults Operation) *operation {
	o.Model = cmp.Or(o.Model, defaults.Model)
	o.Deadline = cmp.Or(o.Deadline, defaults.Deadline)
	o.Cache = o.Cache.over(defaults.Cache)
	if o.Fallback == nil {
		o.Fallback = defaults.Fallback
	}
	o.Fallback = o.Cache.fallbacks(o.Fallback)
	o.Pace.FirstToken = cmp.Or(o.Pace.FirstToken, defaults.Pace.FirstToken, pace.DefaultFirstToken)
	o.Pace.MinRate = cmp.Or(o.Pace.MinRate, defaults.Pace.MinRate, pace.DefaultMinRate)
	o.Pace.Window = cmp.Or(o.Pace.Window, defaults.Pace.Window, pace.DefaultWindow)
	o.Hold = cmp.Or(o.Hold, defaults.Hold, 1)
	o.Residency = cmp.Or(o.Residency, defaults.Residency)
	o.Simplified.Model = cmp.Or(o.Simplified.Model, defaults.Simplified.Model)
	o.Simplified.MaxTokens = cmp.Or(o.Simplified.MaxTokens, defaults.Simplified.MaxTokens)
	return &operation{Operation: o, name: name, label: cmp.Or(name, "default")}
}

// resolveModel builds a model and the targets that no other model had.
func (c *Client) resolveModel(name string, made map[string]*upstream.Target, cfg Config) (*model, error) {
	m := &model{name: name}
	for _, t := range cfg.Models[name].Targets {
		m.targets = append(m.targets, c.target(made, t, cfg))
		m.windows = m.windows || t.ContextWindow > 0
		m.sized = m.sized || m.windows || t.Quota != limit.QuotaConfig{}
	}
	var err error
	m.router, err = newRouter(name, cfg.Models[name])
	return m, err
}

// target makes the target of t, or finds the one that was made for another model:
// limits and breakers belong to the place, not to the name it is asked for by.
func (c *Client) target(made map[string]*upstream.Target, t Target, cfg Config) *upstream.Target {
	name := t.Name()
	if found, ok := made[name]; ok {
		return found
	}
	tg := upstream.New(name, t, cfg.guards(), c.breakerChanged)
	tg.Backend = cfg.Providers[t.Provider]
	c.regions.Set(time.Now(), t.Region, name, false)
	made[name] = tg
	c.targets = append(c.targets, tg)
	return tg
}

// labels are the closed sets of metric labels.
func (c *Client) labels(cfg Config) monitor.Config {
	m := cfg.Metrics
	m.Operations = append(c.Operations(), c.byDefault.label)
	m.Providers = slices.Sorted(maps.Keys(cfg.Providers))
	m.Models = slices.Sorted(maps.Keys(cfg.Models))
	for _, t := range c.targets {
		m.Targets = append(m.Targets, t.Name)
		if t.Place.Model != "" && !slices.Contains(m.Models, t.Place.Model) {
			m.Models = append(m.Models, t.Place.Model)
		}
	}
	return m
}
