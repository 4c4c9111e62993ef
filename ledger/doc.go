// Package ledger keeps the accounts of calls so that they last: who spent how much with
// which model, by day, exact under concurrency and over restarts, in whole micro-dollars.
// It reserves and settles budgets, adds what was saved, and answers questions about cost.
//
// Booking never waits for a disk: bookings are added up in memory and written behind by one
// goroutine, several times a second. What is asked is answered with both, the books and
// what is not written yet, and counts nothing twice.
//
// A call to which a budget applies has its reservation written as soon. Where the process
// dies, what such calls in progress may have cost is booked at the next start, at their
// estimates, and listed. A death takes with it what was booked since the last write (50 ms by
// default) and is not reserved there, and calls in progress to which no budget applies.
//
// It knows no prices: they are in the records that it gets. One process at a time uses a store, or several where the store is a Sharer; what
// these spend the budgets are told by package fleet, or by Refresh.
package ledger
