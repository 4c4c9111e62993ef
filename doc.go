// Package forebay puts a response cache, a priority queue, limits, circuit
// breakers and graceful degradation around calls to AI models.
//
// A Client is composed from a Config and runs every call through the same steps,
// written once and in order in Client.run: privacy, cost, cache, coalesce, queue,
// route, provider, degrade, settle. Do answers whole, Stream in pieces, and
// Process runs a function of the caller's own through the same path.
//
// The package is a library: it opens no listener, reads no file and no
// environment variable, and starts no goroutine that Close does not wait for.
// Providers are handed in through Config; package config builds them from a file,
// and package gateway serves a Client over HTTP.
//
// The package is long on purpose: cached, fresh, shared, degraded and durable calls
// share one path and its books, and pieces of it apart would have to know each other.
package forebay
