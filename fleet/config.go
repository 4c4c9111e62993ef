package fleet

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

const (
	defaultInterval = time.Second
	// defaultKeepFor is ten beats: a restart of a store's node, or a burst of throttling, is over by then.
	defaultKeepFor = 10 * time.Second
	maxID          = 64
	maxPlace       = 256
	// newsBefore is how long before a gateway joins what others told may be missing in the books that it has read: those are
	// written within a second or two, and the rest is for clocks that differ.
	newsBefore = 10 * time.Second
)

// Demand is what was asked of a target's quota since the last beat.
type Demand struct {
	// Used is the part of the whole quota that was used up, by the minute; 1 is all of it.
	Used float64
	// Short says that calls had to wait for the quota.
	Short bool
}

// Config configures New. The functions are called by the goroutine of Join and Run, one at a time, with no lock held;
// they must not block. Those that are nil are left out.
type Config struct {
	// ID names this gateway, another one after each start: Member.ID. Required.
	ID string
	// Place names where this gateway runs, such as its host and the address that it listens on: at most one gateway that lives is
	// at a place. Who has the place of one that fell silent knows it for its predecessor, and takes over its quotas
	// after three intervals. Up to 256 bytes. Empty means nowhere in particular.
	Place string
	// Store is where the gateways meet. Required.
	Store Store
	// Interval is the time between beats, 10 ms to 1 min. Zero means 1 s.
	Interval time.Duration
	// KeepFor is how long a gateway goes by its parts of the quotas while the store does not answer; at least
	// 5 intervals. Zero means 10 s or 10 intervals, whichever is longer. After three times as long the others take a silent one for gone.
	KeepFor time.Duration

	// Demand says what was asked of each target that has a quota, by name.
	Demand func(now time.Time) map[string]Demand
	// SetShare lets a target's quota give this part of the whole, from 0 to 1.
	SetShare func(target string, share float64)
	// Open lists the targets whose breaker is open.
	Open func() []string
	// Hint tells that another gateway has the breaker of a target open. It is called with every beat while that
	// is so; what follows from it should last as long as the given time.
	Hint func(target string, last time.Duration)
	// Changes gives what this gateway spent and reserved since it was asked last: budget.Book's Changes.
	Changes func(now time.Time) []Spending
	// Spent takes over what another gateway told: budget.Book's Elsewhere.
	Spent func(member string, all []Spending, now time.Time)
	// Logger is told when the store stops answering and when it answers again. Nil means no log.
	Logger *slog.Logger
}

// Validate reports every fault at once, or nil.
func (c Config) Validate() error {
	var faults []error
	bad := strings.ContainsFunc(c.ID, func(r rune) bool { return r <= ' ' || r > '~' })
	if c.ID == "" || len(c.ID) > maxID || bad {
		faults = append(faults, fmt.Errorf("fleet: the id %.80q is not 1 to %d printable characters of ASCII", c.ID, maxID))
	}
	if len(c.Place) > maxPlace {
		faults = append(faults, fmt.Errorf("fleet: the place %.80q has more than %d bytes", c.Place, maxPlace))
	}
	if c.Store == nil {
		faults = append(faults, errors.New("fleet: no store"))
	}
	if c.Interval != 0 && (c.Interval < 10*time.Millisecond || c.Interval > time.Minute) {
		faults = append(faults, fmt.Errorf("fleet: an interval of %v is outside 10ms to 1m", c.Interval))
	}
	if d := c.withDefaults(); c.KeepFor != 0 && c.KeepFor < 5*d.Interval {
		faults = append(faults, fmt.Errorf("fleet: to keep shares for %v is less than 5 intervals of %v", c.KeepFor, d.Interval))
	}
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
	if c.KeepFor == 0 {
		c.KeepFor = max(defaultKeepFor, 10*c.Interval)
	}
	if c.Demand == nil {
		c.Demand = func(time.Time) map[string]Demand { return nil }
	}
	if c.SetShare == nil {
		c.SetShare = func(string, float64) {}
	}
	if c.Open == nil {
		c.Open = func() []string { return nil }
	}
	if c.Hint == nil {
		c.Hint = func(string, time.Duration) {}
	}
	if c.Changes == nil {
		c.Changes = func(time.Time) []Spending { return nil }
	}
	if c.Spent == nil {
		c.Spent = func(string, []Spending, time.Time) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// patience bounds the requests of one beat: longer ones fail.
func (c *Config) patience() time.Duration { return 2 * c.Interval }

// goneAfter is after how long of silence a gateway is gone. It is far beyond KeepFor, so that the silent one has long gone
// down to an equal part when its own is given to others.
func (c *Config) goneAfter() time.Duration { return 3 * c.KeepFor }

// placeFreeAfter is after how long of silence a gateway is gone whose place this one has: it cannot live.
func (c *Config) placeFreeAfter() time.Duration { return 3 * c.Interval }

// spread is by how much the gateways' last beats can be apart when a store stops, and their first ones when it
// comes back: ten in a row do not fail by chance.
func (c *Config) spread() time.Duration { return c.KeepFor }
