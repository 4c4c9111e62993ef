// Package show puts answers of the control API into tables for terminals: costs, budgets,
// alarms, calls. It talks to nobody and knows no flags.
package show
