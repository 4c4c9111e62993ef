// Package backlog holds the durable queue as data and rules: what a job is, which
// states it goes through, what a store of jobs promises, and who is next.
//
// A Job has a Spec, which never changes, and a Status, which changes by one Change at
// a time. A Change names the state and the attempt that it starts from, so that of
// two that start from the same one wins: the attempt is the fencing token of a lease.
//
// A Desk is the state machine of one process: what is queued, in which order it is
// claimed, which leases run out, what has expired. It does no I/O, knows no clock and
// starts nothing: it is told what happened and says which changes to make, so that a
// simulation can drive it through years and crashes. Package jobs runs it.
//
// A Store keeps jobs. It is a contract with several implementations; the suite is in
// store/storetest/backlogtest. Payloads and results are sealed before they come here.
//
// The package is long on purpose: order, leases, doubts and what is left to others are rules about one state, which a simulation
// checks as one.
package backlog
