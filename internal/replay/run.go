package replay

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"
)

// progressEvery is how often Config.Progress hears of the run: often enough for
// a bar to look alive.
const progressEvery = 250 * time.Millisecond

// Run sends the calls and returns when each of them has ended. It fails only for
// a wrong configuration. When ctx ends, calls in progress are broken off, the
// rest is not sent, and the report counts both as cancelled.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	arrivals := cfg.Trace[cfg.Offset:]
	if cfg.Limit > 0 && cfg.Limit < len(arrivals) {
		arrivals = arrivals[:cfg.Limit]
	}
	transport := cfg.Transport
	if transport == nil {
		own := &http.Transport{
			MaxIdleConnsPerHost: cfg.MaxInFlight,
			DisableCompression:  true,
			IdleConnTimeout:     90 * time.Second, // as http.DefaultTransport
			TLSHandshakeTimeout: 10 * time.Second,
		}
		defer own.CloseIdleConnections()
		transport = own
	}
	r := &run{
		cfg:      &cfg,
		arrivals: arrivals,
		plan:     newPlan(&cfg, arrivals),
		slots:    make(chan struct{}, cfg.MaxInFlight),
		results:  newResults(len(arrivals)),
	}
	r.send = &sender{client: &http.Client{
		Transport: transport,
		// A redirect is not an answer; following it would leave the gateway.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, cfg: &cfg, plan: r.plan, url: chatURL(cfg.URL)}
	return r.do(ctx), nil
}

func chatURL(base string) string {
	base = strings.TrimSuffix(base, "/")
	return strings.TrimSuffix(base, "/v1") + "/v1/chat/completions"
}

// run is one replay in progress.
type run struct {
	cfg      *Config
	arrivals []Arrival
	plan     *plan
	send     *sender
	slots    chan struct{} // holds one for each call in progress
	results  *results
	start    time.Time
}

func (r *run) do(ctx context.Context) *Report {
	r.start = time.Now()
	stopProgress := r.startProgress()
	var calls sync.WaitGroup
	r.schedule(ctx, &calls)
	calls.Wait()
	wall := time.Since(r.start)
	stopProgress()
	return r.results.report(r.cfg, r.arrivals, wall)
}

// schedule starts each call at its time, without ever waiting for one. Each gets
// a goroutine, which calls counts.
func (r *run) schedule(ctx context.Context, calls *sync.WaitGroup) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i, a := range r.arrivals {
		intended := r.start.Add(time.Duration(float64(a.At-r.arrivals[0].At) / r.cfg.Speed))
		if !sleepUntil(ctx, timer, intended) {
			r.results.cancelRest(len(r.arrivals) - i)
			return
		}
		select {
		case r.slots <- struct{}{}:
		default:
			r.results.unsent()
			continue
		}
		r.results.sent(time.Since(intended))
		calls.Go(func() {
			defer func() { <-r.slots }()
			r.results.add(r.send.do(ctx, i, intended))
		})
	}
}

// sleepUntil waits until t and reports whether ctx still stands.
func sleepUntil(ctx context.Context, timer *time.Timer, t time.Time) bool {
	if d := time.Until(t); d > 0 {
		timer.Reset(d)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

// startProgress begins to tell Config.Progress; the function it returns tells it
// a last time and ends that.
func (r *run) startProgress() (stop func()) {
	if r.cfg.Progress == nil {
		return func() {}
	}
	tell := func() {
		p := r.results.progress()
		p.Planned, p.Elapsed = len(r.arrivals), time.Since(r.start)
		r.cfg.Progress(p)
	}
	done := make(chan struct{})
	var teller sync.WaitGroup
	teller.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				tell()
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		teller.Wait()
		tell()
	}
}
