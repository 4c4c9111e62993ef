package upstream

import "github.com/forebay-ai/forebay/breaker"

// Named is the target of a name, or nil.
func Named(all []*Target, name string) *Target {
	for _, t := range all {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// Names are the names of targets, in their order.
func Names(all []*Target) []string {
	names := make([]string, 0, len(all))
	for _, t := range all {
		names = append(names, t.Name)
	}
	return names
}

// Open counts the targets whose breakers let no call pass.
func Open(all []*Target) int {
	open := 0
	for _, t := range all {
		if t.Breaker.State() == breaker.Open {
			open++
		}
	}
	return open
}
