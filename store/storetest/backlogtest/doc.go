// Package backlogtest checks implementations of the contract backlog.Store.
//
// Store is the conformance suite: it runs offline, opens the implementation with a
// function that it is given, and reads like the contract, one subtest a rule. Durable
// adds what holds for stores that last: all is found again when the store is opened
// anew. Damaged adds what holds when the bytes of a job were changed on the disk, and
// Failing what holds when the disk fails or is full. Model compares a store with a plain
// map under random operations; Store and Durable include it, the latter with reopening
// as one of the operations.
//
// What the suites do not check, because only an implementation knows how: power cuts, and
// that an operation returns soon when its context ends while the disk does not answer.
//
// Where the contract leaves a choice that callers would notice, the suites decide it:
//
//   - Times come back in UTC without a monotonic reading, cut (not rounded) to whole
//     microseconds, so that records can be compared with ==. Times that are passed in are
//     compared to the microsecond too: Change.LeaseUntil, since and now.
//   - "Enqueued after since" is strict: at since itself is not after it. Of several jobs
//     under a key the one that was enqueued last is returned.
//   - Keep and ResultUntil have passed at their very instant. Where they are zero, they
//     never pass: a job without ResultUntil keeps its parts as long as it is kept.
//   - Purge counts a job under Results only where it had a part to drop. With a limit of
//     at least 1 it makes progress as long as it says that there may be more.
//   - A Limit below zero counts as none, one above 10,000 as 10,000. A page that is shorter
//     than its limit is the last: damaged jobs do not shorten pages.
//   - An operation that begins with an ended context fails with the context's error, or
//     does what it would have done without; a change is made whole or not at all.
//   - The change that met a failure (ErrFailed) was made or not, like one without an answer.
//   - A damaged job is not purged, its ID is still taken, its idempotency key is not, and a
//     change of it or a read gives ErrDamaged. A tenant's census leaves it out.
package backlogtest
