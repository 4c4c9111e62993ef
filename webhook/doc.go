// Package webhook delivers events to addresses that callers name, as signed HTTPS
// requests of the Standard Webhooks specification, and verifies such requests for
// receivers that are written in Go.
//
// An address from outside is a way to make this process talk to machines that its
// caller cannot reach. So an address is looked at twice: Check refuses at once what can
// never be delivered, and Deliver looks at the address that the name stands for at
// the moment of connecting, and connects to exactly that one. No answer of a name
// server, no redirect and no proxy of the environment leads elsewhere.
//
// A delivery is one attempt. When to try again, and how often, is the business of
// the caller, which learns from Deliver whether another attempt can help. Nothing is
// stored, and nothing runs on between two calls: every delivery has a connection of
// its own, which ends with it.
package webhook
