package llm

import (
	"iter"
	"slices"
	"strings"
)

// Settings are what a wire format says about a call beside its body, such as the headers
// in which InvokeModel names a guardrail: lines of name=value in the order of names. They
// are part of the cache's key. The zero value is none.
type Settings string

// MakeSettings makes Settings of pairs. A name must not have "=", and neither name nor
// value a line break: such pairs are left out. The door that makes them has checked that.
func MakeSettings(pairs map[string]string) Settings {
	var lines []string
	for name, value := range pairs {
		if name != "" && !strings.ContainsAny(name, "=\r\n") && !strings.ContainsAny(value, "\r\n") {
			lines = append(lines, name+"="+value)
		}
	}
	slices.Sort(lines)
	return Settings(strings.Join(lines, "\n"))
}

// All gives names and values in their order.
func (s Settings) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for line := range strings.SplitSeq(string(s), "\n") {
			if name, value, ok := strings.Cut(line, "="); ok && !yield(name, value) {
				return
			}
		}
	}
}
