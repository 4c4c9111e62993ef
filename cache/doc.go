// Package cache keeps complete answers, in memory and, where it is given a store,
// beyond the end of the process.
//
// KeyOf makes the key: SHA-256 over everything that an answer depends on, the whole
// canonical request included, so that two requests share a key only if they ask the
// same thing on behalf of the same tenant, user and persona (or of those that the
// scope names). Cache is bounded in bytes, with a floor for each tenant; entries are
// immutable and labelled with the key, tenant and user that they were stored for, which
// every look-up checks. Behind it a Store keeps entries sealed (package envelope); they
// are written behind the caller's back and read in bounded time. Invalidations are
// numbered and kept in a Journal: an entry that was asked for before one that matches
// it is never found again.
//
// The package does not decide what may be stored or served: whether an answer is
// complete and allowed, how long it lives and what a stale one is good for is the
// caller's business. It speaks no wire format, and never logs what is in an entry.
//
// The package is long on purpose: both tiers are made around one entry and one rule of
// its validity. What stands most by itself in it is the memory's floor for tenants.
package cache
