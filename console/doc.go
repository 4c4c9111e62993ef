// Package console is the JSON API of those who run the gateway: what is going on, calls,
// series, alarms, costs and budgets, and the configuration. It serves behind the gateway's
// door, which knows the callers. The dashboard and the command line are its clients.
package console
