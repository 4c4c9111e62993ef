// Package export writes alarms for other systems that evaluate them: rules for Prometheus,
// under the names of package monitor.
//
// A rule says the same as the definition that it is made of, as far as PromQL can: the
// window, the threshold and the least number of measurements stand in its expression, M of
// N becomes "for" and N "keep_firing_for". What PromQL has no words for is left out: Clear
// and, but for the age of the process, Settle. Counters and histograms are judged over all
// instances of a job, gauges for each instance by itself, as the process judges them.
package export
