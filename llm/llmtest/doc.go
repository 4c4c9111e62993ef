// Package llmtest holds what tests of the request path need: a provider that
// follows a script (Script), a wire format small enough to read in a failing
// test (Dialect), and the conformance suite that every provider runs
// (TestProvider).
//
// It imports the standard library and package llm alone, so that the tests of
// every package may use it. It is not a simulation of a real back end: package
// provider/simulated is, with latencies, capacity and sockets.
package llmtest
