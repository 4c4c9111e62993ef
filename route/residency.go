package route

import (
	"fmt"
	"strings"
)

// maxLabel is the longest label of a residency, in bytes.
const maxLabel = 32

// Allowed says whether a request that has to stay in need may go to a target that is
// marked target: "eu" allows targets marked "eu" and those of its parts, such as
// "eu-de"; "eu-de" does not allow "eu". An empty need allows every target. A need
// that is no label allows none.
func Allowed(need, target string) bool {
	if need == "" {
		return true
	}
	return strings.HasPrefix(target, need) && (len(target) == len(need) || target[len(need)] == '-')
}

// CheckResidency says what is wrong with a label of residency: it has 1 to 32
// lower-case letters, digits and hyphens.
func CheckResidency(label string) error {
	ok := len(label) >= 1 && len(label) <= maxLabel
	for i := range len(label) {
		c := label[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if !ok {
		return fmt.Errorf("%.64q is not a residency; use 1 to %d lower-case letters, digits and hyphens, such as eu or eu-de", label, maxLabel)
	}
	return nil
}

// Reason is why a target can never serve a request.
type Reason string

// The reasons.
const (
	ByResidency Reason = "residency" // it is not marked as the request wants
	ByWindow    Reason = "window"    // its context window is too small, or not known to be larger
)

// Exclusion is a target that can never serve a request, in whatever state it is.
type Exclusion struct {
	Target int    `json:"-"`      // index in the router's targets
	Name   string `json:"target"` // the target's name
	Reason Reason `json:"reason"` // the first of the reasons that applies
	Why    string `json:"why"`    // a sentence for people
}

// holds says whether the context window is large enough.
func (t *Target) holds(n *Need) bool {
	if n.Window > 0 && t.ContextWindow <= n.Window {
		return false
	}
	return t.ContextWindow == 0 || n.Tokens <= t.ContextWindow
}

// Exclusions are the targets that may never serve n, as they are listed, and why. A
// target that is not among them is in every plan for n, unless it refuses.
func (r *Router) Exclusions(n Need) []Exclusion {
	var all []Exclusion
	for i := range r.targets {
		t := &r.targets[i]
		e := Exclusion{Target: i, Name: t.Name}
		switch {
		case !Allowed(n.Residency, t.Residency):
			e.Reason = ByResidency
			e.Why = fmt.Sprintf("the request has to stay in %q, and the target is marked %q", n.Residency, t.Residency)
			if t.Residency == "" {
				e.Why = fmt.Sprintf("the request has to stay in %q, and the target has no residency", n.Residency)
			}
		case !t.holds(&n):
			e.Reason, e.Why = ByWindow, t.tooSmall(n)
		default:
			continue
		}
		all = append(all, e)
	}
	return all
}

func (t *Target) tooSmall(n Need) string {
	switch {
	case t.ContextWindow == 0:
		return fmt.Sprintf("the request was too long for a context window of %d tokens, and the target's is not known", n.Window)
	case n.Tokens > t.ContextWindow:
		return fmt.Sprintf("the request needs up to %d tokens, and the target's context window has %d", n.Tokens, t.ContextWindow)
	}
	return fmt.Sprintf("the request was too long for a context window of %d tokens, and the target's has %d", n.Window, t.ContextWindow)
}
