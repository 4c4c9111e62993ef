package forebay

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/forebay-ai/forebay/route"
	"github.com/forebay-ai/forebay/upstream"
)

// maxTargets bounds the targets of a model: a call keeps what it saw of each.
const maxTargets = route.MaxTargets

func (cfg Config) validateModel(name string) error {
	targets := cfg.Models[name].Targets
	if len(targets) == 0 {
		return fmt.Errorf("models.%s.targets: at least one is needed", name)
	}
	if len(targets) > maxTargets {
		return fmt.Errorf("models.%s.targets: %d are too many; use up to %d", name, len(targets), maxTargets)
	}
	var faults []error
	for i, t := range targets {
		at := fmt.Sprintf("models.%s.targets[%d]", name, i)
		if _, ok := cfg.Providers[t.Provider]; !ok {
			faults = append(faults, fmt.Errorf("%s.provider: no provider named %q", at, t.Provider))
		}
		faults = append(faults, t.Validate(at))
	}
	_, err := newRouter(name, cfg.Models[name])
	return errors.Join(append(faults, err)...)
}

// validatePlaces finds targets of one place that are described in two ways.
func (cfg Config) validatePlaces() error {
	var faults []error
	var all upstream.Listings
	for _, name := range slices.Sorted(maps.Keys(cfg.Models)) {
		for i, t := range cfg.Models[name].Targets {
			faults = append(faults, all.Add(fmt.Sprintf("models.%s.targets[%d]", name, i), t))
		}
	}
	return errors.Join(faults...)
}

// guards is how targets are guarded.
func (cfg Config) guards() upstream.Policies {
	return upstream.Policies{Limits: cfg.Limits, Adaptive: cfg.Adaptive, Queue: cfg.Queue, Breaker: cfg.Breaker}
}

// newRouter makes the choice among a model's targets.
func newRouter(name string, m Model) (*route.Router, error) {
	targets := make([]route.Target, len(m.Targets))
	for i, t := range m.Targets {
		targets[i] = t.Route()
	}
	r, err := route.New(m.Strategy, targets)
	if err != nil {
		return nil, fmt.Errorf("models.%s.%w", name, err)
	}
	return r, nil
}
