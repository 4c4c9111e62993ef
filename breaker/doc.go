// Package breaker stops calls to a target that fails, and finds out with a few
// probes when it works again.
//
// A Breaker is closed (calls pass and are counted), open (no call passes until
// RetryAt) or half-open (a few probes pass; they decide). What opens it is any of:
// failures in a row, the rate of failures over a window, the rate of slow calls.
// The rates ask for evidence and not only for a quotient: see evidence.go. How long it
// stays open doubles with each reopening, up to a bound, with jitter. Closed again,
// its Share grows from a tenth to all, for callers that have other targets to prefer.
// ForceOpen and ForceClosed hold it by hand until Reset.
//
// # Sources
//
// Calls come from sources: tenants. One of them may meet failures that no other does,
// with a bad key of its own or with prompts that the target chokes on, and must not
// take the target from the others. So an Outcome names its source, and:
//
//   - Failures open the breaker as they would without sources if they are those of the
//     only source, or of several.
//   - While a source is served well (a good call within the last minute), the failures
//     of one other alone do not open it, neither in a row nor by a rate. A rate has to be
//     too high without the worst source too, and at least four calls of others have to
//     have failed; of failures in a row, two have to be others'.
//   - A source that fails again and again while four of five calls of the others pass is
//     known to fail by itself. Its failures do not count at all, until one of its calls
//     passes and its rate is fine. So there may be several of them, if they make few calls.
//   - If the one source that there was opened the breaker alone, AllowSource lets calls
//     of any other pass as probes at once, three at a time. One that succeeds closes the
//     breaker, and from then on the second rule holds; one that fails shows that the
//     failures are the target's, and the breaker is open for all.
//   - A failed probe opens it again, whosever it is. Two times in succession by the same
//     source count as failures of that source alone, so that a source that always fails
//     and is there at each probe cannot keep a target that is well again from others.
//
// Sixteen sources are told apart at a time; more of them share the places. Source 0,
// not known, is a source like the others, but never passes as an innocent one.
//
// # What it does not do
//
// The state machine is a pure function of its inputs and of the time that callers
// hand in; the Breaker puts a mutex around it. It starts no goroutine and reads no
// clock. It does not decide what a failure is (llm.Kind.CountsForBreaker does), it
// does not retry, and it does not know which other targets there are.
package breaker
