// Package cost says what calls to models cost and keeps count of it.
//
// A Price turns the tokens of one call into whole micro-dollars (millionths of a
// dollar) with integer arithmetic, so that sums of any size stay exact. Memory is
// a ledger of the running process: totals for each tenant, user, operation and
// model, bounded in size, lost at the end of the process.
//
// The package knows no models: prices come from configuration. It sets no
// budgets, holds no table of list prices and writes nothing to disk.
package cost
