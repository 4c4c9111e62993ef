package tables

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/cost/prices"
)

// ID is a model's name in a table.
type ID struct {
	// Key is what LiteLLM and Portkey are asked for.
	Key string
	// Provider, Region and ID are its parts; Region may be empty.
	Provider, Region, ID string
	// Name is ID as package prices takes it apart.
	Name prices.Name
}

// Scope is the area that the name is for: a region, an inference profile, or neither.
func (id ID) Scope() string {
	if id.Region != "" {
		return id.Region
	}
	return id.Name.Profile
}

var awsRegion = regexp.MustCompile(`^[a-z]{2}(-gov)?-[a-z]+-[0-9]$`)

// IDs returns every name that a table has, in order, but for those that are no names of
// the provider's: Bedrock's have the maker in front.
func IDs(s *Set) []ID {
	keys := map[string]bool{}
	for key := range s.LiteLLM {
		keys[key] = true
	}
	for key := range s.Portkey {
		keys[key] = true
	}
	for _, provider := range Providers() {
		for _, id := range s.GenAI.IDs(provider) {
			keys[provider+"/"+id] = true
		}
	}
	var all []ID
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		provider, rest, _ := strings.Cut(key, "/")
		id := ID{Key: key, Provider: provider, ID: rest}
		if front, model, ok := strings.Cut(rest, "/"); ok && awsRegion.MatchString(front) {
			id.Region, id.ID = front, model
		}
		if !Priced(id.ID) || strings.Contains(id.ID, "/") || strings.HasPrefix(id.ID, "regional.") {
			continue
		}
		if provider == prices.Bedrock && !strings.Contains(id.ID, ".") || provider == prices.Bedrock && strings.HasPrefix(id.ID, "claude") {
			continue
		}
		id.Name = prices.Split(provider, id.ID)
		if id.Region != "" && id.Name.Profile != "" {
			continue // a profile is not called in a region
		}
		all = append(all, id)
	}
	return all
}

// ForScope returns what the table says of a model in an area, or nil. Most of its rules
// for Bedrock know no areas; those count only where no area is asked for.
func (t *GenAITable) ForScope(provider, id, scope string) *Quote {
	if awsRegion.MatchString(scope) {
		return nil
	}
	for i := range t.providers[provider] {
		m := &t.providers[provider][i]
		if !m.Match.matches(id) {
			continue
		}
		if scope != "" && !strings.HasPrefix(m.ID, "regional.") && !strings.HasPrefix(m.ID, "global.") {
			return nil
		}
		return m.quote
	}
	return nil
}
