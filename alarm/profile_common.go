package alarm

import "time"

// common are the alarms of every profile. One straight list on purpose: it is read from
// top to bottom.
func common() []Definition {
	hour, day := time.Hour, 24*time.Hour
	// The factors and windows of table 5-8 of Google's SRE workbook: 2 % of the budget of
	// 30 days in an hour, 5 % in six, 10 % in three days.
	fast := BurnRate("budget-burn-critical", Critical, ErrorBudget,
		Burn{Long: hour, Short: 5 * time.Minute, Factor: 14.4}, Burn{Long: 6 * hour, Short: 30 * time.Minute, Factor: 6})
	fast.Message = "The error budget burns so fast that it is gone within days."
	fast.Do = "Treat it as an outage: see on the page Operations which error and target it is, and route away from it."
	slow := BurnRate("budget-burn-warning", Warning, ErrorBudget, Burn{Long: 3 * day, Short: 6 * hour, Factor: 1})
	// Neither a night with little traffic nor the first hours decide on three days.
	slow.Every, slow.M, slow.N, slow.MinCount, slow.Settle = 30*time.Second, 1, 2, 1000, 6*hour
	slow.Message = "Errors burn the error budget faster than it lasts."
	slow.Do = "No need to get up: find the error that is most frequent over the last three days and end it."
	return append([]Definition{
		fast, slow,
		{
			Name: "job-oldest", Severity: Warning,
			Measure: Measure{Metric: "jobs_oldest", Stat: "last", Window: time.Minute},
			Op:      ">", Threshold: 900, Clear: 600, Unit: "s", M: 2, N: 3,
			Message: "A durable job has waited long for its turn.",
			Do:      "See on the page Queue which band waits and whether jobs end at all; raise jobs.concurrency, or cancel what is not needed any more.",
		},
		{
			Name: "breaker-open", Severity: Warning,
			// It counts a half-open breaker too: probes that wait for a silent target last longer
			// than the pauses between them.
			Measure: Measure{Metric: "breaker_open", Stat: "mean", By: "target", Window: time.Minute},
			Op:      ">", Threshold: 0.5, Clear: 0.1, M: 2, N: 3,
			Message: "A target's circuit breaker stays open: no calls go to it.",
			Do:      "See on the page Reliability why it opened, and the provider's status page. Others of its model take the calls; without one add a fallback.",
		},
		{
			Name: "dead-letters", Severity: Warning,
			Measure: Measure{Metric: "jobs_dead", Stat: "last", Window: time.Minute},
			Op:      ">", Threshold: 0, Unit: "jobs", M: 2, N: 2,
			Message: "Jobs were given up and are kept as dead letters.",
			Do:      "See on the page Queue why they failed; end the cause, then requeue or cancel them.",
		},
	}, ownHealth()...)
}

// ownHealth are the alarms on Forebay itself.
func ownHealth() []Definition {
	return []Definition{
		{
			Name: "store-down", Severity: Critical,
			Measure: Measure{Metric: "store_up", Stat: "last", Window: time.Minute},
			Op:      "<", Threshold: 1, M: 2, N: 3,
			Message: "A store does not take changes: jobs are refused, answers are not kept.",
			Do:      "Look for a full or failing disk; the log names the file and the error. The store is opened anew by itself once that works.",
		},
		{
			Name: "alerting-broken", Severity: Critical,
			Measure: Measure{Metric: "alerting_up", Stat: "last", Window: time.Minute},
			Op:      "<", Threshold: 1, M: 2, N: 3,
			Message: "Notices of alarms do not reach their receiver.",
			Do:      "Run forebay alarms test and read which notifier fails and why: an address, a secret or a certificate that is not valid any more.",
		},
		{
			Name: "measurements-lost", Severity: Warning,
			Measure: Measure{Metric: "dropped", Stat: "sum", Window: 5 * time.Minute},
			Op:      ">", Threshold: 0, Unit: "items", M: 2, N: 2, Missing: MissingIsOK,
			Message: "Measurements or log entries were dropped because they could not be written fast enough.",
			Do:      "Look at the disk and at the receiver of spans; raise the buffer of what is dropped, or lower the sampling.",
		},
		{
			Name: "no-measurements", Severity: Critical,
			// Nothing is less than no calls: what fires is that nothing is measured.
			Measure: Measure{Metric: "waiting", Stat: "last", Window: time.Minute},
			Op:      "<", Threshold: 0, Unit: "requests", M: 1, N: 2, Missing: MissingIsBad,
			Message: "Nothing is measured: the other alarms are blind.",
			Do:      "See the log for why sampling stopped; restart the gateway if it does not go on.",
		},
		{
			Name: "budget-spent", Severity: Warning,
			Measure: Measure{Metric: "budget_spent", Stat: "last", By: "budget", Window: 5 * time.Minute},
			Op:      ">", Threshold: 0.9, Unit: "%", M: 2, N: 3,
			Message: "A budget is nearly spent.",
			Do:      "See on the page Cost who spends it; raise the budget, or expect refusals or cheaper models when it is used up.",
		},
	}
}
