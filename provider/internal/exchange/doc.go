// Package exchange is one attempt over HTTP, as every provider makes it: one request,
// one answer, and the bounds, errors and precautions around them. What it knows nothing
// of is the wire format: providers hand over the bytes that go out, a decoder of error
// answers, and a reader of good ones.
//
// A Line is a back end with its bounds and its connections; an Exchange is one call over
// it. The bounds are those of connecting, of the first byte, of silence and of size, and
// that an answer does not trickle. Whatever ends a call is told apart by identity of the
// context's cause, so that a caller who leaves is never taken for a provider that is
// slow. Nothing is retried, no redirect is followed, nothing is unpacked. Keys that a
// back end repeats are taken out of errors and blackened in answers (Secrets).
//
// A call is sent once. net/http may replace a kept HTTP/1 connection that it finds dead
// before it has written a byte to it, and repeats what has no body; over HTTP/2, where
// it would repeat more, it is not given the means.
package exchange
