// Package gateway is the HTTP door: it serves a forebay.Client to callers in any
// language, in the OpenAI wire format and through a few routes of its own.
//
// A Gateway is an http.Handler. It authenticates the caller's key, fixes tenant,
// priority and deadline, reads body and headers within bounds, hands an
// llm.Request to the client, and writes the answer: whole, or chunk by chunk as
// it came. Every route stands in one table (Routes) with the scope that it needs.
// Every answer, errors and streams included, carries the same set of headers, and
// every error names its kind, the limit that was met and what to do about it.
//
// Jobs are calls too: what stands in a job goes through the same reading as at its
// endpoint, and its result is what the endpoint would have answered.
//
// It holds no policy: no cache, no queue, no retry, no provider. Those are the
// client's. It never passes on a header of a provider, and never logs a body or a
// query string.
//
// Use Server and Listen (or WrapListener) rather than a plain http.Server: they
// set the bounds in time, cut clients that stop reading, and replace the
// plain-text errors that net/http writes by itself.
//
// The package is long on purpose: the routes share the visit, the reading of bodies
// and headers, and the one encoding of answers and errors, which nobody else needs.
package gateway
