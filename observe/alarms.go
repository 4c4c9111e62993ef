package observe

import (
	"context"
	"errors"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/series"
)

// Engine is what judges the alarms.
func (o *Observer) Engine() *alarm.Engine { return o.engine }

// Measure implements alarm.Source.
func (o *Observer) Measure(m alarm.Measure, now time.Time) []alarm.Sample {
	w := series.Window{From: now.Add(-m.Window), To: now}
	if m.By == "" {
		return []alarm.Sample{o.point(m, "", w)}
	}
	values := o.set.Values(m.Metric, m.By)
	samples := make([]alarm.Sample, 0, len(values))
	for _, v := range values {
		samples = append(samples, o.point(m, v, w))
	}
	return samples
}

func (o *Observer) point(m alarm.Measure, of string, w series.Window) alarm.Sample {
	label := m.By
	if of == "" {
		label = ""
	}
	k := series.Key{Metric: m.Metric, Label: label, Value: of}
	p := o.set.Value(k, series.Stat(m.Stat), w)
	if m.Over != "" {
		den := k
		den.Metric = m.Over
		p = o.set.Ratio(k, den, w)
	}
	return alarm.Sample{Of: of, Value: p.Value, Count: p.Count, OK: p.OK}
}

// judge has the alarms judged, and passes on what follows.
func (o *Observer) judge(ctx context.Context, now time.Time) {
	events, notices := o.engine.Evaluate(now, o)
	if len(events)+len(notices) > 0 {
		if err := errors.Join(o.cfg.Alarms.AppendAlarmEvents(ctx, events), o.cfg.Alarms.SaveAlarms(ctx, o.engine.Kept())); err != nil {
			o.log.Error("changes of alarms could not be kept", "error", err)
		}
	}
	for _, e := range events {
		o.log.Warn("alarm", "name", e.Name, "of", e.Of, "severity", string(e.Severity), "from", string(e.From), "to", string(e.To), "reason", e.Reason, "silenced", e.Silenced)
	}
	o.tell(events)
	for _, n := range notices {
		if o.cfg.Notices != nil {
			o.cfg.Notices(n)
		}
	}
}

// Silence keeps alarms from being sent, and Unsilence ends that. Both outlast a restart
// from the moment on that they return.
func (o *Observer) Silence(ctx context.Context, s alarm.Silence) (alarm.Silence, error) {
	s, err := o.engine.Silence(s)
	if err == nil {
		err = o.cfg.Alarms.SaveAlarms(ctx, o.engine.Kept())
	}
	return s, err
}

// Unsilence ends a silence.
func (o *Observer) Unsilence(ctx context.Context, id string) error {
	err := o.engine.Unsilence(id, time.Now())
	if err == nil {
		err = o.cfg.Alarms.SaveAlarms(ctx, o.engine.Kept())
	}
	return err
}

// History lists changes of alarms, newest first.
func (o *Observer) History(ctx context.Context, name string, before int64, limit int) ([]alarm.Event, error) {
	return o.cfg.Alarms.AlarmEvents(ctx, name, before, limit)
}

// Watch gives the changes of alarms as they come; one that reads too slowly loses some.
func (o *Observer) Watch() (events <-chan alarm.Event, stop func()) {
	ch := make(chan alarm.Event, 64)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events[ch] = struct{}{}
	return ch, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.events, ch)
	}
}

func (o *Observer) tell(events []alarm.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for ch := range o.events {
		for _, e := range events {
			select {
			case ch <- e:
			default:
			}
		}
	}
}
