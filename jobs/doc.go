// Package jobs runs the durable queue: it takes calls in, keeps them in a store until
// they are done, and does them at least once, in the order that a backlog.Desk says.
//
// A Queue is the shell around a Desk, which decides everything, and a backlog.Store,
// which keeps everything. What the shell adds is goroutines, time, encryption and what
// may go wrong between memory and disk: an ID is given out only when the job is
// durable; a result counts only if the lease under which it was made is still held when
// it is written; where nobody knows whether a write was made, the job is read until it
// is known; and when the store has failed, nothing is acknowledged before it has been
// opened anew and read again from the start.
//
// Payloads and results are sealed for the tenant and user that they belong to, and
// bound to their job. The progress of a job (Events) is in memory only: readers that
// come late get what is kept. Webhooks are delivered by a Deliverer; when and how often
// is durable.
//
// Several processes may share a store. Each looks at what the others have queued, as often as there is news in
// it, and claims what it has room for; of a claim that two make, the store lets one win. Where the store can be looked at
// cheaply (backlog.Sighter), a Queue knows the first jobs of each band of a large backlog, not all.
//
// The package knows nothing of models, HTTP or providers: a Handler does the call. It
// does not schedule slots of targets either: jobs that are claimed wait for those where
// everybody does.
//
// The package is long on purpose: claims, leases, doubts and recovery share one desk
// under one mutex, and its readers and deliveries hang on the same events.
package jobs
