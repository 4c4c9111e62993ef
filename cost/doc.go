// Package cost says what calls to models cost and keeps count of it.
//
// A Price turns the tokens of one call into whole micro-dollars (millionths of a
// dollar) with integer arithmetic, so that sums of any size stay exact. Memory is
// a ledger of the running process: totals for each tenant, user, operation and
// model, bounded in size, lost at the end of the process.
//
// A Tariff is prices over time, by the length of the prompt and by tier; Rates are dated
// exchange rates, for showing amounts in another currency than the dollars in which
// all of them are kept.
//
// The package knows no models: those and their list prices are in package
// cost/prices. It sets no budgets and writes nothing to disk.
package cost
