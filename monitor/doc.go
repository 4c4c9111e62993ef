// Package monitor measures calls: one vocabulary, recorded once, read by many.
//
// The request path records each finished call as a Call and each attempt at a
// provider as an Attempt. From that come the Prometheus metrics of Handler and the
// figures since the start of Summary. What other parts know better than events
// can tell (the depth of the queue, the size of the cache) is asked of a Source
// when somebody looks. Recording takes no lock that a reader holds for long, does
// no I/O and allocates nothing once a combination of labels has been seen.
//
// Labels come from closed sets: operations, models, providers and targets from
// configuration, everything else from this package. A value outside its set is
// counted as "other", and an absent one as "none" (an absent operation as
// "default"), so that no caller can make series. Users, prompts and error texts
// are never labels.
//
// The package evaluates no alarms, keeps no history and knows no exporter other
// than Prometheus.
package monitor
