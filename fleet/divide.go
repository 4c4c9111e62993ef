package fleet

import (
	"cmp"
	"maps"
	"slices"
)

// reserve is the part of a quota, one in so many, that is divided equally whatever is asked for: a gateway to which
// calls come has something to begin with.
const reserve = 10

// Divide divides a quota by what gateways could use of it: demand is a part of the whole, from 0 to 1. A tenth is divided
// equally. Of the rest those who ask for little get what they ask for, and the others as much as one another; what nobody
// asks for is divided equally. The parts, in millionths, add up to Million at most, and to less only by what rounding
// leaves. They depend on nothing but demand, so all gateways that see the same come to the same.
func Divide(demand map[string]float64) map[string]int {
	n := len(demand)
	if n == 0 {
		return map[string]int{}
	}
	first := Million / (reserve * n)
	left := Million - first*n
	parts := make(map[string]int, n)
	ids := slices.SortedFunc(maps.Keys(demand), func(a, b string) int {
		return cmp.Or(cmp.Compare(asked(demand[a]), asked(demand[b])), cmp.Compare(a, b))
	})
	for i, id := range ids {
		more := min(max(asked(demand[id])-first, 0), left/(n-i))
		parts[id] = first + more
		left -= more
	}
	for id := range parts {
		parts[id] += left / n
	}
	return parts
}

// asked is a demand in millionths.
func asked(demand float64) int {
	if !(demand > 0) { // also where it is no number
		return 0
	}
	return int(min(demand, 1) * Million)
}
