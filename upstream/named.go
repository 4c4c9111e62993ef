package upstream

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
