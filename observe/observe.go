package observe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/series"
)

// Config configures New. Nil members are parts that there are not.
type Config struct {
	// Definitions are the alarms that are judged. Name is who sends their notices.
	Definitions []alarm.Definition
	Name        string
	// Group gathers changes of alarms into one notice, and Repeat tells again of those
	// that still fire; zero means the defaults of package alarm.
	Group, Repeat time.Duration
	// PerUSD is how many of a currency a dollar is, for alarms in other currencies.
	PerUSD map[string]float64
	// Budgets names the budgets that there are.
	Budgets []string
	// Notices takes what is due. It must not block.
	Notices func(alarm.Notice)
	// Alerting reports whether notices get through.
	Alerting func(now time.Time) bool
	// Objective is the target for response times. Zero means 30 s.
	Objective time.Duration
	// Custom are custom metrics that the monitor takes.
	Custom []monitor.CustomMetric

	Log    *requestlog.Log
	Ledger *ledger.Ledger
	Tracer Tracer
	// Series and Alarms keep what outlasts the process. Without them the changes of alarms
	// are in memory: the last thousand.
	Series series.Store
	Alarms alarm.Store
	// Connections counts the open connections of callers.
	Connections func() int
	// OnLoss is told of measurements that were lost: what, and how many.
	OnLoss func(what string, n int64)
	Logger *slog.Logger
}

// Tracer makes traces of calls. Its method must not block.
type Tracer interface {
	Observe(e *requestlog.Entry, trace, parent string)
}

const (
	defaultObjective = 30 * time.Second
	// sampleEvery is how often gauges are sampled and alarms judged.
	sampleEvery = 10 * time.Second
	// saveEvery is how much of the series a process loses that is killed.
	saveEvery = time.Minute
	// historyKept is how long changes of alarms are kept.
	historyKept = 90 * 24 * time.Hour
)

// Observer watches a client. Make it with New, attach it to the monitor as a Sink and to
// the client as its Observer, and Run it. Its methods may be called concurrently.
type Observer struct {
	cfg      Config
	set      *series.Set
	engine   *alarm.Engine
	users    *users
	breakers breakers
	started  time.Time
	log      *slog.Logger

	client  atomic.Pointer[forebay.Client]
	targets atomic.Pointer[map[string]string] // by provider/model: the target's name
	unsaved bool                              // the last save failed; used by Run alone
	told    int64                             // of what was lost; used by Run alone
	topped  time.Time                         // when the most expensive user was looked for; used by Run alone
	lost    atomic.Int64
	owed    []alarm.Event // changes that the store has not taken yet; used by Run alone

	keeping sync.Mutex // held while the states of alarms are read and written

	mu     sync.Mutex // guards what follows
	events map[chan alarm.Event]struct{}
}

// New makes an Observer, with what the stores have kept. The error lists every fault of
// the definitions, or says why a store could not be read.
func New(ctx context.Context, cfg Config) (*Observer, error) {
	if cfg.Objective == 0 {
		cfg.Objective = defaultObjective
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	now := time.Now()
	o := &Observer{cfg: cfg, users: newUsers(), started: now, log: cfg.Logger, events: map[chan alarm.Event]struct{}{}}
	metrics := Metrics()
	for _, c := range cfg.Custom {
		metrics = append(metrics, customMetric(c))
	}
	var kept alarm.Kept
	var err error
	if o.set, err = series.New(series.Config{Metrics: metrics, Start: now}); err != nil {
		return nil, fmt.Errorf("observe: %w", err)
	}
	if cfg.Alarms == nil {
		o.cfg.Alarms = new(memory)
	}
	if kept, err = o.cfg.Alarms.LoadAlarms(ctx); err != nil {
		return nil, fmt.Errorf("observe: states of alarms: %w", err)
	}
	o.engine, err = alarm.New(alarm.Config{
		Definitions: cfg.Definitions, Source: cfg.Name, Start: now, Kept: kept, Group: cfg.Group, Repeat: cfg.Repeat, PerUSD: cfg.PerUSD,
	})
	if err != nil {
		return nil, err
	}
	if err := o.restore(ctx); err != nil {
		return nil, err
	}
	return o, nil
}

func customMetric(c monitor.CustomMetric) series.Metric {
	m := series.Metric{Name: CustomPrefix + c.Name, Unit: c.Unit, Doc: c.Doc, Kind: series.Distribution}
	switch c.Kind {
	case monitor.CustomCounter:
		m.Kind = series.Counter
	case monitor.CustomGauge:
		m.Kind = series.Gauge
	}
	return m
}

// Bind names the client that is watched. It is called once, before Run.
func (o *Observer) Bind(c *forebay.Client) {
	names := map[string]string{}
	for _, t := range c.Targets() {
		names[t.Name] = t.Name
	}
	o.targets.Store(&names)
	o.client.Store(c)
}

// target is the name of the target that an attempt was made at; the names that callers
// made up are not among them.
func (o *Observer) target(provider, model string) string {
	names := o.targets.Load()
	if names == nil {
		return provider
	}
	if name, ok := (*names)[provider+"/"+model]; ok {
		return name
	}
	return provider + "/*"
}

// Series is what was measured.
func (o *Observer) Series() *series.Set { return o.set }

// Started is since when there are measurements of this process.
func (o *Observer) Started() time.Time { return o.started }

// Objective is the target for response times.
func (o *Observer) Objective() time.Duration { return o.cfg.Objective }

// Lost counts the measurements that were lost since the start.
func (o *Observer) Lost() int64 { return o.set.Dropped() + o.lost.Load() }

// Transitions lists the changes of breakers from a moment on, oldest first, and the state
// at that moment of every target that has changed at all.
func (o *Observer) Transitions(from time.Time) (states map[string]string, later []Transition) {
	return o.breakers.since(from)
}

// Run samples gauges, judges alarms and saves both, until ctx ends. It runs once, after
// Bind. The error joins what could not be saved at the end.
func (o *Observer) Run(ctx context.Context) error {
	sample, save := time.NewTicker(sampleEvery), time.NewTicker(saveEvery)
	defer sample.Stop()
	defer save.Stop()
	o.look(ctx, time.Now())
	for {
		select {
		case now := <-sample.C:
			o.look(ctx, now)
		case now := <-save.C:
			err := o.save(ctx, now)
			if o.unsaved = err != nil; err != nil {
				o.log.Error("measurements could not be saved: they are kept in memory", "error", err)
			}
		case <-ctx.Done():
			late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			now := time.Now()
			o.look(late, now)
			return o.save(late, now)
		}
	}
}

// look samples the gauges and judges the alarms.
func (o *Observer) look(ctx context.Context, now time.Time) {
	o.sample(ctx, now)
	o.judge(ctx, now)
}

// restore reads what the last process has measured.
func (o *Observer) restore(ctx context.Context) error {
	if o.cfg.Series == nil {
		return nil
	}
	from, broken := o.set.Retention(), 0
	err := o.cfg.Series.LoadSeries(ctx, func(step time.Duration) time.Time { return o.started.Add(-from[step]) }, func(b series.Block) bool {
		if o.set.Restore(b) != nil {
			broken++
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("observe: measurements of before: %w", err)
	}
	if broken > 0 {
		o.log.Warn("some measurements of before could not be read", "blocks", broken)
	}
	return nil
}

// save writes what has changed since the last time.
func (o *Observer) save(ctx context.Context, now time.Time) error {
	var err error
	if o.cfg.Series != nil {
		blocks := o.set.Dirty(now)
		if err = o.cfg.Series.SaveSeries(ctx, blocks); err != nil {
			o.set.Unsaved(blocks)
		}
		for step, kept := range o.set.Retention() {
			err = errors.Join(err, o.cfg.Series.PruneSeries(ctx, step, now.Add(-kept)))
		}
	}
	return errors.Join(err, o.keepAlarms(ctx), o.cfg.Alarms.PruneAlarmEvents(ctx, now.Add(-historyKept)))
}
