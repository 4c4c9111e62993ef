//go:build !mutant_strict_priority

package queue

// mutantStrictPriority is false in every build but that of one test, which must see it fail.
const mutantStrictPriority = false
