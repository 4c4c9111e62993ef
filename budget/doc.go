// Package budget bounds what calls may cost: by tenant, key, user and operation, in a day
// or a month. The price of a call is reserved before it and settled after it; a reservation
// is a lease that ends by itself, so that many calls at once cannot overrun a budget, and
// a call that never ends cannot keep its share for good.
//
// A call has room in a budget only while less than the limit is spent, and if what is spent, what is
// reserved and the call's own estimate are together at most the limit. One exception lets a budget be used
// at all whose limit is below the estimate of a single call: such a call has room where nothing is spent and
// nothing is in progress. From this follows what a hard budget guarantees. At every instant
//
//	spent + reserved <= max(limit, the one estimate above it) + what calls cost above their estimates
//
// because a reservation only ever keeps to the first bound, and a settlement replaces an
// estimate by the price. So where estimates are upper bounds, N concurrent calls end at
// the limit, or at the price of the one call that alone was above it. A call that outlives
// its lease is outside of this: its price is still booked once, in full, when it is known.
//
// It is pure: a Book is given the time, keeps nothing on disk and starts no goroutine.
package budget
