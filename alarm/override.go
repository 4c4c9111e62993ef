package alarm

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Override changes one definition, or makes a new one where there is none of its name.
// What is nil stays as it is.
type Override struct {
	Name string

	Severity               *Severity
	Metric, Stat, Over, By *string
	Window, Every, Settle  *time.Duration
	Op                     *string
	Threshold, Clear       *float64
	M, N                   *int
	MinCount               *int64
	Missing                *Missing

	Message, Do, Runbook, Unit *string

	Off *bool
}

// Merge returns base with the overrides applied: changed definitions in their places, new
// ones behind, in the order given. Definitions that are changed are validated; all faults
// are reported at once. A new definition without a Severity is a warning.
//
// A changed Threshold takes the Clear of the base with it in proportion where the override
// has none, and changed windows make a burn-rate alarm a plain one.
func Merge(base []Definition, over []Override) ([]Definition, error) {
	all := slices.Clone(base)
	var faults []error
	seen := map[string]bool{}
	for _, o := range over {
		if seen[o.Name] {
			faults = append(faults, fmt.Errorf("alarms.definitions.%s: is there twice; change it in one place", o.Name))
			continue
		}
		seen[o.Name] = true
		i := slices.IndexFunc(all, func(d Definition) bool { return d.Name == o.Name })
		if i < 0 {
			i = len(all)
			all = append(all, Definition{Name: o.Name, Severity: Warning})
		}
		all[i] = o.apply(all[i])
		faults = append(faults, all[i].Validate())
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return all, nil
}

func (o Override) apply(d Definition) Definition {
	if o.Threshold != nil && o.Clear == nil && d.Clear != 0 && d.Threshold != 0 {
		d.Clear *= *o.Threshold / d.Threshold
	}
	if o.Window != nil && d.Burn != nil {
		d.Burn = nil
	}
	set(&d.Severity, o.Severity)
	set(&d.Metric, o.Metric)
	set(&d.Stat, o.Stat)
	set(&d.Over, o.Over)
	set(&d.By, o.By)
	set(&d.Window, o.Window)
	set(&d.Every, o.Every)
	set(&d.Settle, o.Settle)
	set(&d.Op, o.Op)
	set(&d.Threshold, o.Threshold)
	set(&d.Clear, o.Clear)
	set(&d.M, o.M)
	set(&d.N, o.N)
	set(&d.MinCount, o.MinCount)
	set(&d.Missing, o.Missing)
	set(&d.Message, o.Message)
	set(&d.Do, o.Do)
	set(&d.Runbook, o.Runbook)
	set(&d.Unit, o.Unit)
	set(&d.Off, o.Off)
	return d
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// WithBudget returns the definitions with the error budget of all burn-rate alarms set:
// the share of calls that may fail, above 0 and below 1.
func WithBudget(definitions []Definition, budget float64) []Definition {
	all := slices.Clone(definitions)
	for i := range all {
		if len(all[i].Burn) > 0 {
			all[i].Threshold = budget
		}
	}
	return all
}
