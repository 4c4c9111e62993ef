// Package observe joins a running client to what watches it: it feeds the series with what
// the monitor records and what the client's state is, has alarms judged and sent, keeps
// breakers' histories and the savings of the cache, and writes series and alarms to a
// store, so that a restart finds them again.
//
// A request never waits for it. What it loses it counts.
package observe
