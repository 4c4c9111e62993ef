// Package cloudwatch publishes what was measured in Amazon CloudWatch, under the names of
// package names: as lines of the embedded metric format (EMF) on standard output, which is
// the way on Lambda, or by PutMetricData, which is the way everywhere else.
//
// A Sink is told of every call and adds it up in memory: for each minute, metric and value
// of a dimension it keeps the distribution, in at most 150 values with their counts. Sum,
// count, least and greatest value are exact, percentiles within 1 % until a minute has
// values that differ by more than a factor of 18, and then coarser step by step.
// What cannot be had from calls (queue depth, users, open breakers) is read from the
// metrics of Prometheus.
//
// Nothing on a request's way waits for CloudWatch: Run sends, or on Lambda, Flush after each
// invocation. What CloudWatch does not take waits in a bounded spool, in order, and is sent
// when it works again; what has no room there or gets older than CloudWatch takes is
// dropped, the oldest first, and counted. A request whose answer was lost is sent again and
// may count twice: CloudWatch has no way to recognise it.
//
// Each value of a dimension is a metric of its own that costs money each month. So there
// are few dimensions, none of them a user, tenant or prompt, and Config.MaxSeries bounds
// their values.
package cloudwatch
