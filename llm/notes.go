package llm

import (
	"slices"
	"sync"
)

// maxNotes bounds what Notes keeps: what comes after is only counted.
const maxNotes = 32

// Notes collects which members of a request did not reach the model, because the
// model's wire format has no counterpart or the model refuses them. The door that makes
// the request keeps it and tells the caller; whoever translates the request fills it. The
// zero value is ready, a nil one collects nothing, and it may be used concurrently.
type Notes struct {
	mu      sync.Mutex // guards the two below
	members []string
	more    int
}

// Dropped notes members that were left out, as paths such as logit_bias or
// messages[2].name. A member that is noted already is not noted again.
func (n *Notes) Dropped(members ...string) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range members {
		switch {
		case slices.Contains(n.members, m):
		case len(n.members) < maxNotes:
			n.members = append(n.members, m)
		default:
			n.more++
		}
	}
}

// List returns the members that were noted, in their order, at most 32, and how many
// came after those.
func (n *Notes) List() (members []string, more int) {
	if n == nil {
		return nil, 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.members), n.more
}
