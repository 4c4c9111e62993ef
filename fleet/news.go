package fleet

import (
	"context"
	"slices"
	"time"
)

// newsAtJoin is how many of a member's last news one takes over that joins.
const newsAtJoin = 10

// telling is what this gateway tells of its spending.
type telling struct {
	number uint64 // of the last news that was begun
	told   uint64 // and of the last that the store has for certain
	unsent []Spending
}

// tell tells what was spent. News that may or may not have arrived are told again as they are, under the same number: so
// nothing is counted twice, and nothing is lost while the process lives.
func (f *Fleet) tell(ctx context.Context, now time.Time) error {
	n := &f.news
	if n.told < n.number {
		if err := f.cfg.Store.Tell(ctx, f.cfg.ID, News{Number: n.number, Spent: n.unsent}); err != nil {
			return err
		}
		n.told, n.unsent = n.number, nil
	}
	changes := f.cfg.Changes(now)
	if len(changes) == 0 {
		return nil
	}
	n.number, n.unsent = n.number+1, changes
	if err := f.cfg.Store.Tell(ctx, f.cfg.ID, News{Number: n.number, Spent: changes}); err != nil {
		return err
	}
	n.told, n.unsent = n.number, nil
	return nil
}

// hear takes over the news of all others, of those that just went too. The first error ends it; the rest is heard with the next beat.
func (f *Fleet) hear(ctx context.Context, now time.Time) error {
	for id, s := range f.seen {
		if id == f.cfg.ID {
			continue
		}
		for s.heard < s.News {
			all, err := f.cfg.Store.Told(ctx, id, s.heard)
			if err != nil {
				return err
			}
			// Beyond s.News may be a part of news that are just being told.
			all = slices.DeleteFunc(all, func(n News) bool { return n.Number > s.News })
			if len(all) == 0 || all[len(all)-1].Number <= s.heard {
				s.heard = s.News // they are too old to be kept
				break
			}
			for _, n := range all {
				if n.Number > s.heard {
					f.cfg.Spent(id, n.Spent, now)
					s.heard = n.Number
				}
			}
		}
	}
	return nil
}
