package forebay

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/queue"
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
		faults = append(faults, cfg.validateTargets(name, cfg.Models[name].Targets))
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Providers)) {
		if cfg.Providers[name] == nil {
			faults = append(faults, fmt.Errorf("providers.%s: no provider", name))
		}
	}
	return errors.Join(faults...)
}

func (cfg Config) validateTargets(name string, targets []Target) error {
	if len(targets) == 0 {
		return fmt.Errorf("models.%s.targets: at least one is needed", name)
	}
	var faults []error
	for i, t := range targets {
		if _, ok := cfg.Providers[t.Provider]; !ok {
			faults = append(faults, fmt.Errorf("models.%s.targets[%d].provider: no provider named %q", name, i, t.Provider))
		}
	}
	return errors.Join(faults...)
}

func (o Operation) validate(at string, models map[string]Model) error {
	var faults []error
	if _, ok := models[o.Model]; o.Model != "" && !ok && models["*"].Targets == nil {
		faults = append(faults, fmt.Errorf("%s.model: no model named %q", at, o.Model))
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
func (c *Client) resolve(cfg Config) {
	c.byDefault = resolveOperation("", cfg.Defaults, cfg.Defaults)
	c.operations = make(map[string]*operation, len(cfg.Operations))
	for name, o := range cfg.Operations {
		c.operations[name] = resolveOperation(name, o, cfg.Defaults)
	}
	made := map[string]*target{}
	c.models = make(map[string]*model, len(cfg.Models))
	for _, name := range slices.Sorted(maps.Keys(cfg.Models)) {
		m := &model{name: name}
		for _, t := range cfg.Models[name].Targets {
			m.targets = append(m.targets, c.target(made, t, cfg))
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
}

func resolveOperation(name string, o, defaults Operation) *operation {
	o.Model = cmp.Or(o.Model, defaults.Model)
	o.Deadline = cmp.Or(o.Deadline, defaults.Deadline)
	o.Cache = o.Cache.over(defaults.Cache)
	if o.Fallback == nil {
		o.Fallback = defaults.Fallback
	}
	o.Fallback = o.Cache.fallbacks(o.Fallback)
	return &operation{Operation: o, name: name, label: cmp.Or(name, "default")}
}

// target makes the target of t, or finds the one that was made for another model:
// limits and breakers belong to the place, not to the name it is asked for by.
func (c *Client) target(made map[string]*target, t Target, cfg Config) *target {
	name := t.Provider + "/" + cmp.Or(t.Model, "*")
	if found, ok := made[name]; ok {
		return found
	}
	tg := newTarget(name, cfg, c.breakerChanged)
	tg.providerName, tg.provider = t.Provider, cfg.Providers[t.Provider]
	tg.model, tg.family, tg.price = t.Model, cmp.Or(t.Family, t.Provider), t.Price
	made[name] = tg
	c.targets = append(c.targets, tg)
	return tg
}

// newTarget makes a target with its policies and without a provider.
func newTarget(name string, cfg Config, changed func(breaker.Change)) *target {
	t := &target{name: name, limiter: limit.New(cfg.Limits)}
	t.line = queue.NewLine(cfg.Queue, t.limiter)
	guard := cfg.Breaker
	guard.OnChange = changed
	t.breaker = breaker.New(name, guard)
	return t
}

// labels are the closed sets of metric labels.
func (c *Client) labels(cfg Config) monitor.Config {
	m := monitor.Config{Operations: append(c.Operations(), c.byDefault.label)}
	m.Providers = slices.Sorted(maps.Keys(cfg.Providers))
	m.Models = slices.Sorted(maps.Keys(cfg.Models))
	for _, t := range c.targets {
		m.Targets = append(m.Targets, t.name)
		if t.model != "" && !slices.Contains(m.Models, t.model) {
			m.Models = append(m.Models, t.model)
		}
	}
	return m
}
