// Package route chooses among the targets of a model: which of them to try for one
// request, and in which order.
//
// A target is one place where a model runs: provider x region x model. A Router holds
// those of one model and a Strategy; Plan gives the order for one request. It is a
// pure function: of the targets, of what the request needs, of what the caller says
// about the state of each target, and of the random bits that the request brought.
// The same input gives the same plan. No clock, no lock, no memory of earlier plans.
//
// Two rules are hard. A request with a residency goes to targets that carry it and
// nowhere else (Allowed), whatever fails; and none goes to a target whose context
// window is too small. Everything else is order:
//
//  1. targets that can be called now;
//  2. those that are full: a call would wait there beside one that is idle;
//  3. those in slow start, for the share of requests that they do not get yet;
//  4. those of a region that is down;
//  5. those that ask for patience (after a 429, or with their quota spent), the
//     shortest wait first, again with those of regions that are down behind the others.
//
// Within each of these the strategy decides. Targets that refuse every call (an open
// breaker) are left out, and so are those whose API has nothing of the kind that the request
// asks for. Where there is nothing else the plan consists of the former, so that the caller
// can say when to come again, or, where all are of the latter kind, of these, whose answer
// says so: a plan is empty only where no target may ever serve the request, and Exclusions
// says why.
//
// A region is a unit of failover of its own: Regions gathers which of its targets
// refuse, over all models, and says when it is down.
//
// The package calls nobody, retries nothing and measures nothing. Breakers, limits and
// quotas are the business of packages breaker and limit; who asks them is the caller.
package route
