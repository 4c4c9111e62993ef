// Package faulttest proves what the request path promises when providers fail and
// callers leave. It has no code of its own: everything is in its tests, which build
// the release binary, run it as a process between clients and scripted upstreams, and
// judge by what the upstreams saw and what the clients got.
//
// An upstream is a socket of the test program. It reads requests, plays a script of
// bytes, pauses and cuts for each, and notes every connection, every call, what it
// sent and when the gateway left. Each case has providers and a model of its own in
// one gateway, told apart by the path of their base URL, so that no case opens the
// breaker of another.
//
//	go test ./internal/faulttest -v                 everything, in small numbers
//	FOREBAY_LONG=1 go test ./internal/faulttest -v  2,000 disconnects at each of five moments, every cut
//	go test ./internal/faulttest -run TestFaults -v the sixteen faults, with their table
//	go test ./internal/faulttest -fault.binary PATH another gateway than the one of this source
//
// After each group the gateway has to be alive and calm: no call in progress, as many
// goroutines and files as before the first, nothing of a key or a prompt in its log.
// Everything runs on the loopback address and on Linux.
package faulttest
