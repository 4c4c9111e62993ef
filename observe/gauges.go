package observe

import (
	"context"
	"slices"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/series"
)

// topRows is enough for one that has a user: of every tenant, calls that name nobody are
// one row.
const topRows = 1000

// topEvery is how often the most expensive user is looked for: it is a question to the
// store.
const topEvery = time.Minute

// gauge sets a gauge as a whole.
func (o *Observer) gauge(metric string, v float64, now time.Time) {
	o.set.Set(series.Key{Metric: metric}, v, now)
}

func (o *Observer) gaugeOf(metric, label, value string, v float64, now time.Time) {
	o.set.Set(series.Key{Metric: metric, Label: label, Value: value}, v, now)
}

// sample takes the state of the client.
func (o *Observer) sample(ctx context.Context, now time.Time) {
	if c := o.client.Load(); c != nil {
		src := c.Source()
		o.sampleQueue(src.Queue(), now)
		o.sampleTargets(c, now)
		stored := src.Cache()
		o.sampleCache(stored, now)
		up := !o.unsaved && (stored.Store == nil || stored.Store.Up)
		if src.Jobs != nil {
			j := src.Jobs()
			o.sampleJobs(j, now)
			up = up && j.Up
		}
		o.gauge(StoreUp, bit(up), now)
		o.gauge(Degradation, levelNumber(c.Health().Degradation.Level), now)
	}
	o.gauge(Users, float64(o.users.count(now)), now)
	if o.cfg.Connections != nil {
		o.gauge(Connections, float64(o.cfg.Connections()), now)
	}
	o.gauge(AlertingUp, bit(o.cfg.Alerting == nil || o.cfg.Alerting(now)), now)
	if lost := o.Lost(); lost > o.told {
		o.add(series.Key{Metric: Dropped}, float64(lost-o.told), now)
		o.told = lost
	}
	o.sampleMoney(ctx, now)
}

// Lose counts measurements of others that were lost.
func (o *Observer) Lose(n int64) { o.lost.Add(n) }

func (o *Observer) sampleQueue(q monitor.QueueSample, now time.Time) {
	all := 0
	for i, n := range q.Waiting {
		all += n
		o.gaugeOf(Waiting, ByBand, llm.Priorities[i].String(), float64(n), now)
	}
	o.gauge(Waiting, float64(all), now)
	o.gauge(OldestWait, q.Oldest.Seconds(), now)
}

func (o *Observer) sampleTargets(c *forebay.Client, now time.Time) {
	inFlight, shut, half := 0, 0.0, 0.0
	for _, t := range c.Targets() {
		inFlight += t.InFlight
		notClosed, tries := bit(t.Breaker.State != breaker.Closed), bit(t.Breaker.State == breaker.HalfOpen)
		shut, half = max(shut, notClosed), max(half, tries)
		o.gaugeOf(InFlight, ByTarget, t.Name, float64(t.InFlight), now)
		o.gaugeOf(BreakerOpen, ByTarget, t.Name, notClosed, now)
		o.gaugeOf(BreakerHalfOpen, ByTarget, t.Name, tries, now)
		if t.Limit >= 0 {
			o.gaugeOf(Limit, ByTarget, t.Name, float64(t.Limit), now)
		}
	}
	o.gauge(InFlight, float64(inFlight), now)
	o.gauge(BreakerOpen, shut, now)
	o.gauge(BreakerHalfOpen, half, now)
}

func (o *Observer) sampleCache(s monitor.CacheSample, now time.Time) {
	o.gauge(CacheEntries, float64(s.Entries), now)
	o.gauge(CacheBytes, float64(s.Bytes), now)
}

func (o *Observer) sampleJobs(j monitor.JobSample, now time.Time) {
	queued := 0
	for _, n := range j.Queued {
		queued += n
	}
	o.gauge(JobsQueued, float64(queued), now)
	o.gauge(JobsOldest, slices.Max(j.Oldest[:]).Seconds(), now)
	o.gauge(JobsDead, float64(j.Dead), now)
}

// sampleMoney takes the state of budgets, and now and then what the most expensive user
// has cost this month.
func (o *Observer) sampleMoney(ctx context.Context, now time.Time) {
	if o.cfg.Ledger == nil {
		return
	}
	spent := map[string]float64{}
	for _, rule := range o.cfg.Budgets {
		spent[rule] = 0 // until somebody spends of it in its new period
	}
	for _, b := range o.cfg.Ledger.Budgets(now) {
		spent[b.Rule] = max(spent[b.Rule], float64(b.Spent+b.Reserved)/float64(max(b.Limit, 1)))
	}
	for rule, share := range spent {
		o.gaugeOf(BudgetSpent, ByBudget, rule, share, now)
	}
	if now.Sub(o.topped) < topEvery {
		return
	}
	o.topped = now
	utc := now.UTC()
	month := time.Date(utc.Year(), utc.Month(), 1, 0, 0, 0, 0, time.UTC)
	rows, err := o.cfg.Ledger.Spend(ctx, ledger.Query{From: month, To: month.AddDate(0, 1, 0), By: []ledger.Dimension{ledger.ByTenant, ledger.ByUser}, Limit: topRows})
	if err != nil {
		o.log.Warn("the most expensive user is not known", "error", err)
		return
	}
	for _, r := range rows {
		if r.User != "" { // calls that name nobody are nobody's
			o.gauge(UserCostMonth, float64(r.MicroUSD+r.ComputeMicroUSD+r.StorageMicroUSD)/1e6, now)
			return
		}
	}
	o.gauge(UserCostMonth, 0, now)
}

// State is what the observer knows for the monitor: the last samples of its own gauges.
func (o *Observer) State() monitor.StateSample {
	now := time.Now()
	last := func(k series.Key) float64 {
		return o.set.Value(k, series.Last, series.Window{From: now.Add(-2 * topEvery), To: now}).Value
	}
	s := monitor.StateSample{
		Users: int(last(series.Key{Metric: Users})), Connections: int(last(series.Key{Metric: Connections})),
		UserCostMonthMicroUSD: int64(1e6 * last(series.Key{Metric: UserCostMonth})), BudgetSpent: map[string]float64{},
		AlertingUp: o.cfg.Alerting == nil || o.cfg.Alerting(now), Degradation: int(last(series.Key{Metric: Degradation})),
	}
	for _, rule := range o.set.Values(BudgetSpent, ByBudget) {
		s.BudgetSpent[rule] = last(series.Key{Metric: BudgetSpent, Label: ByBudget, Value: rule})
	}
	severities := map[string]alarm.Severity{}
	for _, d := range o.engine.Definitions() {
		severities[d.Name] = d.Severity
	}
	for _, f := range o.engine.Firing() {
		if severities[f.Name] == alarm.Critical {
			s.Critical++
		} else {
			s.Warning++
		}
	}
	return s
}

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// levelNumber is a level of degradation as a number: 0 for none.
func levelNumber(l degrade.Level) float64 {
	return float64(max(slices.Index([]degrade.Level{degrade.None, degrade.Partial, degrade.Full}, l), 0))
}
