package monitor

import (
	"github.com/prometheus/client_golang/prometheus"
)

// StateSample is what the parts above the request path know of the whole.
type StateSample struct {
	// Users counts distinct users of the last five minutes, Connections open ones of
	// callers.
	Users, Connections int
	// UserCostMonthMicroUSD is what the most expensive user has cost this month, in
	// millionths of a US dollar.
	UserCostMonthMicroUSD int64
	// BudgetSpent is the spent share of the fullest account of each budget, from 0
	// (1 is all), by names in Config.Budgets.
	BudgetSpent map[string]float64
	// Warning and Critical count the alarms of this severity that fire.
	Warning, Critical int
	// AlertingUp says that alarms are judged and their notices are delivered.
	AlertingUp bool
	// Degradation is the highest level at which any operation is; 0 is normal.
	Degradation int
}

// stateDescs describes the metrics of StateSample.
type stateDescs struct {
	users, connections, userCost, spent, firing, alerting, degradation *prometheus.Desc
}

func newStateDescs(d declare) stateDescs {
	return stateDescs{
		users:       d.desc("users", "Distinct users of the last five minutes."),
		connections: d.desc("connections", "Open connections of callers."),
		userCost:    d.desc("user_cost_month_usd", "What the most expensive user has cost this month, in US dollars."),
		spent:       d.desc("budget_spent_ratio", "Spent share of a budget's fullest account; 1 is all of it.", "budget"),
		firing:      d.desc("alarms_firing", "Alarms that fire.", "severity"),
		alerting:    d.desc("alerting_up", "Whether alarms are judged and their notices delivered (1) or not (0)."),
		degradation: d.desc("degradation_level", "The highest level of degradation of any operation; 0 is normal."),
	}
}

func (d stateDescs) all() []*prometheus.Desc {
	return []*prometheus.Desc{d.users, d.connections, d.userCost, d.spent, d.firing, d.alerting, d.degradation}
}

// collectState asks the first source that knows: there is one whole a process, and
// series of several would collide.
func (p *pull) collectState(e emitter, sources []Source) {
	m := p.monitor
	d := m.metrics.pulled.state
	for _, src := range sources {
		if src.State == nil {
			continue
		}
		var s StateSample
		if !m.ask(func() { s = src.State() }) {
			return
		}
		e.gauge(d.users, float64(s.Users))
		e.gauge(d.connections, float64(s.Connections))
		e.gauge(d.userCost, float64(s.UserCostMonthMicroUSD)/1e6)
		e.gauge(d.firing, float64(s.Warning), "warning")
		e.gauge(d.firing, float64(s.Critical), "critical")
		e.gauge(d.alerting, oneIf(s.AlertingUp))
		e.gauge(d.degradation, float64(s.Degradation))
		spent := map[string]float64{}
		for budget, share := range s.BudgetSpent {
			label := m.words.budget.label(budget)
			spent[label] = max(spent[label], share)
		}
		for budget, share := range spent {
			e.gauge(d.spent, share, budget)
		}
		return
	}
}

// ask calls a function of a Source. It runs in a goroutine of the registry, where a
// panic would end the process: it is counted in forebay_dropped_total as "sample", and
// its metrics are left out of this scrape.
func (m *Monitor) ask(f func()) (ok bool) {
	defer func() {
		if recover() != nil {
			m.Dropped(droppedWatch, 1)
		}
	}()
	f()
	return true
}
