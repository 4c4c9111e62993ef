// Package degrade holds what a call gets when no model can answer it: the
// strategies in their order, the registry of personas, the prepared texts of
// personas and operations, and the level that says how much of an operation is
// affected and why.
//
// It chooses and fills in texts. It does not run the strategies: the request path
// does, which asks the cache for a stale answer and has the caller's dialect put a
// text into its wire format. It opens no file: whoever reads a directory of texts
// hands over what the files hold (File). It has no template engine: a text knows
// four variables and those that the operator defined, and nothing else.
//
// A set of texts never changes. New ones come as a new Degrader, which takes the
// place of the old one whole, so that no call sees half of a change.
package degrade
