package degrade

import (
	"fmt"
	"strings"
)

// Strategy is one way to answer without a model.
type Strategy string

// The strategies, in the order in which they are tried when all are configured.
const (
	// Cached answers with a stored answer that is no longer fresh, or with that to a
	// similar request where the operation allows it.
	Cached Strategy = "cached"
	// Template answers with the prepared text of the persona or the operation.
	Template Strategy = "template"
	// Simplified answers with less: a smaller model, a shorter answer, or a function of
	// the operator's own.
	Simplified Strategy = "simplified"
	// Error answers with an error that carries the support id.
	Error Strategy = "error"

	// Similar is how an answer is marked that was made for a similar request. It is
	// a result of Cached, not a strategy of its own.
	Similar Strategy = "similar"
)

// Strategies returns what may be configured, in the order of trying.
func Strategies() []Strategy { return []Strategy{Cached, Template, Simplified, Error} }

// ParseStrategy reads a strategy's name, in any case. An unknown name is an error
// that lists the known ones.
func ParseStrategy(name string) (Strategy, error) {
	names := make([]string, 0, 4)
	for _, s := range Strategies() {
		if strings.EqualFold(string(s), name) {
			return s, nil
		}
		names = append(names, string(s))
	}
	return "", fmt.Errorf("unknown fallback %q: one of %s", name, strings.Join(names, ", "))
}

// Level says how much of an operation, or of the system, is degraded. The empty
// Level means None.
type Level string

// The levels.
const (
	// None is full service.
	None Level = "none"
	// Partial means that some answers are fallbacks, that calls are refused for want
	// of room, or that some targets are out.
	Partial Level = "partial"
	// Full means that no target takes calls: there are only fallbacks.
	Full Level = "full"
)

// Reason says why a level is not None. It is one of a closed set, fit for a label.
type Reason string

// The reasons, in the order in which they are listed.
const (
	// ReasonFallback means that a fallback answered within the last minute.
	ReasonFallback Reason = "fallback"
	// ReasonShedding means that a call was refused for want of room within the last 30 s.
	ReasonShedding Reason = "shedding"
	// ReasonBreakerOpen means that the breaker of a target lets no calls through.
	ReasonBreakerOpen Reason = "breaker_open"
	// ReasonRegionDown means that a whole region is taken for failed.
	ReasonRegionDown Reason = "region_down"
)
