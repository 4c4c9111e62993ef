package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fleet is one gateway's part in a fleet. Make it with New, call Join before the gateway takes calls, and Run it.
type Fleet struct {
	cfg Config

	// What follows belongs to the goroutine of Join and, after that, of Run.
	beat     uint64
	began    time.Time // the first one
	seen     map[string]*sighting
	parted   map[string]parting // members that the store has no more
	shares   shares
	news     telling
	joined   int       // beats that the store answered
	answered time.Time // when the last of them began
	failing  bool

	mu     sync.Mutex // guards status
	status Status
}

// sighting is what is known of another member.
type sighting struct {
	Member
	moved time.Time // when it was seen to beat, by this gateway's clock
	heard uint64    // the number of its last news that was taken over
	met   uint64    // that of its last news when it was seen first
}

// parting is what is remembered of a member that the store has no more: it may come back.
type parting struct {
	heard uint64
	at    time.Time
}

// partingLife is for how long; stores keep news for an hour or two.
const partingLife = 3 * time.Hour

// Status is how a fleet looks from here.
type Status struct {
	ID string `json:"id"`
	// Members are the gateways that beat, this one included, in order.
	Members []string `json:"members"`
	// Answered is when the store answered last; zero for never.
	Answered time.Time `json:"answered,omitzero"`
	// Error is what the store failed with since then; empty while it answers.
	Error string `json:"error,omitempty"`
	// Shares is this gateway's part of each quota, from 0 to 1.
	Shares map[string]float64 `json:"shares,omitempty"`
}

// New checks cfg and makes a Fleet, which does nothing yet.
func New(cfg Config) (*Fleet, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	f := &Fleet{cfg: cfg.withDefaults(), seen: map[string]*sighting{}, parted: map[string]parting{}}
	f.shares.use = map[string]int{}
	f.status = Status{ID: cfg.ID, Members: []string{cfg.ID}}
	return f, nil
}

// Join beats for the first time, so that quotas have their shares before the first call. Where the store does not answer in time it
// returns the error, and the gateway may serve all the same: with whole quotas, until the store answers Run.
func (f *Fleet) Join(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.patience())
	defer cancel()
	if err := f.step(ctx, time.Now()); err != nil {
		return fmt.Errorf("fleet: join: %w", err)
	}
	return nil
}

// Run beats until ctx ends, and then tells what was spent since and leaves, which takes two intervals at most. It returns nil.
func (f *Fleet) Run(ctx context.Context) error {
	tick := time.NewTicker(f.cfg.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			f.leave(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
		}
		one, cancel := context.WithTimeout(ctx, f.cfg.patience())
		err := f.step(one, time.Now())
		cancel()
		if ctx.Err() == nil {
			f.note(err)
		}
	}
}

// leave tells the last news and gives up the shares: nothing is called any more.
func (f *Fleet) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.patience())
	defer cancel()
	_ = f.tell(ctx, time.Now()) // where the store fails the others find the silence, later
	f.beat++
	_, _ = f.cfg.Store.Beat(ctx, Member{ID: f.cfg.ID, Place: f.cfg.Place, Beat: f.beat, News: f.news.told, Left: true})
}

// note logs where the store begins or ceases to fail.
func (f *Fleet) note(err error) {
	switch failing := err != nil; {
	case failing && !f.failing:
		f.cfg.Logger.Warn("the store of the fleet fails; this gateway goes on with what it knows", "error", err)
	case !failing && f.failing:
		f.cfg.Logger.Info("the store of the fleet answers again")
	}
	f.failing = err != nil
}

// step is one beat.
func (f *Fleet) step(ctx context.Context, now time.Time) error {
	if f.began.IsZero() {
		f.began = now
	}
	err := f.exchange(ctx, now)
	if f.answered.Before(now) {
		f.cutOff(now)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status.Answered, f.status.Error = f.answered, ""
	if err != nil {
		f.status.Error = err.Error()
	}
	f.status.Members = f.status.Members[:0:0]
	for _, m := range f.alive(now) {
		f.status.Members = append(f.status.Members, m.ID)
	}
	f.status.Shares = f.shares.shown()
	return err
}

// Status says how the fleet looks from here. It may be called concurrently.
func (f *Fleet) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

// exchange tells the others how this gateway is, and takes over how they are.
func (f *Fleet) exchange(ctx context.Context, now time.Time) error {
	untold := f.tell(ctx, now)
	f.beat++
	demand := f.shares.demand(f.cfg.Demand(now))
	me := Member{ID: f.cfg.ID, Place: f.cfg.Place, Beat: f.beat, News: f.news.told, Demand: demand, Open: f.cfg.Open()}
	state, err := f.cfg.Store.Beat(ctx, me)
	if err != nil {
		return err
	}
	f.overlook(now)
	f.answered = now
	f.joined++
	f.meet(state.Members, now)
	alive := f.alive(now)
	for _, m := range alive {
		if m.ID != f.cfg.ID {
			for _, target := range m.Open {
				f.cfg.Hint(target, 3*f.cfg.Interval)
			}
		}
	}
	// First the shares: they are bound by time.
	if err := f.adjust(ctx, state.Grants, alive, now); err != nil {
		return err
	}
	unheard := f.hear(ctx, now)
	return errors.Join(unheard, f.bury(ctx, now), untold)
}

// overlook leaves out of the others' silence the time in which this gateway could not have heard them: or the first that
// finds the store again would take all others for gone.
func (f *Fleet) overlook(now time.Time) {
	deaf := now.Sub(f.answered) - f.cfg.Interval
	if f.joined == 0 || deaf <= 0 {
		return
	}
	for _, s := range f.seen {
		s.moved = s.moved.Add(deaf)
	}
}

// meet notes who is there.
func (f *Fleet) meet(members []Member, now time.Time) {
	there := make(map[string]bool, len(members))
	for _, m := range members {
		there[m.ID] = true
		s := f.seen[m.ID]
		if s == nil {
			s = &sighting{moved: now, met: m.News, heard: f.heardOf(&m, now)}
			f.seen[m.ID] = s
		} else if s.Beat != m.Beat {
			s.moved = now
		}
		s.Member = m
	}
	for id, s := range f.seen {
		if !there[id] {
			f.parted[id] = parting{s.heard, now}
			delete(f.seen, id)
		}
	}
	maps.DeleteFunc(f.parted, func(_ string, p parting) bool { return now.Sub(p.at) > partingLife })
}

// bury removes one member that has been silent for long, and whose news were heard by all that beat. One whose news cannot be heard
// is given twice as long: they go with it.
func (f *Fleet) bury(ctx context.Context, now time.Time) error {
	for id, s := range f.seen {
		long := 2 * f.goneAfter(s)
		if s.heard < s.News {
			long *= 2
		}
		if id != f.cfg.ID && now.Sub(s.moved) > long {
			return f.cfg.Store.Leave(ctx, id)
		}
	}
	return nil
}

// gone says that another member does not live any more, as far as can be told.
func (f *Fleet) gone(s *sighting, now time.Time) bool {
	return s.Left || now.Sub(s.moved) >= f.goneAfter(s)
}

func (f *Fleet) goneAfter(s *sighting) time.Duration {
	if s.Place != "" && s.Place == f.cfg.Place {
		return f.cfg.placeFreeAfter()
	}
	return f.cfg.goneAfter()
}

// alive are the members that beat, in the order of their names. This gateway is always among them.
func (f *Fleet) alive(now time.Time) []Member {
	all := []Member{}
	for id, s := range f.seen {
		if id == f.cfg.ID || !f.gone(s, now) {
			all = append(all, s.Member)
		}
	}
	if f.seen[f.cfg.ID] == nil {
		all = append(all, Member{ID: f.cfg.ID})
	}
	slices.SortFunc(all, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return all
}
