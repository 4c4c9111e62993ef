package limit

import "time"

// Stage says which part of a call a sample is about.
type Stage uint8

// The stages. A call is reported either once, as Whole, when it has ended; or twice:
// as First when its first useful token has come, and as Rest when it has ended. The
// second way tells the controller of a target's trouble while long answers still run.
const (
	Whole Stage = iota // all of the call
	First              // up to the first useful token: Start, InFlight, FirstToken and InputBytes count
	Rest               // the end of a call that was reported as First
)

// Sample is what the controller wants to know of one call. Calls that the caller
// gave up are samples too, with what was known of them.
type Sample struct {
	// Stage says what the sample is about. Zero means all of the call.
	Stage Stage
	// Start is when the call was sent.
	Start time.Time
	// InFlight is how many calls were in progress when it was sent, itself included.
	InFlight int
	// FirstToken is how long the first useful token took. Zero means unknown: it
	// did not come, or the answer came whole.
	FirstToken time.Duration
	// Took is how long the call took in all.
	Took time.Duration
	// OutputTokens is how many tokens the answer has; 0 unknown.
	OutputTokens int
	// Streamed says that the answer came in pieces, so that FirstToken and the time
	// between tokens mean something.
	Streamed bool
	// Overloaded says that the target refused the call for its load (llm.Kind.FeedsLimiter).
	Overloaded bool
	// Failed says that the call failed for another reason.
	Failed bool
	// RetryAfter is what the target asked to wait; 0 unknown. It is not used: when the
	// target is asked again is the router's business, how many calls at once is not.
	RetryAfter time.Duration
	// InputBytes is the size of the request: long prompts take longer to begin.
	InputBytes int
}

// ControllerConfig switches a controller. The zero value is on.
type ControllerConfig struct {
	// Off leaves the limiter's bound as it is configured.
	Off bool
}

// ControllerSnapshot is a controller's state for people.
type ControllerSnapshot struct {
	// Bound is how many calls the target gets at once now, and Ceiling the most that it
	// ever gets; -1 means no bound.
	Bound   int `json:"bound"`
	Ceiling int `json:"ceiling"`
	// FirstToken is the usual time to the first useful token; 0 unknown.
	FirstToken time.Duration `json:"first_token"`
	// Reason is why the bound last moved; empty where it never did. Moved is when.
	Reason Reason    `json:"reason"`
	Moved  time.Time `json:"moved"`
}

// Reason says in a word why a controller moved its bound.
type Reason string

// The reasons.
const (
	ReasonRefused   Reason = "refused"    // down: the target answered 429, 503 or 529
	ReasonSlowFirst Reason = "slow_first" // down: first tokens, or whole answers, take longer than usual
	ReasonSlowToken Reason = "slow_token" // down: the tokens after the first take longer than usual
	ReasonHealthy   Reason = "healthy"    // up: all calls that were allowed are in use, and all is well
	ReasonMistaken  Reason = "mistaken"   // up: fewer calls did not help, so that they were not to blame
	ReasonSlowStart Reason = "slow_start" // from low to high: the target came back from an outage
)
