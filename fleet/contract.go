package fleet

import (
	"context"
	"errors"
	"maps"
	"time"
)

// Million is the whole of a quota: parts are counted in millionths.
const Million = 1_000_000

// ErrChanged is what Store.Grant returns where another gateway changed the grants first.
var ErrChanged = errors.New("fleet: the grants were changed by another gateway")

// Member is what a gateway tells of itself.
type Member struct {
	// ID names the gateway: another one after each start. Up to 64 bytes of printable ASCII without spaces.
	ID string
	// Place says where it runs, as Config.Place does; empty for nowhere in particular.
	Place string
	// Beat counts its beats. Whoever sees it stand still knows that the gateway is gone, without comparing clocks.
	Beat uint64
	// News is the number of the last news that it told; 0 before the first.
	News uint64
	// Demand is what part of each target's whole quota it could use, from 0 to 1, by the target's name. Targets
	// without a quota are not in it.
	Demand map[string]float64
	// Open are the targets whose breaker it has open.
	Open []string
	// Left says that this is its last beat: its shares are free.
	Left bool
}

// Grants says who may use which part of the quotas.
type Grants struct {
	// Version counts the changes. 0 is that of no grants at all.
	Version uint64
	// Of is each gateway's part of each target's quota, in millionths, by target and gateway.
	Of map[string]map[string]int
}

func (g Grants) clone() Grants {
	c := Grants{Version: g.Version, Of: make(map[string]map[string]int, len(g.Of))}
	for target, of := range g.Of {
		c.Of[target] = maps.Clone(of)
	}
	return c
}

// State is what a Store has.
type State struct {
	Members []Member // in no order; those that are gone may be among them
	Grants  Grants
}

// Spending is what a gateway tells of one account: budget.Change, which this package does not know.
type Spending struct {
	Tenant, Key, User, Operation string
	At                           time.Time // the time in whose day and month it counts
	MicroUSD                     int64     // paid since the last time it was told
	Reserved                     int64     // by calls in progress now, in micro-dollars
}

// News is what a gateway told at once. Numbers begin at 1 and have no gaps.
type News struct {
	Number uint64
	At     time.Time // when it was first to be told, by the clock of who tells it; zero where an older version told it, which did not say
	Spent  []Spending
}

// Store is where gateways meet. It is a contract with several implementations; storetest.Fleet is its conformance suite.
// All methods may be called concurrently, by several processes, may block on I/O, and return with an error soon after ctx has ended. An error
// may come after the work was done.
type Store interface {
	// Beat puts what a member tells in place of what it told before, and returns what there is after that: everything that was
	// acknowledged to anybody before Beat was called is in it.
	Beat(ctx context.Context, m Member) (State, error)
	// Grant puts g in place of the grants whose version is one below its own. It returns ErrChanged where there are others.
	Grant(ctx context.Context, g Grants) error
	// Tell keeps news of a member for an hour at least. To tell the same number again changes nothing.
	Tell(ctx context.Context, id string, n News) error
	// Told returns the news of a member with numbers above after, in ascending order. It may leave out the later ones: then it returns
	// some, and those have no gap before them.
	Told(ctx context.Context, id string, after uint64) ([]News, error)
	// Leave removes a member and its news. One that is not there is no error.
	Leave(ctx context.Context, id string) error
}
