package observe

import (
	"context"
	"errors"
	"slices"
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
	if len(events)+len(notices) > 0 || len(o.owed) > 0 {
		if err := errors.Join(o.record(ctx, events), o.keepAlarms(ctx)); err != nil {
			o.log.Error("changes of alarms could not be kept: the next judgement tries again", "error", err)
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

// record adds events to the history, after those that the store did not take before, and
// sets their Seq. Beyond a bound the oldest are lost, and counted.
func (o *Observer) record(ctx context.Context, events []alarm.Event) error {
	o.owed = append(o.owed, events...)
	if over := len(o.owed) - maxRemembered; over > 0 {
		o.owed = slices.Delete(o.owed, 0, over)
		o.Lose(int64(over))
	}
	if len(o.owed) == 0 {
		return nil
	}
	if err := o.cfg.Alarms.AppendAlarmEvents(ctx, o.owed); err != nil {
		return err
	}
	n := min(len(events), len(o.owed))
	copy(events[len(events)-n:], o.owed[len(o.owed)-n:])
	o.owed = nil
	return nil
}

// keepAlarms writes the states of alarms. One at a time on purpose: an older state must
// not overwrite a silence that was written meanwhile.
func (o *Observer) keepAlarms(ctx context.Context) error {
	o.keeping.Lock()
	defer o.keeping.Unlock()
	return o.cfg.Alarms.SaveAlarms(ctx, o.engine.Kept())
}

// Silence keeps alarms from being sent, and Unsilence ends that. Both outlast a restart
// from the moment on that they return. Where that cannot be, there is no silence.
func (o *Observer) Silence(ctx context.Context, s alarm.Silence) (alarm.Silence, error) {
	s, err := o.engine.Silence(s)
	if err != nil {
		return s, err
	}
	if err := o.keepAlarms(ctx); err != nil {
		return alarm.Silence{}, errors.Join(err, o.engine.Unsilence(s.ID, s.From))
	}
	return s, nil
}

// Unsilence ends a silence.
func (o *Observer) Unsilence(ctx context.Context, id string) error {
	if err := o.engine.Unsilence(id, time.Now()); err != nil {
		return err
	}
	return o.keepAlarms(ctx)
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
