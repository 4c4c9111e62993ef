package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/dialect/translate"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/openai"
	"github.com/forebay-ai/forebay/provider/simulated"
	"github.com/forebay-ai/forebay/queue"
	"github.com/forebay-ai/forebay/route"
)

// Forebay makes the configuration of a client, with providers of its own each time
// it is called. Monitor, ledger, privacy, audit and logger are left to the caller.
// An error says what a provider refuses that the file's check does not know.
func (f *File) Forebay() (forebay.Config, error) {
	v := f.values
	providers, err := f.providers()
	if err != nil {
		return forebay.Config{}, err
	}
	list, _, err := f.prices()
	if err != nil {
		return forebay.Config{}, err
	}
	cfg := forebay.Config{
		Providers: providers, Models: f.models(list), Operations: map[string]forebay.Operation{},
		Defaults: f.operation("defaults"),
		Cache:    f.cacheConfig(), Queue: f.queueConfig(), Jobs: forebay.Jobs{Queue: f.backlogConfig(), Dialects: jobDialects()}, Breaker: f.breakerConfig(), Retry: f.retry(), Degrade: f.degradeConfig(f.texts),
		Limits:   limit.Config{MaxConcurrent: orNone(v.Int("limits", "max_concurrent"))},
		Adaptive: limit.ControllerConfig{Off: !v.Bool("limits", "adaptive")},
	}
	d := &cfg.Defaults.Cache // what operations have too stands under cache for all of them
	d.TTL = v.Duration("cache", "ttl")
	d.StaleWhileRevalidate = orNegative(v.Duration("cache", "stale_while_revalidate"))
	d.NegativeTTL = orNegative(v.Duration("cache", "negative_ttl"))
	d.Similar, d.SimilarThreshold = forebay.SimilarMode(v.Text("cache", "similar")), v.Float("cache", "similar_threshold")
	for _, name := range v.Names("operations") {
		cfg.Operations[name] = f.operation("operations", name)
	}
	if cfg.Defaults.Model == "" && len(cfg.Models) == 1 && v.Names("models")[0] != "*" {
		cfg.Defaults.Model = v.Names("models")[0] // the only one that can be meant
	}
	return cfg, nil
}

// orNone turns a file's 0, which means none or no bound, into what the structs
// have for that.
func orNone(n int64) int {
	if n == 0 {
		return -1
	}
	return int(n)
}

// orNegative does the same for durations and shares.
func orNegative[T ~int64 | ~float64](n T) T {
	if n == 0 {
		return -1
	}
	return n
}

func (f *File) providers() (map[string]llm.Provider, error) {
	v := f.values
	all := map[string]llm.Provider{}
	var faults []error
	for _, name := range v.Names("providers") {
		p, err := f.provider(name)
		if err != nil {
			faults = append(faults, fmt.Errorf("config: providers.%s: %w", name, err))
			continue
		}
		all[name] = translate.Provider(p, f.speaks(name))
	}
	return all, errors.Join(faults...)
}

func (f *File) provider(name string) (llm.Provider, error) {
	v := f.values
	switch v.Text("providers", name, "type") {
	case typeBedrock:
		return f.bedrock(name)
	case typeSimulated:
		cfg := simulated.Config{
			Seed:     uint64(v.Int("providers", name, "seed")),
			Scale:    v.Float("providers", name, "latency_scale"),
			Capacity: int(v.Int("providers", name, "capacity")),
		}
		for _, text := range v.List("providers", name, "faults") {
			fault, err := simulated.ParseFault(text)
			if err != nil {
				return nil, err
			}
			cfg.Faults = append(cfg.Faults, fault)
		}
		return simulated.New(cfg)
	}
	cfg := openai.Config{
		Name: name, BaseURL: v.Text("providers", name, "base_url"), APIKey: v.Secret("providers", name, "api_key"),
		ConnectTimeout:       v.Duration("providers", name, "connect_timeout"),
		FirstByteTimeout:     orNegative(v.Duration("providers", name, "first_byte_timeout")),
		IdleTimeout:          orNegative(v.Duration("providers", name, "idle_timeout")),
		MaxConns:             int(v.Int("providers", name, "max_conns")),
		ProxyFromEnvironment: v.Bool("providers", name, "proxy"),
	}
	for _, header := range v.Names("providers", name, "headers") {
		if cfg.Headers == nil {
			cfg.Headers = map[string]llm.Secret{}
		}
		cfg.Headers[header] = v.Secret("providers", name, "headers", header)
	}
	return openai.New(cfg)
}

func (f *File) models(list *priceList) map[string]forebay.Model {
	v := f.values
	all := map[string]forebay.Model{}
	for _, name := range v.Names("models") {
		m := forebay.Model{Strategy: route.Strategy(v.Text("models", name, "strategy"))}
		for _, i := range v.Names("models", name, "targets") {
			at := func(member ...string) []string { return append([]string{"models", name, "targets", i}, member...) }
			m.Targets = append(m.Targets, f.target(at, list))
		}
		all[name] = m
	}
	return all
}

// operation reads an operation, or the defaults.
func (f *File) operation(path ...string) forebay.Operation {
	v := f.values
	at := func(member ...string) []string { return append(slices.Clone(path), member...) }
	o := forebay.Operation{
		Model: v.Text(at("model")...), Deadline: v.Duration(at("deadline")...),
		Prompt: v.Text(at("prompt")...), PromptVersion: v.Text(at("prompt_version")...),
		Cache: f.cachePolicy(at),
	}
	f.course(&o, at)
	for _, s := range v.List(at("fallback")...) {
		o.Fallback = append(o.Fallback, degrade.Strategy(s))
	}
	if !v.Bool("degrade", "enabled") {
		o.Fallback = []degrade.Strategy{degrade.Error}
		o.Cache.StaleIfError = -1
	}
	return o
}

// cachePolicy reads the cache's part of an operation, or of the defaults.
func (f *File) cachePolicy(at func(...string) []string) forebay.CachePolicy {
	v := f.values
	// What the struct takes for not set, a file may say: none.
	span := func(name string) time.Duration {
		if v.Get(at("cache", name)...) == nil {
			return 0
		}
		return orNegative(v.Duration(at("cache", name)...))
	}
	flag := func(name string) bool {
		if v.Get(at("cache", name)...) == nil {
			return v.Bool("defaults", "cache", name)
		}
		return v.Bool(at("cache", name)...)
	}
	p := forebay.CachePolicy{
		Off: flag("off"), Verbatim: flag("verbatim"), TTL: v.Duration(at("cache", "ttl")...),
		StaleWhileRevalidate: span("stale_while_revalidate"), StaleIfError: span("stale_if_error"), NegativeTTL: span("negative_ttl"),
		Similar:          forebay.SimilarMode(v.Text(at("cache", "similar")...)),
		SimilarThreshold: v.Float(at("cache", "similar_threshold")...),
	}
	for _, d := range v.List(at("cache", "scope")...) {
		p.Scope = append(p.Scope, cache.Dimension(d))
	}
	for _, reason := range v.List(at("cache", "store")...) {
		p.AlsoStore = append(p.AlsoStore, llm.FinishReason(reason))
	}
	return p
}

func (f *File) cacheConfig() cache.Config {
	v := f.values
	return cache.Config{
		Off:           !v.Bool("cache", "enabled"),
		MemoryBytes:   v.Int("cache", "memory"),
		MaxEntries:    orNone(v.Int("cache", "max_entries")),
		MaxEntryBytes: v.Int("cache", "max_entry"),
		StaleFor:      orNegative(v.Duration("cache", "stale_for")),
		Jitter:        orNegative(v.Float("cache", "jitter")),
		TenantFloor:   orNegative(v.Float("cache", "tenant_floor")),
	}
}

func (f *File) queueConfig() queue.Config {
	v := f.values
	return queue.Config{
		Off:      !v.Bool("queue", "enabled"),
		Max:      int(v.Int("queue", "max")),
		MaxBytes: orNegative(v.Int("queue", "max_bytes")),
		QueueAt:  int(v.Int("queue", "queue_at")),
		Warn:     int(v.Int("queue", "warn")),
		Critical: int(v.Int("queue", "critical")),
		MaxAge:   v.Duration("queue", "max_age"),
		Target:   v.Duration("queue", "target"),
		Interval: v.Duration("queue", "interval"),
		Offsets: queue.Offsets{
			High:   orNegative(v.Duration("queue", "offsets", "high")),
			Normal: orNegative(v.Duration("queue", "offsets", "normal")),
			Low:    orNegative(v.Duration("queue", "offsets", "low")),
		},
		CriticalReserve: orNegative(v.Float("queue", "critical_reserve")),
		Floor:           orNegative(v.Float("queue", "floor")),
	}
}

func (f *File) breakerConfig() breaker.Config {
	v := f.values
	return breaker.Config{
		Off:         !v.Bool("breaker", "enabled"),
		Consecutive: orNone(v.Int("breaker", "consecutive")),
		FailureRate: orNegative(v.Float("breaker", "failure_rate")),
		Window:      v.Duration("breaker", "window"),
		MinVolume:   int(v.Int("breaker", "min_volume")),
		OpenFor:     v.Duration("breaker", "open_for"),
		MaxOpenFor:  v.Duration("breaker", "max_open_for"),
		Probes:      int(v.Int("breaker", "probes")),
		Ramp:        orNegative(v.Duration("breaker", "ramp")),
		SlowCall:    v.Duration("breaker", "slow_call"),
		SlowRate:    v.Float("breaker", "slow_rate"),
	}
}

func (f *File) retry() forebay.Retry {
	v := f.values
	r := forebay.Retry{
		Max: orNone(v.Int("retry", "max")), Budget: v.Float("retry", "budget"),
		Base: v.Duration("retry", "base"), Cap: v.Duration("retry", "cap"),
	}
	if r.Budget == 0 {
		r.Max = -1 // no call may be repeated; the struct's zero means the default
	}
	return r
}

// unboundedJobs is how many jobs of a band are in progress where limits have no
// bound: as many as the default bound of limits.max_concurrent.
const unboundedJobs = 256

// backlogConfig is the durable queue's.
func (f *File) backlogConfig() backlog.Config {
	v := f.values
	offset := func(band string) time.Duration { return v.Duration("queue", "offsets", band) }
	return backlog.Config{
		Max:           int(cmp.Or(v.Int("jobs", "max"), v.Int("queue", "max"))),
		MaxBytes:      orNegative(v.Int("jobs", "max_bytes")),
		Concurrency:   int(cmp.Or(v.Int("jobs", "concurrency"), v.Int("limits", "max_concurrent"), unboundedJobs)),
		Timeout:       v.Duration("jobs", "timeout"),
		MaxTimeout:    v.Duration("jobs", "max_timeout"),
		Retries:       int(orNegative(v.Int("jobs", "retries"))),
		BackoffBase:   v.Duration("jobs", "backoff"),
		BackoffCap:    v.Duration("jobs", "max_backoff"),
		Lease:         v.Duration("jobs", "lease"),
		Deaths:        int(v.Int("jobs", "lost_leases")),
		Retention:     v.Duration("jobs", "retention"),
		MaxRetention:  v.Duration("jobs", "max_retention"),
		DeadRetention: v.Duration("jobs", "dead_retention"),
		RelaxedClaims: !v.Bool("jobs", "durable_claims"),
		Offsets:       [...]time.Duration{offset("low"), offset("normal"), offset("high"), 0},
	}
}
