// Package ledgertest checks implementations of the contract ledger.Store.
//
// Run is the conformance suite: it runs offline, opens the implementation with a function
// that it is given, and reads like the contract, one subtest a rule. Memory implements the
// contract in memory; it is for tests, here and elsewhere: it can be told to fail and to
// block. It is no store for a service, since it lasts no longer than its process.
//
// Where the contract leaves a choice that callers would notice, the suite decides it:
//
//   - A Post that gives an error has written nothing, also where its context had ended.
//   - Postings to one account add up, within a batch too. A posting of nothing but zeros makes no row.
//   - From is the first day and To the first one that does not count; both are midnights in UTC.
//     Where one is zero, there is no bound on that side.
//   - Without groups there is one row, and where nothing matches there are no rows.
//   - A row has the parts of the account that were grouped by, and no others. Its day is in UTC: the day itself, or
//     the first of its month. Where both are grouped by, it is the day itself.
//   - Rows are in the order of ledger.CompareRows, and the limit keeps the first of them. A limit of 1,000,000 is
//     obeyed like any other: a ledger asks for all rows that way.
//   - Groups that are asked for by name are those whose parts that are grouped by are the same; one that is asked for twice
//     is there once.
//   - Sums stick at the largest value, those of an account and those of a group; amounts below zero count as zero.
//   - Names are any valid UTF-8 of up to 256 bytes, an empty one and a NUL included; they are compared byte by byte.
//   - Released IDs that are not held are ignored. Times of holds come back in UTC, to the microsecond.
//   - The sums of a user that is erased are added to those that "erased" has already.
package ledgertest
