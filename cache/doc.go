// Package cache keeps complete answers and lets identical calls in progress share
// one upstream call.
//
// KeyOf makes the key: SHA-256 over everything that an answer depends on, the whole
// canonical request included, so that two requests share a key only if they ask the
// same thing on behalf of the same tenant, user and persona (or of those that the
// scope names). Cache is the memory tier: bounded in bytes, entries immutable and
// labelled with the key and tenant that they were stored for, which every look-up
// checks. Flights is coalescing: of identical misses one calls upstream, and all of
// them read its answer as it arrives.
//
// The package does not decide what may be stored or served: whether an answer is
// complete and allowed, how long it lives and what a stale one is good for is the
// caller's business. It speaks no wire format, keeps nothing on disk, and logs nothing.
package cache
