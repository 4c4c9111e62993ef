// Package series keeps measurements of the running process over time: counts, gauges and
// distributions in windows of a minute to thirty days, without a metrics server.
//
// A Set holds one series for each Key. It is fed as things happen and read for any
// window: percentiles from mergeable sketches with an error of at most 1 %, sums, rates,
// and steps for charts. What is older is kept in coarser steps. Blocks of it are written to
// a Store now and then, so that a restart does not lose them.
//
// Steps of 10 s are kept for an hour, of 1 min for a day, of 10 min for 7 days, of 1 h for
// 30 days. Each coarse step is exactly the sum of the finer ones, so a window is answered
// by coarse steps inside and by the finest that there are at its ends; these are rounded
// outwards to them. A step in which nothing was measured takes no room. That no data is not
// zero holds throughout: a Counter is 0 only where the set is known to have been running.
//
// Values of a distribution are counted in buckets whose bounds grow by 2 % (DDSketch), the
// same everywhere, so that merging steps, processes and restored blocks loses nothing.
// Percentiles are of the nearest rank, and off by at most 1 % for magnitudes from 1e-9 to
// 1e15; count, sum, least and greatest value are exact.
//
// Memory: a Counter with measurements in every step of every tier takes some 40 KB, a
// distribution of response times 0.2 MB at a call a minute and 0.7 MB at two a second; all
// 178 series of a gateway that answers two calls a second for a month take 23 MB.
package series
