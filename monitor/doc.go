// Package monitor measures calls: one vocabulary, recorded once, read by many.
//
// The request path records each finished call as a Call and each attempt at a
// provider as an Attempt. From that come the Prometheus metrics of Handler, the
// figures since the start of Summary, and what each attached Sink is told. What other
// parts know better than events can tell (the depth of the queue, the size of the
// cache, the number of users) is asked of a Source when somebody looks. Figures of the
// embedder's own are declared as a CustomMetric and given to Measure. Vocabulary lists
// all metrics with their names in the specification, CloudWatch and OpenTelemetry.
//
// Recording takes no lock that a reader holds for long, does no I/O and allocates
// nothing once a combination of labels has been seen. A sink or a source that panics
// loses what it was to take or to give, which is counted, and harms no call.
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
