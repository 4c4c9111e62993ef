package budget

import "time"

// Kind is what happens when a budget is spent. The set is closed.
type Kind string

// The kinds.
const (
	Soft    Kind = "soft"    // calls pass; it is said
	Hard    Kind = "hard"    // calls are refused
	Degrade Kind = "degrade" // calls are answered by a cheaper model
)

// Period is how long a budget lasts before it begins anew, in UTC. The set is closed.
type Period string

// The periods.
const (
	Day   Period = "day"
	Month Period = "month"
)

// Rule is one budget. Empty members of Tenant, Key, User and Operation match every call;
// "*" gives each value a budget of its own; anything else matches that value alone. The values of
// "*" are told apart by tenant too, whether Tenant is "*" or empty: the same name of a user in two tenants is two users.
type Rule struct {
	Name                         string
	Tenant, Key, User, Operation string
	Period                       Period
	Kind                         Kind
	// MicroUSD is the budget in millionths of a dollar, above 0.
	MicroUSD int64
	// Warn is the share of it from which it counts as nearly spent. 0 means 0.8.
	Warn float64
}

// Account says whose call it is.
type Account struct{ Tenant, Key, User, Operation string }

// Decision is what a reservation comes to.
type Decision struct {
	// Refused: a hard budget has no room for it; nothing is reserved.
	Refused bool
	// Degrade: a budget of that kind is spent; the call should be answered more cheaply.
	Degrade bool
	// Warn: a budget is nearly spent, or a soft one is.
	Warn bool
	// State is the budget that decided; the zero State where none did.
	State State
}

// State is one budget in its present period, as it is shown.
type State struct {
	Rule      string    `json:"rule"`
	Kind      Kind      `json:"kind"`
	Period    Period    `json:"period"`
	Tenant    string    `json:"tenant,omitempty"` // the values that have this budget for themselves
	Key       string    `json:"key,omitempty"`
	User      string    `json:"user,omitempty"`
	Operation string    `json:"operation,omitempty"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"` // exclusive: then it begins anew
	Limit     int64     `json:"limit_micro_usd"`
	Spent     int64     `json:"spent_micro_usd"`
	Reserved  int64     `json:"reserved_micro_usd"` // by calls in progress
	Warned    bool      `json:"warned"`             // past the share that is said
	Exhausted bool      `json:"exhausted"`
}
