package app

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/fleet"
	"github.com/forebay-ai/forebay/upstream"
)

// openFleet joins the gateways that share the tables of this one. Without such tables there is nothing to join; where the others
// cannot be reached the gateway serves all the same, and joins when they can.
func (s *Server) openFleet(ctx context.Context, o Options) error {
	store := s.stores.Fleet()
	if store == nil {
		return nil
	}
	c := shared(s.client.Upstreams(), s.watch.budgets)
	if host, err := os.Hostname(); err == nil && !strings.HasSuffix(o.File.Listen, ":0") {
		// Another one at this address has to be gone before this one can listen. Where it still drains it beats.
		c.Place = host + " " + o.File.Listen
	}
	c.ID, c.Store, c.Interval, c.Logger = rand.Text(), store, o.File.FleetInterval(), o.Logger
	var err error
	if s.fleet, err = fleet.New(c); err != nil {
		return err
	}
	if err := s.fleet.Join(ctx); err != nil {
		o.Logger.Warn("the other gateways cannot be reached; this one goes on by itself until they can", "error", err)
	}
	return nil
}

// shared is what a gateway shares: the quotas and breakers of its targets, and its budgets, which may be nil.
func shared(targets []*upstream.Target, book *budget.Book) fleet.Config {
	c := fleet.Config{
		Demand: func(now time.Time) map[string]fleet.Demand {
			all := map[string]fleet.Demand{}
			for _, t := range targets {
				if t.Quota != nil {
					all[t.Name] = fleet.Demand(t.Quota.Demand(now))
				}
			}
			return all
		},
		SetShare: func(name string, share float64) {
			if t := upstream.Named(targets, name); t != nil {
				t.Quota.SetShare(time.Now(), share)
			}
		},
		Open: func() (open []string) {
			for _, t := range targets {
				// One that was forced open by hand says nothing about the target.
				if t.Breaker.State() == breaker.Open && !t.Breaker.Snapshot(time.Now()).Forced {
					open = append(open, t.Name)
				}
			}
			return open
		},
		Hint: func(name string, last time.Duration) {
			if t := upstream.Named(targets, name); t != nil {
				t.Breaker.Doubt(time.Now(), last)
			}
		},
	}
	if book != nil {
		shareBudgets(&c, book)
	}
	return c
}

// shareBudgets has the books of all gateways know of one another.
func shareBudgets(c *fleet.Config, book *budget.Book) {
	c.Changes = func(now time.Time) (all []fleet.Spending) {
		for _, one := range book.Changes(now) {
			all = append(all, fleet.Spending{
				Tenant: one.Tenant, Key: one.Key, User: one.User, Operation: one.Operation, At: one.At, MicroUSD: one.Spent, Reserved: one.Reserved,
			})
		}
		return all
	}
	c.Spent = func(member string, all []fleet.Spending, now time.Time) {
		changes := make([]budget.Change, 0, len(all))
		for _, one := range all {
			changes = append(changes, budget.Change{
				Account: budget.Account{Tenant: one.Tenant, Key: one.Key, User: one.User, Operation: one.Operation},
				At:      one.At, Spent: one.MicroUSD, Reserved: one.Reserved,
			})
		}
		book.Elsewhere(member, changes, now)
	}
}
