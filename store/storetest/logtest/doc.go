// Package logtest checks implementations of the contracts requestlog.Store, series.Store
// and alarm.Store.
//
// Requests, Series and Alarms are the conformance suites: each runs offline, opens the
// implementation with a function that it is given, and reads like the contract, one
// subtest a rule. Each ends with a model: random operations beside plain slices and maps.
// Durable adds what holds for stores that last: all is found again after a restart. Memory
// implements series.Store and alarm.Store for tests, as requestlog.Memory does its own.
//
// Where the contracts leave a choice that callers would notice, the suites decide it:
//
//   - Times come back to the nanosecond and in UTC. They are between 1700 and 2200.
//   - A page says that there is another one only where there may be entries for it: behind
//     the last entry of all there is none. Pages come to an end, whatever they choose.
//   - What is removed takes no number with it: an entry or an event that is added later
//     has a number above all that were ever given.
//   - A value of an alarm may be infinite, or not a number.
//   - LoadSeries has the store used by yield.
//   - An operation that begins with an ended context fails with the context's error. A batch
//     is written whole or not at all, also where its context ends meanwhile.
package logtest
