// Package pace judges whether a stream is fast enough: its first useful token comes in
// time, and after it come enough characters a second.
//
// Only the time that was spent waiting for the provider counts. A reader that takes its
// time between reads makes no stream slow. Meter is a pure state machine: it has no
// clock and no timer. Who reads the stream asks Left how long the next read may take,
// ends the read when it takes longer, and says so with Fault.
//
// It is not the idle timeout: how long a provider may be silent within an answer, as
// while it thinks, is for the provider's connection to bound.
package pace

import (
	"fmt"
	"math"
	"time"
)

const (
	// None lifts the bound that a member of Config is.
	None = -1
	// DefaultFirstToken is for reasoning models and prompts of 100,000 tokens, which
	// take half a minute.
	DefaultFirstToken = 60 * time.Second
	// DefaultMinRate is about one token a second: nobody reads along that slowly, and
	// no healthy model is that slow.
	DefaultMinRate = 5.0
	// DefaultWindow is long enough for the pauses that providers make between batches.
	DefaultWindow = 20 * time.Second

	maxTime = 24 * time.Hour
	maxRate = 1e6
)

// Config says how fast a stream has to be. The zero value is the default.
type Config struct {
	// FirstToken is how long the first useful token may take, as time spent waiting for
	// the provider. -1 (one nanosecond below zero) means no bound. Zero means 60 s.
	FirstToken time.Duration
	// MinRate is how many characters a second have to come over Window, from the first
	// useful token on. -1 means no bound. Zero means 5.
	MinRate float64
	// Window is over how long MinRate is taken, from 1 s to 24 h. Zero means 20 s.
	Window time.Duration
}

// Validate reports the first thing that is wrong with the configuration, naming the
// configuration key, its value and what to do.
func (c Config) Validate() error {
	switch {
	case c.FirstToken < None || c.FirstToken > maxTime:
		return fmt.Errorf("first_token_timeout: %v is not possible; use up to %v, or -1 for no bound", c.FirstToken, maxTime)
	case math.IsNaN(c.MinRate) || c.MinRate < 0 && c.MinRate != None || c.MinRate > maxRate:
		return fmt.Errorf("min_throughput: %v is not possible; use up to %.0f characters a second, or -1 for no bound", c.MinRate, maxRate)
	case c.Window != 0 && (c.Window < time.Second || c.Window > maxTime):
		return fmt.Errorf("throughput_window: %v is not possible; use 1s to %v", c.Window, maxTime)
	}
	return nil
}

// withDefaults fills in defaults and replaces what Validate refuses by the nearest
// value that it accepts.
func (c Config) withDefaults() Config {
	switch {
	case c.FirstToken == 0:
		c.FirstToken = DefaultFirstToken
	case c.FirstToken < 0:
		c.FirstToken = None
	}
	switch {
	case c.MinRate < 0:
		c.MinRate = None
	case !(c.MinRate > 0):
		c.MinRate = DefaultMinRate
	}
	if c.Window == 0 {
		c.Window = DefaultWindow
	}
	c.FirstToken = min(c.FirstToken, maxTime)
	c.MinRate = min(c.MinRate, maxRate)
	c.Window = min(max(c.Window, time.Second), maxTime)
	return c
}
