// Package storetest checks implementations of the contracts cache.Store,
// cache.Journal and envelope.KeyStore.
//
// Cache, Journal and Keys are the conformance suites: each runs offline, opens the
// implementation with a function that it is given, and reads like the contract, one
// subtest a rule. Durable adds what holds for stores that last: all is found again
// after a restart; CacheBatches and KeysTogether what stores promise that write in transactions. CacheModel compares a store with a plain map under random operations;
// the suite Cache includes it.
//
// Memory implements all three contracts in memory. It is for tests, here and
// elsewhere: it can be told to fail, to block, and to change what it keeps. It is no
// tier of the cache: it has no bound.
//
// MemoryBacklog does the same for backlog.Store, whose suites are in package backlogtest:
// it fails, loses answers, is slow, full or damaged, and undoes what a power cut may.
package storetest
