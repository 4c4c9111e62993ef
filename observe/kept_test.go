package observe_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/observe"
	"github.com/forebay-ai/forebay/series"
)

// disk is a store in memory that fails on demand. It implements series.Store and
// alarm.Store.
type disk struct {
	mu     sync.Mutex // guards what follows
	broken error
	blocks map[string]series.Block
	kept   alarm.Kept
	events []alarm.Event
}

func newDisk() *disk { return &disk{blocks: map[string]series.Block{}} }

func (d *disk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = err
}

func (d *disk) SaveSeries(_ context.Context, blocks []series.Block) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken == nil {
		for _, b := range blocks {
			d.blocks[fmt.Sprint(b.Key, b.Step, b.Start.Unix())] = b
		}
	}
	return d.broken
}

func (d *disk) LoadSeries(_ context.Context, _ func(time.Duration) time.Time, yield func(series.Block) bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range d.blocks {
		if !yield(b) {
			break
		}
	}
	return d.broken
}

func (d *disk) PruneSeries(context.Context, time.Duration, time.Time) error { return nil }

func (d *disk) LoadAlarms(context.Context) (alarm.Kept, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kept, d.broken
}

func (d *disk) SaveAlarms(_ context.Context, k alarm.Kept) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken == nil {
		d.kept = k
	}
	return d.broken
}

func (d *disk) AppendAlarmEvents(_ context.Context, events []alarm.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken != nil {
		return d.broken
	}
	for i := range events {
		events[i].Seq = int64(len(d.events) + 1)
		d.events = append(d.events, events[i])
	}
	return nil
}

func (d *disk) AlarmEvents(context.Context, string, int64, int) ([]alarm.Event, error) {
	return nil, errors.New("it is not asked")
}

func (d *disk) PruneAlarmEvents(context.Context, time.Time) error { return nil }

// fired counts the events that say that an alarm fires.
func (d *disk) fired() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events {
		if e.To == alarm.Firing {
			n++
		}
	}
	return n
}

// open makes an observer whose alarm fires on the first failed attempt, and runs it.
func open(t *testing.T, d *disk) (o *observe.Observer, stop func()) {
	t.Helper()
	o, err := observe.New(t.Context(), observe.Config{
		Series: d, Alarms: d,
		Definitions: []alarm.Definition{{
			Name: "failing", Severity: alarm.Critical, Op: ">", Message: "Attempts fail",
			Measure: alarm.Measure{Metric: observe.AttemptFailures, Stat: string(series.Sum), Window: 10 * time.Minute},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	return o, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// A new process finds series, alarms and silences again, and tells nothing twice.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		o, stop := open(t, d)
		for range 5 {
			o.Attempt(&monitor.Attempt{Provider: "p", Model: "m", ErrorType: llm.ProviderError, Duration: time.Second})
		}
		now := time.Now()
		silence, err := o.Silence(t.Context(), alarm.Silence{Alarm: "failing", From: now, Until: now.Add(time.Hour), By: "admin"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		stop()
		again, stop := open(t, d)
		defer stop()
		now = time.Now().Add(time.Second)
		p := again.Series().Value(series.Key{Metric: observe.AttemptFailures}, series.Sum, series.Window{From: now.Add(-time.Hour), To: now})
		if p.Value != 5 {
			t.Errorf("%v failures after the restart", p)
		}
		if all := again.Engine().Silences(now); len(all) != 1 || all[0].ID != silence.ID {
			t.Errorf("silences after the restart: %+v", all)
		}
		time.Sleep(time.Minute)
		if len(again.Engine().Firing()) != 1 || d.fired() != 1 {
			t.Errorf("%+v fire, told %d times", again.Engine().Firing(), d.fired())
		}
	})
}

// What a store did not take is written when it works again, with nothing twice; a silence
// that it does not take is none.
func TestStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		o, stop := open(t, d)
		full := errors.New("no space left on device")
		d.fail(full)
		o.Attempt(&monitor.Attempt{Provider: "p", Model: "m", ErrorType: llm.ProviderError, Duration: time.Second})
		now := time.Now()
		if _, err := o.Silence(t.Context(), alarm.Silence{Alarm: "*", From: now, Until: now.Add(time.Hour), By: "admin"}); !errors.Is(err, full) {
			t.Errorf("the silence: %v", err)
		}
		if all := o.Engine().Silences(now); len(all) != 0 {
			t.Errorf("a silence that was refused: %+v", all)
		}
		time.Sleep(5 * time.Minute)
		if len(o.Engine().Firing()) != 1 || d.fired() != 0 {
			t.Fatalf("%+v fire, %d are written", o.Engine().Firing(), d.fired())
		}
		d.fail(nil)
		time.Sleep(2 * time.Minute)
		if d.fired() != 1 {
			t.Errorf("the history has %d", d.fired())
		}
		stop()
		d.fail(full)
		if _, err := observe.New(t.Context(), observe.Config{Series: d, Alarms: d}); !errors.Is(err, full) {
			t.Errorf("a store that cannot be read: %v", err)
		}
		d.fail(nil)
		again, stop := open(t, d)
		defer stop()
		now = time.Now().Add(time.Second)
		if p := again.Series().Value(series.Key{Metric: observe.AttemptFailures}, series.Sum, series.Window{From: now.Add(-time.Hour), To: now}); p.Value != 1 {
			t.Errorf("%+v after the restart", p)
		}
	})
}

// What the recording of a call, an attempt and a usage allocates, once the keys are known.
func TestAllocations(t *testing.T) {
	o, err := observe.New(t.Context(), observe.Config{})
	if err != nil {
		t.Fatal(err)
	}
	call := &monitor.Call{Operation: "chat", Model: "m", Tenant: "a", User: "u", Outcome: monitor.OK, Cache: "miss", Duration: time.Second, FirstToken: time.Millisecond, OutputTokens: 9, Attempts: 2, Overhead: 1, QueueWait: 1, Priority: llm.Normal}
	attempt := &monitor.Attempt{Provider: "p", Model: "m", Duration: time.Second}
	usage := &monitor.Usage{Operation: "chat", Model: "m", Tokens: llm.Usage{Input: 1, Output: 1}, CostMicroUSD: 1}
	for name, record := range map[string]func(){"call": func() { o.Call(call) }, "attempt": func() { o.Attempt(attempt) }, "usage": func() { o.Usage(usage) }} {
		if n := testing.AllocsPerRun(1000, record); n > 0 {
			t.Errorf("a %s takes %v allocations", name, n)
		}
	}
}
