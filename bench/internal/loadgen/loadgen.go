// Package loadgen puts load on an HTTP server of this machine and measures what
// its clients see and what its processes cost.
//
// It has two modes. Closed loop: each connection sends its next request when the
// last is answered; it finds the highest rate. Open loop: requests have fixed
// times, and latency counts from them, so that a server that stalls is charged for
// the requests that could not be sent meanwhile (coordinated omission). Both write
// prepared bytes to raw keep-alive connections: net/http's client would cost more
// than the servers measured.
package loadgen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/proc"
)

// Spec says what to send, and whose cost to measure.
type Spec struct {
	// Addr is host:port on the loopback interface, Path what to POST to.
	Addr string `json:"addr"`
	Path string `json:"path"`
	// Key is sent as bearer token; empty sends none.
	Key string `json:"key"`
	// Conns is the number of connections. 1 to 2,000.
	Conns int `json:"conns"`
	// Rate is requests a second for the open loop; zero means closed loop.
	Rate float64 `json:"rate"`
	// Warm is sent before the measurement begins, Duration is what is measured.
	// Duration is at most a minute.
	Warm     time.Duration `json:"warm"`
	Duration time.Duration `json:"duration"`
	Model    string        `json:"model"`
	Stream   bool          `json:"stream"`
	// Unique makes every prompt different, so that no cache can answer. Otherwise
	// Prompts is how many different ones there are: they are sent in turn, and are the
	// same ones in every run. Zero means one.
	Unique  bool  `json:"unique"`
	Prompts int64 `json:"prompts"`
	// PIDs are the roots of the process tree under test, UpstreamPIDs of the one
	// behind it.
	PIDs         []int `json:"pids"`
	UpstreamPIDs []int `json:"upstream_pids"`
}

// Result is what a run measured. Requests counts those answered with 200 and
// completely whose time lay within the measured part; the latencies are theirs.
type Result struct {
	Requests   int     `json:"requests"`
	Errors     int     `json:"errors"`     // connection failures
	NotOK      int     `json:"not_ok"`     // other statuses than 200
	Incomplete int     `json:"incomplete"` // streams without their end mark
	Unsent     int     `json:"unsent"`     // open loop: still waiting for a connection at the end
	Hits       int     `json:"hits"`       // of Requests, by Cache-Status
	All        int     `json:"all"`        // every answer, warm-up included
	LastError  string  `json:"last_error,omitempty"`
	Seconds    float64 `json:"seconds"` // of the measured part
	PerSecond  float64 `json:"per_second"`

	// Latency counts from the intended time (open loop) or from the send (closed).
	Latency Percentiles `json:"latency_us"`
	// FirstByte counts like Latency, to the first byte of the answer.
	FirstByte Percentiles `json:"first_byte_us"`
	// SendLag is how late requests were sent: of the open loop, this program's own share.
	SendLag Percentiles `json:"send_lag_us"`

	// CPU time was read SampledSeconds apart: a machine at its limit wakes the reader
	// late. CPUSecondsPer10K takes that into account.
	SampledSeconds     float64 `json:"sampled_seconds"`
	CPUSeconds         float64 `json:"cpu_seconds"`
	CPUSecondsPer10K   float64 `json:"cpu_seconds_per_10k"`
	UpstreamCPUSeconds float64 `json:"upstream_cpu_seconds"`
	LoadCPUSeconds     float64 `json:"load_cpu_seconds"`
	PeakRSSMB          float64 `json:"peak_rss_mb"` // 10^6 bytes
	RSSMB              float64 `json:"rss_mb"`
}

// Percentiles are in microseconds.
type Percentiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// Bounds of a run, and of one request in it.
const (
	maxConns       = 2000
	maxDuration    = time.Minute
	maxPrompts     = 1_000_000_000
	requestTimeout = 15 * time.Second
	// drainTime is how long after the measured part requests may still be sent that
	// belong to it, when the server cannot keep up with the rate.
	drainTime = 5 * time.Second
)

func (s *Spec) validate() error {
	addr, err := net.ResolveTCPAddr("tcp", s.Addr)
	switch {
	case err != nil:
		return fmt.Errorf("loadgen: %w", err)
	case !addr.IP.IsLoopback():
		return errors.New("loadgen: only servers on the loopback interface are measured")
	case s.Conns < 1 || s.Conns > maxConns:
		return fmt.Errorf("loadgen: %d connections are not 1 to %d", s.Conns, maxConns)
	case s.Duration <= 0 || s.Duration > maxDuration || s.Warm < 0 || s.Warm > maxDuration:
		return fmt.Errorf("loadgen: times are at most %v, the measured one above 0", maxDuration)
	case s.Rate < 0 || s.Rate > 1e6:
		return fmt.Errorf("loadgen: rate %v is not 0 to 1,000,000", s.Rate)
	case s.Prompts < 0 || s.Prompts > maxPrompts:
		return fmt.Errorf("loadgen: %d prompts are not 0 to %d", s.Prompts, maxPrompts)
	}
	return nil
}

// Run connects, sends until the measured part is over, and sums up. ctx breaks
// it off with its error.
func Run(ctx context.Context, s Spec) (*Result, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	r, err := newRun(ctx, &s)
	if err != nil {
		return nil, err
	}
	defer r.close()
	cost := make(chan cost, 1)
	go func() { cost <- sample(ctx, r) }() // ends with the measured part or ctx, and is received below
	if s.Rate > 0 {
		r.open(ctx)
	} else {
		r.closed(ctx)
	}
	c := <-cost
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return r.result(c), nil
}

// cost is what the processes used during the measured part.
type cost struct {
	seconds             float64
	test, upstream, own time.Duration
	peak, now           int64
}

func sample(ctx context.Context, r *run) cost {
	if !sleepUntil(ctx, r.begin) {
		return cost{}
	}
	s, own := r.spec, []int{selfPID()}
	test := proc.Tree(s.PIDs)
	proc.ResetPeak(test)
	start := time.Now()
	cpu, up, self := proc.CPU(test), proc.CPU(proc.Tree(s.UpstreamPIDs)), proc.CPU(own)
	sleepUntil(ctx, r.end)
	c := cost{seconds: time.Since(start).Seconds()}
	test = proc.Tree(s.PIDs)
	c.test, c.upstream, c.own = proc.CPU(test)-cpu, proc.CPU(proc.Tree(s.UpstreamPIDs))-up, proc.CPU(own)-self
	c.peak, c.now = proc.Memory(test)
	return c
}

// sleepUntil waits until t and reports whether ctx still stands.
func sleepUntil(ctx context.Context, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// percentiles sorts d in place. By nearest rank, like the tables of others.
func percentiles(d []time.Duration) Percentiles {
	if len(d) == 0 {
		return Percentiles{}
	}
	slices.Sort(d)
	at := func(perMille int) float64 { return micros(d[max(0, (len(d)*perMille+999)/1000-1)]) }
	return Percentiles{P50: at(500), P90: at(900), P99: at(990), P999: at(999), Max: micros(d[len(d)-1])}
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()/10) / 100 }
