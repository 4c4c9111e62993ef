package console

import (
	"fmt"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/budget"
)

// pages say which part of the dashboard shows more, by what an alarm measures.
func page(metric string) string {
	switch {
	case strings.HasPrefix(metric, "breaker"), metric == "in_flight", metric == "limit":
		return "reliability"
	case strings.HasPrefix(metric, "jobs"), metric == "waiting", metric == "oldest_wait", metric == "queue_wait", metric == "refused":
		return "queue"
	case metric == "hits", metric == "misses", metric == "lookups", strings.HasPrefix(metric, "cache"):
		return "cache"
	case metric == "cost", metric == "user_cost_month", metric == "budget_spent":
		return "cost"
	case metric == "duration", metric == "first_token", metric == "per_token", metric == "failures", metric == "good":
		return "operations"
	}
	return "alarms"
}

// problems says what is wrong now and what to do: alarms that fire, and what has no alarm
// or is too young for one. The worst come first.
func (c *Console) problems(o *Overview) []Problem {
	found := []Problem{}
	named := map[string]bool{}
	definitions := map[string]alarm.Definition{}
	for _, d := range c.cfg.Observer.Engine().Definitions() {
		definitions[d.Name] = d
	}
	for _, s := range o.Alarms {
		d := definitions[s.Name]
		what := strings.TrimSuffix(d.Message, ".")
		if s.Of != "" {
			what += ": " + s.Of
			named[s.Of] = true
		}
		found = append(found, Problem{Severity: d.Severity, What: what, Why: s.Reason, Do: d.Do, Page: page(d.Metric)})
	}
	for target, state := range o.Health.Degradation.Targets {
		if state != "closed" && !named[target] {
			found = append(found, Problem{
				Severity: alarm.Warning, What: "The breaker of " + target + " is " + strings.ReplaceAll(state, "_", " "),
				Why: "Calls of it failed; they go elsewhere where there is a second target.",
				Do:  "Look at why it opened. It closes by itself when the target answers again.", Page: "reliability",
			})
		}
	}
	if o.Health.Jobs.Enabled && !o.Health.Jobs.Up {
		found = append(found, Problem{
			Severity: alarm.Critical, What: "The store of durable jobs takes no changes",
			Why: "A write or a sync of its file failed.", Do: "Look at the disk: space, errors in the system's log. It recovers by itself.", Page: "queue",
		})
	}
	for i := range o.Budgets {
		found = append(found, budgetProblem(&o.Budgets[i]))
	}
	slices.SortStableFunc(found, func(a, b Problem) int { return strings.Compare(string(a.Severity), string(b.Severity)) }) // critical, warning
	return found
}

// budgetProblem is a budget that is spent, or nearly.
func budgetProblem(b *budget.State) Problem {
	p := Problem{
		Severity: alarm.Warning, What: fmt.Sprintf("The budget %s is nearly spent", b.Rule), Page: "cost",
		Why: fmt.Sprintf("%.0f %% of it is spent or reserved.", 100*float64(b.Spent+b.Reserved)/float64(max(b.Limit, 1))),
		Do:  "Raise it, or see who spends most.",
	}
	if b.Exhausted {
		p.Severity, p.What = alarm.Critical, fmt.Sprintf("The budget %s is spent", b.Rule)
	}
	return p
}
