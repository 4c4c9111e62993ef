package breaker

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Config says when a breaker opens and how it closes again. The zero value is the
// default; Validate reports what is wrong with a value.
type Config struct {
	// Off keeps outcomes from opening a closed breaker. Trip still opens it, and
	// then probes decide.
	Off bool
	// Consecutive failures open the breaker. -1 means that they do not. Zero means
	// 5 (CIRCUIT_BREAKER_THRESHOLD).
	Consecutive int
	// FailureRate is the share of calls that may fail within Window, from 0 to 1.
	// Above it, by more than chance explains, the breaker opens. Negative means
	// that no rate opens it. Zero means 0.1 (MAX_FAILURE_RATE).
	FailureRate float64
	// Window is how far back the rates look. It moves in steps of a thirtieth.
	// Zero means 5 min (FAILURE_WINDOW_MS).
	Window time.Duration
	// MinVolume is the number of calls in the window below which no rate opens the
	// breaker. Zero means 20.
	MinVolume int
	// OpenFor is how long the breaker stays open the first time. Each reopening
	// doubles it, up to MaxOpenFor; then chance moves it by up to 20 % either way, or by
	// 40 % down where that would go beyond MaxOpenFor, so that many breakers do not probe
	// a recovering target in step.
	// A breaker that stayed closed for as long as it was open starts from OpenFor
	// again. Zero means 1 s, and 8 s or OpenFor if that is longer: a target that is
	// well again is found within 10 s, and a long outage costs a few probes each time.
	OpenFor, MaxOpenFor time.Duration
	// Probes is how many calls pass at once while the breaker is half-open, and how
	// many of them have to succeed before it closes. One failure opens it again.
	// Zero means 3.
	Probes int
	// Ramp is how long Breaker.Share takes to grow from a tenth to all after the
	// breaker closed. Zero means 5 s. -1, or anything below zero, means no ramp.
	Ramp time.Duration
	// SlowCall is the duration from which a call counts as slow. Zero means that no
	// call does.
	SlowCall time.Duration
	// SlowRate is to slow calls what FailureRate is to failures. A slow probe
	// counts as a failed one. Zero means 0.5. Without SlowCall it means nothing.
	SlowRate float64
	// OnChange is told of each change of state, one at a time and in their order,
	// by the goroutine of some call. It is called without a lock held and may use
	// the breaker. Nil means that nobody is told.
	OnChange func(Change)
}

// Change is one change of a breaker's state.
type Change struct {
	Name     string
	From, To State
	Reason   string
	At       time.Time
}

// Validate reports everything that is wrong with the configuration: for each
// fault the configuration key, the value, and what to do.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, key string, value any, fix string) {
		if !ok {
			faults = append(faults, fmt.Errorf("breaker.%s: %v is not possible; use %s", key, value, fix))
		}
	}
	check(c.Consecutive >= -1, "consecutive", c.Consecutive, "a number of failures, or -1 for no such rule")
	check(c.FailureRate <= 1, "failure_rate", c.FailureRate, "a share from 0 to 1, or -1 for no such rule") // NaN fails too
	check(c.Window >= 0, "window", c.Window, "a duration above 0, such as 5m")
	check(c.MinVolume >= 0, "min_volume", c.MinVolume, "a number of calls from 1")
	check(c.OpenFor >= 0, "open_for", c.OpenFor, "a duration above 0, such as 1s")
	check(c.MaxOpenFor >= 0, "max_open_for", c.MaxOpenFor, "a duration above 0, such as 8s")
	if c.MaxOpenFor > 0 {
		openFor := c.withDefaults().OpenFor
		check(c.MaxOpenFor >= openFor, "max_open_for", c.MaxOpenFor, fmt.Sprintf("at least open_for (%s)", openFor))
	}
	check(c.Probes >= 0, "probes", c.Probes, "a number of calls from 1")
	check(c.SlowCall >= 0, "slow_call", c.SlowCall, "a duration, or 0 for no such rule")
	check(c.SlowRate >= 0 && c.SlowRate <= 1, "slow_rate", c.SlowRate, "a share from 0 to 1")
	return errors.Join(faults...)
}

// withDefaults replaces zeros by what they mean, and values that Validate refuses
// too, so that a breaker made from them is safe.
func (c Config) withDefaults() Config {
	if c.Consecutive == 0 || c.Consecutive < -1 {
		c.Consecutive = 5
	}
	c.FailureRate = part(c.FailureRate, 0.1)
	c.SlowRate = part(c.SlowRate, 0.5)
	c.Window = min(positive(c.Window, 5*time.Minute), longest)
	c.MinVolume = positive(c.MinVolume, 20)
	c.OpenFor = min(positive(c.OpenFor, time.Second), longest)
	c.MaxOpenFor = min(max(positive(c.MaxOpenFor, 8*time.Second), c.OpenFor), longest)
	if c.Ramp == 0 {
		c.Ramp = 5 * time.Second
	}
	c.Probes = positive(c.Probes, 3)
	return c
}

func positive[T int | time.Duration](v, fallback T) T {
	if v <= 0 {
		return fallback
	}
	return v
}

func part(v, fallback float64) float64 {
	if v == 0 || v > 1 || math.IsNaN(v) {
		return fallback
	}
	return v
}
