package notify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/alarm/notify"
	"github.com/forebay-ai/forebay/llm"
)

// most is a jitter that always takes the longest pause.
func most(d time.Duration) time.Duration { return d }

// start runs a dispatcher in the background; the returned function closes it and waits.
func start(t *testing.T, cfg notify.Config) (*notify.Dispatcher, func(ctx context.Context) error) {
	t.Helper()
	d, err := notify.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var ended error
	running.Go(func() { ended = d.Run(context.Background()) })
	synctest.Wait()
	return d, func(ctx context.Context) error {
		err := d.Close(ctx)
		running.Wait()
		if ended != nil {
			t.Errorf("Run: %v", ended)
		}
		return err
	}
}

func ExampleDispatcher() {
	d, err := notify.New(notify.Config{Source: "gateway-1", Notifiers: []alarm.Notifier{notify.NewLog("", slog.New(slog.DiscardHandler))}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = d.Run(ctx) })
	for _, r := range d.Test(ctx, "log") {
		fmt.Println(r.Name, r.OK)
	}
	d.Send(alarm.Notice{ID: "n1", Title: "errors-high"})
	for d.Status()[0].Waiting > 0 {
		time.Sleep(time.Millisecond)
	}
	fmt.Println("closed:", d.Close(ctx))
	fmt.Println("sent:", d.Status()[0].Sent)
	cancel()
	running.Wait()
	// Output:
	// log true
	// closed: <nil>
	// sent: 2
}

// One notifier that hangs, one that fails and one that panics delay no other.
func TestNotifiersAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := &fake{name: "good"}
		d, stop := start(t, notify.Config{Notifiers: []alarm.Notifier{
			&fake{name: "hangs", notify: hanging}, &fake{name: "fails", notify: failing},
			&fake{name: "panics", notify: func(context.Context, alarm.Notice, int) error { panic("x") }}, good,
		}})
		begin := time.Now()
		for i := range 20 {
			d.Send(notice(fmt.Sprint(i)))
		}
		synctest.Wait()
		if got := good.seen(); len(got) != 20 || got[0] != "0" || got[19] != "19" {
			t.Errorf("got %v", got)
		}
		if time.Since(begin) != 0 {
			t.Errorf("it took %s", time.Since(begin))
		}
		for _, s := range d.Status() {
			if s.Name == "panics" && (s.Failed != 20 || !strings.Contains(s.LastError, "panicked")) {
				t.Errorf("%+v", s)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := stop(ctx); err == nil || !strings.Contains(err.Error(), "hangs: 20") || !strings.Contains(err.Error(), "fails: 20") || strings.Contains(err.Error(), "good") {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestRetries(t *testing.T) {
	seconds := func(all ...float64) (d []time.Duration) {
		for _, s := range all {
			d = append(d, time.Duration(s*float64(time.Second)))
		}
		return d
	}
	after := func(d time.Duration) func(context.Context, alarm.Notice, int) error {
		return func(_ context.Context, _ alarm.Notice, attempt int) error {
			if attempt == 1 {
				return &llm.Error{Kind: llm.ForebayUnavailable, RetryAfter: d}
			}
			return nil
		}
	}
	for name, tt := range map[string]struct {
		cfg          notify.Config
		notify       func(context.Context, alarm.Notice, int) error
		want         []time.Duration
		sent, failed int64
	}{
		"works": {notify.Config{}, nil, seconds(0), 1, 0},
		"doubling up to a minute": {
			notify.Config{Jitter: most, Attempts: 9},
			failing,
			seconds(0, 1, 3, 7, 15, 31, 63, 123, 183), 0, 1,
		},
		"own pauses": {
			notify.Config{Jitter: most, Backoff: 10 * time.Second, MaxBackoff: 15 * time.Second, Attempts: 4},
			failing,
			seconds(0, 10, 25, 40), 0, 1,
		},
		"works at last": {notify.Config{Jitter: most}, func(_ context.Context, _ alarm.Notice, attempt int) error {
			if attempt < 4 {
				return errDown
			}
			return nil
		}, seconds(0, 1, 3, 7), 1, 0},
		"no use":               {notify.Config{Jitter: most}, final, seconds(0), 0, 1},
		"what was asked for":   {notify.Config{Jitter: most}, after(40 * time.Second), seconds(0, 40), 1, 0},
		"asked for too little": {notify.Config{Jitter: most}, after(time.Millisecond), seconds(0, 1), 1, 0},
		"asked for too much":   {notify.Config{Jitter: most}, after(time.Hour), seconds(0), 0, 1},
		"too old":              {notify.Config{Jitter: most, MaxAge: 10 * time.Second}, failing, seconds(0, 1, 3, 7), 0, 1},
		"no answer":            {notify.Config{Jitter: most, Timeout: 5 * time.Second, Attempts: 2}, hanging, seconds(0, 6), 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{name: "f", notify: tt.notify}
				lost := int64(0)
				tt.cfg.Notifiers = []alarm.Notifier{f}
				tt.cfg.OnDrop = func(n int64) { atomic.AddInt64(&lost, n) }
				d, stop := start(t, tt.cfg)
				begin := time.Now()
				d.Send(notice("n"))
				time.Sleep(20 * time.Minute)
				if err := stop(t.Context()); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(tt.want, f.offsets(begin)); diff != "" {
					t.Error(diff)
				}
				s := d.Status()[0]
				if s.Sent != tt.sent || s.Failed != tt.failed || s.Waiting != 0 || atomic.LoadInt64(&lost) != tt.failed {
					t.Errorf("%+v, %d lost", s, lost)
				}
			})
		})
	}
}

// The pause is between nothing and the bound, and not always the same.
func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{name: "f", notify: failing}
		d, stop := start(t, notify.Config{Notifiers: []alarm.Notifier{f}, Attempts: 200, MaxAge: 24 * time.Hour, Backoff: time.Second, MaxBackoff: time.Second})
		begin := time.Now()
		d.Send(notice("n"))
		time.Sleep(time.Hour)
		at := f.offsets(begin)
		if len(at) != 200 {
			t.Fatalf("%d attempts", len(at))
		}
		pauses := map[time.Duration]bool{}
		sum := time.Duration(0)
		for i := 1; i < len(at); i++ {
			pause := at[i] - at[i-1]
			if pause < 0 || pause > time.Second {
				t.Fatalf("a pause of %s", pause)
			}
			pauses[pause] = true
			sum += pause
		}
		if mean := sum / 199; len(pauses) < 150 || mean < 350*time.Millisecond || mean > 650*time.Millisecond {
			t.Errorf("%d different pauses, %s on average", len(pauses), mean)
		}
		if err := stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// The oldest that waits goes, never the one in progress, and each is counted.
func TestQueueDropsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := &fake{name: "slow", notify: func(context.Context, alarm.Notice, int) error {
			<-release
			return nil
		}}
		lost := int64(0)
		d, stop := start(t, notify.Config{Notifiers: []alarm.Notifier{f}, Queue: 3, OnDrop: func(n int64) { atomic.AddInt64(&lost, n) }})
		for i := range 8 {
			d.Send(notice(fmt.Sprint(i)))
			synctest.Wait()
		}
		s := d.Status()[0]
		if s.Dropped != 4 || s.Waiting != 4 || lost != 4 || d.Healthy(time.Now()) {
			t.Errorf("%+v, %d lost, healthy %v", s, lost, d.Healthy(time.Now()))
		}
		close(release)
		if err := stop(t.Context()); err != nil {
			t.Error(err)
		}
		if got := f.seen(); !slices.Equal(got, []string{"0", "5", "6", "7"}) {
			t.Errorf("sent %v", got)
		}
		d.Send(notice("late"))
		if s := d.Status()[0]; s.Dropped != 5 || s.Waiting != 0 {
			t.Errorf("after the end: %+v", s)
		}
	})
}

func TestHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		f := &fake{name: "f", notify: func(context.Context, alarm.Notice, int) error {
			if down.Load() {
				return errDown
			}
			return nil
		}}
		var log bytes.Buffer
		d, stop := start(t, notify.Config{
			Notifiers: []alarm.Notifier{&fake{name: "good"}, f}, Jitter: most, Logger: slog.New(slog.NewTextHandler(&log, nil)), MaxAge: 10 * time.Minute,
		})
		expect := func(what string, want bool) {
			t.Helper()
			synctest.Wait()
			if got := d.Healthy(time.Now()); got != want {
				t.Errorf("%s: healthy %v; %+v", what, got, d.Status())
			}
		}
		expect("at first", true)
		d.Send(notice("a"))
		expect("after one that worked", true)
		down.Store(true)
		d.Send(notice("b"))
		expect("just failed", true)
		time.Sleep(time.Minute)
		expect("failing for a minute", true)
		time.Sleep(time.Second)
		expect("failing for more than a minute", false)
		down.Store(false)
		time.Sleep(time.Minute + time.Second)
		expect("works again", true)
		if s := d.Status()[1]; s.Sent != 2 || s.LastError != errDown.Error() || !s.FailingSince.IsZero() {
			t.Errorf("%+v", s)
		}
		down.Store(true)
		d.Send(notice("c"))
		time.Sleep(5 * time.Minute) // given up meanwhile, after ten attempts
		expect("given up", false)
		down.Store(false)
		if r := d.Test(t.Context(), "f"); len(r) != 1 || !r[0].OK {
			t.Errorf("%+v", r)
		}
		expect("a test worked, and a notice was lost", false)
		time.Sleep(6 * time.Minute)
		expect("the loss is long ago", true)
		if err := stop(t.Context()); err != nil {
			t.Error(err)
		}
		for _, want := range []string{"a notice was not taken", "the notifier works again", "a notice was given up"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log has no %q:\n%s", want, log.String())
			}
		}
		if n := strings.Count(log.String(), "\n"); n > 6 {
			t.Errorf("%d lines for two outages", n)
		}
	})
}

func TestTestNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got atomic.Value
		good := &fake{name: "good", notify: func(_ context.Context, n alarm.Notice, _ int) error {
			got.Store(n)
			return nil
		}}
		d, err := notify.New(notify.Config{Source: "gateway-1", Timeout: 5 * time.Second, Notifiers: []alarm.Notifier{good, &fake{name: "down", notify: failing}, &fake{name: "hangs", notify: hanging}}})
		if err != nil {
			t.Fatal(err)
		}
		want := []notify.Result{
			{Name: "good", OK: true},
			{Name: "down", Error: errDown.Error()},
			{Name: "hangs", Error: "forebay_unavailable: no answer in time (timeout = 5s)", Took: 5 * time.Second},
		}
		if diff := cmp.Diff(want, d.Test(t.Context(), "")); diff != "" {
			t.Error(diff)
		}
		n := got.Load().(alarm.Notice)
		if !n.Test || !strings.Contains(n.Title, "gateway-1") || len(n.Items) != 1 || n.ID == "" {
			t.Errorf("%+v", n)
		}
		if got := d.Test(t.Context(), "none"); len(got) != 1 || got[0].OK || got[0].Error == "" {
			t.Errorf("%+v", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got := d.Test(ctx, "hangs"); got[0].OK || got[0].Took != time.Second {
			t.Errorf("%+v", got)
		}
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &fake{name: "slow", notify: func(context.Context, alarm.Notice, int) error {
			time.Sleep(time.Second)
			return nil
		}}
		d, stop := start(t, notify.Config{Notifiers: []alarm.Notifier{slow}})
		for i := range 10 {
			d.Send(notice(fmt.Sprint(i)))
		}
		begin := time.Now()
		if err := stop(t.Context()); err != nil || time.Since(begin) != 10*time.Second || len(slow.seen()) != 10 {
			t.Errorf("drained %d in %s: %v", len(slow.seen()), time.Since(begin), err)
		}
		if err := d.Close(t.Context()); err != nil {
			t.Errorf("again: %v", err)
		}
		if err := d.Run(t.Context()); err == nil {
			t.Error("Run after Close")
		}
	})
}

// What is left when the time to drain is up is counted, and in a pause between tries too.
func TestCloseInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := int64(0)
		d, stop := start(t, notify.Config{
			Notifiers: []alarm.Notifier{&fake{name: "down", notify: failing}, &fake{name: "hangs", notify: hanging}}, Jitter: most,
			OnDrop: func(n int64) { atomic.AddInt64(&lost, n) },
		})
		d.Send(notice("a"))
		d.Send(notice("b"))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begin := time.Now()
		err := stop(ctx)
		if err == nil || !strings.Contains(err.Error(), "down: 2, hangs: 2") || time.Since(begin) != 5*time.Second || lost != 4 {
			t.Errorf("after %s: %v, %d lost", time.Since(begin), err, lost)
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := notify.New(notify.Config{Notifiers: []alarm.Notifier{&fake{name: "hangs", notify: hanging}, &fake{name: "good"}}})
		if err != nil {
			t.Fatal(err)
		}
		d.Send(notice("a")) // before Run: it waits
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		synctest.Wait()
		if s := d.Status(); s[0].Waiting != 1 || s[1].Sent != 1 {
			t.Errorf("%+v", s)
		}
		if err := d.Run(ctx); err == nil {
			t.Error("Run twice")
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := d.Close(t.Context()); err == nil || !strings.Contains(err.Error(), "hangs: 1") {
			t.Error(err)
		}
	})
}

func TestConfigFaults(t *testing.T) {
	_, err := notify.New(notify.Config{Notifiers: []alarm.Notifier{&fake{name: "a"}, nil, &fake{name: "a"}}, Queue: -1, MaxAge: -1})
	for _, want := range []string{"notifiers[1] is nil", `notifiers[2]: the name "a" is taken`, "queue and attempts", "max_age"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no fault about %q in %v", want, err)
		}
	}
	d, err := notify.New(notify.Config{})
	if err != nil || len(d.Status()) != 0 || !d.Healthy(time.Now()) || len(d.Test(t.Context(), "")) != 0 {
		t.Errorf("without notifiers: %v", err)
	}
	d.Send(notice("a"))
}

// Sending from many goroutines, with tests, reports and the end in between, loses nothing
// uncounted.
func TestConcurrency(t *testing.T) {
	var sent atomic.Int64
	f := &fake{name: "f", notify: func(context.Context, alarm.Notice, int) error {
		sent.Add(1)
		return nil
	}}
	var lost atomic.Int64
	d, err := notify.New(notify.Config{Notifiers: []alarm.Notifier{f}, Queue: 16, OnDrop: func(n int64) { lost.Add(n) }})
	if err != nil {
		t.Fatal(err)
	}
	var running, senders sync.WaitGroup
	running.Go(func() { _ = d.Run(context.Background()) })
	for range 8 {
		senders.Go(func() {
			for i := range 500 {
				d.Send(notice(fmt.Sprint(i)))
				d.Status()
				d.Healthy(time.Now())
			}
		})
	}
	senders.Wait()
	_ = d.Close(context.Background()) // Run may not have begun, and then nothing is sent
	running.Wait()
	if got := sent.Load() + lost.Load(); got != 4000 {
		t.Errorf("%d sent and %d lost of 4000", sent.Load(), lost.Load())
	}
}
