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
	// Simplified answers with the basic form of the operation.
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
	// Partial means that some answers are fallbacks, or that some targets are out.
	Partial Level = "partial"
	// Full means that no target takes calls: there are only fallbacks.
	Full Level = "full"
)
