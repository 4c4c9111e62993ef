// Package breaker stops calls to a target that fails, and finds out with a few
// probes when it works again.
//
// A Breaker is closed (calls pass and are counted), open (no call passes until
// RetryAt) or half-open (a few probes pass; they decide). What opens it is any of:
// failures in a row, the rate of failures over a window, the rate of slow calls.
// The rates ask for evidence and not only for a quotient: see evidence.go.
//
// The state machine is a pure function of its inputs and of the time that callers
// hand in; the Breaker puts a mutex around it. It starts no goroutine and reads no
// clock. It does not decide what a failure is (llm.Kind.CountsForBreaker does), it
// does not retry, and it does not know which other targets there are.
package breaker
