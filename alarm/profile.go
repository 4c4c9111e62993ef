package alarm

import "time"

// The profiles.
const (
	Standard    = "standard"    // what is true of any gateway: no thresholds on hit rate, cost and users
	Analysis    = "analysis"    // long answers: specification A
	Interactive = "interactive" // people who wait: specification B
)

// ErrorBudget is the share of calls that may fail where nothing else is configured: an
// objective of 99 %, which is B's target for the error rate (< 1 %).
const ErrorBudget = 0.01

// Profile returns the definitions of a profile; nil for a name that is none of standard,
// analysis and interactive.
//
// What they have in common: windows are short enough to see a fault within a minute, need
// as many measurements as make a chance breach unlikely, and have to break twice before
// anybody is told. Where nothing is measured nothing is wrong, but for no-measurements.
func Profile(name string) []Definition {
	switch name {
	case Standard:
		return withRunbooks(append(limits(25, 30, 20), common()...))
	case Analysis:
		return withRunbooks(append(append(limits(25, 30, 20), hitRate(0.30, 0.33)), common()...))
	case Interactive:
		return withRunbooks(append(interactive(), common()...))
	}
	return nil
}

func withRunbooks(all []Definition) []Definition {
	for i := range all {
		all[i].Runbook = "docs/alarms.md#" + all[i].Name
	}
	return all
}

// responseTime is an alarm on a statistic of the durations of calls in seconds. Two minutes
// are short enough that p95 breaks after six seconds' worth of slow calls, or 15 s where the
// cache answers 60 % of them.
func responseTime(name, stat string, severity Severity, seconds float64, minCount int64) Definition {
	return Definition{
		Name: name, Severity: severity,
		Measure: Measure{Metric: "duration", Stat: stat, Window: 2 * time.Minute},
		Op:      ">", Threshold: seconds, Clear: 0.9 * seconds, Unit: "s",
		M: 2, N: 3, MinCount: minCount, Missing: MissingIsOK,
		Do: "See on the page Operations which operation and target is slow; compare its upstream time with its queue wait. Route away from a slow target, or raise limits where calls wait.",
	}
}

// errorRate is an alarm on the share of calls that failed by no fault of their callers. Two
// minutes at a hundred calls: with 0.5 % failing by chance, 5 % are not seen in years.
func errorRate(name string, severity Severity, share float64) Definition {
	return Definition{
		Name: name, Severity: severity,
		Measure: Measure{Metric: "failures", Stat: "sum", Over: "requests", Window: 2 * time.Minute},
		Op:      ">", Threshold: share, Clear: 0.8 * share, Unit: "%",
		M: 2, N: 3, MinCount: 100, Missing: MissingIsOK,
		Do: "See on the page Operations which error and target it is. Provider errors: check the target's breaker and add a fallback; policy errors: raise the limit that was met.",
	}
}

func queueDepth(name string, severity Severity, calls float64) Definition {
	return Definition{
		Name: name, Severity: severity,
		Measure: Measure{Metric: "waiting", Stat: "mean", Window: time.Minute},
		Op:      ">", Threshold: calls, Clear: 0.8 * calls, Unit: "requests",
		M: 2, N: 3, Missing: MissingKeeps,
		Do: "See on the page Queue which band waits. Raise limits.max_concurrent if the provider can take more, add a target, or let low bands wait as jobs.",
	}
}

// limits are the thresholds that A sets on any gateway: response time in seconds, error
// rate, queue depth.
func limits(warning, critical float64, minCount int64) []Definition {
	all := []Definition{
		responseTime("response-time-warning", "p95", Warning, warning, minCount),
		responseTime("response-time-critical", "p95", Critical, critical, minCount),
		errorRate("error-rate-warning", Warning, 0.05),
		errorRate("error-rate-critical", Critical, 0.10),
		queueDepth("queue-depth-warning", Warning, 50),
		queueDepth("queue-depth-critical", Critical, 100),
	}
	messages := []string{
		"Calls are slow: one of twenty takes longer than the warning threshold.",
		"Calls are too slow: one of twenty takes longer than answers may take.",
		"Many calls fail.",
		"Far too many calls fail.",
		"Many calls wait for a slot.",
		"Too many calls wait for a slot: most will not be answered in time.",
	}
	for i := range all {
		all[i].Message = messages[i]
	}
	return all
}

// hitRate is an alarm on the share of look-ups that the cache answered. A drop is seen
// within a minute only in the look-ups of that minute; with 200 of them a rate of 60 %
// does not look like 40 % by chance (nearly six standard deviations). A cache that starts
// empty gets half an hour.
func hitRate(share, clear float64) Definition {
	return Definition{
		Name: "hit-rate-low", Severity: Warning,
		Measure: Measure{Metric: "hits", Stat: "sum", Over: "lookups", Window: time.Minute},
		Op:      "<", Threshold: share, Clear: clear, Unit: "%",
		M: 2, N: 3, MinCount: 200, Missing: MissingIsOK, Settle: 30 * time.Minute,
		Message: "The cache answers too few calls.",
		Do:      "See on the page Cache why look-ups miss: keys that hold something unique to each request, a TTL that is too short, or an invalidation that is too wide.",
	}
}

// interactive are the thresholds of B.
func interactive() []Definition {
	slow := responseTime("response-time-critical", "p95", Critical, 3, 100)
	slow.Message = "Calls are too slow: one of twenty takes longer than people wait."
	tail := responseTime("response-time-p99", "p99", Warning, 5, 200)
	tail.Message = "The slowest calls are too slow: one of a hundred takes longer than it may."
	mean := responseTime("response-time-mean", "mean", Warning, 1.5, 100)
	mean.Window = time.Minute // a mean moves with all of its window
	mean.Message = "Calls are slower than usual on average."
	failing := errorRate("error-rate-critical", Critical, 0.05)
	failing.Message = "Too many calls fail."
	return append([]Definition{
		slow, tail, mean, failing, hitRate(0.40, 0.43),
		{
			Name: "user-cost", Severity: Warning,
			Measure: Measure{Metric: "user_cost_month", Stat: "last", Window: 5 * time.Minute},
			Op:      ">", Threshold: 15, Unit: "INR", M: 2, N: 3,
			Message: "A user's calls of this month have cost more than a user may cost.",
			Do:      "See on the page Cost who it is and by which operation and model. A budget for users bounds it; a cheaper model or more cache hits lower it.",
		},
		{
			Name: "concurrent-users", Severity: Warning,
			Measure: Measure{Metric: "users", Stat: "last", Window: time.Minute},
			Op:      ">", Threshold: 1000, Clear: 900, Unit: "users", M: 2, N: 3,
			Message: "More users are active than one instance is meant for.",
			Do:      "Add an instance, or raise limits.max_concurrent if provider quotas allow it; watch queue depth and response time meanwhile.",
		},
	}, external()...)
}

// external are B's alarms on what AWS measures. They are exported, not judged here.
func external() []Definition {
	throttles := func(name, metric string, severity Severity, most float64) Definition {
		return Definition{
			Name: name, Severity: severity, External: true,
			Measure: Measure{Metric: metric, Stat: "sum", Window: time.Minute},
			Op:      ">", Threshold: most, Unit: "throttles", M: 2, N: 3, Missing: MissingIsOK,
		}
	}
	all := []Definition{
		throttles("lambda-throttling", "AWS/Lambda Throttles", Critical, 10),
		throttles("dynamodb-throttling", "AWS/DynamoDB ThrottledRequests", Critical, 0),
		throttles("dynamodb-read-throttling", "AWS/DynamoDB ReadThrottleEvents", Warning, 0),
		throttles("dynamodb-write-throttling", "AWS/DynamoDB WriteThrottleEvents", Warning, 0),
		throttles("dynamodb-user-errors", "AWS/DynamoDB UserErrors", Warning, 10),
	}
	all[0].Message, all[0].Do = "AWS refuses to start Lambda functions.", "Raise reserved concurrency, or the account's limit where that is what is met; smooth bursts with the queue."
	all[1].Message, all[1].Do = "DynamoDB refuses requests of a table.", "Switch the table to on-demand capacity or raise its provisioned capacity; look for a hot partition key."
	all[2].Message, all[2].Do = "DynamoDB refuses reads of a table or index.", all[1].Do
	all[3].Message, all[3].Do = "DynamoDB refuses writes to a table or index.", all[1].Do
	all[4].Message, all[4].Do = "DynamoDB rejects requests as invalid.", "See the application's log for the rejected call: a missing permission, a wrong key or a table that is not there."
	all[4].Unit = "requests"
	return all
}
