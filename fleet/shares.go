package fleet

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

const (
	// slack is by how much a share differs at least from what it should be before it is changed: each change is a write that
	// all gateways compete for.
	slack = Million / 50
	// smooth is the weight of the last beat in what counts as used: demand follows in some three beats.
	smooth = 0.3
	// headroom is what is asked for beyond what is used.
	headroom = 1.25
	// certain is how many beats a gateway has behind it when the others know of it for certain.
	certain = 5
)

// shares are this gateway's parts of the quotas, in millionths, by target.
type shares struct {
	use  map[string]int     // what SetShare was told
	used map[string]float64 // of the whole, smoothed
	// fallen says that use is what the gateway fell back to without the store, and held until when it does not go by
	// more than that after the store came back: others may not have noticed yet.
	fallen bool
	held   time.Time
}

// demand is what part of each quota this gateway could use: somewhat more than it uses, and where calls had to wait half as
// much again as it may.
func (s *shares) demand(now map[string]Demand) map[string]float64 {
	before := s.used
	s.used = make(map[string]float64, len(now))
	all := make(map[string]float64, len(now))
	for target, d := range now {
		used := max(d.Used, 0)
		if last, known := before[target]; known {
			used = last + smooth*(used-last)
		}
		s.used[target] = used
		could := headroom * used
		if d.Short {
			could = max(could, 1.5*float64(s.use[target])/Million+0.05)
		}
		all[target] = min(could, 1)
	}
	return all
}

func (s *shares) shown() map[string]float64 {
	all := make(map[string]float64, len(s.use))
	for target, n := range s.use {
		all[target] = float64(n) / Million
	}
	return all
}

// set has a target's quota give a share.
func (f *Fleet) set(target string, share int) {
	if have, set := f.shares.use[target]; set && have == share {
		return
	}
	f.shares.use[target] = share
	f.cfg.SetShare(target, float64(share)/Million)
}

// adjust brings the shares of this gateway nearer to what they should be, and takes those of gateways that are gone away. It
// uses less before it gives a part up, and more only once that is recorded: so what all use together is never more
// than what is recorded, which is never more than the whole.
func (f *Fleet) adjust(ctx context.Context, g Grants, alive []Member, now time.Time) error {
	f.recovered(now)
	next, changed := f.plan(g, alive, now)
	for target := range f.shares.used {
		have, want := g.Of[target][f.cfg.ID], next.Of[target][f.cfg.ID]
		f.set(target, min(have, want, f.ceiling(have, len(alive), now)))
	}
	if !changed {
		return nil
	}
	next.Version = g.Version + 1
	switch err := f.cfg.Store.Grant(ctx, next); {
	case errors.Is(err, ErrChanged):
		return nil // with the next beat
	case err != nil:
		return err
	}
	for target := range f.shares.used {
		have := next.Of[target][f.cfg.ID]
		f.set(target, f.ceiling(have, len(alive), now))
	}
	return nil
}

// recovered notes the first beat that the store answers after the gateway fell back.
func (f *Fleet) recovered(now time.Time) {
	if f.shares.fallen {
		f.shares.fallen = false
		f.shares.held = now.Add(f.cfg.spread())
	}
}

// ceiling is what a recorded share comes to: an equal one at most while others may still go by theirs.
func (f *Fleet) ceiling(share, members int, now time.Time) int {
	if now.Before(f.shares.held) {
		return min(share, Million/members)
	}
	return share
}

// plan is what the grants should become as far as this gateway may change them: its own, and those of the gone.
func (f *Fleet) plan(g Grants, alive []Member, now time.Time) (next Grants, changed bool) {
	next = g.clone()
	for _, target := range slices.Sorted(maps.Keys(f.shares.used)) {
		of := next.Of[target]
		if of == nil {
			of = map[string]int{}
			next.Of[target] = of
		}
		demand, free := map[string]float64{}, Million
		for _, m := range alive {
			if d, has := m.Demand[target]; has {
				demand[m.ID] = d
			}
		}
		for id, share := range of {
			if !slices.ContainsFunc(alive, func(m Member) bool { return m.ID == id }) {
				delete(of, id)
				changed = true
				continue
			}
			free -= share
		}
		have, want := of[f.cfg.ID], Divide(demand)[f.cfg.ID]
		want = min(want, have+max(free, 0))
		if diff := want - have; diff <= -slack || diff >= slack && !now.Before(f.shares.held) {
			of[f.cfg.ID], changed = want, true
		}
	}
	return next, changed
}

// cutOff is for a beat that the store did not answer. The gateway keeps its shares for a while, then goes down to an equal
// part, and up to it when all others must have gone down.
func (f *Fleet) cutOff(now time.Time) {
	silent := now.Sub(f.answered)
	if f.joined == 0 || silent <= f.cfg.KeepFor {
		return // one that never met the others does not know of any
	}
	f.shares.fallen = true
	members := 1
	for id, s := range f.seen {
		if id != f.cfg.ID && !s.Left && f.answered.Sub(s.moved) < f.cfg.goneAfter() {
			members++
		}
	}
	equal := Million / members
	up := f.joined >= certain && silent > f.cfg.KeepFor+f.cfg.spread()
	for _, target := range slices.Sorted(maps.Keys(f.shares.use)) {
		if use := f.shares.use[target]; use > equal || up {
			f.set(target, equal)
		}
	}
}
