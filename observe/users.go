package observe

import (
	"hash/maphash"
	"sync"
	"time"
)

const (
	// userWindow is how long a user counts as present.
	userWindow = 5 * time.Minute
	// maxUsers bounds those that are remembered, at about 50 bytes each. Beyond it the
	// figure stays where it is.
	maxUsers = 200_000
)

// users counts the distinct users of the last five minutes. It remembers hashes, no names.
type users struct {
	seed maphash.Seed

	mu   sync.Mutex // guards last
	last map[uint64]time.Time
}

func newUsers() *users { return &users{seed: maphash.MakeSeed(), last: map[uint64]time.Time{}} }

type userKey struct{ tenant, user string }

// seen notes a call of a user; one without a name is nobody.
func (u *users) seen(tenant, user string, now time.Time) {
	if user == "" {
		return
	}
	h := maphash.Comparable(u.seed, userKey{tenant, user})
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.last[h]; known || len(u.last) < maxUsers {
		u.last[h] = now
	}
}

// count forgets those who are gone, and counts the others.
func (u *users) count(now time.Time) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	for h, at := range u.last {
		if now.Sub(at) > userWindow {
			delete(u.last, h)
		}
	}
	return len(u.last)
}
