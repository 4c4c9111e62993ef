package route

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Strategy is how a router orders the targets that are equally fit.
type Strategy string

// The strategies. The empty one is Ordered.
const (
	// Ordered takes the targets as they are listed.
	Ordered Strategy = "ordered"
	// Weighted gives each target its share of the requests. When one does not answer,
	// its share goes to the others by their weights, not to the next in the list.
	Weighted Strategy = "weighted"
	// Fastest prefers the target that began to answer soonest of late, less so the
	// busier it is. A small part of the requests goes to the others, so that it is
	// noticed when one of them has become faster.
	Fastest Strategy = "fastest"
	// Cheapest takes the lowest price first, and of equal prices as they are listed.
	Cheapest Strategy = "cheapest"
)

// Strategies are all strategies there are, the default first.
func Strategies() []Strategy { return []Strategy{Ordered, Weighted, Fastest, Cheapest} }

// MaxTargets is how many targets one router takes. No model runs in more places; the
// bound keeps a plan on the stack.
const MaxTargets = 64

// Target is one place where a model runs, as far as choosing is concerned.
type Target struct {
	// Name identifies the target, such as "bedrock-eu/claude". Not empty, and once in a router.
	Name string
	// Provider is the name of the back end; for people.
	Provider string
	// Region is where it runs, such as "bedrock/eu-central-1"; a key of Regions. Empty
	// means that it shares its fate with no other target.
	Region string
	// Residency marks where the request's data stays, such as "eu" or "eu-de": lower-case
	// letters, digits and hyphens, at most 32. Empty means that nothing is promised: then
	// no request with a residency goes there.
	Residency string
	// Weight is the target's part of the requests beside those of the others, for
	// Weighted: from 0. Zero means 1.
	Weight float64
	// MicroUSDPerMTok is the price of a million tokens in millionths of a dollar, for
	// Cheapest: from 0. Whoever has several prices (input, output) mixes them as the
	// requests do.
	MicroUSDPerMTok int64
	// ContextWindow is the most tokens, input and output together, that the target
	// takes. Zero means that it is not known.
	ContextWindow int
}

// State is what is known of a target at this moment. The zero State is that of a
// target that is idle, well, and has not answered yet.
type State struct {
	// Refuses says that no call would get through: its breaker is open, or held open
	// by hand.
	Refuses bool
	// Unable says that it cannot serve the request whatever its state: its API has nothing
	// of the kind. Such a target is in a plan only where all of them are.
	Unable bool
	// Probe says that its breaker was open and waits for a call to find out whether the
	// target is well. Such a call is due also while the region is down: otherwise nobody
	// would ever notice that it is up again. The breaker bounds how many there are.
	Probe bool
	// Share is the part of the usual requests that it gets in slow start, between 0
	// and 1. 1 and everything outside, zero too, mean all.
	Share float64
	// Wait is how long it wants to be left alone: the rest of a Retry-After, the time
	// until its quota has room. Zero or less means not at all. Of targets that refuse it
	// orders the plan only.
	Wait time.Duration
	// Busy is how full it is: calls in progress over those that it takes at once. Above
	// 1 where those that wait are counted. Zero where there is no bound. For Fastest.
	Busy float64
	// FirstToken is how long it took to the first token of late: a mean in which a call
	// counts for the more the older the others are, since a target that is not used much
	// is judged by a few. Zero means that it is not known. For Fastest.
	FirstToken time.Duration
	// RegionDown is Regions.Down of the target's region.
	RegionDown bool
}

// Need is what one request asks of its targets. The zero Need takes any.
type Need struct {
	// Residency is where the request's data has to stay. Empty means anywhere.
	Residency string
	// Tokens is the length of input and longest output together: targets with a smaller
	// context window are left out. An estimate should be on the low side, since it
	// excludes. Zero means that it is not known.
	Tokens int
	// Window takes only targets whose context window is known and larger, because the
	// request was too long for one of this size. Zero means any.
	Window int
	// Draw is 64 random bits of this request. Everything that is left to chance follows
	// from them. The same bits again, for a second plan of the same request, keep the order.
	Draw uint64
}

// Router chooses among the targets of one model. It never changes after New and may
// be used concurrently.
type Router struct {
	strategy Strategy
	targets  []Target
	order    []int     // the targets in the strategy's fixed order: as listed, or by price
	inverse  []float64 // 1/weight
}

// New makes a router. The error names every fault of strategy and targets at once,
// each with its configuration key below the model's, its value, and what to do.
func New(s Strategy, targets []Target) (*Router, error) {
	s = cmp.Or(s, Ordered)
	if err := validate(s, targets); err != nil {
		return nil, err
	}
	r := &Router{strategy: s, targets: slices.Clone(targets), order: make([]int, len(targets)), inverse: make([]float64, len(targets))}
	for i, t := range targets {
		r.order[i] = i
		r.inverse[i] = 1 / cmp.Or(t.Weight, 1)
	}
	if s == Cheapest {
		slices.SortStableFunc(r.order, func(a, b int) int {
			return cmp.Compare(targets[a].MicroUSDPerMTok, targets[b].MicroUSDPerMTok)
		})
	}
	return r, nil
}

// Strategy is the router's strategy; never empty.
func (r *Router) Strategy() Strategy { return r.strategy }

// Targets are the router's targets as they were listed; plans are indexes into them.
// The slice is the caller's own.
func (r *Router) Targets() []Target { return slices.Clone(r.targets) }

func validate(s Strategy, targets []Target) error {
	var faults []error
	if !slices.Contains(Strategies(), s) {
		faults = append(faults, fmt.Errorf("strategy: %q is not known; use %s", s, choices(Strategies())))
	}
	switch n := len(targets); {
	case n == 0:
		faults = append(faults, errors.New("targets: there is none; use at least one"))
	case n > MaxTargets:
		faults = append(faults, fmt.Errorf("targets: %d are too many; use at most %d", n, MaxTargets))
	}
	first := make(map[string]int, len(targets))
	for i, t := range targets {
		if j, twice := first[t.Name]; twice && t.Name != "" {
			faults = append(faults, fmt.Errorf("targets[%d]: %q is targets[%d] already; use each target once in a model", i, t.Name, j))
		} else {
			first[t.Name] = i
		}
		faults = append(faults, t.validate(fmt.Sprintf("targets[%d]", i)))
	}
	return errors.Join(faults...)
}

func (t Target) validate(at string) error {
	var faults []error
	check := func(ok bool, key string, value any, fix string) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s.%s: %v is not possible; use %s", at, key, value, fix))
		}
	}
	check(t.Name != "", "name", `""`, "a name that no other target of the model has")
	check(t.Weight == 0 || t.Weight >= minWeight && t.Weight <= maxWeight, "weight", t.Weight, "a number from 0.000001 to 1000000, or 0 for 1") // NaN fails too
	check(t.MicroUSDPerMTok >= 0, "price", t.MicroUSDPerMTok, "a price from 0, in millionths of a dollar for a million tokens")
	check(t.ContextWindow >= 0, "context_window", t.ContextWindow, "a number of tokens, or 0 where it is not known")
	if t.Residency != "" {
		if err := CheckResidency(t.Residency); err != nil {
			faults = append(faults, fmt.Errorf("%s.residency: %w", at, err))
		}
	}
	return errors.Join(faults...)
}

// The weights that are taken. A share of one in a million million is a slip, and
// with weights farther apart floating-point numbers would decide in place of chance.
const (
	minWeight = 1e-6
	maxWeight = 1e6
)

// choices are the values that a setting may have, for its error message.
func choices(all []Strategy) string {
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = string(s)
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// slowdown is the factor by which a target's first token is later when it is busy:
// 1 for an idle one, and 1/(1-busy), the wait at a single server that is used to that
// degree (M/M/1). From almost full on it grows in proportion to those who wait.
func slowdown(busy float64) float64 {
	if !(busy > 0) || math.IsInf(busy, 1) { // NaN too: who does not know, does not judge
		return 1
	}
	const full = 0.98
	if busy <= full {
		return 1 / (1 - busy)
	}
	return busy / full / (1 - full)
}
