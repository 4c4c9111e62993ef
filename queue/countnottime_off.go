//go:build !mutant_count_not_time

package queue

// mutantCountNotTime is false in every build but that of one test, which must see it fail.
const mutantCountNotTime = false
