package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// telling is what this gateway tells of its spending.
type telling struct {
	number uint64 // of the last news that was begun
	told   uint64 // and of the last that the store has for certain
	unsent News
}

// tell tells what was spent. News that may or may not have arrived are told again as they are, under the same number: so
// nothing is counted twice, and nothing is lost while the process lives.
func (f *Fleet) tell(ctx context.Context, now time.Time) error {
	n := &f.news
	if n.told < n.number {
		if err := f.cfg.Store.Tell(ctx, f.cfg.ID, n.unsent); err != nil {
			return err
		}
		n.told, n.unsent = n.number, News{}
	}
	changes := f.cfg.Changes(now)
	if len(changes) == 0 {
		return nil
	}
	n.number++
	n.unsent = News{Number: n.number, At: now, Spent: changes}
	if err := f.cfg.Store.Tell(ctx, f.cfg.ID, n.unsent); err != nil {
		return err
	}
	n.told, n.unsent = n.number, News{}
	return nil
}

// heardOf is from which news on one is heard that is seen for the first time: from those that the books may not have had
// when this gateway read them. One that was thought gone goes on where it was.
func (f *Fleet) heardOf(m *Member, now time.Time) uint64 {
	if p, known := f.parted[m.ID]; known && p.heard <= m.News {
		delete(f.parted, m.ID)
		return p.heard
	}
	// There is one a beat at most.
	last := uint64((now.Sub(f.began)+newsBefore)/f.cfg.Interval) + 2
	return m.News - min(m.News, last)
}

// missed is what of news the books may not have had. Of what was told before that only what is reserved counts, which
// is in no books; what was told since the two met counts whatever clocks say.
func (f *Fleet) missed(s *sighting, n *News) []Spending {
	if n.Number > s.met || n.At.IsZero() || !n.At.Before(f.began.Add(-newsBefore)) {
		return n.Spent
	}
	all := slices.Clone(n.Spent)
	for i := range all {
		all[i].MicroUSD = 0
	}
	return all
}

// hear takes over the news of all others, of those that just went too. What cannot be heard of one keeps no other from being
// heard; it is tried again with the next beat.
func (f *Fleet) hear(ctx context.Context, now time.Time) error {
	var faults []error
	for id, s := range f.seen { // in another order each time: where time is short, none is always the last
		if id == f.cfg.ID {
			continue
		}
		if err := f.hearOne(ctx, s, now); err != nil {
			faults = append(faults, fmt.Errorf("the news of %q: %w", id, err))
			if ctx.Err() != nil {
				break
			}
		}
	}
	return errors.Join(faults...)
}

// hearOne takes over the news of one other.
func (f *Fleet) hearOne(ctx context.Context, s *sighting, now time.Time) error {
	for s.heard < s.News {
		all, err := f.cfg.Store.Told(ctx, s.ID, s.heard)
		if err != nil {
			return err
		}
		// Beyond s.News may be a part of news that are just being told.
		all = slices.DeleteFunc(all, func(n News) bool { return n.Number > s.News })
		if len(all) == 0 || all[len(all)-1].Number <= s.heard {
			s.heard = s.News // they are too old to be kept
			return nil
		}
		for _, n := range all {
			if n.Number > s.heard {
				f.cfg.Spent(s.ID, f.missed(s, &n), now)
				s.heard = n.Number
			}
		}
	}
	return nil
}
