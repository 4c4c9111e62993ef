//go:build mutant_count_not_time

package queue

// mutantCountNotTime refuses by the number of those who wait alone: no estimate against
// the deadline, no drop of those who are late, no controlled delay.
const mutantCountNotTime = true
