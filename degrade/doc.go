// Package degrade holds what a call gets when no model can answer it: the
// strategies in their order, the prepared texts of personas and operations, and
// the level that says how much of an operation is affected.
//
// It chooses and fills in texts. It does not run the strategies: the request path
// does, which asks the cache for a stale answer and has the caller's dialect put a
// text into its wire format. It has no template engine: a text knows four
// variables and nothing else.
package degrade
