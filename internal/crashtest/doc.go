// Package crashtest proves what the durable queue promises by breaking the machine
// under it. It has no code of its own: everything is in its tests, which build the
// release binary, run it as a process, and watch it from outside over HTTP.
//
// A run has four parts. Clients submit, poll, wait, cancel and submit again, and note
// every operation as what it was known to be: done, refused, or unknown because the
// connection died. A provider, which is never killed, notes every call that reaches
// it. A nemesis, drawn from a seed, kills the gateway: at a moment, at a system call,
// while it recovers, while it drains, twice, or lets it sleep until its leases are
// lost. All of it goes on in one directory, so that damage adds up. Now and then the
// clients rest, the queue drains, and a checker compares what was seen with what is
// there. Power cuts are made on a file system of their own, which forgets everything
// that was not synced.
//
//	go test ./internal/crashtest                       a few kills and cuts
//	FOREBAY_LONG=1 go test ./internal/crashtest        300 kills, 100 cuts, 100,000 queued
//	go test ./internal/crashtest -run TestKills -kills 10000 -crash.seed 7 -timeout 0
//	go test ./internal/crashtest -run TestPowerCuts -cuts 10000 -timeout 0
//
// A violation prints the seed and leaves history and data directory behind. The seed
// draws the same faults again; what the scheduler of the machine does between them it
// cannot repeat.
//
// The checker has to be able to fail: the same tests run against a small gateway that
// this package's test program can itself become, honest and with planted faults, each
// of which has to be found. Everything runs on the loopback address and on Linux, the
// power cuts with root and loop devices.
package crashtest
