package pace_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/pace"
	"pgregory.net/rapid"
)

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		cfg  pace.Config
		want string
	}{
		{pace.Config{}, ""},
		{pace.Config{FirstToken: pace.None, MinRate: pace.None}, ""},
		{pace.Config{FirstToken: time.Minute, MinRate: 0.5, Window: time.Second}, ""},
		{pace.Config{FirstToken: -time.Second}, "first_token_timeout: -1s"},
		{pace.Config{FirstToken: 25 * time.Hour}, "first_token_timeout: 25h"},
		{pace.Config{MinRate: -2}, "min_throughput: -2"},
		{pace.Config{MinRate: math.NaN()}, "min_throughput: NaN"},
		{pace.Config{MinRate: math.Inf(1)}, "min_throughput: +Inf"},
		{pace.Config{Window: time.Millisecond}, "throughput_window: 1ms"},
		{pace.Config{Window: -1}, "throughput_window: -1ns"},
		{pace.Config{Window: 25 * time.Hour}, "throughput_window: 25h"},
	} {
		err := test.cfg.Validate()
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%+v: %v", test.cfg, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%+v: %v, want %q in it", test.cfg, err, test.want)
		}
	}
}

// left is Left for a meter that has a bound.
func left(t interface {
	Helper()
	Fatalf(string, ...any)
}, m *pace.Meter,
) time.Duration {
	t.Helper()
	d, ok := m.Left()
	if !ok || d < 0 {
		t.Fatalf("Left() = %v, %t", d, ok)
	}
	return d
}

func TestFirstToken(t *testing.T) {
	m := pace.NewMeter(pace.Config{FirstToken: 10 * time.Second})
	for _, step := range []struct{ wait, want time.Duration }{
		{0, 10 * time.Second},
		{4 * time.Second, 6 * time.Second},
		{-time.Hour, 6 * time.Second},
		{5 * time.Second, time.Second},
		{time.Hour, 0},
	} {
		m.Waited(step.wait, 100, false) // roles, pings and comments are nothing useful
		if got := left(t, &m); got != step.want {
			t.Errorf("after another %v: %v left, want %v", step.wait, got, step.want)
		}
	}
	if e := m.Fault(); e.Kind != llm.ProviderTimeout || e.Limit != "first_token_timeout" || e.Value != "10s" || e.Fix == "" {
		t.Errorf("fault %+v", e)
	}
}

// The rate counts from the first useful token on, however long that took.
func TestRateBeginsWithTheFirstToken(t *testing.T) {
	m := pace.NewMeter(pace.Config{MinRate: 5, Window: 16 * time.Second})
	m.Waited(59*time.Second, 3, true)
	if got := left(t, &m); got != 16*time.Second {
		t.Errorf("%v left after the first token, want a window", got)
	}
	if e := m.Fault(); e.Kind != llm.ProviderTimeout || e.Limit != "min_throughput" || e.Value != "5" || e.Fix == "" {
		t.Errorf("fault %+v", e)
	}
}

func TestNoBounds(t *testing.T) {
	m := pace.NewMeter(pace.Config{FirstToken: pace.None, MinRate: pace.None})
	for range 3 {
		if d, ok := m.Left(); ok {
			t.Errorf("Left() = %v without a bound", d)
		}
		m.Waited(math.MaxInt64, 1, true)
	}
	m = pace.NewMeter(pace.Config{FirstToken: pace.None})
	if _, ok := m.Left(); ok {
		t.Error("a bound before the first token")
	}
	if m.Waited(time.Hour, 1, true); left(t, &m) != pace.DefaultWindow {
		t.Errorf("%v left, want %v", left(t, &m), pace.DefaultWindow)
	}
}

// steady reads a stream that brings k characters in every period, and says when a read took
// longer than it may; 0 where none did. Half of the chunks come in several reads.
func steady(t *rapid.T, m *pace.Meter, period time.Duration, k int, until time.Duration) time.Duration {
	m.Waited(time.Second, k, true)
	for at := time.Duration(0); at < until; at += period {
		if d := left(t, m); d < period {
			return at + d
		}
		if rapid.IntRange(0, 7).Draw(t, "split") == 0 && k > 1 {
			m.Waited(period/2, 0, false) // a ping
			m.Waited(period-period/2, k-1, true)
			m.Waited(0, 1, true)
			continue
		}
		m.Waited(period, k, true)
	}
	return 0
}

func TestAStreamJustOverTheRateNeverFaults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window := time.Duration(rapid.Int64Range(int64(time.Second), int64(time.Minute)).Draw(t, "window"))
		rate := rapid.Float64Range(0.5, 200).Draw(t, "rate")
		k := rapid.IntRange(1, max(1, int(rate*window.Seconds()))).Draw(t, "chunk")
		period := time.Duration(float64(k) / (rate * 1.0001) * float64(time.Second))
		if period >= window {
			t.Skip("a pause of a window is no steady stream")
		}
		m := pace.NewMeter(pace.Config{MinRate: rate, Window: window})
		if at := steady(t, &m, period, k, min(6*window, 300*period)); at != 0 {
			t.Fatalf("%d characters every %v fault after %v", k, period, at)
		}
	})
}

func TestAStreamAtHalfTheRateAlwaysFaultsWithinTwoWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window := time.Duration(rapid.Int64Range(int64(time.Second), int64(time.Minute)).Draw(t, "window"))
		rate := rapid.Float64Range(0.5, 100).Draw(t, "rate")
		k := rapid.IntRange(1, max(1, int(rate*window.Seconds()))).Draw(t, "chunk")
		period := time.Duration(float64(k)/(rate/2)*float64(time.Second)) + 1
		if period < window/300 {
			t.Skip("too many steps")
		}
		m := pace.NewMeter(pace.Config{MinRate: rate, Window: window})
		at := steady(t, &m, period, k, 3*window)
		if at == 0 || at > 2*window+time.Microsecond {
			t.Fatalf("%d characters every %v: fault at %v, the window is %v", k, period, at, window)
		}
	})
}

// A token of four characters a second, the trickle that providers have shown, is found
// soon after the first window.
func TestTrickle(t *testing.T) {
	m := pace.NewMeter(pace.Config{})
	m.Waited(time.Second, 4, true)
	at := time.Duration(0)
	for ; left(t, &m) >= time.Second; at += time.Second {
		m.Waited(time.Second, 4, true)
	}
	if at += left(t, &m); at < pace.DefaultWindow || at > pace.DefaultWindow*5/4 {
		t.Errorf("found after %v, the window is %v", at, pace.DefaultWindow)
	}
}

// A burst may be followed by a pause of a window; a reader that comes late finds
// much at once and is no fault of the stream.
func TestBursts(t *testing.T) {
	m := pace.NewMeter(pace.Config{MinRate: 10, Window: 16 * time.Second})
	m.Waited(time.Second, 1, true)
	for range 20 {
		m.Waited(0, 500, true)
		if got := left(t, &m); got < 16*time.Second {
			t.Fatalf("%v left after a burst", got)
		}
		m.Waited(16*time.Second, 500, true)
	}
}

// model is the rule of Meter's documentation, written down plainly.
type model struct {
	cfg    pace.Config
	part   time.Duration
	now    time.Duration
	reads  []read
	credit float64
}

type read struct {
	at    time.Duration
	chars int
}

func (m *model) full() float64 { return m.cfg.MinRate * m.cfg.Window.Seconds() }

func (m *model) wait(d time.Duration, chars int) {
	m.now += d
	m.credit = math.Min(math.Max(m.credit-d.Seconds()*m.cfg.MinRate, 0)+float64(chars), m.full())
	m.reads = append(m.reads, read{m.now, chars})
}

// slow says that the window that ends with part p has too little in it.
func (m *model) slow(p int64) bool {
	if p < 16 {
		return false
	}
	sum, parts := 0, map[int64]int{}
	for _, r := range m.reads {
		if q := int64(r.at / m.part); q >= p-16 && q <= p {
			sum += r.chars
			parts[q] += r.chars
		}
	}
	fullest := 0
	for _, n := range parts {
		fullest = max(fullest, n)
	}
	return float64(sum+fullest) < m.full()
}

func (m *model) left() time.Duration {
	p := int64(m.now / m.part)
	d := time.Duration(0)
	for !m.slow(p) {
		p++
		d = time.Duration(p)*m.part - m.now
	}
	return max(min(d, time.Duration(m.credit/m.cfg.MinRate*1e9)), 0)
}

func TestLeftIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := pace.Config{
			MinRate: rapid.Float64Range(0.5, 50).Draw(t, "rate"),
			Window:  time.Duration(rapid.IntRange(1000, 30_000).Draw(t, "window ms")) * time.Millisecond,
		}
		m := pace.NewMeter(cfg)
		want := model{cfg: cfg, part: (cfg.Window + 15) / 16}
		want.credit = want.full()
		chars := rapid.IntRange(0, 20).Draw(t, "first")
		m.Waited(time.Second, chars, true)
		want.wait(0, chars)
		for range rapid.IntRange(1, 200).Draw(t, "reads") {
			got, exact := left(t, &m), want.left()
			if diff := got - exact; diff < -2 || diff > 2 { // nanoseconds: the last digit of a float
				t.Fatalf("%v left, want %v, after %v", got, exact, want.reads)
			}
			d := time.Duration(rapid.Float64Range(0, 0.3).Draw(t, "wait") * float64(cfg.Window))
			if rapid.IntRange(0, 3).Draw(t, "in time") > 0 {
				d = min(d, got)
			}
			n := rapid.IntRange(0, 40).Draw(t, "chars")
			m.Waited(d, n, rapid.Bool().Draw(t, "useful"))
			want.wait(d, n)
		}
	})
}

func TestNoAllocation(t *testing.T) {
	m := pace.NewMeter(pace.Config{})
	if n := testing.AllocsPerRun(100, func() {
		m.Waited(time.Millisecond, 4, true)
		m.Left()
	}); n != 0 {
		t.Errorf("%v allocations a chunk", n)
	}
}

func ExampleMeter() {
	m := pace.NewMeter(pace.Config{FirstToken: 30 * time.Second, MinRate: 5, Window: 20 * time.Second})
	m.Waited(2*time.Second, 0, false) // a role, nothing to read yet
	fmt.Println(m.Left())
	m.Waited(time.Second, 12, true)
	fmt.Println(m.Left())
	m.Waited(15*time.Second, 0, false)
	fmt.Println(m.Left())
	fmt.Println(m.Fault())
	// Output:
	// 28s true
	// 20s true
	// 5s true
	// provider_timeout: the model sent less than 5 characters a second over 20s (min_throughput = 5). Send the request again; for models that pause for long, raise throughput_window or lower min_throughput.
}

func BenchmarkChunk(b *testing.B) {
	m := pace.NewMeter(pace.Config{})
	b.ReportAllocs()
	for b.Loop() {
		m.Waited(10*time.Millisecond, 4, true)
		if _, ok := m.Left(); !ok {
			b.Fatal("no bound")
		}
	}
}

// Who waits apart from reading pauses in between: his own time does not count, and what the provider
// took before and after does.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w := pace.NewWatch(t.Context(), pace.Config{FirstToken: 10 * time.Second})
		defer w.Stop()
		w.Begin(time.Now())
		time.Sleep(8 * time.Second)
		w.Pause(time.Now())
		time.Sleep(time.Hour)
		if ctx.Err() != nil {
			t.Fatal("the reader's time was counted")
		}
		w.Begin(time.Now())
		time.Sleep(1900 * time.Millisecond)
		if ctx.Err() != nil {
			t.Error("ended before its time")
		}
		time.Sleep(200 * time.Millisecond)
		if ctx.Err() == nil {
			t.Error("what was waited before the pause was not counted")
		}
	})
	synctest.Test(t, func(t *testing.T) { // a read that has ended is no part of the next one
		ctx, w := pace.NewWatch(t.Context(), pace.Config{FirstToken: 10 * time.Second, Window: 10 * time.Second})
		defer w.Stop()
		for range 5 {
			w.Begin(time.Now())
			time.Sleep(3 * time.Second)
			w.Pause(time.Now())
			w.Begin(time.Now())
			text := strings.Repeat("x", 100)
			if err := w.End(time.Now(), llm.Chunk{Raw: []byte(text), Events: 1, Useful: true, Text: func() string { return text }}, nil); err != nil {
				t.Fatal(err)
			}
		}
		if ctx.Err() != nil {
			t.Error(context.Cause(ctx))
		}
	})
}

// Events that are alike in length have no shortest one to be measured by: what they say
// counts where they come seldom, and one character each is not enough.
func TestEventsOfOneLength(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		slow bool
	}{
		"sixty characters every five seconds": {strings.Repeat("x", 60), false},
		"one character every five seconds":    {"x", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, w := pace.NewWatch(t.Context(), pace.Config{})
				defer w.Stop()
				raw := []byte(strings.Repeat(" ", 200) + tt.text)
				for range 20 {
					w.Begin(time.Now())
					select {
					case <-ctx.Done():
					case <-time.After(5 * time.Second):
					}
					if err := w.End(time.Now(), llm.Chunk{Raw: raw, Events: 1, Useful: true, Text: func() string { return tt.text }}, ctx.Err()); err != nil {
						break
					}
				}
				if slow := ctx.Err() != nil; slow != tt.slow {
					t.Errorf("cut: %v, want %v: %v", slow, tt.slow, context.Cause(ctx))
				}
			})
		})
	}
}
