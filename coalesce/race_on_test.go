//go:build race

package coalesce_test

// raceEnabled: under the race detector pools drop values at random and memory is
// accounted otherwise.
const raceEnabled = true
