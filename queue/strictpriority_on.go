//go:build mutant_strict_priority

package queue

// mutantStrictPriority serves the bands strictly by priority: no score, no floor, no reserve.
const mutantStrictPriority = true
