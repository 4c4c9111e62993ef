package cache

import (
	"fmt"
	"slices"
	"strings"
)

// Dimension is one thing that keeps cached answers apart. Its value is its name in
// configuration.
type Dimension string

// The dimensions.
const (
	Tenant  Dimension = "tenant"  // always separates, unless the scope is Shared alone
	User    Dimension = "user"    // answers of one user are never served to another
	Persona Dimension = "persona" // answers for one persona are never served for another
	// Shared stands alone: answers are served to everybody, across tenants. It is
	// for requests that hold nothing of anybody.
	Shared Dimension = "shared"
)

// ParseDimension reads a dimension's name, in any case.
func ParseDimension(name string) (Dimension, error) {
	for _, d := range [...]Dimension{Tenant, User, Persona, Shared} {
		if strings.EqualFold(string(d), name) {
			return d, nil
		}
	}
	return "", fmt.Errorf("unknown cache dimension %q: one of tenant, user, persona, shared", name)
}

// DefaultScope is what separates answers where nothing else is said: tenant, user
// and persona. Each call returns a slice of its own.
func DefaultScope() []Dimension { return []Dimension{Tenant, User, Persona} }

// CheckScope says what is wrong with a scope; nil for a good one. An empty scope is
// good and means DefaultScope.
func CheckScope(scope []Dimension) error {
	for i, d := range scope {
		if parsed, err := ParseDimension(string(d)); err != nil || parsed != d {
			return fmt.Errorf("unknown cache dimension %q: one of tenant, user, persona, shared", string(d))
		}
		if slices.Contains(scope[:i], d) {
			return fmt.Errorf("cache dimension %q is named twice", string(d))
		}
	}
	if len(scope) > 1 && slices.Contains(scope, Shared) {
		return fmt.Errorf("cache dimension %q stands alone: leave out the others, or it", string(Shared))
	}
	return nil
}

// Owner is the tenant that entries of a scope belong to, for Entry.Tenant and
// Cache.Get: tenant itself, or the empty name where the scope is Shared alone.
func Owner(scope []Dimension, tenant string) string {
	if sharesAll(scope) {
		return ""
	}
	return tenant
}

// OwnerUser is the user that entries of a scope belong to, for Entry.User: user
// itself where the scope separates users, or the empty name.
func OwnerUser(scope []Dimension, user string) string {
	if users, _ := separates(scope); !users {
		return ""
	}
	return user
}

// sharesAll reports whether a scope separates nobody. Shared beside other
// dimensions is a fault that CheckScope reports; here the others win, because
// separating too much costs a miss and separating too little a leak.
func sharesAll(scope []Dimension) bool { return len(scope) == 1 && scope[0] == Shared }

// separates says whether users and personas are kept apart in a scope.
func separates(scope []Dimension) (users, personas bool) {
	if len(scope) == 0 {
		return true, true
	}
	return slices.Contains(scope, User), slices.Contains(scope, Persona)
}
