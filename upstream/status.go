package upstream

import (
	"time"

	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/route"
)

// Status is the state of one target, for people and for the control API.
type Status struct {
	Name      string           `json:"name"` // provider/model
	Provider  string           `json:"provider"`
	Model     string           `json:"model,omitempty"`
	Region    string           `json:"region,omitempty"`
	Residency string           `json:"residency,omitempty"`
	Breaker   breaker.Snapshot `json:"breaker"`
	// InFlight is the calls in progress, Limit how many there may be now, Ceiling how many
	// there may be at best, and Waiting how many wait. -1 means no bound.
	InFlight int `json:"in_flight"`
	Limit    int `json:"limit"`
	Ceiling  int `json:"ceiling"`
	Waiting  int `json:"waiting"`
	// LimitReason is why Limit moved the last time; empty for one that never did.
	LimitReason string `json:"limit_reason,omitempty"`
	// CoolingUntil is when the target's request for patience ends; zero for none.
	CoolingUntil time.Time `json:"cooling_until,omitzero"`
	// FirstToken is the mean time to the first token of the last answers; of whole
	// answers, to their end.
	FirstToken time.Duration        `json:"first_token_ns,omitempty"`
	Quota      *limit.QuotaSnapshot `json:"quota,omitempty"`
	// RegionDown says that most targets of the region refuse calls.
	RegionDown bool `json:"region_down,omitempty"`
}

// Status describes the target at now.
func (t *Target) Status(now time.Time, regions *route.Regions) Status {
	bound := t.Control.Snapshot(now)
	s := Status{
		Name: t.Name, Provider: t.Place.Provider, Model: t.Place.Model, Region: t.Place.Region, Residency: t.Place.Residency,
		Breaker: t.Breaker.Snapshot(now), InFlight: t.Limiter.InFlight(), Limit: t.Limiter.Max(), Ceiling: bound.Ceiling,
		LimitReason: string(bound.Reason), Waiting: t.Line.Stats().Waiting, FirstToken: t.recent.firstToken(),
		RegionDown: t.Place.Region != "" && regions.Down(t.Place.Region),
	}
	if d := t.recent.cooling(now); d > 0 {
		s.CoolingUntil = now.Add(d)
	}
	if t.Quota != nil {
		q := t.Quota.Snapshot(now)
		s.Quota = &q
	}
	return s
}
